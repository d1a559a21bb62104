"""Plans in a directory of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from prbot.ports import NotFound, Transient

_SEGMENT = re.compile(r"[a-z0-9_-][a-z0-9_.-]*")
"""One part of a key. It begins with no dot: such names are ours, for files that are being written."""


class LocalPlanStore:
    """`prbot.ports.PlanStore` in a directory: one file a key, readable by its owner only.

    A `put` is complete or has not happened, also across a crash of the machine. Transient if the disk says no.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, in place of what was there."""
        path = self._path(key)
        with _disk_errors(key):
            try:
                _write(path, data)
            except FileNotFoundError:  # a delete took the directory away just as it was made
                _write(path, data)

    def get(self, key: str) -> bytes:
        """What is kept under `key`. NotFound when there is nothing."""
        path = self._path(key)
        with _disk_errors(key):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise NotFound(f"the plan store has nothing under {key}") from None

    def delete(self, key: str) -> None:
        """Forget `key`, and directories that it leaves empty. Also fine when there is nothing."""
        path = self._path(key)
        with _disk_errors(key):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            for directory in path.relative_to(self._root).parents[:-1]:
                try:
                    (self._root / directory).rmdir()
                except OSError:  # not empty, or not there
                    break

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix` (any string), in order."""
        with _disk_errors(prefix):
            paths = sorted(path for path in self._root.rglob("*") if path.is_file())
        for path in paths:
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and not path.name.startswith("."):
                yield key

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise ValueError(f"{key!r} is not a key of the plan store")
        return self._root.joinpath(*segments)


def _write(path: Path, data: bytes) -> None:
    _make_directories(path.parent)
    new = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _make_directories(directory: Path) -> None:
    """Like mkdir with parents, which gives its mode to the last one only, and durable."""
    if directory.is_dir():
        return
    _make_directories(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Transient(f"the plan store failed at {key}: {error.strerror}") from error
