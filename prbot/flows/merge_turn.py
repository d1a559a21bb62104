"""Merges are handled in the order in which they came onto the base branch, in whatever order prbot hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import structlog

from prbot.core.events import PullEvent
from prbot.core.ids import PullKey
from prbot.core.pulls import Pull
from prbot.core.runs import Goal
from prbot.flows.reconcile import catch_up
from prbot.flows.services import Services
from prbot.ports import NotFound, Transient
from prbot.store import inbox, known, runs
from prbot.store.tables import InboxEvent, PullRow

log = structlog.get_logger(__name__)
PATIENCE = timedelta(seconds=60)
"""How long a merge waits for an earlier one that is being handled. It goes on then, and asks for another approval if
that one changed what it does."""
_LOOK_AGAIN_SECONDS = 1.0


def let_earlier_go_first(services: Services, pull: Pull, before: str) -> None:
    """Raise Transient while a merge that `before`, the base just before this one, holds is still to be handled.

    Handled in the other order, this one would be planned with what that one does as well, and its approval was not for
    that. What nobody told of it is found here.
    """
    for other, row in _merged_earlier(services, pull, before):
        closing = _closing(services, other.key)
        if closing is None:
            with services.db.read() as tx:
                seen = known.repository(tx, pull.key.repo)
            catch_up(services, other, row, seen.since if seen is not None else None)
            closing = _closing(services, other.key)
        if closing is None:
            continue  # it is from before prbot knew the repository
        if services.clock.now() - closing.created_at < PATIENCE:
            raise Transient(f"#{other.key.number} was merged before, and is handled first", _LOOK_AGAIN_SECONDS)
        log.warning("an earlier merge is not handled yet", repository=pull.key.repo, pull=other.key.number)


def _merged_earlier(services: Services, pull: Pull, before: str) -> Iterator[tuple[Pull, PullRow | None]]:
    """The latest merges into the same branch that came before this one and that prbot has not handled."""
    for other in next(services.forge.pulls_moved(pull.key.repo), []):
        if other.key == pull.key or not other.merged or other.base_branch != pull.base_branch:
            continue
        with services.db.read() as tx:
            row = tx.get(PullRow, (other.key.repo, other.key.number))
            handled = any(each.goal is Goal.APPLY for each in runs.operations(tx, other.key))
            settled = row is not None and row.state != "open" and not inbox.waiting(tx, other.key)
        if not handled and not settled and other.merge_sha and _holds(services, pull, before, other.merge_sha):
            yield other, row


def _holds(services: Services, pull: Pull, before: str, commit: str) -> bool:
    try:
        return services.git.is_ancestor(pull.repo, commit, before)
    except NotFound:  # not even fetched with the base branch
        return False


def _closing(services: Services, key: PullKey) -> InboxEvent | None:
    """The event of its being closed, where that waits in its inbox."""
    with services.db.read() as tx:
        waiting = inbox.waiting(tx, key)
    closings = [each for each in waiting if each.kind == PullEvent.__name__ and each.data.get("action") == "closed"]
    return closings[0] if closings else None
