"""Git trees as plain mappings, and the paths and symbolic links in them.

Paths are relative to the repository, with `/`; a directory is written the same way, and `.` is the root.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LINK = "120000"
SUBMODULE = "160000"
LOCK_FILE = ".terraform.lock.hcl"
VARIABLE_FILES = (".tfvars", ".tfvars.json")
_PROSE = (".md", ".markdown", ".rst", ".adoc")
_PROSE_NAMES = ("LICENSE", "CODEOWNERS")
_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_MAX_HOPS = 40  # what Linux allows before it says ELOOP


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree. `mode` as git writes it: 100644, 100755, 120000 (symbolic link), 160000 (submodule)."""

    mode: str
    blob: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A file's content under its Git id. Two blobs with the same id are the same: Git says so."""

    id: str
    content: bytes = field(compare=False, repr=False)


Tree = Mapping[str, TreeEntry]
"""A whole tree: path (relative, with `/`) to entry."""


def parent(path: str) -> str:
    """The directory that holds `path`; `.` for what lies at the root."""
    return path.rpartition("/")[0] or "."


def ancestry(directory: str) -> Iterator[str]:
    """`directory` itself, then what holds it, up to and with `.`."""
    while directory != ".":
        yield directory
        directory = parent(directory)
    yield "."


def is_within(path: str, directory: str) -> bool:
    """Whether `path` is `directory` or lies below it."""
    return directory == "." or path == directory or path.startswith(directory + "/")


def is_prose(path: str) -> bool:
    """Whether this is nothing that an engine reads by itself: words for people, or hidden."""
    name = path.rpartition("/")[2]
    hidden = name.startswith(".") and name != LOCK_FILE
    return hidden or name.endswith(_PROSE) or name.startswith(_PROSE_NAMES)


def below(directory: str, path: str) -> str:
    """`path`, written from `directory`, as written from the repository's root."""
    return path if directory == "." else f"{directory}/{path}"


def glob_pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` within one name, `**` across; all else is itself. `./net/` is `net`."""
    tidy = posixpath.normpath(glob) if glob else glob
    parts = (_GLOB.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", tidy))
    return re.compile("".join(parts))


def join(directory: str, relative: str) -> str | None:
    """Where `relative` leads from `directory`, normalised; None when that is outside of the repository."""
    if relative.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(directory, relative))
    return None if path == ".." or path.startswith("../") else path


def walk(path: str, links: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Follow every symbolic link in `path` (`links`: path to target as written): where it ends, and the links taken.

    It ends at None when a link leaves the repository, is absolute, or loops.
    """
    todo = path.split("/")[::-1]
    done = "."
    taken: list[str] = []
    while todo:
        step = join(done, todo.pop())
        if step is None:
            return None, tuple(taken)
        target = links.get(step)
        if target is None:
            done = step
            continue
        taken.append(step)
        if len(taken) > _MAX_HOPS or target.startswith("/"):
            return None, tuple(taken)
        todo.extend(target.split("/")[::-1])
    return done, tuple(taken)


def link_targets(tree: Tree, blobs: Mapping[str, bytes]) -> dict[str, str]:
    """The symbolic links of a tree, path to target as written. `blobs` must hold the content of each."""
    return {
        path: blobs[entry.blob].decode("utf-8", "surrogateescape") for path, entry in tree.items() if entry.mode == LINK
    }


def escaping_links(links: Mapping[str, str]) -> dict[str, str]:
    """Those of `links` that lead out of the repository or nowhere: absolute, too many `..`, or a loop."""
    return {path: target for path, target in links.items() if walk(path, links)[0] is None}
