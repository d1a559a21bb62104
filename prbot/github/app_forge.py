"""GitHub as a forge for prbot as a GitHub App: who it is, what it was granted, and what it is installed on."""

from __future__ import annotations

from dataclasses import replace

from prbot.core.health.forge import Hook, RepositorySetup
from prbot.github.app import AppTokens
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from prbot.github.fields import LIST, LOGIN, find
from prbot.github.manifest import lacking
from prbot.github.survey import GitHubSurvey, Greeting
from prbot.github.transport import Transport, documented


class GitHubAppForge(GitHubForge):
    """Like prbot.github.client.GitHubForge, but that `me` and `check` ask who the App is, not a user."""

    def __init__(self, connections: Connections, tokens: AppTokens) -> None:
        super().__init__(connections, tokens)
        self._app = tokens
        self._login = ""

    def me(self) -> str:
        return self._login or self.check()

    def check(self) -> str:
        slug = documented(self._github.get("/app"), "slug", LOGIN)
        self._login = f"{slug}[bot]"
        return self._login

    def repositories(self) -> list[str]:
        """The repositories that the App is installed on."""
        return self._app.installed()

    def shows_checks(self, repo: str) -> bool:
        return self._app.permissions(repo).get("checks") == "write"

    def survey(self) -> GitHubSurvey:
        return _AppSurvey(self._github, self._app)


class _AppSurvey(GitHubSurvey):
    """For an App: what it was granted is told, not tried, and it has one webhook for all repositories."""

    def __init__(self, github: Transport, app: AppTokens) -> None:
        super().__init__(github)
        self._app = app

    def greeting(self) -> Greeting:
        return self._greeting("/app")

    def repositories(self) -> list[str]:
        return self._app.installed()

    def repository(self, repo: str) -> RepositorySetup:
        return replace(super().repository(repo), may_push=True, missing=lacking(self._app.permissions(repo)))

    def _hooks(self, repo: str) -> tuple[Hook, ...] | None:
        config, events = self._github.get("/app/hook/config"), documented(self._github.get("/app"), "events", LIST)
        url = find(config, "url")
        if not isinstance(url, str) or not url:
            return ()
        told = frozenset(name for name in events if isinstance(name, str))
        return (Hook(url, True, told, str(find(config, "insecure_ssl")) != "1", 0),)
