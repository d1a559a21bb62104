"""What is known of repositories and their pull requests, for reconcile to hold the forge's words against."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session, col, select

from prbot.core.ids import PullKey
from prbot.core.missed import Standing
from prbot.store.tables import Claim, InboxEvent, PullRow, RepositoryRow


def repository(tx: Session, name: str) -> RepositoryRow | None:
    """What is known of a repository; None before it was first seen."""
    return tx.get(RepositoryRow, name.casefold())


def repositories(tx: Session) -> set[str]:
    """The repositories of all pull requests that prbot ever had to do with."""
    return set(tx.exec(select(PullRow.repo).distinct()))


def pulls(tx: Session, repo: str, numbers: Collection[int]) -> dict[int, PullRow]:
    """The pull requests of a repository with these numbers, as far as they are known."""
    rows = tx.exec(select(PullRow).where(PullRow.repo == repo, col(PullRow.number).in_(numbers)))
    return {row.number: row for row in rows}


def busy(tx: Session, repo: str) -> set[int]:
    """The pull requests of a repository that have something waiting to be handled."""
    query = select(InboxEvent.pull).where(InboxEvent.repo == repo, col(InboxEvent.handled_at).is_(None))
    return set(tx.exec(query.distinct()))


def holders(tx: Session, repo: str) -> list[PullKey]:
    """The pull requests of a repository that claim a project and are not known to be merged."""
    query = select(Claim.pull).where(Claim.repo == repo, col(Claim.merged_position).is_(None)).distinct()
    return [PullKey(repo, number) for number in sorted(tx.exec(query))]


def acted_on(row: PullRow | None) -> Standing | None:
    """How a pull request stood when prbot last acted on it."""
    return Standing(**row.acted_on) if row is not None and row.acted_on is not None else None
