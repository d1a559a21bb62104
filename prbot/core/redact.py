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

_EVERYWHERE = frozenset({"true", "false", "null"})
"""Sensitive, perhaps, but masking them would make all text unreadable."""


class Redactor:
    """Knows secrets, and replaces them by `***`. Never changes, and shows nothing of them in its `repr`.

    A secret is found as it is, without the space around it, escaped as in JSON and in Terraform's strings, encoded for
    addresses, and in base64 (both alphabets; also within something longer, such as `user:secret`). Of a secret with
    several lines each line is found as well, so that text may be masked line by line.
    """

    __slots__ = ("_index", "_secrets")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets)
        self._index: dict[str, tuple[str, ...]] = {}
        for form in sorted({form for secret in self._secrets for form in _forms(secret)}):
            beginning = form[:SHORTEST]
            self._index[beginning] = (*self._index.get(beginning, ()), form)

    def with_secrets(self, more: Iterable[str]) -> Redactor:
        """A redactor that knows `more` secrets besides these."""
        more = frozenset(more)
        return self if more <= self._secrets else Redactor(self._secrets | more)

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

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets are, in order; those that overlap as one."""
        index = self._index
        start = end = -1
        for position in range(len(text) - SHORTEST + 1 if index else 0):
            forms = index.get(text[position : position + SHORTEST])
            if forms is None:
                continue
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
    lines = [line for line in map(str.strip, secret.splitlines()) if len(line) >= SHORTEST_LINE]
    for text in {secret, secret.strip(), *lines}:
        if len(text) < SHORTEST or text in _EVERYWHERE or not text.strip():
            continue
        yield text
        yield from (form for form in _encoded(text) if len(form) >= SHORTEST)


def _encoded(text: str) -> Iterator[str]:
    for ensure_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]
        yield escaped
        yield escaped.replace("${", "$${").replace("%{", "%%{")  # as in Terraform's strings
    data = text.encode(errors="replace")
    for form in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)
    for before in range(3):
        inner = _base64_within(data, before)
        if len(inner) >= SHORTEST_LINE:
            yield from (inner, inner.translate(_URL_SAFE))


_URL_SAFE = str.maketrans("+/", "-_")


def _base64_within(data: bytes, before: int) -> str:
    """What base64 makes of `data` alone, when `before` bytes (modulo 3) precede it and anything may follow."""
    encoded = base64.b64encode(bytes(before) + data).decode()
    first = -(-before * 8 // 6)
    return encoded[first : (before + len(data)) * 8 // 6]
