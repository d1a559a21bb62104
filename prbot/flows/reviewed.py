"""Whether all code that an apply runs was reviewed: what its merge holds, and what the base branch brought before."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from prbot.core import reviewed
from prbot.core.approvals import ApprovalVerdict
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
    git = services.git
    result = git.merge(pull.repo, run.base_sha, run.head_sha)
    if not isinstance(result, Merged) or result.tree != git.tree_id(pull.repo, run.commit):
        author = git.author(pull.repo, run.commit)
        return reviewed.other_content(pull.base_branch, run.commit, run.head_sha, author)
    first = _first_approved(services, approved, verdict)
    if first.input_digest == run.input_digest:
        return ""
    found = reviewed.unreviewed(_touching(services, pull, run, first), _merges(services, pull, run, first), run.project)
    authors = {each.commit: git.author(pull.repo, each.commit) for each in found}
    return reviewed.base_moved(pull.base_branch, found, authors) if found else ""


def _first_approved(services: Services, approved: Run, verdict: ApprovalVerdict) -> Run:
    """The oldest of the plans that were approved: what came to the base after it, not all who approved have seen."""
    ids = {each.carried_from or approved.id for each in verdict.counted} or {approved.id}
    with services.db.read() as tx:
        return min((tx.get_one(Run, each) for each in ids), key=lambda run: run.seq)


def _touching(services: Services, pull: Pull, run: Run, since: Run) -> list[str]:
    """The commits on the base branch after a plan's base, up to this merge, that changed what the project reads."""
    git = services.git
    after = gather.change_between(services, pull.repo, run.base_sha, run.commit).after
    takes = reads(project_at(after, run.project))
    found, before = [], since.base_sha
    for commit in git.first_parents(pull.repo, since.base_sha, run.base_sha):
        if any(takes(path) for path in git.changed_paths(pull.repo, before, commit)):
            found.append(commit)
        before = commit
    return found


def _merges(services: Services, pull: Pull, run: Run, since: Run) -> list[Merge]:
    """The merges between a plan's base and this merge, as far as prbot has handled them."""
    line = services.git.first_parents(pull.repo, since.base_sha, run.base_sha)
    with services.db.read() as tx:
        rows = tx.exec(select(PullRow).where(PullRow.repo == run.repo, col(PullRow.merge_sha).in_(line))).all()
        known = [(row, _of_merge(runs.operations(tx, row.key)), _applies(tx, row)) for row in rows]
    found = []
    for row, operation, applies in known:
        if operation is not None and row.merge_sha is not None:
            commits = services.git.first_parents(pull.repo, operation.base_sha, row.merge_sha)
            found.append(Merge(row.number, frozenset(commits), applies))
    return found


def _of_merge(operations: Sequence[Operation]) -> Operation | None:
    return next((each for each in operations if each.goal is Goal.APPLY), None)


def _applies(tx: Session, row: PullRow) -> dict[ProjectKey, RunStatus]:
    return {key: run.status for key, run in runs.newest(runs.of_pull(tx, row.key, Goal.APPLY)).items()}
