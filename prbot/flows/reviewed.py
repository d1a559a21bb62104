"""Whether all code that an apply runs was reviewed: what its merge holds, and what the base branch brought before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlmodel import Session, col, select

from prbot.core import reviewed
from prbot.core.approvals import ApprovalVerdict
from prbot.core.gates import evaluate
from prbot.core.ids import ProjectKey
from prbot.core.projects import project_at, reads
from prbot.core.pulls import Pull
from prbot.core.reviewed import Merge
from prbot.core.runs import Goal, RunStatus
from prbot.flows import gather
from prbot.flows.services import Services
from prbot.ports import Merged
from prbot.store import runs
from prbot.store.tables import Operation, PullRow, Run


def what_is_not(services: Services, pull: Pull, run: Run, approved: Run, verdict: ApprovalVerdict) -> str:
    """What of an apply's code nobody reviewed here, as a sentence for people; empty if all was.

    `verdict` is what the approvals of the plan of `approved` amount to.
    """
    if approved.goal is Goal.APPLY:  # that plan was made, and shown, in the very commit that is to be applied
        return ""
    result = services.git.merge(pull.repo, run.base_sha, run.head_sha)
    if not isinstance(result, Merged) or result.tree != services.git.tree_id(pull.repo, run.commit):
        author = services.git.author(pull.repo, run.commit)
        return reviewed.other_content(pull.base_branch, run.commit, run.head_sha, author)
    given_to = _given_to(services, approved, verdict)
    for head in {each.head_sha for each in given_to} - {run.head_sha}:
        if not gather.same_on_base(services, pull, run.base_sha, head, result):
            return reviewed.other_changes(run.head_sha, head, pull.base_branch)
    first = given_to[0]
    return "" if first.input_digest == run.input_digest else _of_base(services, pull, run, first, approved.base_sha)


def was_approved(services: Services, pull: Pull, before: str, merge_sha: str) -> bool:
    """Whether all that a merged pull request changes was approved when it was merged onto `before`, and the merge holds
    nothing else. Where it changes no project, nobody was asked."""
    if not gather.holds_only(services, pull.repo, before, pull.head_sha, merge_sha):
        return False
    facts = gather.gate_facts(services, replace(pull, merged=False), before)  # as it stood, with all its projects
    approved = next(gate for gate in evaluate(facts).gates if gate.name == "approved")
    return approved.met and facts.looked is not None and (bool(facts.projects) or not facts.rules.approvals)


def _given_to(services: Services, approved: Run, verdict: ApprovalVerdict) -> list[Run]:
    """The plans that the approvals which count were given to, the oldest first: what came to the base after that one,
    not all who approved have seen."""
    ids = {each.carried_from or approved.id for each in verdict.counted} or {approved.id}
    with services.db.read() as tx:
        return sorted((tx.get_one(Run, each) for each in ids), key=lambda run: run.seq)


def _of_base(services: Services, pull: Pull, run: Run, first: Run, planned_base: str) -> str:
    """What came to the base without review between the plan `first` and the merge; what the approved plan was made on
    came there as well, though a merge of the head itself may hide it from the line of first parents."""
    git, since = services.git, first.base_sha
    after = gather.change_between(services, pull.repo, run.base_sha, run.commit).after
    takes = reads(project_at(after, run.project))

    def touched(old: str, new: str) -> bool:
        return any(takes(path) for path in git.changed_paths(pull.repo, old, new))

    if not gather.is_there(services, pull.repo, since):
        return reviewed.rewritten(pull.base_branch)
    if not git.is_ancestor(pull.repo, since, run.base_sha) and touched(since, run.base_sha):
        return reviewed.rewritten(pull.base_branch)
    came: dict[str, str] = {}
    for end in dict.fromkeys((run.base_sha, planned_base)):
        line = git.first_parents(pull.repo, since, end) if gather.is_there(services, pull.repo, end) else []
        came |= dict(zip(line, [since, *line], strict=False))
    touching = [commit for commit, before in came.items() if touched(before, commit)]
    found = reviewed.unreviewed(touching, _merges(services, pull, list(came)), run.project)
    authors = {each.commit: git.author(pull.repo, each.commit) for each in found}
    return reviewed.base_moved(pull.base_branch, found, authors) if found else ""


def _merges(services: Services, pull: Pull, line: Sequence[str]) -> list[Merge]:
    """The merges that brought these commits of the base branch, as far as prbot has handled them."""
    with services.db.read() as tx:
        rows = tx.exec(select(PullRow).where(PullRow.repo == pull.key.repo, col(PullRow.merge_sha).in_(line))).all()
        known = [(row, _of_merge(runs.operations(tx, row.key)), _applies(tx, row)) for row in rows]
    found = []
    for row, operation, applies in known:
        if operation is not None and row.merge_sha is not None:
            commits = services.git.first_parents(pull.repo, operation.base_sha, row.merge_sha)
            found.append(Merge(row.number, frozenset(commits), applies, operation.reviewed))
    return found


def _of_merge(operations: Sequence[Operation]) -> Operation | None:
    return next((each for each in operations if each.goal is Goal.APPLY), None)


def _applies(tx: Session, row: PullRow) -> dict[ProjectKey, RunStatus]:
    return {key: run.status for key, run in runs.newest(runs.of_pull(tx, row.key, Goal.APPLY)).items()}
