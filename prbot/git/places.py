"""Where things are on disk, and which names may become part of a path or of an argument.

mirrors/<owner>/<name>.git    one bare repository each
checkouts/<owner of the checkout>
locks/<owner>/<name>.fetch.lock
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from prbot.core.ids import Repo
from prbot.ports import Conflict, NotFound, Transient

_POLL = 0.01
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPO = re.compile(r"[A-Za-z0-9_.-]{1,100}(?:/[A-Za-z0-9_.-]{1,100}){1,19}")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_REF_NEVER = re.compile(r"\.\.|//|@\{|/\.|\.lock(?:/|$)|[/.]$")


@dataclass(frozen=True, slots=True)
class Places:
    """The directory that all of it is in."""

    root: Path

    def mirror(self, repo: Repo) -> Path:
        return self.root / "mirrors" / f"{_repo_name(repo)}.git"

    def mirrors(self) -> Iterator[Path]:
        """All mirrors on this disk."""
        for directory, names, _ in os.walk(self.root / "mirrors"):
            yield from (Path(directory, name) for name in names if name.endswith(".git"))
            names[:] = [name for name in names if not name.endswith((".git", ".git.new", ".git.old"))]

    @property
    def checkouts(self) -> Path:
        return self.root / "checkouts"

    def checkout(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise ValueError(f"{owner!r} cannot name a checkout")
        return self.checkouts / owner

    @contextmanager
    def locked(self, mirror: Path, timeout: float) -> Iterator[None]:
        """Keep other threads and processes from changing a mirror. Transient when it takes longer than `timeout`."""
        name = mirror.relative_to(self.root / "mirrors").with_suffix(".fetch.lock")
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=timeout, poll_interval=_POLL)
        try:
            lock.acquire()
        except Timeout as error:
            raise Transient(f"the mirror {mirror.stem} was busy for {timeout:g} s") from error
        try:
            yield
        finally:
            lock.release()


def _repo_name(repo: Repo) -> str:
    if not _REPO.fullmatch(repo.name) or not {".", ".."}.isdisjoint(repo.name.split("/")):
        raise NotFound(f"`{repo.name}` is not the name of a repository")
    return repo.name


def commit_id(text: str) -> str:
    """`text`, which must be a full object id. NotFound otherwise: it names nothing."""
    if not _ID.fullmatch(text):
        raise NotFound(f"`{text}` is not a full commit id")
    return text


def slot_of_ref(ref: str) -> str:
    """Where the mirror keeps the server's `ref`. NotFound unless it is a full name by `git check-ref-format`.

    Under a digest of its name, because git cannot keep `a` and `a/b` at once, and the server may have had either.
    """
    if not _REF.fullmatch(ref) or _REF_NEVER.search(ref):
        raise NotFound(f"`{ref}` is not the full name of a ref")
    return f"refs/prbot/at/{hashlib.sha256(ref.encode()).hexdigest()[:40]}"


def slot_of_commit(commit: str) -> str:
    """The ref that keeps a commit, and all that it stands on, from being collected."""
    return f"refs/prbot/keep/{commit}"


def checked_url(url: str, protocols: tuple[str, ...]) -> str:
    """`url`, which must use one of `protocols` and hold no credentials. Conflict otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in protocols or "@" in parts.netloc or (parts.scheme != "file" and not parts.hostname):
        raise Conflict(f"a clone URL must be {' or '.join(protocols)}, without credentials in it")
    return url
