"""Trees on disk that whoever ran in them may have left in any shape: removed, measured, and read with care."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path


class Unreadable(Exception):
    """It is not a regular file of a size that we read; the message says what it is."""


def remove(path: Path) -> None:
    """Remove a tree, also where what ran in it has taken the permissions off its directories. No link is followed."""
    if not os.path.lexists(path):
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:  # somebody else removes it too
        remove(path)
    except PermissionError:
        _allow(path)
        shutil.rmtree(path)


def _allow(path: Path) -> None:
    path.chmod(stat.S_IRWXU)
    for directory, names, _ in os.walk(path):
        for name in names:
            if not os.path.islink(os.path.join(directory, name)):  # chmod would follow it out of the tree
                os.chmod(os.path.join(directory, name), stat.S_IRWXU)


def used(trees: Iterable[Path]) -> int:
    """Bytes that trees take up on disk, as far as they can be looked into; a file with two names counts twice."""
    total, todo = 0, [os.fspath(tree) for tree in trees]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # it went while we looked
    return total


def read_regular(path: Path, most: int) -> bytes:
    """The content of a file that a stranger's code could have put there.

    A link is not followed, a pipe not waited for, and more than `most` bytes not read: Unreadable. FileNotFoundError
    and other OSErrors are passed on.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise Unreadable("it is a link") from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is not a regular file")
        if status.st_size > most:
            raise Unreadable(f"it is larger than {most >> 20} MiB")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)
