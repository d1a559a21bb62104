"""Which failure of the closed set git's words stand for. git has no codes: it runs with LC_ALL=C, and we read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prbot.ports import Conflict, Denied, NoSuchRef, NotFound, Outage, Transient, Unavailable

_LONGEST = 500


class Damaged(Transient):
    """The mirror itself is broken. The next fetch makes it anew."""


_KINDS: tuple[tuple[type[Unavailable], re.Pattern[str]], ...] = (
    (
        Damaged,
        re.compile(
            r"not a git repository|bad config|loose object .* is corrupt|object file .* is empty|inflate:|"
            r"(packfile|index file) .* (is|cannot|claims)|pack has bad object|unable to read tree|"
            r"missing (blob|tree) object|Could not read [0-9a-f]{40}|unable to parse (object|commit)"
        ),
    ),
    (
        Denied,
        re.compile(
            r"could not read Username|could not read Password|Authentication failed|"
            r"returned error: (401|403)"
        ),
    ),
    (NoSuchRef, re.compile(r"couldn't find remote ref|no such remote ref")),
    (
        NotFound,
        re.compile(
            r"repository '.*' not found|returned error: (301|302|303|307|308|404|410)|unable to update url base|"
            r"not our ref|did not send all necessary objects|"
            r"does not appear to be a git repository|unadvertised object|invalid reference|"
            r"[Nn]ot a valid (object|commit) name|bad object|bad revision|not a tree object|could not get object info|"
            r"not something we can merge|reference is not a tree|Needed a single revision"
        ),
    ),
    (
        Outage,
        re.compile(
            r"returned error: 5\d\d|Could not resolve (host|proxy)|Failed to connect|Empty reply from server|"
            r"(Connection|[Oo]peration) (refused|reset|timed out|too slow)|unexpected disconnect|hung up unexpectedly"
        ),
    ),
    (Conflict, re.compile(r"refusing to merge unrelated histories|transport '.*' not allowed")),
)


def failure(doing: str, stderr: str) -> Unavailable:
    """The exception for a git process that failed at `doing` (“git fetch”), saying what git said, without secrets.

    A server's own words never make the mirror count as damaged. What is not recognised is Transient: trying again is
    bounded elsewhere, and giving up at once is not safer.
    """
    ours = "\n".join(line for line in stderr.splitlines() if "remote" not in line)
    found = (kind for kind, pattern in _KINDS if pattern.search(ours if kind is Damaged else stderr))
    kind = next(found, Transient)
    lines = [line for line in stderr.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    said = "; ".join(dict.fromkeys(line.strip() for line in lines or stderr.splitlines()[-3:]))
    return kind(f"{doing} failed: {said[:_LONGEST] or 'it said nothing'}")


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`, and without credentials in URLs."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"(?<=://)[^/\s@]+@", "***@", text)
