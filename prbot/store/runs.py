"""Runs and operations: how they are found, and how a run takes a step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from prbot.core.ids import ProjectKey, PullKey
from prbot.core.runs import BLOCKS_PROJECT, BUSY, QUEUED, Goal, RunStatus, check_transition
from prbot.store.tables import Operation, PullRow, Run


def step(tx: Session, run: Run, new: RunStatus, now: datetime) -> None:
    """Take a run to its next status. Raises ImpossibleTransition for a step that a run cannot take."""
    check_transition(run.status, new)
    run.status = new
    if new in BUSY:
        run.started_at = run.started_at or now
    elif new in QUEUED:
        run.admitted_at = run.started_at = run.ended_at = None
    else:
        run.ended_at = now
    tx.add(run)


def of_pull(tx: Session, pull: PullKey, goal: Goal | None = None, project: ProjectKey | None = None) -> list[Run]:
    """The runs of a pull request, or of one project of it, oldest first."""
    query = select(Run).where(Run.repo == pull.repo, Run.pull == pull.number).order_by(col(Run.seq))
    if goal is not None:
        query = query.where(Run.goal == goal)
    if project is not None:
        query = query.where(Run.dir == project.dir, Run.workspace == project.workspace)
    return list(tx.exec(query))


def plans_in_force(tx: Session, pull: PullKey) -> list[Run]:
    """The plans of a pull request that did not give way to others yet, oldest first."""
    query = select(Run).where(Run.repo == pull.repo, Run.pull == pull.number, Run.goal == Goal.PLAN)
    return list(tx.exec(query.where(Run.status != RunStatus.SUPERSEDED).order_by(col(Run.seq))))


def latest(runs: Iterable[Run]) -> dict[ProjectKey, Run]:
    """The latest run of each project, also one that gave way: then the project has no plan."""
    return {run.project: run for run in runs}


def newest(runs: Iterable[Run]) -> dict[ProjectKey, Run]:
    """The newest run of each project that did not give way to others."""
    return latest(run for run in runs if run.status is not RunStatus.SUPERSEDED)


def of_operation(tx: Session, operation: str) -> list[Run]:
    return list(tx.exec(select(Run).where(Run.operation == operation).order_by(Run.dir, Run.workspace)))


def operations(tx: Session, pull: PullKey) -> list[Operation]:
    """The operations of a pull request, oldest first."""
    query = select(Operation).where(Operation.repo == pull.repo, Operation.pull == pull.number)
    return list(tx.exec(query.order_by(col(Operation.seq))))


def with_status(tx: Session, statuses: Collection[RunStatus]) -> Sequence[Run]:
    """All runs in one of the statuses, oldest first."""
    return tx.exec(select(Run).where(col(Run.status).in_(list(statuses))).order_by(col(Run.seq))).all()


def unapplied(tx: Session, project: ProjectKey) -> list[Run]:
    """Apply runs of a project that are merged and neither applied nor given up, one a pull request, oldest first."""
    last = select(func.max(Run.seq)).where(
        Run.repo == project.repo,
        Run.dir == project.dir,
        Run.workspace == project.workspace,
        Run.goal == Goal.APPLY,
        Run.status != RunStatus.SUPERSEDED,
    )
    query = select(Run).where(col(Run.seq).in_(last.group_by(col(Run.pull))), col(Run.status).in_(BLOCKS_PROJECT))
    return list(tx.exec(query.order_by(col(Run.seq))))


def tried_projects(tx: Session, repo: str) -> set[ProjectKey]:
    """Every project of a repository that a run was ever made for."""
    rows = tx.exec(select(Run.dir, Run.workspace).where(Run.repo == repo).distinct())
    return {ProjectKey(repo, directory, workspace) for directory, workspace in rows}


def applied_projects(tx: Session, repo: str) -> set[ProjectKey]:
    """The projects of a repository that were applied, that an apply began on, or that are merged and to be applied."""
    alive = col(Run.status).not_in([RunStatus.SUPERSEDED, RunStatus.DISCARDED, RunStatus.CANCELLED])
    began = or_(alive, col(Run.applying_at).is_not(None))
    rows = tx.exec(select(Run.dir, Run.workspace).where(Run.repo == repo, Run.goal == Goal.APPLY, began).distinct())
    return {ProjectKey(repo, directory, workspace) for directory, workspace in rows}


def first_tried(tx: Session, pull: PullKey) -> dict[ProjectKey, int]:
    """Of each project of a merge that the engine was told to apply, the first attempt that said something."""
    query = select(Run.dir, Run.workspace, func.min(Run.attempt)).where(
        Run.repo == pull.repo, Run.pull == pull.number, Run.goal == Goal.APPLY, Run.applied_output != ""
    )
    rows = tx.exec(query.group_by(Run.dir, Run.workspace))
    return {ProjectKey(pull.repo, directory, workspace): attempt for directory, workspace, attempt in rows}


def last_applied(tx: Session, repo: str, base_branch: str) -> list[Run]:
    """Of each project that the engine was told to apply, the last run that came to it, if that was for this branch."""
    last = select(func.max(Run.seq)).where(Run.repo == repo, col(Run.applying_at).is_not(None))
    query = (
        select(Run)
        .join(PullRow, (col(PullRow.repo) == Run.repo) & (col(PullRow.number) == Run.pull))
        .where(PullRow.base_branch == base_branch, col(Run.seq).in_(last.group_by(Run.dir, Run.workspace)))
    )
    return list(tx.exec(query.order_by(Run.dir, Run.workspace)))


def named_projects(tx: Session, pull: PullKey, head_sha: str) -> set[ProjectKey]:
    """The projects that were planned at a head of a pull request since somebody last asked for a plan of the whole."""
    found: set[ProjectKey] = set()
    for operation in operations(tx, pull):
        if operation.goal is Goal.PLAN and operation.head_sha == head_sha:
            fresh = {run.project for run in of_operation(tx, operation.id)}
            found = fresh if operation.whole and operation.trigger == "comment" else found | fresh
    return found
