"""A GitHub App of the stand-in, as the tests hold it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from prbot.sandbox import payloads
from prbot.sandbox.acts.apps import install
from prbot.sandbox.apps import App
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import Hook

APP_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "metadata": "read", "contents": "read", "pull_requests": "write", "issues": "write", "statuses": "write",
        "checks": "write", "deployments": "write",
    }
)  # fmt: skip
APP_EVENTS = ("check_run", "check_suite", "issue_comment", "merge_group", "pull_request", "pull_request_review")


class SandboxApp:
    """One App."""

    def __init__(self, hub: Hub, data: App) -> None:
        self._hub = hub
        self.data = data

    @property
    def id(self) -> int:
        return self.data.id

    @property
    def private_key(self) -> str:
        """PEM, as GitHub hands it out."""
        return self.data.private_key

    def connect(self, hook_url: str, secret: str) -> None:
        """Send the events of all repositories that it is installed on to a URL; a ping comes first."""
        with self._hub.state.lock:
            hook = Hook(self._hub.state.new_id(), hook_url, secret, False, self._hub.clock.now(), self.data.events)
            hook.app = self.data
            self._hub.app_hooks.append(hook)
            self._hub.hooks.send(hook, "ping", payloads.app_ping(self._hub, hook, self.data), self.data.id)

    def install(self, account: str, *chosen: str) -> None:
        """Install it on all repositories of an account, or on the chosen ones (`owner/name`)."""
        install(self._hub, self.data, account, frozenset(chosen) or None)

    def uninstall(self, account: str) -> None:
        """Take it off an account; its tokens are worthless then."""
        with self._hub.state.lock:
            apps = self._hub.state.apps
            gone = {one.id for one in apps.installations.values() if one.app is self.data and one.account == account}
            apps.installations = {key: one for key, one in apps.installations.items() if key not in gone}
            apps.minted = {token: one for token, one in apps.minted.items() if one.installation.id not in gone}

    def expire_tokens(self) -> None:
        """Make all that it was given worthless, as an hour does."""
        with self._hub.state.lock:
            self._hub.state.apps.minted.clear()

    def tokens(self) -> list[str]:
        """Every token that it has and that is still good."""
        return [token for token, one in self._hub.state.apps.minted.items() if one.installation.app is self.data]
