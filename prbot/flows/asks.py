"""One command by somebody, and how it is answered: in one place, so that every refusal is told and on record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session

from prbot.audit.entries import Actor, user
from prbot.core.commands import Command
from prbot.core.comments import replies
from prbot.core.comments.blocks import Document
from prbot.core.comments.split import key_of
from prbot.core.events import Asking
from prbot.core.pulls import Pull
from prbot.core.wanted import NoSuchProject, Wanted, among
from prbot.flows import report
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import inbox
from prbot.store.tables import Run


@dataclass(frozen=True, slots=True)
class Ask:
    """A command that somebody gave on a pull request: the so-many-th of a comment, which waits in the inbox at `row`
    (empty for a button)."""

    pull: Pull
    event: Asking
    command: Command
    number: int = 0
    row: str = ""

    @property
    def slug(self) -> str:
        """Under which name its answer is kept."""
        return f"{self.number}:{self.command.name}"

    @property
    def actor(self) -> Actor:
        return user(self.event.sender)

    @property
    def wanted(self) -> Wanted:
        """The projects that it names."""
        return Wanted(self.command.dirs, self.command.workspace, self.command.projects)


def done(tx: Session, ask: Ask) -> None:
    """Keep that a command was done, in the transaction that did it: whoever finds it again does it no second time."""
    if ask.row:
        inbox.note_done(tx, ask.row, ask.number + 1)


def first_time(tx: Session, ask: Ask, what: str) -> bool:
    """Whether something is put on record of a command for the first time, and not because it has to be tried again."""
    return not ask.row or inbox.first_time(tx, ask.row, f"{ask.number} {what}")


def answer(services: Services, tx: Session, ask: Ask, document: Document) -> None:
    """Answer, in the caller's transaction. With that the command is done."""
    done(tx, ask)
    report.reply_in(services, tx, ask.pull.key, ask.event.comment_id, document, ask.slug)


def refuse(services: Services, ask: Ask, reason: str, *, title: str = "Not allowed", once: bool = False) -> None:
    """Answer with the reason; with `once`, only the first time that this person asks for this command here."""
    sender, pull = ask.event.sender, ask.pull.key
    document = replies.refused(sender, ask.command.name, reason, title=title)
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "command.refused",
            actor=ask.actor,
            repo=pull.repo,
            pull=pull.number,
            outcome="refused",
            facts={"command": ask.command.name, "why": reason, "comment": ask.event.comment_id},
        )
        inbox.note_refused(tx, ask.event.comment_id)
        if once:
            done(tx, ask)
            about = f"refused:{key_of(sender)}:{ask.command.name}"
            report.want_comment(services, tx, pull, about, document)
            report_soon(services, tx, pull)
        else:
            answer(services, tx, ask, document)


def chosen(services: Services, tx: Session, ask: Ask, members: Iterable[Run]) -> list[Run] | None:
    """Those of a pull request's runs whose projects a command names. None where it names what there is not, which is
    answered."""
    every = list(members)
    named = among({run.project for run in every}, ask.wanted)
    if isinstance(named, NoSuchProject):
        inbox.note_refused(tx, ask.event.comment_id)
        answer(services, tx, ask, replies.no_such_project(named))
        return None
    return [run for run in every if run.project in named]
