"""The GitHub App that prbot wants to be: its manifest, and what GitHub makes of it.

https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import requests

from prbot.github import fields
from prbot.github.failures import Reply, failure
from prbot.github.transport import documented
from prbot.ports import Transient

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "metadata": "read",
        "contents": "read",
        "pull_requests": "write",
        "issues": "write",
        "statuses": "write",
        "checks": "write",
        "deployments": "write",
    }
)
"""All that prbot asks for. `write` on pull requests and issues is for comments and reactions."""
OPTIONAL = frozenset({"checks", "deployments"})
"""Without these, plans are statuses and comments alone, and applies are no deployments."""
EVENTS = (
    "check_run",
    "check_suite",
    "issue_comment",
    "merge_group",
    "pull_request",
    "pull_request_review",
)
_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class NewApp:
    """A GitHub App that was just made."""

    id: int
    slug: str
    url: str
    """Its page, for people."""
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def manifest(name: str, public_url: str, redirect_url: str) -> dict[str, Any]:
    """The manifest of a private App that gets its webhooks at `public_url`; GitHub then sends to `redirect_url`."""
    base = public_url.rstrip("/")
    return {
        "name": name,
        "url": base,
        "hook_attributes": {"url": f"{base}/webhooks/github", "active": True},
        "redirect_url": redirect_url,
        "public": False,
        "default_permissions": dict(PERMISSIONS),
        "default_events": list(EVENTS),
    }


def convert(api_url: str, code: str, ca_file: Path | None = None) -> NewApp:
    """Exchange the code that GitHub sent after the App was made. It is good once, for an hour. Raises Unavailable."""
    asked = "POST /app-manifests/…/conversions"
    try:
        answer = requests.post(
            f"{api_url}/app-manifests/{quote(code, safe='')}/conversions",
            headers={"Accept": "application/vnd.github+json", "User-Agent": "prbot"},
            timeout=_SECONDS,
            verify=True if ca_file is None else str(ca_file),
            allow_redirects=False,
        )
        document = answer.json()
    except requests.RequestException as error:  # its text may hold the code
        raise Transient(f"no intelligible answer from GitHub to {asked} ({type(error).__name__})") from None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    failed = failure(Reply(answer.status_code, headers, document), asked)
    if failed is not None:
        raise failed
    return NewApp(
        id=documented(document, "id", fields.ID),
        slug=documented(document, "slug", fields.LOGIN),
        url=documented(document, "html_url", fields.TEXT),
        private_key=documented(document, "pem", fields.TEXT),
        webhook_secret=documented(document, "webhook_secret", fields.TEXT),
    )


def lacking(granted: Mapping[str, str]) -> tuple[str, ...]:
    """What prbot needs and was not granted, in GitHub's words: `pull requests: write`."""
    return tuple(
        f"{name.replace('_', ' ')}: {level}"
        for name, level in PERMISSIONS.items()
        if name not in OPTIONAL and granted.get(name) not in (level, "write", "admin")
    )
