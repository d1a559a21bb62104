"""Which lines of a markdown text its author says themselves, as written.

The text is read as CommonMark with GitHub's tables and strikethrough. Emphasis is no obstacle: `net_*` and `*/dns` are
globs to us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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


def plain_lines(text: str) -> list[str]:
    """The lines of `text` that stand in a top-level paragraph and begin outside of everything quoted.

    Left out are quotes, lists, tables, code, HTML blocks and comments, what stands between the tags of a quoting or
    folding HTML element, and lines that begin inside a link, an image, a code span or a strikethrough. A heading by
    underlining counts as the paragraph that it looks like: `--` below a line is how mail begins a signature.

    Lines come as written, without surrounding space. One in which a span begins that ends on a later line comes
    together with those lines, so that it holds `\n`.
    """
    open_tags = 0
    said: list[str] = []
    tokens = _MARKDOWN.parse(text)
    for opening, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "html_block":
            open_tags = _count_tags(token.content, open_tags)
        elif token.type == "inline":
            is_plain = opening is not None and _is_plain(opening)
            for line, is_said in _lines(token, open_tags):
                if is_said and is_plain:
                    said.append(line)
            open_tags = _count_tags("".join(_html_of(token)), open_tags)
    return said


def _is_plain(opening: Token) -> bool:
    if opening.level > 0:
        return False
    return opening.type == "paragraph_open" or (opening.type == "heading_open" and opening.markup in _SETEXT)


def _lines(inline: Token, open_tags: int) -> Iterator[tuple[str, bool]]:
    """Each line of a paragraph, and whether it begins outside of every silent span."""
    start, is_said, depth = 0, open_tags == 0, 0
    for child in inline.children or ():
        if child.type == "softbreak":
            yield inline.content[start : child.meta["start"]].strip(), is_said
            start, is_said = child.meta["end"], depth == 0 and open_tags == 0
        elif child.type == "html_inline":
            open_tags = _count_tags(child.content, open_tags)
        elif child.type.partition("_")[0] in _SILENT_SPANS:
            depth += child.nesting
    yield inline.content[start:].strip(), is_said


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
