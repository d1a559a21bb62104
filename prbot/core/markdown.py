"""Which lines of a markdown text its author says themselves, as written.

The text is read as CommonMark with GitHub's tables and strikethrough. Emphasis is no obstacle: `net_*` and `*/dns` are
globs to us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_SILENT_SPANS = frozenset({"link", "s"})
"""A line that begins inside one of these is a link's text, or struck out."""

_SILENT_TAGS = frozenset(
    {
        *("blockquote", "q", "details", "summary", "template"),
        *("code", "kbd", "pre", "samp", "script", "style", "textarea"),
        *("a", "del", "s", "strike", "table"),
    }
)
"""HTML elements that quote, fold away, strike out or show code, whatever stands between their tags."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)\b[^<>]*>")
_SETEXT = ("=", "-")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as written, without surrounding space. One in which a span begins that ends on a later line comes
    together with those lines, so that it holds `\\n`."""

    text: str
    place: Place = ""


Place = Literal["", "list", "heading", "code", "quote", "table", "html"]
"""Where a line stands that is not plainly said: in a list, a heading, or code that is all there is of the text; right
below a quote or a table, to which markdown then takes it; in a block of HTML."""


def said_lines(text: str) -> list[Line]:
    """The lines of `text` that its author says, in order.

    Plainly said is what stands in a top-level paragraph and begins outside of everything quoted; a heading by
    underlining counts as the paragraph that it looks like: `--` below a line is how mail begins a signature. What has a
    `place` is said as well, but may be an example. Left out are quotes, tables, code beside other text, HTML blocks and
    comments, what stands between the tags of a quoting or folding HTML element, and lines that begin inside a link, an
    image, a code span or a strikethrough.
    """
    open_tags = 0
    said: list[Line] = []
    tokens = _MARKDOWN.parse(text)
    around: list[str] = []
    is_all = sum(token.level == 0 and token.nesting >= 0 for token in tokens) == 1
    source = re.split(r"\r\n?|\n", text)
    row = 0
    for token in tokens:
        row = token.map[0] if token.type == "tr_open" and token.map else row
        if token.nesting > 0:
            around.append(
                token.type if token.markup not in _SETEXT or "heading" not in token.type else "paragraph_open"
            )
        elif token.nesting < 0:
            around.pop()
        elif token.type == "html_block":
            said += _of_html(token.content, open_tags)
            open_tags = _count_tags(token.content, open_tags)
        elif token.type in ("fence", "code_block") and is_all and not around:
            said += [Line(token.content.strip(), "code")]
        elif token.type == "inline":
            token.map = token.map or [row, row + 1]
            said += _of_inline(token, around, source, open_tags, is_all=is_all)
            open_tags = _count_tags("".join(_html_of(token)), open_tags)
    return said


def _of_inline(inline: Token, around: list[str], source: list[str], open_tags: int, *, is_all: bool) -> Iterator[Line]:
    only = [child for child in inline.children or () if child.type != "text" or child.content]
    if is_all and len(around) == 1 and [child.type for child in only] == ["code_inline"]:
        yield Line(only[0].content.strip(), "code")
        return
    for line, number, is_said in _lines(inline, open_tags):
        place = _place(around, source[number] if number < len(source) else "")
        if is_said and place is not None:
            yield Line(line, place)


def _of_html(content: str, open_tags: int) -> Iterator[Line]:
    """The lines of a block of HTML that are no HTML, outside of every silent element."""
    for line in _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), content).splitlines():
        if line.strip() and "<" not in line and open_tags == 0:
            yield Line(line.strip(), "html")
        open_tags = _count_tags(line, open_tags)


def _place(around: list[str], written: str) -> Place | None:
    """Where a line stands, by the blocks around it and as it is in the source; None for what its author quotes."""
    kinds = {kind.removesuffix("_open") for kind in around}
    if "table" in kinds:
        return None if "|" in written else "table"
    if "blockquote" in kinds:
        return None if ">" in written[: len(written) - len(written.lstrip(" \t>*+-0123456789.)"))] else "quote"
    if kinds & {"bullet_list", "ordered_list"}:
        return "list"
    return "heading" if "heading" in kinds else ""


def _lines(inline: Token, open_tags: int) -> Iterator[tuple[str, int, bool]]:
    """Each line of a paragraph, its number in the source, and whether it begins outside of every silent span."""
    start, is_said, depth = 0, open_tags == 0, 0
    first = inline.map[0] if inline.map else 0
    for child in inline.children or ():
        if child.type == "softbreak":
            number = first + inline.content.count("\n", 0, start)
            end = child.meta["end"] - 1  # a backslash there stays: its line was to go on
            yield inline.content[start:end].strip(), number, is_said
            start, is_said = child.meta["end"], depth == 0 and open_tags == 0
        elif child.type == "html_inline":
            open_tags = _count_tags(child.content, open_tags)
        elif child.type.partition("_")[0] in _SILENT_SPANS:
            depth += child.nesting
    yield inline.content[start:].strip(), first + inline.content.count("\n", 0, start), is_said


def _html_of(inline: Token) -> Iterable[str]:
    return (child.content for child in inline.children or () if child.type == "html_inline")


def _count_tags(html: str, open_tags: int) -> int:
    """How many silent elements are open after `html`, if `open_tags` were before."""
    for closing, name in _TAG.findall(_COMMENT.sub("", html)):
        if name.lower() in _SILENT_TAGS:
            open_tags = max(0, open_tags + (-1 if closing else 1))
    return open_tags


def _line_break(state: StateInline, silent: bool) -> bool:
    """The inline rule for the end of a line, with or without a backslash: a soft break that knows where it stands."""
    start = state.pos
    width = 2 if state.src.startswith("\\\n", start) else 1
    if width == 1 and state.src[start] != "\n":
        return False
    if not silent:
        state.push("softbreak", "br", 0).meta = {"start": start, "end": start + width}
    state.pos = start + width
    while state.pos < state.posMax and state.src[state.pos] in " \t":
        state.pos += 1
    return True


def _reader() -> MarkdownIt:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    markdown.inline.ruler.at("newline", _line_break)
    return markdown


_MARKDOWN = _reader()
