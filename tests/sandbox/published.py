"""GitHub's published descriptions of its REST API and webhooks, made into validators.

They come from two npm packages with exact versions (`schemas/package-lock.json`). Once those are installed
(`npm ci` in `tests/sandbox/schemas`, or in the root of the repository), nothing here needs a network.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

_HERE = Path(__file__).parent
_PLACES = (_HERE / "schemas" / "node_modules", _HERE.parents[1] / "node_modules")
_REST = "@octokit/openapi/generated/api.github.com.json"
_WEBHOOKS = "@octokit/openapi-webhooks/generated/api.github.com.json"
_REF = "#/components/schemas/"

formats = FormatChecker(formats=())
formats.checks("date-time")(
    lambda value: not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None
)
formats.checks("uri")(lambda value: not isinstance(value, str) or re.fullmatch(r"[a-z]+://[^\s{}]+", value) is not None)


def installed() -> bool:
    """Whether the descriptions are at hand."""
    return all(any((place / package).is_file() for place in _PLACES) for package in (_REST, _WEBHOOKS))


needs_descriptions = pytest.mark.skipif(
    not installed(), reason="GitHub's descriptions are not installed: run `npm ci` in tests/sandbox/schemas"
)


@functools.cache
def _load(package: str) -> Any:
    file = next(place / package for place in _PLACES if (place / package).is_file())
    return json.loads(file.read_text())


@functools.cache
def reply_validator(method: str, path: str, status: int) -> Draft202012Validator:
    """What GitHub says that this operation answers with this status."""
    description = _load(_REST)
    reply = description["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in reply:
        reply = description["components"]["responses"][reply["$ref"].rsplit("/", 1)[1]]
    return _validator(description, reply["content"]["application/json"]["schema"])


@functools.cache
def payload_validator(event: str, action: str | None) -> Draft202012Validator:
    """What GitHub says that a webhook of this event and action carries."""
    description = _load(_WEBHOOKS)
    name = "-".join((event, action) if action else (event,)).replace("_", "-")
    content = description["webhooks"][name]["post"]["requestBody"]["content"]
    return _validator(description, content["application/json"]["schema"])


def _validator(description: Any, schema: Any) -> Draft202012Validator:
    """A validator of `schema` that carries only those of the description's thousands of parts that it refers to."""
    parts: dict[str, Any] = {}
    todo = [schema]
    while todo:
        for name in set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(todo.pop()))) - set(parts):
            parts[name] = description["components"]["schemas"][name]
            todo.append(parts[name])
    modern = {name: _without_nullable(part) for name, part in parts.items()}
    return Draft202012Validator(
        {**_without_nullable(schema), "components": {"schemas": modern}}, format_checker=formats
    )


def _without_nullable(schema: Any) -> Any:
    """OpenAPI 3.0 writes `nullable: true` where JSON Schema has a type `null`."""
    if isinstance(schema, list):
        return [_without_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _without_nullable(value) for key, value in schema.items() if key not in ("nullable", "example")}
    return {"anyOf": [{"type": "null"}, plain]} if schema.get("nullable") is True else plain
