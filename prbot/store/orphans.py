"""Orphaned projects: which are, and which a merge left behind."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from prbot.core.ids import ProjectKey, PullKey
from prbot.store.tables import OrphanRow


def every(tx: Session, repo: str | None = None) -> Sequence[OrphanRow]:
    """All projects that are orphaned, of one repository where given."""
    query = select(OrphanRow).where(col(OrphanRow.ended_at).is_(None))
    if repo is not None:
        query = query.where(OrphanRow.repo == repo)
    return tx.exec(query.order_by(col(OrphanRow.repo), col(OrphanRow.dir), col(OrphanRow.workspace))).all()


def of(tx: Session, project: ProjectKey) -> OrphanRow | None:
    """A project's row while it is orphaned."""
    row = tx.get(OrphanRow, (project.repo, project.dir, project.workspace))
    return row if row is not None and row.ended_at is None else None


def of_merge(tx: Session, pull: PullKey) -> Sequence[OrphanRow]:
    """The projects that a pull request's merge orphaned, also those that are settled since."""
    query = select(OrphanRow).where(OrphanRow.repo == pull.repo, OrphanRow.pull == pull.number)
    return tx.exec(query.order_by(col(OrphanRow.dir), col(OrphanRow.workspace))).all()
