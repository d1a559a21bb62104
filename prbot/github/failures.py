"""What a reply of GitHub's that is not a success means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from prbot.ports import Conflict, Denied, NotFound, Outage, Transient, Unavailable

UNTOLD_WAIT = 60.0
"""GitHub asks for a minute at least where it refuses without naming a time."""
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are in lower case; `data` is the JSON document, None if the body was empty."""

    status: int
    headers: Mapping[str, str]
    data: Any


def failure(reply: Reply, asked: str) -> Unavailable | None:
    """The failure that `reply` to `asked` (`GET /user`) is; None for a success."""
    status = reply.status
    if status < 300 or status == 304:  # 304 comes only where we said what we know, and it is still so
        return None
    said = f"GitHub answered {status} to {asked}: {details(reply.data)}"
    wait = wait_asked_for(reply)
    if wait is not None:
        return Transient(said, wait)
    if status >= 500 or status == 408:
        return Outage(said, number(reply.headers.get("retry-after")))
    if status in {401, 403, 451}:
        return Denied(said)
    if status in {404, 410} or status < 400:  # a redirect that PyGithub did not follow: renamed, or moved away
        return NotFound(said)
    return Conflict(said)


def wait_asked_for(reply: Reply) -> float | None:
    """The seconds that a refusal for asking too much wants us to wait; None if that is not why it refused.

    Both of GitHub's limits, the hourly (primary) and those against bursts (secondary), come as 403 or 429.
    """
    message = details(reply.data)
    told = number(reply.headers.get("retry-after"))
    exhausted = reply.headers.get("x-ratelimit-remaining") == "0"
    match reply.status:
        case 429:
            limited = True
        case 403:
            limited = told is not None or exhausted or "rate limit" in message.lower()
        case 422:
            limited = "submitted too quickly" in message
        case _:
            limited = False
    if not limited:
        return None
    if told is not None:
        return max(told, 1.0)
    return _until_reset(reply.headers) if exhausted else UNTOLD_WAIT


def details(data: object) -> str:
    """What an error document says: its message, and its `errors`, each in a few words."""
    if not isinstance(data, dict):
        return "no explanation"
    errors = data.get("errors")
    reasons = [_reason(error) for error in errors] if isinstance(errors, list) else [str(errors)] if errors else []
    message = str(data.get("message") or ("errors" if reasons else "no explanation"))
    text = f"{message} ({'; '.join(reasons)})" if reasons else message
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def number(text: str | None) -> float | None:
    """The whole number of seconds in a header."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 12 else None


def _reason(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    words = (error.get(name) for name in ("resource", "field", "code", "message"))
    return " ".join(str(word) for word in words if word)


def _until_reset(headers: Mapping[str, str]) -> float:
    """Seconds from the reply's own date to the reset that it names, so that our clock does not matter."""
    reset = number(headers.get("x-ratelimit-reset"))
    try:
        replied = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return UNTOLD_WAIT
    return UNTOLD_WAIT if reset is None else max(reset - replied, 1.0)
