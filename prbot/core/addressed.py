"""Which lines of a comment speak to prbot, and whether they say so plainly.

A line speaks to prbot if its first word is one of prbot's names. Emphasis, a slash before the name and a colon after it
change nothing. Where it stands in a list, a heading or the like, it may be an example, so that it is answered and not
followed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType

from prbot.core.markdown import said_lines
from prbot.core.marks import parted

INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})

_EMPHASIS = re.compile(r"\*{1,3}|_{1,3}")
_SIGNS = re.compile(r"""(?::[a-z0-9_+-]+:|[^\w\s@"'(\[{<>`~|“”„‟‘’‚‛«»‹›「『]{1,3})\s*""")
"""What somebody may put before a command, such as a bullet, a prompt or an emoji by its name; what opens a quotation or
an aside is not."""
_MAIL = re.compile(r"\W*Original Message\W*|\W*\w+ ?:.*<[^<>@\s]+@[^<>\s]+>\W*", re.IGNORECASE)
"""The line with which a mail's reader begins the letter that is replied to, where it puts no `>` before its lines."""

_PLACES: Mapping[str, str] = MappingProxyType(
    {
        "list": "This stands in a list",
        "heading": "This is a heading",
        "code": "This is marked as code",
        "quote": "This belongs to the quote above it, as markdown has it",
        "table": "This belongs to the table above it, as markdown has it",
        "html": "This stands in HTML",
        "signs": "This has other signs before its first word",
        "joined": "There is no space after its first word",
        "within": "This stands within a sentence",
    }
)


@dataclass(frozen=True, slots=True)
class Addressed:
    """A line that speaks to prbot."""

    line: str
    """As written."""
    name: str
    """What prbot is called in it."""
    rest: str
    """What it says after the name."""
    not_followed: str = ""
    """Why it is answered and not followed: the beginning of a sentence."""
    loose: bool = False
    """Whether people also write about prbot in this way, so that only what is close to a command is meant for it."""
    is_title: bool = False
    """Whether only what is a command through and through is meant for it."""
    is_within: bool = False
    """Whether a sentence goes on before it, and may after it."""


def addressed(body: str, prefixes: Iterable[str], bot: str | None) -> list[Addressed]:
    """The lines of a comment that speak to prbot, in order."""
    names = {prefix.casefold() for prefix in prefixes}
    mentions = {"@" + name for name in names if not name.startswith("@")}
    if bot:
        mentions.add("@" + bot.removesuffix("[bot]").casefold())
    words = {name.removeprefix("@") for name in names | mentions}
    if not any(word in _visible(body).casefold() for word in words):
        return []
    said = takewhile(lambda line: not _MAIL.fullmatch(line.text), said_lines(body))
    return [each for line in said for each in _of_line(line.text, line.place, names, mentions)]


def _of_line(text: str, place: str, names: set[str], mentions: set[str]) -> Iterator[Addressed]:
    if place == "code":
        found = [_addressed(line, place, names, mentions) for line in text.split("\n") if line.strip()]
        if None not in found:  # else it is a text with a command in it
            yield from filter(None, found)
        return
    each = _addressed(text, place, names, mentions) or _called_within(text, mentions)
    if each is not None:
        yield each


def _called_within(line: str, mentions: set[str]) -> Addressed | None:
    """Whoever is called by their login in the middle of a sentence is spoken to."""
    name = "|".join(map(re.escape, sorted(mentions)))
    for prose in parted(line)[::2]:
        found = re.search(rf"(?<=[\s,;:(])({name})[,:]?\s+(\S.*)", prose, re.IGNORECASE | re.DOTALL)
        if found is not None:
            return Addressed(line, found[1], found[2], _PLACES["within"], loose=True, is_within=True)
    return None


def _addressed(line: str, place: str, names: set[str], mentions: set[str]) -> Addressed | None:
    plain = _undressed(_visible(line))
    signs = _SIGNS.match(plain)
    if signs is not None and signs[0].strip() not in ("/", ""):
        place = place or "signs"
    said = plain[signs.end() :] if signs is not None else plain
    name, colon, rest = _parted(said)
    word = _visible(name).casefold()
    if word not in names | mentions:
        return None
    if colon and rest[:1].strip():
        place = place or "joined"
    loose = bool(place or signs or word in mentions or colon or plain != _visible(line))
    return Addressed(line, name, rest, _PLACES.get(place, ""), loose, place == "heading")


def _parted(said: str) -> tuple[str, str, str]:
    """The first word, what ends it, and the rest: `prbot`, `:`, `plan`."""
    found = re.match(r"([^\s,:;!?]*)([,:;!?]*)(.*)", said, re.DOTALL)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _undressed(line: str) -> str:
    """The line without the emphasis that it, or its first word, stands in."""
    found = _EMPHASIS.match(line)
    if found is None:
        return line
    mark, rest = found[0], line[found.end() :]
    if rest.endswith(mark):
        return rest[: -len(mark)].strip()
    before, closing, after = rest.partition(mark)
    return before + after if closing else line


def _visible(text: str) -> str:
    return "".join(char for char in text if char in "\t\n" or unicodedata.category(char) not in INVISIBLE)
