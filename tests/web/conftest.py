from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from prbot.flows.services import Services
from prbot.sandbox.world import World
from prbot.settings import load
from prbot.wiring import build, create_app

SECRET = "a-webhook-secret"
EARLIER = "an-earlier-secret"
TOKEN = "ghp_a-token-that-nobody-may-see"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github", webhook_secret=SECRET) as world:
        yield world


@pytest.fixture
def services(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    for name, value in {
        "DATA_DIR": str(tmp_path / "data"), "GITHUB_API_URL": world.api_url, "GITHUB_TOKEN": world.token,
        "GITHUB_WEBHOOK_SECRET": f"{SECRET} {EARLIER}", "REPO_ALLOWLIST": "acme/*",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"PRBOT_{name}", value)
    services = build(load())
    yield services
    services.jobs.stop()
    services.db.close()


@pytest.fixture
def web(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def comment(repo: str = "acme/infra", body: str = "prbot plan", **more: Any) -> dict[str, Any]:
    """What GitHub sends for a new comment on a pull request."""
    return {
        "action": "created",
        "repository": {"full_name": repo, "clone_url": f"https://github.example/{repo}.git"},
        "issue": {"number": 7, "pull_request": {"url": "…"}},
        "comment": {
            "id": 99, "body": body, "created_at": "2026-11-20T12:00:00Z", "user": {"login": "al", "type": "User"},
        },
        "sender": {"login": "al", "type": "User"},
        **more,
    }  # fmt: skip


def send(
    web: FlaskClient,
    body: bytes | dict[str, Any],
    *,
    secret: str | None = SECRET,
    path: str = "/webhooks/github",
    **headers: str | None,
) -> TestResponse:
    """Post a delivery, signed; a header that is None is left out."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
    }
    if secret is not None:
        given["X-Hub-Signature-256"] = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return web.post(path, data=raw, headers={name: value for name, value in given.items() if value is not None})
