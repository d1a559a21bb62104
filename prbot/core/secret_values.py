"""What is secret of an environment, and what its names say is not: masking that would make output unreadable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

_HARMLESS = re.compile(
    r"(^|_)(REGION|PATH|LANG|LC_\w+|TZ|PROXY|LOG|LOG_LEVEL|PROFILE|PARALLELISM|BUNDLE)$", re.IGNORECASE
)
_PASSWORD = re.compile(r"://[^/?#\s:@]*:([^/?#\s@]+)@")
_NAMED_SO = re.compile(r"(key|secret|password|passwd|token|credentials?)$", re.IGNORECASE)


def secret_values(environment: Mapping[str, str]) -> set[str]:
    """Each value, unless its variable is called as harmless ones are (`AWS_REGION`). Besides, of every value: the
    password in an address, and in JSON (`GOOGLE_CREDENTIALS`) what is called a key, a secret, a password or a token."""
    found = {value for name, value in environment.items() if not _HARMLESS.search(name)}
    for value in environment.values():
        passwords = _PASSWORD.findall(value)
        found.update(passwords, map(unquote, passwords), _of_json(value))
    return found


def _of_json(value: str) -> Iterator[str]:
    if not value.lstrip().startswith(("{", "[")):
        return
    try:
        yield from _called_secret(json.loads(value))
    except (ValueError, RecursionError):
        return


def _called_secret(node: Any) -> Iterator[str]:
    members = node.items() if isinstance(node, dict) else (("", each) for each in node)
    for name, member in members:
        if isinstance(member, dict | list):
            yield from _called_secret(member)
        elif isinstance(member, str) and _NAMED_SO.search(name):
            yield member
