"""Where the token comes from that prbot speaks to GitHub with."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from prbot.ports import Transient


class TokenSource(Protocol):
    """Gives the token for a repository. Called before every request and from many threads, so it must be cheap."""

    def token(self, repo: str) -> str:
        """The token to use for `repo` (`owner/name`; empty for what belongs to no repository). Raises Unavailable."""
        ...

    def clone_token(self, repo: str, refused: str = "") -> str:
        """The token for git to read `repo` with; another one than `refused`, where there may be another."""
        ...

    def payer(self, repo: str) -> str:
        """Whose allowance a request for `repo` is charged to: tokens of one payer share GitHub's limits."""
        ...

    def drop(self, repo: str, token: str) -> bool:
        """GitHub took `token` for `repo` no longer (401): whether asking anew gives another one."""
        ...

    def held(self) -> Iterable[str]:
        """Every secret here that is or was of use, for masking, but for tokens whose time is over. Never raises."""
        ...


class OneToken(ABC):
    """What follows from there being one token for everything, and from its being somebody else's to renew."""

    @abstractmethod
    def token(self, repo: str) -> str: ...

    def clone_token(self, repo: str, refused: str = "") -> str:
        return self.token(repo)

    def payer(self, repo: str) -> str:
        return self.token(repo)

    def drop(self, repo: str, token: str) -> bool:
        return self.token(repo) != token


class StaticToken(OneToken):
    """One token for everything."""

    def __init__(self, token: str) -> None:
        self._token = usable(token)

    def token(self, repo: str) -> str:
        return self._token

    def held(self) -> Iterable[str]:
        return (self._token,)


class TokenFile(OneToken):
    """One token for everything, in a file that may be replaced while prbot runs.

    The file is looked at each time and read when it has changed. While it is missing or holds no token (it may be just
    being replaced), asking for the token raises Transient.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._token = ""
        self._held: set[str] = set()

    def token(self, repo: str) -> str:
        with self._lock:
            try:
                stat = self._path.stat()
                version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if version != self._seen:
                    self._token, self._seen = usable(self._path.read_text("utf-8")), version
                    self._held.add(self._token)
            except OSError as error:
                raise Transient(f"the token file {self._path} cannot be read: {error.strerror}") from None
            except ValueError as error:
                raise Transient(f"the token file {self._path} is of no use: {error}") from None
            return self._token

    def held(self) -> Iterable[str]:
        with suppress(Transient):
            self.token("")
        with self._lock:
            return tuple(self._held)


def usable(token: str) -> str:
    """A token without the white space around it. ValueError, which does not show it, if no header can hold it."""
    stripped = token.strip()
    if not stripped or not all("!" <= char <= "~" for char in stripped):
        raise ValueError("a token is one word of printable ASCII characters")
    return stripped
