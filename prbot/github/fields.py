"""Reading what GitHub sends: values at dotted paths of a JSON document, each checked to be what is expected there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
W = TypeVar("W", bound=str)

_ABSENT = object()
_LARGEST_ID = 2**63 - 1  # what a database's integer column holds


class WrongField(Exception):
    """A document lacks a field, or has something else there. `str()` names the path and says what is expected.

    The offending value is left out on purpose: it may be long, or a secret.
    """

    def __init__(self, path: str, expected: str, *, missing: bool) -> None:
        super().__init__(f"`{path}` is {'missing' if missing else 'wrong'}: expected {expected}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: what to call it, and a reader that raises ValueError for anything else."""

    expected: str
    read: Callable[[object], T]


GHOST = "ghost"
"""Who stands for deleted accounts, on GitHub's own pages too; nobody can be called so."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody on GitHub. Deleted ones, null in GitHub's documents, are `ghost`."""

    login: str
    is_bot: bool


def load(text: str) -> Any:
    """The JSON document in `text`. ValueError if there is none, however deep, long or odd it is.

    NaN and the infinities are not JSON. Of a key that is there twice the last one counts, as in every browser.
    """
    try:
        return json.loads(text, parse_constant=_not_json)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def find(document: object, path: str) -> object:
    """Whatever lies at `path`, or None; never raises."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def required(document: object, path: str, kind: Kind[T]) -> T:
    """The value at `path` (names of nested objects, with dots). WrongField unless it is there and of its kind."""
    value = document
    names = path.split(".")
    for depth, name in enumerate(names):
        if not isinstance(value, dict):
            raise WrongField(".".join(names[:depth]) or "the document", "an object", missing=False)
        value = value.get(name, _ABSENT)
        if value is _ABSENT:
            last = depth == len(names) - 1
            raise WrongField(".".join(names[: depth + 1]), kind.expected if last else "an object", missing=True)
    try:
        return kind.read(value)
    except ValueError:
        raise WrongField(path, kind.expected, missing=False) from None


def optional(document: object, path: str, kind: Kind[T]) -> T | None:
    """The value at `path`, or None where it, or an object on the way to it, is missing or null."""
    return None if find(document, path) is None else required(document, path, kind)


def account(document: object, path: str) -> Account:
    """The account at `path`, which must be there but may be null."""
    if required(document, path, Kind("an account or null", _object_or_null)) is None:
        return Account(GHOST, is_bot=False)
    kind = required(document, f"{path}.type", Kind("an account's type (User, Bot, …)", _text))
    return Account(required(document, f"{path}.login", LOGIN), kind == "Bot")


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _check(fits: bool) -> None:
    if not fits:
        raise ValueError


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # a lone surrogate could neither be stored nor sent; UnicodeEncodeError is a ValueError
    _check("\0" not in value)
    return value


def _matching(pattern: str) -> Callable[[object], str]:
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object) -> str:
        text = _text(value)
        _check(compiled.fullmatch(text) is not None)
        return text

    return read


def _id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError
    _check(0 <= value <= _LARGEST_ID)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _object_or_null(value: object) -> object:
    _check(value is None or isinstance(value, dict))
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError
    return value


def _repo_name(value: object) -> str:
    name = _matching(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")(value)
    _check(not {".", ".."} & set(name.split("/")))
    return name


def _clone_url(value: object) -> str:
    url = _text(value)
    parts = urlsplit(url)  # ValueError for broken brackets
    # git runs commands for some other schemes (`ext::`)
    _check(parts.scheme in {"https", "http"} and bool(parts.hostname) and url.isprintable() and " " not in url)
    return url


def _time(value: object) -> datetime:
    text = _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")(value)
    return datetime.fromisoformat(text).replace(microsecond=0)


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(_matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")(value))


def _prose(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value.encode("utf-8", "replace").decode().replace("\0", "?")


def one_of(words: tuple[W, ...]) -> Kind[W]:
    """One of these words."""

    def read(value: object) -> W:
        for word in words:
            if word == value:
                return word
        raise ValueError

    return Kind("one of " + ", ".join(words), read)


TEXT = Kind("text", _text)
PROSE = Kind("text", _prose)
"""What people wrote: it is read whatever is in it, with `?` for what can be neither stored nor sent."""
ID = Kind("a whole number, not negative", _id)
FLAG = Kind("true or false", _flag)
LIST = Kind("a list", _list)
WORD = Kind("a word", _matching(r"[a-z_]{1,64}"))
LOGIN = Kind("a login", _matching(r"[^\s/?#%]{1,128}"))
SHA = Kind("a commit id (40 or 64 hexadecimal digits)", _matching(r"[0-9a-f]{40}(?:[0-9a-f]{24})?"))
BRANCH = Kind("a branch", _matching(r"[^\x00-\x20\x7f]+"))
REPO_NAME = Kind("owner/name", _repo_name)
CLONE_URL = Kind("an http or https URL", _clone_url)
TIME = Kind("a UTC time such as 2026-11-20T12:00:03Z", _time)
"""In whole seconds, as GitHub tells nearly all of them; a fraction is left out."""
MOMENT = Kind("a UTC time such as 2026-11-20T12:00:03Z or 2026-11-20T12:00:03.123Z", _moment)
