"""What a comment is made of, so that it can be taken apart between any two lines and still be whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from prbot.core.comments.text import plain

LONGEST_FENCE = 60
"""A longer run of backticks in a fence's content is broken like a line that is too long."""


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown of our own making: paragraphs and lists, whose lines may be parted."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Fence:
    """Anybody's text, as code. `language` is one of ours."""

    content: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are safe markdown without `|` and line ends (`code` and `prose` make such). Columns in `right` (from 0)
    are aligned to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Details:
    """A part that can be folded away. `summary` is safe HTML, one line, at most some 1,500 bytes."""

    summary: str
    blocks: tuple[Block, ...]
    is_open: bool = False


Block = Text | Fence | Table | Details
Section = tuple[Block, ...]
"""Blocks that are kept together in one comment if they fit."""

Document = tuple[Section, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What a line stands in: written before the first of its lines, and again wherever a new comment begins."""

    opening: str
    closing: str
    stands_apart: bool = False
    """Whether the closing needs a blank line before it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line (with its end) and the frames around it, the outermost first."""

    text: str
    frames: tuple[Frame, ...] = ()
    begins_block: bool = field(default=False, compare=False)


def lines_of(block: Block, longest: int, frames: tuple[Frame, ...] = ()) -> Iterator[Line]:
    """The block's lines, none longer than `longest` bytes. One of our own that is longer becomes a fence."""
    match block:
        case Text(markdown):
            yield from _loose(markdown.split("\n"), longest, frames, frames)
        case Fence(content, language):
            yield from _fenced(content, language, longest, frames)
        case Table(header, rows, right):
            rule = ["--:" if column in right else ":--" for column in range(len(header))]
            inner = (*frames, Frame(_row(header) + "\n" + _row(tuple(rule)) + "\n", ""))
            yield from _loose([_row(row) for row in rows], longest, frames, inner)
        case Details(summary, blocks, is_open):
            tag = "<details open>" if is_open else "<details>"
            folded = Frame(f"{tag}<summary>{summary}</summary>\n\n", "</details>\n", stands_apart=True)
            for each in blocks:
                yield from lines_of(each, longest, (*frames, folded))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _loose(lines: list[str], longest: int, outer: tuple[Frame, ...], inner: tuple[Frame, ...]) -> Iterator[Line]:
    begins = True
    for line in lines:
        if len(line.encode()) <= longest:
            yield Line(line + "\n", inner, begins)
            begins = False
        else:
            yield from _fenced(line, "", longest, outer)
            begins = True


def _fenced(content: str, language: str, longest: int, frames: tuple[Frame, ...]) -> Iterator[Line]:
    content = re.sub(rf"(`{{{LONGEST_FENCE}}})(?=`)", r"\1\n", plain(content).removesuffix("\n"))
    if not content.strip():
        return
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", content)), default=0))
    inner = (*frames, Frame(f"{ticks}{language}\n", f"{ticks}\n"))
    pieces = (piece for line in content.split("\n") for piece in _chopped(line, longest))
    for number, piece in enumerate(pieces):
        yield Line(piece + "\n", inner, number == 0)


def _chopped(line: str, longest: int) -> Iterator[str]:
    """Pieces of at most `longest` bytes, parted between characters."""
    while len(line.encode()) > longest:
        piece = line.encode()[:longest].decode(errors="ignore")
        yield piece
        line = line[len(piece) :]
    yield line
