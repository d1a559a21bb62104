"""A document as the comments that hold it, and the mark by which prbot knows them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prbot.core.comments.blocks import Document, Frame, Line, Section, lines_of

LIMIT = 65_536
"""GitHub's longest comment. It says characters and does not say which, so that we count bytes of UTF-8: never fewer."""

SMALLEST_LIMIT = 8_192

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,119}")
_MARKER = re.compile(rf"<!-- prbot:({_KEY.pattern}) part=([1-9][0-9]{{0,4}}) -->\r?(?:\n|\Z)")
_NOTES = 120
"""Bytes kept free in each comment for the sentences that say which part it is."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Which document of prbot's a comment belongs to, and which part of it, from 1."""

    key: str
    part: int


def key_of(name: str) -> str:
    """Somebody's login, as a part of a key: `renovate[bot]` has what none may hold."""
    return re.sub(r"[^A-Za-z0-9_-]", ".", name)


def marker(key: str, part: int = 1) -> str:
    """The hidden first line of a comment. A key is up to 120 letters, digits and `_.:/-`; else ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key for a comment: {key!r}")
    return f"<!-- prbot:{key} part={part} -->"


def find_marker(body: str) -> Marker | None:
    """The marker of a comment; it counts only as the very first line. Anybody can write one: the comment is prbot's
    only if its author, or its stored id, says so as well."""
    found = _MARKER.match(body)
    return Marker(found[1], int(found[2])) if found else None


def split(key: str, document: Document, limit: int = LIMIT) -> list[str]:
    """The comments that hold the document, each of at most `limit` bytes, with its marker and, if there are several,
    which part it is.

    Nothing is left out. A section goes whole into the next comment if it fits there and not here; else it is parted
    between lines, and a line that no comment can hold between characters. Fences, tables and foldable parts are closed
    and opened again. `limit` is at least 8,192, else ValueError.
    """
    if limit < SMALLEST_LIMIT:
        raise ValueError(f"a comment of at most {limit} bytes is too small; {SMALLEST_LIMIT} are needed")
    room = limit - len(marker(key, 99_999)) - _NOTES
    bodies = list(_packed(document, room, longest=limit // 8)) or [""]
    return [_whole(key, body, part, len(bodies)) for part, body in enumerate(bodies, start=1)]


def page(document: Document, limit: int, more: str) -> str:
    """The document on one page of at most `limit` bytes, without a marker. Where it does not fit, the page has as many
    whole lines of it as there is room for, everything closed, and ends with `more`, a paragraph of ours."""
    bodies = list(_packed(document, limit - len(more.encode()) - _NOTES, longest=limit // 8)) or [""]
    if len(bodies) == 1:
        return bodies[0].rstrip("\n")
    return f"{bodies[0].rstrip()}\n\n{more}"


def _whole(key: str, body: str, part: int, parts: int) -> str:
    above = f"*Part {part} of {parts}, continued from the comment before.*\n\n" if part > 1 else ""
    below = f"\n*Part {part} of {parts}; the next comment goes on.*\n" if part < parts else ""
    return f"{marker(key, part)}\n{above}{body}{below}".rstrip("\n")


def _packed(document: Document, room: int, longest: int) -> Iterator[str]:
    page = _Page()
    for section in document:
        lines = _lines(section, longest)
        if not page.is_empty and not page.fits(lines, room) and _Page().fits(lines, room):
            yield page.closed()
            page = _Page()
        for line in lines:
            if not page.is_empty and not page.fits([line], room):
                yield page.closed()
                page = _Page()
            page.write(line)
    if not page.is_empty:
        yield page.closed()


def _lines(section: Section, longest: int) -> list[Line]:
    return [line for block in section for line in lines_of(block, longest)]


@dataclass(slots=True)
class _Page:
    """A comment's body while it is written."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0
    frames: tuple[Frame, ...] = ()
    ends_blank: bool = True
    """Whether what comes next stands apart from what is there."""

    @property
    def is_empty(self) -> bool:
        return not self.pieces

    def closed(self) -> str:
        page = self._copy()
        page._close_to(0)
        return "".join(page.pieces)

    def fits(self, lines: Sequence[Line], room: int) -> bool:
        """Whether the page would hold these lines too, all closed."""
        page = _Page([], self.size, self.frames, self.ends_blank)
        for line in lines:
            page.write(line)
            if page.size > room:
                return False
        page._close_to(0)
        return page.size <= room

    def write(self, line: Line) -> None:
        shared = 0
        while shared < min(len(self.frames), len(line.frames)) and self.frames[shared] is line.frames[shared]:
            shared += 1
        self._close_to(shared)
        for frame in line.frames[shared:]:
            self._stand_apart()
            self._put(frame.opening)
            self.frames = (*self.frames, frame)
        if line.begins_block and shared == len(line.frames):
            self._stand_apart()
        self._put(line.text)

    def _close_to(self, depth: int) -> None:
        while len(self.frames) > depth:
            frame = self.frames[-1]
            if frame.stands_apart:
                self._stand_apart()
            self._put(frame.closing)
            self.frames = self.frames[:-1]

    def _stand_apart(self) -> None:
        if not self.ends_blank:
            self._put("\n")

    def _put(self, text: str) -> None:
        if text:
            self.pieces.append(text)
            self.size += len(text.encode())
            self.ends_blank = text.endswith("\n\n") or (text == "\n")

    def _copy(self) -> _Page:
        return _Page(list(self.pieces), self.size, self.frames, self.ends_blank)
