"""What of an installation shows at GitHub: for whoever sets prbot up. Reads only, and tries what the token may read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from prbot.core.health.forge import Hook, RepositorySetup
from prbot.github import fields
from prbot.github.fields import find
from prbot.github.transport import Transport, documented
from prbot.ports import Denied, NotFound, Transient


@dataclass(frozen=True, slots=True)
class Greeting:
    """What any reply says: GitHub's time, and a classic token's scopes (None for other kinds)."""

    date: datetime
    scopes: frozenset[str] | None


class GitHubSurvey:
    """Asks through `github`. Raises Unavailable's kinds, as prbot.github.client does."""

    def __init__(self, github: Transport) -> None:
        self._github = github

    def greeting(self) -> Greeting:
        """One request that costs nothing of the allowance."""
        return self._greeting("/rate_limit")

    def _greeting(self, route: str) -> Greeting:
        headers = self._github.headers(route)
        try:
            date = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            raise Transient("GitHub's reply has no date that can be read") from None
        if date.tzinfo is None:
            raise Transient("GitHub's reply has no date that can be read")
        scopes = headers.get("x-oauth-scopes")
        words = None if scopes is None else frozenset(word.strip() for word in scopes.split(",") if word.strip())
        return Greeting(date, words)

    def repositories(self) -> list[str]:
        """The repositories that the token's owner works on."""
        listed = self._github.get_all("/user/repos", "")
        return [documented(document, "full_name", fields.REPO_NAME) for document in listed]

    def repository(self, repo: str) -> RepositorySetup:
        """All about one repository; what the token may not read is named or None. NotFound if it cannot be seen."""
        about = self._github.get("/repos/{repo}", repo)
        branch = documented(about, "default_branch", fields.BRANCH)
        missing: list[str] = []
        protection = self._protection(repo, branch, missing)
        self._try(missing, "pull requests: read", "/repos/{repo}/pulls", repo)
        if protection is not None:  # else there may be no commit to ask about
            self._try(missing, "commit statuses: read", "/repos/{repo}/commits/{branch}/status", repo, branch=branch)
        rules = self._rules(repo, branch)
        ruled = None if rules is None else _required(rules)
        known = [each for each in (protection, ruled) if each is not None]
        return RepositorySetup(
            name=repo,
            default_branch=branch,
            may_push=find(about, "permissions.push") is True,
            archived=find(about, "archived") is True,
            missing=tuple(missing),
            hooks=self._hooks(repo),
            required=frozenset().union(*known) if known else None,
            merge_queue=any(find(rule, "type") == "merge_queue" for rule in rules or ()),
        )

    def _protection(self, repo: str, branch: str, missing: list[str]) -> frozenset[str] | None:
        """The required statuses of a branch's classic protection; None without the permission, or without a branch."""
        try:
            document = self._github.get("/repos/{repo}/branches/{branch}", repo, branch=branch)
        except Denied:
            missing.append("contents: read")
            return None
        except NotFound:
            return None
        checks = "protection.required_status_checks"
        named = {name for name in _list(find(document, f"{checks}.contexts")) if isinstance(name, str)}
        return _contexts(find(document, f"{checks}.checks")) | named

    def _rules(self, repo: str, branch: str) -> list[Any] | None:
        """The rules that hold for a branch; None where they cannot be read."""
        try:
            return self._github.get_all("/repos/{repo}/rules/branches/{branch}", repo, branch=branch)
        except (Denied, NotFound):
            return None

    def _hooks(self, repo: str) -> tuple[Hook, ...] | None:
        try:
            return tuple(_hook(document) for document in self._github.get_all("/repos/{repo}/hooks", repo))
        except (Denied, NotFound):
            return None

    def _try(self, missing: list[str], permission: str, route: str, repo: str, **parts: str) -> None:
        try:
            self._github.get(route, repo, None, **parts)
        except (Denied, NotFound):
            missing.append(permission)


def _hook(document: object) -> Hook:
    events = _list(find(document, "events"))
    status = find(document, "last_response.code")
    return Hook(
        url=documented(document, "config.url", fields.TEXT),
        active=find(document, "active") is True,
        events=frozenset(name for name in events if isinstance(name, str)),
        verifies_tls=str(find(document, "config.insecure_ssl")) != "1",
        last_status=status if isinstance(status, int) else 0,
    )


def _required(rules: list[Any]) -> frozenset[str]:
    return frozenset().union(*(_contexts(find(rule, "parameters.required_status_checks")) for rule in rules))


def _contexts(checks: object) -> frozenset[str]:
    names = (find(check, "context") for check in _list(checks))
    return frozenset(name for name in names if isinstance(name, str))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
