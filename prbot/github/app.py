"""prbot as a GitHub App: it signs as the App, and gets a short-lived token for each repository that it is installed on.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from github.Auth import AppAuth

from prbot.github import fields
from prbot.github.auth import OneToken, StaticToken
from prbot.github.connections import Connections
from prbot.github.fields import find
from prbot.github.transport import PAGE_SIZE, Transport, documented
from prbot.ports import Conflict, Denied, NotFound, Transient

RENEW_BEFORE = timedelta(minutes=5)
"""A token is replaced when it has no more left. GitHub gives each an hour."""

_INSTALLATION = "/repos/{repo}/installation"
_INSTALLATIONS = "/app/installations"
_TOKENS = "/app/installations/{installation}/access_tokens"

Use = Literal["api", "git"]


class AppKey(OneToken):
    """The App's signature: a token, good for five minutes, for what the App may ask as itself (`/app…`).

    The file is read at each use, so that a key may be replaced while prbot runs. ValueError, at construction, if it
    holds no RSA private key.
    """

    def __init__(self, app_id: str, key_file: Path) -> None:
        self._app_id = app_id
        self._key_file = key_file
        self._held = {_checked(key_file)}

    def token(self, repo: str) -> str:
        try:
            key = _checked(self._key_file)
        except ValueError as problem:
            raise Transient(str(problem)) from None
        self._held |= {key}
        return AppAuth(self._app_id, key).create_jwt()

    def payer(self, repo: str) -> str:
        return "app"

    def drop(self, repo: str, token: str) -> bool:
        return False

    def held(self) -> Iterable[str]:
        return tuple(self._held)


@dataclass(frozen=True, slots=True)
class Minted:
    """A token of an installation, and what it allows: `{"checks": "write", …}`."""

    token: str = field(repr=False)
    expires_at: datetime
    permissions: Mapping[str, str]


@dataclass(slots=True)
class _Place:
    """Where the token for one use of one repository is kept. Whoever has the lock renews it; the others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    minted: Minted | None = None


class AppTokens:
    """A TokenSource for an App. Safe to use from many threads.

    Each token is for one repository alone; git's may only read its content. A token is renewed five minutes before it
    ends, and when GitHub takes it no longer. Raises NotFound for a repository that the App is not installed on.
    """

    def __init__(self, connections: Connections, key: AppKey, now: Callable[[], datetime]) -> None:
        self._connections = connections
        self._github = Transport(connections, key)
        self._key = key
        self._now = now
        self._lock = threading.Lock()
        self._places: dict[tuple[str, Use], _Place] = {}
        self._installations: dict[str, int] = {}
        self._replaced: list[Minted] = []

    def token(self, repo: str) -> str:
        return self._current(repo, "api").token if repo else self._key.token("")

    def clone_token(self, repo: str, refused: str = "") -> str:
        if refused:
            self.drop(repo, refused)
        return self._current(repo, "git").token

    def permissions(self, repo: str) -> Mapping[str, str]:
        """What the App was granted in a repository, as of the last renewal."""
        return self._current(repo, "api").permissions

    def payer(self, repo: str) -> str:
        return f"installation {self._installation(repo)}" if repo else self._key.payer("")

    def drop(self, repo: str, token: str) -> bool:
        if not repo:
            return False
        for use in ("api", "git"):
            place = self._place(repo, use)
            with place.lock:
                if place.minted is not None and place.minted.token == token:
                    self._replace(place, None)
        return True

    def held(self) -> Iterator[str]:
        """The key, and every token that GitHub may still take."""
        yield from self._key.held()
        with self._lock:
            minted = [*self._replaced, *(place.minted for place in self._places.values() if place.minted is not None)]
        yield from (each.token for each in minted if each.expires_at > self._now())

    def installed(self) -> list[str]:
        """The repositories that the App is installed on, in all its installations."""
        found: list[str] = []
        for document in self._github.get_all(_INSTALLATIONS, ""):
            if find(document, "suspended_at") is None:
                found += self._repositories(documented(document, "id", fields.ID))
        return found

    # -- tokens -------------------------------------------------------------------------------------------------------
    def _current(self, repo: str, use: Use) -> Minted:
        place = self._place(repo, use)
        with place.lock:
            known = place.minted
            if known is not None and known.expires_at - self._now() > RENEW_BEFORE:
                return known
            try:
                fresh = self._renewed(repo, use)
            except Transient:
                if known is not None and known.expires_at > self._now():
                    return known  # still good: the next one who asks tries again
                raise
            self._replace(place, fresh)
            return fresh

    def _place(self, repo: str, use: Use) -> _Place:
        with self._lock:
            return self._places.setdefault((repo, use), _Place())

    def _replace(self, place: _Place, fresh: Minted | None) -> None:
        now = self._now()
        with self._lock:
            kept = [each for each in (*self._replaced, place.minted) if each is not None]
            self._replaced = [each for each in kept if each.expires_at > now]
            place.minted = fresh

    def _renewed(self, repo: str, use: Use) -> Minted:
        body: dict[str, Any] = {"repositories": [repo.partition("/")[2]]}
        if use == "git":
            body["permissions"] = {"contents": "read"}
        try:
            return self._mint(self._installation(repo), body)
        except (NotFound, Conflict):  # installed anew, or not any more
            with self._lock:
                self._installations.pop(repo, None)
            return self._mint(self._installation(repo), body)

    def _mint(self, installation: int, body: Mapping[str, Any]) -> Minted:
        document = self._github.write("POST", _TOKENS, "", body, installation=installation)
        granted = find(document, "permissions")
        return Minted(
            documented(document, "token", fields.TEXT),
            documented(document, "expires_at", fields.TIME),
            {str(name): str(level) for name, level in granted.items()} if isinstance(granted, dict) else {},
        )

    # -- installations ------------------------------------------------------------------------------------------------
    def _installation(self, repo: str) -> int:
        with self._lock:
            known = self._installations.get(repo)
        if known is not None:
            return known
        try:
            found = documented(self._github.get(_INSTALLATION, repo), "id", fields.ID)
        except NotFound:
            raise NotFound(
                f"the GitHub App is not installed on {repo}: whoever administrates {repo.partition('/')[0]} adds the "
                "repository in its settings, under GitHub Apps"
            ) from None
        except Denied as refusal:
            raise Denied(
                f"{refusal}: are the App's id and key of the same App, and is this host's clock right?"
            ) from None
        with self._lock:
            self._installations[repo] = found
        return found

    def _repositories(self, installation: int) -> list[str]:
        minted = self._mint(installation, {"permissions": {"metadata": "read"}})
        github = Transport(self._connections, StaticToken(minted.token))
        found: list[str] = []
        for page in range(1, 101):
            query = {"per_page": str(PAGE_SIZE), "page": str(page)}
            listed = documented(github.get("/installation/repositories", "", query), "repositories", fields.LIST)
            found += [documented(document, "full_name", fields.REPO_NAME) for document in listed]
            if len(listed) < PAGE_SIZE:
                break
        return found


def _checked(key_file: Path) -> str:
    """What the file holds. ValueError if that is no RSA private key."""
    key: object = None
    try:
        text = key_file.read_text("ascii")
        key = load_pem_private_key(text.encode(), None)
    except OSError as error:
        raise ValueError(f"{key_file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(
            f"{key_file} holds no RSA private key; GitHub makes one on the App's page, under Private keys, and sends "
            "it as a .pem file"
        )
    return text
