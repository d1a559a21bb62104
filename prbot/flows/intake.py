"""A delivery comes in: it is read, recorded with what becomes of it, and stored before it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog
from sqlmodel import Session

from prbot.audit.entries import PRBOT
from prbot.core.events import AboutPull, Ignored, Malformed, Ping, UnsupportedContent
from prbot.flows.nudge import look_at
from prbot.flows.services import Services
from prbot.store import inbox
from prbot.store.tables import Delivery

log = structlog.get_logger(__name__)
KNOWN = "this comment was found before"
NOT_ALLOWED = "is not on the allow-list (PRBOT_REPO_ALLOWLIST)"


@dataclass(frozen=True, slots=True)
class Receipt:
    """How to answer: the HTTP status, what became of the delivery, and why."""

    status: int
    outcome: Literal["stored", "duplicate", "ignored", "malformed", "unsupported"]
    reason: str = ""


def receive(
    services: Services, forge: str, delivery_id: str, event_name: str, content_type: str, body: bytes
) -> Receipt:
    """Take a delivery whose signature was good. Once it says `stored`, the delivery is on disk and will be acted on."""
    parsed = services.webhooks[forge].parse(event_name, content_type, body)
    match parsed.outcome:
        case Malformed(problem):
            return Receipt(400, "malformed", problem)
        case UnsupportedContent(problem):
            return Receipt(415, "unsupported", problem)
        case Ignored(reason):
            return _keep(services, delivery_id, event_name, parsed.repo, parsed.pull, None, reason)
        case Ping():
            return _keep(services, delivery_id, event_name, parsed.repo, None, None, "a ping: the webhook works")
        case event:
            repo = event.repo.name
            if not services.allowed(repo):
                reason = f"{repo} {NOT_ALLOWED}"
                return _keep(services, delivery_id, event_name, repo, event.pull.number, None, reason)
            return _keep(services, delivery_id, event_name, repo, event.pull.number, event, "")


def _keep(
    services: Services,
    delivery: str,
    name: str,
    repo: str | None,
    pull: int | None,
    event: AboutPull | None,
    reason: str,
) -> Receipt:
    with services.db.write() as tx:
        if tx.get(Delivery, delivery) is not None:
            return Receipt(202, "duplicate", "this delivery was received before")
        if event is not None and inbox.is_known(tx, event):
            event, reason = None, KNOWN
        if event is None and reason.endswith(NOT_ALLOWED):
            services.audit.append(
                tx,
                "delivery.refused",
                actor=PRBOT,
                repo=repo or "",
                pull=pull if repo else None,
                facts={"delivery": delivery, "event": name, "reason": reason},
            )
        _record(services, tx, Delivery(id=delivery, event=name, repo=repo, pull=pull, reason=reason), event)
    log.info("delivery", delivery=delivery, event_name=name, repository=repo, pull=pull, reason=reason)
    return Receipt(202, "stored" if event else "ignored", reason)


def keep_found(
    services: Services, tx: Session, found: str, event: AboutPull, reason: str = "", *, at: datetime | None = None
) -> bool:
    """Keep, in the caller's transaction, what no delivery told: as one whose id is `found`, which says what was found.
    With a `reason` it is put on record as ignored. False if it is known already. `at`: when it happened."""
    if tx.get(Delivery, found) is not None or inbox.is_known(tx, event):
        return False
    name, pull = type(event).__name__, event.pull
    record = Delivery(id=found, event=name, repo=pull.repo, pull=pull.number, reason=reason)
    _record(services, tx, record, None if reason else event, at)
    log.info("found", found=found, repository=pull.repo, pull=pull.number, reason=reason)
    return True


def _record(
    services: Services, tx: Session, record: Delivery, event: AboutPull | None, at: datetime | None = None
) -> None:
    """Put a delivery on record with what becomes of it: an event waits in its pull request's inbox."""
    now = services.clock.now()
    record.received_at, record.outcome = now, "stored" if event else "ignored"
    tx.add(record)
    if event is not None:
        inbox.put_event(tx, event, event_id=services.new_id(), delivery=record.id, now=min(at or now, now))
        look_at(services, tx, event.pull)
