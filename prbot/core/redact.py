"""Masks secrets in text, in the forms in which programs print them.

What it cannot find: a secret that was cut, hashed, encrypted, or encoded in a way not listed at `Redactor`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

SHORTEST = 4
"""A shorter secret is not masked: it would be found everywhere."""

SHORTEST_LINE = 8
"""A line of a secret of several lines is masked by itself from this length on."""

MOST_IN_PIECES = 4096
"""Characters of a secret up to which its base64 and hex are found also where they are broken into lines: more than keys
and session tokens have."""

_EVERYWHERE = frozenset({"true", "false", "null"})
"""Sensitive, perhaps, but masking them would make all text unreadable."""


class Redactor:
    """Knows secrets, and replaces them by `***`. Never changes, and shows nothing of them in its `repr`.

    A secret is found as it is, without the space around it, escaped as in JSON and in Terraform's strings, encoded for
    addresses, in hex, and in base64 (both alphabets; also within something longer, such as `user:secret`, and broken
    into lines anywhere). Of a secret with several lines each line is found as well, so that text may be masked line by
    line.
    """

    __slots__ = ("_index", "_secrets")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._index: dict[str, set[str]] = {}
        self._learn(frozenset(secrets))

    def with_secrets(self, more: Iterable[str]) -> Redactor:
        """A redactor that knows `more` secrets besides these."""
        more = frozenset(more)
        if more <= self._secrets:
            return self
        knowing = Redactor()
        knowing._secrets = self._secrets
        knowing._index = {beginning: set(forms) for beginning, forms in self._index.items()}
        knowing._learn(more - self._secrets)
        return knowing

    def redact(self, text: str) -> str:
        """`text` with every secret replaced. Secrets that overlap become one mask, so that no end of one is left."""
        pieces: list[str] = []
        done = 0
        for start, end in self._found(text):
            pieces += [text[done:start], MASK]
            done = end
        return "".join((*pieces, text[done:])) if pieces else text

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._secrets)}>"

    def _learn(self, secrets: frozenset[str]) -> None:
        self._secrets |= secrets
        for secret in secrets:
            for form in _forms(secret):
                self._index.setdefault(form[:SHORTEST], set()).add(form)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets are, in order; those that overlap as one."""
        index = self._index
        # a comprehension, since every line of output comes by here: it takes two thirds of a loop's time
        begins = [at for at in range(len(text) - SHORTEST + 1 if index else 0) if text[at : at + SHORTEST] in index]
        start = end = -1
        for position in begins:
            forms = index[text[position : position + SHORTEST]]
            here = max((position + len(form) for form in forms if text.startswith(form, position)), default=0)
            if not here:
                continue
            if position < end:
                end = max(end, here)
                continue
            if end > 0:
                yield start, end
            start, end = position, here
        if end > 0:
            yield start, end


def _forms(secret: str) -> Iterator[str]:
    """Every form of a secret that is long enough to be looked for."""
    whole = {secret, secret.strip()}
    for text in whole.union(line for line in map(str.strip, secret.splitlines()) if len(line) >= SHORTEST_LINE):
        if len(text) < SHORTEST or text in _EVERYWHERE or not text.strip():
            continue
        yield text
        yield from _escaped(text)
        yield from _encoded(text, in_pieces=text in whole and len(text) <= MOST_IN_PIECES)


def _encoded(text: str, *, in_pieces: bool) -> Iterator[str]:
    data = text.encode(errors="replace")
    for form in {*(quote(data, safe=kept) for kept in _KEPT_IN_ADDRESSES), quote_plus(data)}:
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)
    inners = [_base64_within(data, before) for before in range(3)]
    for inner in (*inners, *(each.translate(_URL_SAFE) for each in inners)):
        yield from _pieces(inner, 8) if in_pieces else [inner]
    for digits in (data.hex(), data.hex().upper()):
        yield from _pieces(digits, 16) if in_pieces else [digits]  # eight digits are found in any commit's id


def _escaped(text: str) -> Iterator[str]:
    """As in a JSON string, and in Terraform's own."""
    for ensure_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]
        yield escaped
        yield escaped.translate(_GO_ESCAPES)
        yield escaped.replace("${", "$${").replace("%{", "%%{")


def _pieces(encoded: str, length: int) -> list[str]:
    """What to look for so that `encoded` is found whole, and wherever a line ends in it."""
    return [encoded[start : start + length] for start in range(max(1, len(encoded) - length + 1))]


_KEPT_IN_ADDRESSES = ("", "/", "!'()*", "$&+,;=", "$&+:=@")
"""What stays as it is besides letters, digits and `_.-~`: Python, JavaScript, and Go's user information and paths."""

_GO_ESCAPES = str.maketrans({"&": r"\u0026", "<": r"\u003c", ">": r"\u003e"})
"""Go's JSON, and with it Terraform's `jsonencode`, escapes these as well."""

_URL_SAFE = str.maketrans("+/", "-_")


def _base64_within(data: bytes, before: int) -> str:
    """What base64 makes of `data` alone, when `before` bytes (modulo 3) precede it and anything may follow."""
    encoded = base64.b64encode(bytes(before) + data).decode()
    first = -(-before * 8 // 6)
    return encoded[first : (before + len(data)) * 8 // 6]
