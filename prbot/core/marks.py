"""How a sentence marks what is typed, between backticks as markdown does it, and names no more than is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_NAMED = 20
"""How many of one kind a sentence names, so that a hundred projects still make a line that is read."""

_TICKS = re.compile("`+")


def marked(text: str) -> str:
    """`text` as what is typed. One that holds backticks stands between longer runs of them."""
    ticks = "`" * (1 + max(map(len, _TICKS.findall(text)), default=0))
    stripped = text[:1] == text[-1:] == " " and text.strip()  # Markdown takes one space off at each end
    space = " " if stripped or text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def parted(sentence: str) -> list[str]:
    """Prose and what is marked, by turns: the first piece is prose, and so is the last."""
    ticks = [(found.start(), found.end()) for found in _TICKS.finditer(sentence)]
    next_of: dict[int, int] = {}
    closing = [0] * len(ticks)
    for number in reversed(range(len(ticks))):  # the next run that is as long; 0 where there is none
        start, end = ticks[number]
        closing[number] = next_of.get(end - start, 0)
        next_of[end - start] = number
    pieces, done, number = [], 0, 0
    while number < len(ticks):
        if not closing[number]:
            number += 1
            continue
        inner = sentence[ticks[number][1] : ticks[closing[number]][0]]
        if inner[0] == inner[-1] == " " and inner.strip():
            inner = inner[1:-1]
        pieces += [sentence[done : ticks[number][0]], inner]
        done, number = ticks[closing[number]][1], closing[number] + 1
    return [*pieces, sentence[done:]]


def first_of(words: Sequence[str]) -> list[str]:
    """The words, or of too many the first ones and how many more there are."""
    more = len(words) - MOST_NAMED
    return [*words[:MOST_NAMED], f"{more} more"] if more > 0 else [*words]
