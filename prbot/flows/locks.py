"""Project locks: claims made and given up, and what follows for the others in the queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from prbot.audit.entries import PRBOT, Actor
from prbot.core import locks
from prbot.core.comments.replies import Freed
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.runs import Goal, RunStatus
from prbot.flows.nudge import look_at, report_soon
from prbot.flows.services import Services
from prbot.store import inbox, runs
from prbot.store.tables import Claim, PullRow, Run


def claims(tx: Session, project: ProjectKey) -> list[Claim]:
    """All claims on a project."""
    query = select(Claim).where(
        Claim.repo == project.repo, Claim.dir == project.dir, Claim.workspace == project.workspace
    )
    return list(tx.exec(query))


def queue_of(tx: Session, project: ProjectKey) -> tuple[locks.Claim, ...]:
    """The claims in their order, the holder first."""
    return locks.queue([locks.Claim(row.pull, row.since, row.merged_position) for row in claims(tx, project)])


def holders(tx: Session, repos: Collection[str]) -> dict[ProjectKey, locks.Claim]:
    """Who holds each claimed project of some repositories."""
    found: dict[ProjectKey, list[locks.Claim]] = {}
    for row in tx.exec(select(Claim).where(col(Claim.repo).in_(repos))):
        project = ProjectKey(row.repo, row.dir, row.workspace)
        found.setdefault(project, []).append(locks.Claim(row.pull, row.since, row.merged_position))
    return {project: locks.queue(each)[0] for project, each in found.items()}


def claim(services: Services, tx: Session, project: ProjectKey, pull: int, merged_position: int | None = None) -> None:
    """Claim a project for a pull request, or say that its claim is a merged one now."""
    before = queue_of(tx, project)
    row = tx.get(Claim, (project.repo, project.dir, project.workspace, pull))
    if row is None:
        # Behind those who are there, also when the clock was set back since they came.
        after = [each.since + timedelta(microseconds=1) for each in before]
        since = max([services.clock.now(), *after])
        row = Claim(repo=project.repo, dir=project.dir, workspace=project.workspace, pull=pull, since=since)
    row.merged_position = merged_position if merged_position is not None else row.merged_position
    tx.add(row)
    tx.flush()
    _follow(services, tx, project, before, PRBOT)


def give_up(services: Services, tx: Session, project: ProjectKey, pull: int, actor: Actor = PRBOT) -> Freed | None:
    """Free a project of a pull request's claim; who waited for it gets their turn. None if there was no claim."""
    row = tx.get(Claim, (project.repo, project.dir, project.workspace, pull))
    if row is None:  # in some lock modes nobody claims, and others wait all the same
        tx.flush()
        _call(services, tx, project)
        return None
    before = queue_of(tx, project)
    tx.delete(row)
    tx.flush()
    _follow(services, tx, project, before, actor)
    holder = locks.holder(queue_of(tx, project))
    return Freed(project.label, holder.pull if holder else None)


def claimed_by(tx: Session, pull: PullKey) -> list[ProjectKey]:
    """The projects that a pull request has a claim on."""
    rows = tx.exec(select(Claim).where(Claim.repo == pull.repo, Claim.pull == pull.number).order_by(col(Claim.dir)))
    return [ProjectKey(row.repo, row.dir, row.workspace) for row in rows]


def _follow(services: Services, tx: Session, project: ProjectKey, before: Iterable[locks.Claim], actor: Actor) -> None:
    after = queue_of(tx, project)
    for each in after:
        report_soon(services, tx, PullKey(project.repo, each.pull))
    for change in locks.lock_changes(before, after):
        facts = {"place": change.place} | ({"other": change.other} if change.other else {})
        services.audit.append(tx, f"lock.{change.kind}", actor=actor, project=project, pull=change.pull, facts=facts)
    _call(services, tx, project)


def stands_before(tx: Session, project: ProjectKey, pull: int) -> bool:
    """Whether somebody else holds the project, or the base holds changes of it that are merged and not applied: a plan
    is speculative then."""
    if locks.blocker(queue_of(tx, project), pull) is not None:
        return True
    return any(run.pull != pull for run in runs.unapplied(tx, project))


def plans_of(tx: Session, project: ProjectKey) -> dict[int, Run]:
    """The plan of each open pull request that has one of the project, or tried to make one."""
    last = select(func.max(Run.seq)).where(
        Run.repo == project.repo, Run.dir == project.dir, Run.workspace == project.workspace, Run.goal == Goal.PLAN
    )
    query = (
        select(Run)
        .join(PullRow, (col(PullRow.repo) == Run.repo) & (col(PullRow.number) == Run.pull))
        .where(PullRow.state == "open", col(Run.seq).in_(last.group_by(col(Run.pull))))
    )
    found = tx.exec(query.order_by(col(Run.seq))).all()
    return {run.pull: run for run in found if run.status is not RunStatus.SUPERSEDED and not run.superseded}


def _call(services: Services, tx: Session, project: ProjectKey) -> None:
    """Have speculative plans made anew that nobody stands before any more, whether or not they wait in the queue. (A
    merged run goes on by admission.)"""
    for number, run in plans_of(tx, project).items():
        if not run.speculative or stands_before(tx, project, number):
            continue
        pull = PullKey(project.repo, number)
        about = {"dir": project.dir, "workspace": project.workspace}
        inbox.put_own(tx, inbox.TURN, pull, event_id=services.new_id(), now=services.clock.now(), data=about)
        look_at(services, tx, pull)
