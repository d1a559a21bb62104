"""What is wrong with a part of the rules file, in words: what is allowed there, and what may have been meant.

Values are never repeated: somebody may have put a secret where its file's name belongs.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from prbot.rules_yaml import Place


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean approvals? There are: approvals, …`; without the question where nothing is near."""
    near = difflib.get_close_matches(word, known, 1)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"{meant} There {'is' if len(known) == 1 else 'are'}: {', '.join(known) or 'none'}"


def mistakes(model: type[BaseModel], error: ValidationError) -> Iterator[tuple[Place, str]]:
    """Each mistake: where, from the top of what `model` was to read, and what is wrong."""
    for each in error.errors(include_url=False, include_input=False):
        yield each["loc"], _said(model, each)


_EXPECTED = {
    "tuple_type": "expected a list, such as [a, b]",
    "string_type": "expected text",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "missing": "is missing",
    "path_type": "expected a file's path",
    "too_short": "nothing is listed; name something, or leave it out",
}
_BOUNDS = {"greater_than_equal": "expected {ge} or more", "less_than_equal": "expected {le} or less"}


def _said(model: type[BaseModel], mistake: ErrorDetails) -> str:
    kind, place = mistake["type"], mistake["loc"]
    if kind == "extra_forbidden":
        return f"there is no such key{did_you_mean(str(place[-1]), _fields(model, place[:-1]))}"
    if kind in ("model_type", "model_attributes_type"):
        return f"expected lines of `key: value`, with the keys {', '.join(_fields(model, place))}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**mistake["ctx"])
    said = mistake["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return _EXPECTED.get(kind, said)


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that are allowed at a place within a model."""
    for part in place:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
