"""Anybody's text, made safe to stand in a comment.

Nothing is hidden from a reader: what is invisible, or turns the direction of text, is shown by its number.
"""

from __future__ import annotations

import html
import re

from prbot.core.marks import parted

_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_LIVE = re.compile(
    r"@[A-Za-z0-9][\w-]*(?:/[\w-]+)?(?:\[bot\])?"  # a mention of a person or team, or an address's second half
    r"|#\d+|GH-\d+"  # an issue or pull request
    r"|(?:https?|ftp)://\S+|www\.\S+",
    re.IGNORECASE,
)
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "$": "&#36;", "`": "&#96;"}
    | {char: "\\" + char for char in "\\*_~[]"}
)
_BLOCK_START = re.compile(r"(\d+(?=[.)])|(?=[#+=:-]))")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


def plain(text: str) -> str:
    """`text` without colour codes and control characters; line ends are `\\n`, tabs stay, and invisible characters
    are spelled out (`⟨U+202E⟩`)."""
    text = _COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", text))
    return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def one_line(text: str) -> str:
    """`plain`, with every run of white space as one space."""
    return " ".join(plain(text).split())


def code(text: str) -> str:
    """`text` as code within a line; also good in a table's cell. What a code span cannot hold goes by numbers."""
    text = one_line(text)
    if text and not re.search(r"[`|\\]", text):
        return f"`{text}`"
    return "<code>" + re.sub(r"[^\w\s]|_", lambda found: f"&#{ord(found[0])};", text or '""') + "</code>"


def html_code(text: str, most: int = 120) -> str:
    """`text` as code for where HTML is read and markdown is not, such as a `<summary>`. Longer than `most` characters,
    its middle is left out, visibly."""
    text = one_line(text)
    if len(text) > most:
        text = f"{text[: most // 2]} … {text[-most // 2 :]}"
    return f"<code>{html.escape(text)}</code>"


def prose(text: str) -> str:
    """A sentence within a line, or in a table's cell. Backticks mark code, as prbot.core.marks does it. Names,
    numbers and addresses that the forge would make a mention or a link of become code."""
    pieces: list[str] = []
    for number, part in enumerate(parted(one_line(text))):
        if number % 2:
            pieces += [code(part)] if part.strip() else []
        else:
            pieces += _words(part)
    joined = ""
    for piece in pieces:  # two code spans side by side would be one
        joined += f" {piece}" if joined.endswith("`") and piece.startswith("`") else piece
    return _BLOCK_START.sub(r"\1\\", joined, count=1) if _BLOCK_START.match(joined) else joined


def _words(part: str) -> list[str]:
    pieces, end = [], 0
    for found in _LIVE.finditer(part):
        pieces += [part[end : found.start()].translate(_ESCAPES), code(found[0])]
        end = found.end()
    return [piece for piece in (*pieces, part[end:].translate(_ESCAPES)) if piece]


def person(login: str) -> str:
    """Somebody, without calling them."""
    return code(f"@{login}")


def mention(login: str) -> str:
    """Somebody, called: they get a notification."""
    return f"@{login}" if _LOGIN.fullmatch(login) else person(login)


def listed(words: list[str] | tuple[str, ...]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def plural(count: int, noun: str) -> str:
    """`1 project`, `2 projects`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
