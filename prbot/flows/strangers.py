"""Code of people who may not write: nothing of it runs until somebody who may has seen that head and says so.

And comments, which anybody may write on a public repository: they cannot make prbot talk without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from prbot.audit.entries import PRBOT, user
from prbot.core.commands import Command
from prbot.core.comments.replies import MOST_NAMED, notice, too_many
from prbot.core.comments.split import key_of
from prbot.core.events import Asking, CommentEvent, RerunEvent
from prbot.core.pulls import Pull, Status, at_least
from prbot.core.runs import Goal
from prbot.flows import gather, report, views
from prbot.flows.heard import heard
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import inbox, posts, runs
from prbot.store.tables import PullRow

MOST_COMMANDS = 20
"""Commands that do something, by one person on one pull request …"""
MOST_COMMENTS = 40
"""… and comments with commands of any kind, also such as were refused, or only answered …"""
PERIOD = timedelta(minutes=10)
"""… in this time; further ones are not followed."""
MOST_LOOKED_AT = 500
"""Comments in that time, with or without commands."""


ONLY_ANSWER = frozenset({"help", "version"})


# -- whose code runs --------------------------------------------------------------------------------------------------
def may_run(services: Services, pull: Pull) -> bool:
    """Whether the head's code may run: it is of people who may write, or somebody who may allowed this very head."""
    return trusted(services, pull) or _allowed(services, pull)


def trusted(services: Services, pull: Pull) -> bool:
    """Whether those whose code the head is may write: its author, or one whom the rules trust, and who pushed it.

    Only a branch of the repository itself is known to be pushed to by nobody else.
    """
    named = {login.casefold() for login in services.rules(pull.key.repo).trusted}
    at_home = pull.head_repo is not None and pull.head_repo.casefold() == pull.key.repo.casefold()
    if at_home and pull.author.casefold() in named:
        return True
    if not at_least(services.forge.role(pull.key.repo, pull.author), "write"):
        return False
    return at_home or _pushed_by_a_writer(services, pull)


def _pushed_by_a_writer(services: Services, pull: Pull) -> bool:
    with services.db.read() as tx:
        row = tx.get(PullRow, (pull.key.repo, pull.key.number))
    pusher = gather.pusher_of(services, pull, row)
    if pusher is None:
        return False
    if pusher.casefold() == pull.author.casefold():
        return True
    return at_least(services.forge.role(pull.key.repo, pusher), "write")


def _allowed(services: Services, pull: Pull) -> bool:
    with services.db.read() as tx:
        return any(
            each.trigger == "comment" and each.goal is Goal.PLAN and each.head_sha == pull.head_sha
            for each in runs.operations(tx, pull.key)
        )


def wait_for_a_writer(services: Services, tx: Session, pull: Pull) -> None:
    """Say that nothing of this head runs yet, and how it may."""
    word = services.identity.prefixes[0]
    services.audit.append(
        tx,
        "head.revoked",
        actor=PRBOT,
        repo=pull.key.repo,
        pull=pull.key.number,
        head=pull.head_sha,
        outcome="refused",
        facts={"author": pull.author},
    )
    document = notice(
        "Not planned yet",
        [
            f"A plan runs the pull request's code, and `{pull.head_sha[:7]}` is not by somebody who may write.",
            f"Somebody with write access can read it, and allow this head with `{word} plan`. A push asks anew.",
        ],
    )
    report.want_comment(services, tx, pull.key, views.stranger_notice(pull.head_sha), document)
    waits = Status("prbot/gate", "pending", f"somebody with write access must allow this head: {word} plan")
    report.want_status(tx, pull.key, pull.head_sha, waits)
    report_soon(services, tx, pull.key)


def why_not_allowed(services: Services, pull: Pull, event: Asking) -> str:
    """Why a `plan` by somebody who may write does not let this head run; empty if it does.

    They can only mean a head that they could see: one that was pushed while they wrote is not what they read. So its
    notice must have stood there before they wrote, by the forge's own clock. A check's button is of one head alone.
    """
    if isinstance(event, RerunEvent):
        return ""
    with services.db.write() as tx:
        told = posts.of_key(tx, pull.key, posts.COMMENT, views.stranger_notice(pull.head_sha))
        if not told:
            wait_for_a_writer(services, tx, pull)
    if told and told[0].posted_at is not None and told[0].posted_at < datetime.fromisoformat(event.created_at):
        return ""
    return (
        f"`{pull.head_sha[:7]}` was pushed shortly before, or after, you wrote this. Read it, and say it again once "
        "prbot's note on that head is there."
    )


def allow(services: Services, tx: Session, pull: Pull, event: Asking) -> None:
    """Put on record who let a stranger's head run."""
    services.audit.append(
        tx,
        "head.allowed",
        actor=user(event.sender),
        repo=pull.key.repo,
        pull=pull.key.number,
        head=pull.head_sha,
        facts={"author": pull.author, "comment": event.comment_id},
    )


# -- who talks without end --------------------------------------------------------------------------------------------
def is_flood(services: Services, event: CommentEvent, row: str) -> bool:
    """Whether somebody gives commands on a pull request faster than people do, so that this comment, which is at `row`
    of the inbox, is not followed. They are told which were not.

    What was refused, and what only asks, is free; but nobody makes prbot talk without end.
    """
    since = services.clock.now() - PERIOD
    with services.db.read() as tx:
        before = inbox.before(tx, event, since, MOST_LOOKED_AT, dropped=False)
        dropped = [each.event for each in inbox.before(tx, event, since, MOST_NAMED + 1, dropped=True)]
    heard_before = [each for each in before if heard(services, each.event.body)]
    worked = sum(max(0, len(_works(services, each.event)) - each.refused) for each in heard_before)
    too_much = worked >= MOST_COMMANDS and bool(_works(services, event))
    if not too_much and len(heard_before) < MOST_COMMENTS:
        return False
    prefix, said = services.identity.prefixes[0], [*dropped, event]
    found = [command for each in said for command in heard(services, each.body)]
    lines = [each.to_line(prefix) if isinstance(each, Command) else each.line for each in found]
    with services.db.write() as tx:
        inbox.note_dropped(tx, row)
        _tell_of_flood(services, tx, said, lines)
    return True


def _works(services: Services, event: CommentEvent) -> list[Command]:
    """The commands of a comment that do more than answer."""
    found = heard(services, event.body)
    return [each for each in found if isinstance(each, Command) and each.name not in ONLY_ANSWER]


def _tell_of_flood(services: Services, tx: Session, dropped: Sequence[CommentEvent], lines: Sequence[str]) -> None:
    """In one comment, which grows up to a bound."""
    first, pull = dropped[0], dropped[0].pull
    if len(dropped) == 1:
        services.audit.append(
            tx,
            "command.refused",
            actor=user(first.sender),
            repo=pull.repo,
            pull=pull.number,
            outcome="refused",
            facts={"why": "too many commands", "comment": first.comment_id},
        )
    document = too_many(first.sender, lines, minutes=int(PERIOD.total_seconds() // 60))
    report.want_comment(services, tx, pull, f"flood:{key_of(first.sender)}:{first.comment_id}", document)
    if len(dropped) <= MOST_NAMED + 1:  # else it says the same as before
        report_soon(services, tx, pull)
