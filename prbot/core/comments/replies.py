"""Answers to commands, and notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prbot.core.command_help import help_text
from prbot.core.commands import CommandError
from prbot.core.comments.blocks import Document, Fence, Table, Text
from prbot.core.comments.text import code, listed, person, plural, prose
from prbot.core.gates import Gate
from prbot.core.permissions import Who
from prbot.core.wanted import NoSuchProject

MOST_NAMED = 10
"""Of the commands of a flood."""
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Freed:
    """A project that a pull request gave up, and who holds it now (None: nobody)."""

    label: str
    now: int | None = None


def conflict(head_sha: str, base_branch: str, files: Sequence[str]) -> Document:
    """The head does not merge, so nothing is planned."""
    said = f"{code(head_sha[:7])} does not merge into {code(base_branch)}, so that there is nothing to plan."
    todo = f"Merge {code(base_branch)} into your branch, or rebase, resolve the conflict and push."
    where = Text(f"In conflict: {plural(len(files), 'file')}.")
    return ((Text(f"## Plan: merge conflict\n\n{said}"), where, Fence("\n".join(files)), Text(todo)),)


def gates(requirements: Sequence[Gate], *, merged: bool = False) -> Document:
    """All requirements, each with what would meet it. The answer to `prbot apply` before everything is met. One that is
    `merged` may lack the merge still: where the base branch let go of it."""
    rows = tuple(
        (code(gate.name), "✅" if gate.met else "❌", prose(gate.why) or "–", prose(gate.todo) or "–")
        for gate in requirements
    )
    lacking = [gate.name for gate in requirements if not gate.met]
    unmet, title = len(lacking), "Ready to merge" if lacking == ["merged"] and not merged else "Not applied"
    said = (
        f"{plural(unmet, 'requirement')} {'is' if unmet == 1 else 'are'} not met yet."
        if unmet and title == "Not applied"
        else "Everything that is required before the merge is met."
        if unmet
        else "Everything that is required is met."
    )
    top = (Text(f"## {title}\n\n{said}"), Table(("Requirement", "Met", "Why", "What to do"), rows))
    notes = [f"- {code(gate.name)}: {prose(note)}" for gate in requirements for note in gate.notes]
    return (top, (Text("\n".join(notes)),)) if notes else (top,)


def refused(login: str, command: str, reason: str, *, title: str = "Not allowed") -> Document:
    """Somebody may not do what they asked for, or it cannot be done. `command` is the line that they wrote."""
    return ((Text(f"## {prose(title)}\n\n{person(login)} asked for {code(command)}. {prose(reason)}"),),)


def command_errors(errors: Sequence[CommandError]) -> Document:
    """The lines of one comment that could not be followed."""
    items = [
        f"- {code(each.line) + ': ' if each.line else ''}{prose(each.problem)} {prose(each.hint)}" for each in errors
    ]
    return ((Text("## Not understood"), Text("\n".join(items))),)


def no_such_project(asked: NoSuchProject) -> Document:
    """A flag named what is not there."""
    rest = f" and {len(asked.valid) - _LISTED} more" if len(asked.valid) > _LISTED else ""
    valid = f"\n\nThere is: {', '.join(map(code, asked.valid[:_LISTED]))}{rest}." if asked.valid else ""
    return ((Text(f"## No such project\n\n> {prose(asked.message)}{valid}"),),)


def help_reply(prefix: str = "prbot", who: Who | None = None) -> Document:
    """The answer to `prbot help`, where the rules say `who` may."""
    return ((Text(f"## Commands\n\n{help_text(prefix, who)}"),),)


def version_reply(prbot: str, engine: str) -> Document:
    """The answer to `prbot version`. `engine` is as `terraform 1.11.4`."""
    return ((Text(f"## Versions\n\n- prbot {code(prbot)}\n- engine {code(engine)}"),),)


def unlocked(freed: Sequence[Freed]) -> Document:
    """The answer to `prbot unlock`."""
    if not freed:
        return notice("Nothing to unlock", ["This pull request holds no project and waits for none."])
    items = [
        f"- {code(each.label)}: " + (f"#{each.now} holds it now." if each.now is not None else "free.")
        for each in freed
    ]
    return ((Text("## Unlocked\n\n" + "\n".join(items)),),)


def nothing_affected(base_branch: str) -> Document:
    """The answer to `prbot plan` when no project is affected."""
    text = f"No project is affected by what this pull request changes against {code(base_branch)}."
    return ((Text(f"## Nothing to plan\n\n{text}"),),)


def notice(title: str, sentences: Sequence[str]) -> Document:
    """Anything else that can be said in a few sentences."""
    sign = ">" if len(sentences) == 1 else "-"
    said = "\n".join(f"{sign} {prose(each)}" for each in sentences)
    return ((Text(f"## {prose(title)}\n\n{said}"),),)


def given_up(happened: str, why: str, again: str, *, answered: bool = True) -> Document:
    """What somebody asked for, or what happened, could not be acted on. `why`: the last refusal, or how nobody
    `answered`. `again`: how to have it tried once more. The other two are safe markdown."""
    how = "two minutes to act on that, and was refused each time" if answered else "two hours to act on that in vain"
    tried = f"prbot tried for {how}, the last time with:"
    todo = f"{again} to have it tried again. If that is refused as well, whoever operates prbot finds more in its log."
    return ((Text(f"## Given up\n\n{happened} {tried}"), Text(f"> {prose(why)}"), Text(todo)),)


def too_many(login: str, dropped: Sequence[str], *, minutes: int) -> Document:
    """Commands that came faster than people write them, and were not followed; the first are named."""
    named = listed([code(line) for line in dropped[:MOST_NAMED]])
    more = ", nor was what came after them" if len(dropped) > MOST_NAMED else ""
    said = f"{person(login)} gave more commands within {minutes} minutes than prbot follows."
    left = f"Not followed: {named}{more}. Write again what is still wanted, in a few minutes."
    return ((Text(f"## Too many commands\n\n{said}"), Text(left)),)
