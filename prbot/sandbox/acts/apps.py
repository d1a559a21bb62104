"""What people do with Apps: make and install them, and press the buttons of their check runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from prbot.sandbox import payloads
from prbot.sandbox.apps import App, Installation, new_key
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import CheckRun, Repository


def create_app(hub: Hub, manifest: Mapping[str, Any]) -> App:
    """A new App by its manifest. Its webhook, if the manifest has one, gets a secret of GitHub's own."""
    with hub.state.lock:
        app = App(
            hub.state.new_id(),
            str(manifest["name"]).lower().replace(" ", "-"),
            hub.add_user(str(manifest.get("owner", "acme")), "Organization").login,
            new_key(),
            hub.clock.now(),
            dict(manifest["default_permissions"]),
            tuple(manifest["default_events"]),
            secrets.token_hex(20),
        )
        hub.state.apps.known[app.id] = app
        hub.add_user(app.bot, "Bot")
        return app


def install(hub: Hub, app: App, account: str, chosen: frozenset[str] | None = None) -> Installation:
    """Install an App on all repositories of an account, or on the chosen ones."""
    with hub.state.lock:
        hub.add_user(account, "Organization")
        one = Installation(hub.state.new_id(), app, account, hub.clock.now(), chosen)
        hub.state.apps.installations[one.id] = one
        return one


def rerun(hub: Hub, repo: Repository, check: CheckRun, by: str) -> None:
    """Press “Re-run” at a check run: GitHub queues it, and asks its App."""
    with hub.state.lock:
        check.status, check.conclusion, check.completed_at = "queued", None, None
        hub.emit(repo, "check_run", payloads.check_run(hub, repo, check, "rerequested", by), only=check.app)


def rerun_all(hub: Hub, repo: Repository, check: CheckRun, by: str) -> None:
    """Press “Re-run all checks” where an App's check run is shown."""
    with hub.state.lock:
        hub.emit(repo, "check_suite", payloads.check_suite(hub, repo, check, by), only=check.app)


def press(hub: Hub, repo: Repository, check: CheckRun, by: str, identifier: str) -> None:
    """Press a button that the App put on its check run."""
    with hub.state.lock:
        payload = payloads.check_run(hub, repo, check, "requested_action", by)
        asked = {"requested_action": {"identifier": identifier}}
        hub.emit(repo, "check_run", {**payload, **asked}, only=check.app)
