"""A merge: which projects it changes, and one apply run for each of them, in the order of the merges."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlmodel import Session

from prbot.audit.entries import PRBOT
from prbot.core import dependencies, locks
from prbot.core.ids import PullKey
from prbot.core.inputs import input_digest
from prbot.core.projects import Project, project_at
from prbot.core.pulls import Pull
from prbot.core.runs import Goal, RunStatus
from prbot.core.unplanned import narrowing
from prbot.flows import gather, orphans, others
from prbot.flows.admission import admit_runs
from prbot.flows.locks import claim, give_up
from prbot.flows.merge_turn import let_earlier_go_first
from prbot.flows.nudge import report_soon
from prbot.flows.plan import supersede
from prbot.flows.reviewed import was_approved
from prbot.flows.services import Services
from prbot.ports import Merged, Transient
from prbot.store import runs
from prbot.store.orphans import of as is_orphaned
from prbot.store.tables import Operation, PullRow, Run


@dataclass(frozen=True, slots=True)
class _Merge:
    """What git says of the merge: its place on the base branch, and its tree. Asked before anything is written."""

    position: int
    tree: str


def merged(services: Services, pull: Pull) -> None:
    """A pull request was merged: one apply run for each project that it changes. Doing it twice does it once."""
    merge_sha = pull.merge_sha
    if merge_sha is None:
        raise Transient("the forge says merged, and not yet as which commit")
    with services.db.read() as tx:
        if is_handled(tx, pull.key):
            return
    gather.fetched(services, pull)
    before = base_before_merge(services, pull, merge_sha)
    let_earlier_go_first(services, pull, before)
    approved = was_approved(services, pull, before, merge_sha)
    change = gather.change_between(services, pull.repo, before, merge_sha)
    with services.db.read() as tx:
        plans = runs.newest(runs.of_pull(tx, pull.key, Goal.PLAN))
        shown = {key: plan for key, plan in plans.items() if _is_for(tx, plan, pull.base_branch)}
    projects = {project.key: project for project in change.selection.projects}
    planned = [
        project_at(change.after, key, reason="planned before the merge")
        for key in sorted(plans.keys() - projects.keys())
        if key.dir in change.after.roots
    ]
    refused = gather.refused(services, pull.repo, change.after, planned, workspace_named=True)
    projects |= {project.key: project for project in planned if project.key not in refused}
    reads = dependencies.read_by(change.after, projects.values())
    concerned = others.newly_concerned(services, pull, change)
    git = services.git
    merge = _Merge(git.first_parent_position(pull.repo, merge_sha), git.tree_id(pull.repo, merge_sha))
    after = orphans.base_at(change.commit, change.after, services, pull)
    with services.db.write() as tx:
        supersede_open_plans(services, tx, pull)
        changed = [
            key
            for key, each in projects.items()
            if _needs_apply(services, shown.get(key), each, change, pull)
            or is_orphaned(tx, key)
            or any(run.pull != pull.key.number for run in runs.unapplied(tx, key))
        ]
        needed = {key: projects[key] for key in dependencies.with_readers(changed, reads)}
        for key in plans.keys() - needed.keys():
            give_up(services, tx, key, pull.key.number)
        operation = _operation(services, pull, before)
        operation.reviewed = approved
        operation.refusals = [asdict(each) for each in change.selection.refusing(refused).refusals]
        tx.add(operation)  # also without runs: that there is nothing to apply was found, and is on record
        tx.flush()
        for key in sorted(needed):
            run = _add_run(services, tx, operation, pull, needed[key], shown.get(key), change, merge)
            run.comes_after = [[each.dir, each.workspace] for each in reads[key] if each in needed]
            run.state_places = asdict(orphans.places(tx, change, key))
        removed = orphans.with_what_stays(tx, pull.key.repo, change.selection).orphans
        orphans.left_behind(services, tx, pull, change, removed)
        tx.flush()
        orphans.seen_on(after, services, tx, pull)
        others.plan_anew(services, tx, pull, needed, concerned)
        admit_runs(services, tx)
        report_soon(services, tx, pull.key)


def is_handled(tx: Session, pull: PullKey) -> bool:
    """Whether a merge was looked at: that is on record also where there was nothing to apply."""
    return any(each.goal is Goal.APPLY for each in runs.operations(tx, pull))


def _is_for(tx: Session, plan: Run, base_branch: str) -> bool:
    """Whether a plan was made, and so approved, for the branch that was merged into."""
    return tx.get_one(Operation, plan.operation).base_branch == base_branch


def supersede_open_plans(services: Services, tx: Session, pull: Pull) -> None:
    """Plans that have not ended when the merge comes are of no use any more."""
    under_way = (RunStatus.PENDING, RunStatus.PLANNING)
    plans = runs.plans_in_force(tx, pull.key)
    supersede(services, tx, pull.key, {run.project for run in plans if run.status in under_way})


def base_before_merge(services: Services, pull: Pull, merge_sha: str) -> str:
    """The base branch's commit just before this merge.

    Of a merge commit that is its first parent. A squash is one commit, and a rebase as many as the pull request has:
    the largest step back counts from which the head merges to the same tree, since the last of several commits gives
    that tree from the one before it as well. Where none does, what was merged is not what was reviewed, and the largest
    step there can be leaves nothing of it out.
    """
    git, head, since = services.git, pull.head_sha, _known_base(services, pull, merge_sha)
    line = [*([since] if since else []), *git.first_parents(pull.repo, since, merge_sha)]
    came = git.is_ancestor(pull.repo, head, merge_sha)
    if came and merge_sha != head and not git.is_ancestor(pull.repo, head, line[-2]):
        return line[-2]
    new = line[1:] if came else git.first_parents(pull.repo, head, merge_sha)  # what the head holds was there before
    tree = git.tree_id(pull.repo, merge_sha)
    steps = range(max(1, min(pull.commits, len(new), len(line) - 1)), 0, -1)
    for back in steps:
        result = git.merge(pull.repo, line[-1 - back], head)
        if isinstance(result, Merged) and result.tree == tree:
            return line[-1 - back]
    return line[-1 - steps.start]


def _known_base(services: Services, pull: Pull, merge_sha: str) -> str | None:
    """A commit of the base branch from before the merge, by what the forge said; None where that does not hold it: the
    branch was rewritten, or what was read came after the merge."""
    with services.db.read() as tx:
        row = tx.get(PullRow, (pull.key.repo, pull.key.number))
    for base in (row.base_sha if row is not None else "", pull.base_sha):
        there = base and base != merge_sha and gather.is_there(services, pull.repo, base)
        if there and services.git.is_ancestor(pull.repo, base, merge_sha):
            return base
    return None


def _needs_apply(services: Services, plan: Run | None, project: Project, change: gather.Change, pull: Pull) -> bool:
    """Everything does, but what was planned whole at this head, had nothing to do, and reads what it read then. What
    stood before it at that time may have been applied since, and left it something."""
    if plan is None or plan.status is not RunStatus.NO_CHANGES or plan.head_sha != pull.head_sha:
        return True
    if plan.speculative or narrowing(plan.extra_args or ()):
        return True
    return plan.input_digest != _digest(services, project, change, plan)


def _digest(services: Services, project: Project, change: gather.Change, plan: Run | None) -> str:
    version = services.engine.version()
    return input_digest(
        project,
        change.after,
        engine_version=f"{version.product} {version.version}",
        extra_args=(plan.extra_args or ()) if plan else (),
    )


def _operation(services: Services, pull: Pull, base: str) -> Operation:
    return Operation(
        id=services.new_id(),
        repo=pull.key.repo,
        pull=pull.key.number,
        goal=Goal.APPLY,
        trigger="merge",
        actor=PRBOT.name,
        head_sha=pull.head_sha,
        base_sha=base,
        created_at=services.clock.now(),
    )


def _add_run(
    services: Services,
    tx: Session,
    operation: Operation,
    pull: Pull,
    project: Project,
    plan: Run | None,
    change: gather.Change,
    merge: _Merge,
) -> Run:
    rules = services.rules(pull.key.repo)
    if locks.claims_project(rules.locks, merged=True):
        claim(services, tx, project.key, pull.key.number, merge.position)
    made = (RunStatus.PLANNED, RunStatus.NO_CHANGES)
    usable = plan is not None and plan.status in made and plan.head_sha == pull.head_sha
    if plan is not None and narrowing(plan.extra_args or ()):  # it cannot be applied, and says nothing of the rest
        plan, usable = None, False
    run = Run(
        id=services.new_id(),
        operation=operation.id,
        repo=pull.key.repo,
        pull=pull.key.number,
        dir=project.key.dir,
        workspace=project.key.workspace,
        goal=Goal.APPLY,
        trigger="merge",
        head_sha=pull.head_sha,
        base_sha=operation.base_sha,
        commit=change.commit,
        tree=merge.tree,
        var_files=list(project.var_files),
        extra_args=list(plan.extra_args or ()) if usable and plan else [],
        reason=project.reason,
        auto=rules.apply == "auto",
        reference=plan.id if usable and plan else None,
        input_digest=_digest(services, project, change, plan),
        created_at=services.clock.now(),
    )
    tx.add(run)
    return run
