"""Whether GitHub sent a delivery: the `X-Hub-Signature-256` header."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def verify(secrets: Sequence[str], body: bytes, header: str | None) -> bool:
    """Whether `header` (`sha256=` and the lower-case hex HMAC-SHA256) signs the raw `body` with one of `secrets`.

    Every secret is tried in constant time whatever came before, so that neither a match nor its place shows in the
    time taken. Empty secrets sign nothing: anybody could. Never raises.
    """
    given = (header or "").encode("utf-8", "replace")
    valid = False
    for secret in filter(None, secrets):
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        valid |= hmac.compare_digest(expected.encode(), given)
    return valid
