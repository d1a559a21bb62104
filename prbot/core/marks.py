"""How a sentence marks what is typed: between backticks, as markdown does it."""

from __future__ import annotations

import re

_MARKED = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def marked(text: str) -> str:
    """`text` as what is typed. One that holds backticks stands between longer runs of them."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def parted(sentence: str) -> list[str]:
    """Prose and what is marked, by turns: the first piece is prose, and so is the last."""
    pieces, end = [], 0
    for found in _MARKED.finditer(sentence):
        inner = found[2]
        if len(inner) > 1 and inner[0] == inner[-1] == " " and inner.strip():
            inner = inner[1:-1]
        pieces += [sentence[end : found.start()], inner]
        end = found.end()
    return [*pieces, sentence[end:]]
