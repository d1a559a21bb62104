"""Comments as people see them: GitHub's markdown, with the few HTML tags that it lets through and no others."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_TAGS = {
    *("a", "b", "code", "del", "em", "i", "kbd", "s", "samp", "span", "strong", "sub", "sup", "tt", "var"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "br", "details", "div", "hr", "p", "pre", "summary"),
    *("dd", "dl", "dt", "li", "ol", "ul", "table", "tbody", "td", "th", "thead", "tr"),
}
_VOID = {"br", "hr"}
_ATTRIBUTES = {"a": {"href", "title"}, "details": {"open"}, "span": {"class"}, "td": {"align"}, "th": {"align"}}
_SCHEMES = ("http://", "https://", "mailto:", "#", "/")
_DIFF = {"+": "added", "-": "removed", "!": "changed", "@": "hunk"}


def render(text: str) -> Markup:
    """HTML of a comment. Tags that are not allowed show as text; HTML comments are left out."""
    cleaner = _Cleaner()
    cleaner.feed(_MARKDOWN.render(text))
    cleaner.close()
    return Markup("".join(cleaner.parts))


def diff_lines(text: str) -> Markup:
    """A patch with its lines marked by what they are."""
    return Markup("".join(_diff_line(line) for line in text.splitlines(keepends=True)))


def _diff_line(line: str) -> str:
    kind = _DIFF.get(line[:1])
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)


def _fence(tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    token = tokens[index]
    inner = diff_lines(token.content) if token.info.strip() == "diff" else escape(token.content)
    return f"<pre><code>{inner}</code></pre>\n"


class _Cleaner(HTMLParser):
    """Keeps allowed tags and attributes; everything else becomes text or nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.parts.append(escape(self.get_starttag_text() or ""))
            return
        kept = [(name, value or "") for name, value in attrs if name in _ATTRIBUTES.get(tag, ())]
        safe = [(name, value) for name, value in kept if name != "href" or value.lower().startswith(_SCHEMES)]
        self.parts.append("<" + tag + "".join(f' {name}="{escape(value)}"' for name, value in safe) + ">")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An end without a beginning is dropped, and what was begun inside is ended first: nothing leaves its box."""
        while tag in self._open:
            last = self._open.pop()
            self.parts.append(f"</{last}>")
            if last == tag:
                return

    def close(self) -> None:
        super().close()
        self.parts.extend(f"</{tag}>" for tag in reversed(self._open))

    def handle_data(self, data: str) -> None:
        self.parts.append(escape(data, quote=False))


_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_MARKDOWN.renderer.rules["fence"] = _fence  # type: ignore[attr-defined]
