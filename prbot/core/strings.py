"""The pieces of a configuration's text that may name a path.

Looked for, not parsed: which of them are paths is told by the tree. Too much here ties a project to a file that it does
not read; too little would let a change of what it reads pass without a plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from prbot.core.trees import Blob

ANYTHING = "\0"
"""In a pattern, what only an evaluation would tell."""

_COMMENT = re.compile(r"^[ \t]*(?:#|//).*$", re.MULTILINE)
_HEADER = re.compile(r'^[ \t]*[a-z_]+(?:[ \t]+"[^"\n]*")+[ \t]*\{', re.MULTILINE)
_TITLE = re.compile(
    r'\b(?:description|error_message)"?[ \t]*[=:][ \t]*"[^"\n$%\\]*"'
    r"|\b(?!(?:\w*_)?(?:file|dir|directory|folder|path|script)_name)(?:name|\w+_name|[A-Z][a-z]\w*)"
    r'"?[ \t]*[=:][ \t]*"[\w-]*"'
)
"""What says how something is called, or what it is for: words for people, that may be those of a directory as well."""
_HERE = re.compile(r"\$\{\s*path\.(?:module|root|cwd)\s*\}")
_COMPUTED = re.compile(r"[$%]\{[^{}]*\}")
_FORMATTED = re.compile(r"%[sdvqt]")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrt\\/]))")
_HEREDOC = re.compile(r"<<-?[ \t]*(\w+)\s*$")
_GONE_TO = re.compile(
    r"(?:(?<![\w/])(?:cd|pushd)[ \t]+|(?<!\S)(?:-C|--chdir|--prefix|--directory|--cwd)[ \t=]+)(\w[\w.-]*)"
)
_FILESET = re.compile(r'fileset\(\s*"([^"\n]{1,200})"\s*,\s*"([^"\n]{1,200})"')
_BETWEEN = re.compile(r"[\s\"'`;|&<>()\[\]{},=:$%\\@#!]+")
_QUOTED = re.compile(r'"([^"\n]{1,400})"')
_WILD = re.compile(f"[*?{ANYTHING}]")
_NESTED = 4
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Said:
    """What a text may name."""

    paths: frozenset[str] = frozenset()
    """Files and directories, as written; with `*`, `?` and ANYTHING in them they are patterns."""
    words: frozenset[str] = frozenset()
    """Plain words within a longer text: a file perhaps, but no directory."""


NOTHING = Said()


def said(text: bytes) -> Said:
    """All that a text may name. Where a name is computed, what stands before the computed part is named too."""
    plain = _TITLE.sub("", _HEADER.sub("", _COMMENT.sub("", text.decode(errors="replace"))))
    here = _FORMATTED.sub(" ", _HERE.sub(".", _ESCAPED.sub(_unescaped, plain)))
    collapsed = here
    for _ in range(_NESTED):
        collapsed = _COMPUTED.sub(ANYTHING, collapsed)
    paths = {piece for piece in pieces(here) if "/" in piece or "." in piece}
    paths |= {piece for piece in pieces(collapsed) if _WILD.search(piece)}
    paths |= {f"{directory}/{glob}" for directory, glob in _FILESET.findall(collapsed)}
    paths |= set(_GONE_TO.findall(here))
    words = {word for line in _in_heredocs(here) for word in pieces(line)}
    for quoted in _QUOTED.findall(here):
        parts = [*pieces(quoted)]
        if len(parts) == 1:
            paths |= {*parts}
        else:
            words |= {piece for piece in parts if "/" not in piece and "." not in piece}
            paths |= {quoted} if "/" in quoted or "." in quoted else set()
    return Said(frozenset(paths), frozenset(words))


@lru_cache(maxsize=4096)
def said_in(blob: Blob) -> Said:
    """`said` of a file, remembered by its id."""
    return said(blob.content)


def together(texts: Iterable[Said]) -> Said:
    every = [*texts]
    return Said(frozenset().union(*(each.paths for each in every)), frozenset().union(*(each.words for each in every)))


def is_pattern(piece: str) -> bool:
    """Whether it may stand for more than one path."""
    return _WILD.search(piece) is not None


def _in_heredocs(text: str) -> Iterator[str]:
    end = ""
    for line in text.splitlines():
        if not end:
            begin = _HEREDOC.search(line)
            end = begin[1] if begin else ""
        elif line.strip() == end:
            end = ""
        else:
            yield line


def _unescaped(match: re.Match[str]) -> str:
    code, sign = match.groups()
    return chr(int(code, 16)) if code else "/" if sign == "/" else " "


def is_address(piece: str) -> bool:
    """Whether it is what follows the scheme of an address, such as `s3://bucket/x`."""
    return piece.startswith("//")


def pieces(text: str) -> Iterator[str]:
    """What stands between spaces, quotes and the like. An address is told with its `//`, and without."""
    for piece in _BETWEEN.split(text):
        tidy = piece.lstrip("/")
        if 0 < len(tidy) <= _LONGEST:
            yield tidy
            if is_address(piece):
                yield piece
