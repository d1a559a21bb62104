"""What was refused for so long that it is given up: whoever waits for it is told, and by what it was refused."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from prbot.audit.entries import user
from prbot.core.commands import Command, parse
from prbot.core.comments.replies import given_up
from prbot.core.comments.split import find_marker
from prbot.core.comments.text import code, listed, person
from prbot.core.events import AboutPull, CommentEvent, PullEvent, QueueEvent, RerunEvent, ReviewEvent
from prbot.core.ids import PullKey
from prbot.core.pulls import Status
from prbot.core.retries import MOST_TRIES
from prbot.flows import report
from prbot.flows.heard import heard, is_ours
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Unavailable
from prbot.store import inbox
from prbot.store.tables import Delivery, InboxEvent

_HAPPENED = {
    "opened": "was opened",
    "pushed": "was pushed to",
    "reopened": "was reopened",
    "ready": "was made ready for review",
    "base_changed": "got another base branch",
    "closed": "was merged or closed",
    "gone": "is gone",
    inbox.TURN: "got its turn in a queue",
    inbox.BASE_MOVED: "got a new base, as another was merged",
}
"""What a pull request has to be planned for, applied, or let go."""


def asked(services: Services, row: InboxEvent) -> list[str]:
    """The commands of a comment that are not done yet, as lines."""
    event = _event(row)
    if not isinstance(event, CommentEvent):
        return []
    try:
        found = [] if is_ours(services, event) else heard(services, event.body)
    except Unavailable:  # who wrote it cannot be told: one with a marker may be ours
        found = [] if find_marker(event.body) else parse(event.body, services.identity.prefixes)
    with services.db.read() as tx:
        done = inbox.commands_done(tx, row.id)
    commands = [each for each in found if isinstance(each, Command)]
    return [each.to_line(services.identity.prefixes[0]) for each in commands[done:]]


def tell(services: Services, tx: Session, row: InboxEvent, left: Sequence[str]) -> None:
    """Say that an event was given up, where somebody waits for what was to come of it. `left`: what was `asked`."""
    event = _event(row)
    plan = code(f"{services.identity.prefixes[0]} plan")
    match event:
        case CommentEvent():
            if left:
                _tell_who_wrote(services, tx, row, event, left)
        case RerunEvent():
            pressed = f"{person(event.sender)} asked for a plan by the check's button."
            _say(services, tx, row, pressed, f"Press it again, or write {plan},")
        case QueueEvent():
            said = Status("prbot/gate", "error", f"given up: {row.error}"[:140])
            report.want_status(tx, event.pull, event.head_sha, said)
            report_soon(services, tx, event.pull)
        case PullEvent():
            _find_again(tx, row)
            if event.action in _HAPPENED:
                _say(services, tx, row, f"This pull request {_HAPPENED[event.action]}.", f"Write {plan}")
        case ReviewEvent():
            report_soon(services, tx, event.pull)  # which reads the reviews itself
        case None:
            happened = _HAPPENED.get(row.kind, "was told of in words that prbot does not know")
            _say(services, tx, row, f"This pull request {happened}.", f"Write {plan}")


def _event(row: InboxEvent) -> AboutPull | None:
    """The event; None for one of prbot's own, and for one that cannot be read, as another version may have left it."""
    try:
        return inbox.event_of(row)
    except (TypeError, KeyError):
        return None


def _tell_who_wrote(services: Services, tx: Session, row: InboxEvent, event: CommentEvent, left: Sequence[str]) -> None:
    services.audit.append(
        tx,
        "command.refused",
        actor=user(event.sender),
        repo=row.repo,
        pull=row.pull,
        outcome="failed",
        facts={"commands": list(left), "why": row.error, "comment": event.comment_id},
    )
    report.react(services, tx, event.pull, event.comment_id, "confused")
    wrote = f"{person(event.sender)} asked for {listed([code(each) for each in left])}."
    document = given_up(wrote, row.error, "Write that again", answered=_was_answered(row))
    report.reply_in(services, tx, event.pull, event.comment_id, document, "given_up")


def _say(services: Services, tx: Session, row: InboxEvent, happened: str, again: str) -> None:
    """In one comment for what happened to one head, however often that is tried again."""
    key = PullKey(row.repo, row.pull)
    about = f"given_up:{row.kind}:{row.data.get('action', '')}:{row.data.get('head_sha', '')}"
    report.want_comment(services, tx, key, about, given_up(happened, row.error, again, answered=_was_answered(row)))
    report_soon(services, tx, key)


def _was_answered(row: InboxEvent) -> bool:
    """Whether it was given up because it was refused, and not because nobody answered."""
    return row.attempts >= MOST_TRIES


def _find_again(tx: Session, row: InboxEvent) -> None:
    """What reconcile found, it may find once more."""
    found = tx.get(Delivery, row.delivery) if row.delivery and row.delivery.startswith("poll:") else None
    if found is not None:
        tx.delete(found)
