"""What is where in a tree, and which of it a configuration names."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence

from prbot.core.strings import ANYTHING, Said, is_pattern
from prbot.core.trees import SUBMODULE, Tree, ancestry, is_within, join, parent, walk

_GLOB = {"**": ".*", "*": "[^/]*", "?": "[^/]", ANYTHING: "[^/]*"}
_LITERAL = re.compile(r"[A-Za-z0-9]")


class Places:
    """The directories and files of a tree, for finding what is named there."""

    def __init__(self, tree: Tree, links: Mapping[str, str]) -> None:
        self._tree = tree
        self._links = links
        self._files: dict[str, list[str]] = {}
        for path in tree:
            self._files.setdefault(parent(path), []).append(path)
        self._dirs = {above for directory in self._files for above in ancestry(directory)}
        self.submodules = frozenset(path for path, entry in tree.items() if entry.mode == SUBMODULE)
        self._last_names = {path.rpartition("/")[2] for path in (*tree, *self._dirs)}
        self._sorted = sorted(tree)

    def below(self, directory: str) -> Sequence[str]:
        """The files in a directory, and in those below it."""
        if directory == ".":
            return self._sorted
        first, end = f"{directory}/", f"{directory}{chr(ord('/') + 1)}"
        return self._sorted[bisect_left(self._sorted, first) : bisect_left(self._sorted, end)]

    def plausible(self, pieces: Said) -> Said:
        """Those of the pieces that can name anything here: looked at once, before it is looked from where."""
        if self.submodules:
            return pieces
        last = self._last_names
        paths = (each for each in pieces.paths if is_pattern(each) or each.rstrip("/").rpartition("/")[2] in last)
        return Said(frozenset(paths), frozenset(word for word in pieces.words if word in last))

    def named(self, base: str, pieces: Said, owners: Collection[str], sources: Collection[str] = ()) -> frozenset[str]:
        """Files and directories that the pieces, written from `base`, name, with the links on the way.

        `owners` are directories that belong to somebody: named as a whole they are only by a path that says from where
        it leads (`../net`), and not by one of `sources`, which is called as a module. Nor is `base` or what holds it:
        a file with a computed name there could be any, and taking all of the repository for read would tie every
        project to every change.
        """
        found: set[str] = set()
        for piece in pieces.paths:
            leads = piece.startswith(("./", "../")) and piece not in sources
            barred = () if leads else owners
            found.update(self._matching(base, piece, barred) if is_pattern(piece) else self._at(base, piece, barred))
        for word in pieces.words:
            path = join(base, word)
            if path in self._tree:
                found.add(str(path))
        return frozenset(found)

    def _at(self, base: str, piece: str, owners: Collection[str]) -> Iterator[str]:
        path = join(base, piece)
        if path is None:
            return
        end: str = path
        taken: tuple[str, ...] = ()
        if self._links and path not in self._tree and path not in self._dirs:
            followed, taken = walk(path, self._links)
            if followed is None:
                yield from taken
                return
            end = followed
        holding = {above for above in ancestry(end) if above in self.submodules} if self.submodules else ()
        yield from holding
        if holding or end in self._tree or (end in self._dirs and end not in owners and not is_within(base, end)):
            yield from taken
            yield end

    def _matching(self, base: str, pattern: str, owners: Collection[str]) -> Iterator[str]:
        parts = pattern.split("/")
        first = next(number for number, part in enumerate(parts) if is_pattern(part))
        directory = join(base, "/".join(parts[:first]) or ".")
        if directory is None or directory not in self._dirs:
            return
        if not is_within(base, directory) and directory not in owners:
            yield directory
            return
        rest = "/".join(parts[first:])
        if not (_LITERAL.search(rest) or pattern.startswith("./")):
            return  # a lone `*`, or a variable's value: anything at all
        deep = "/" in rest or "**" in rest
        matches = re.compile(_regex(rest)).fullmatch
        start = 0 if directory == "." else len(directory) + 1
        paths = self.below(directory) if deep else self._files.get(directory, ())
        yield from (path for path in paths if matches(path[start:]))


def _regex(glob: str) -> str:
    parts = re.split(rf"(\*\*|\*|\?|{ANYTHING})", glob)
    return "".join(_GLOB.get(part, re.escape(part)) for part in parts)


def may_be(source: str, directory: str, known: Collection[str]) -> Iterator[str]:
    """The directories among `known` that a module source with computed parts, written in `directory`, can stand for."""
    if source.startswith(ANYTHING):
        rest = source.lstrip(ANYTHING)
        pattern = f"(?:.*/)?{_any_depth(rest[1:])}" if rest.startswith("/") else f".*{_any_depth(rest)}"
    else:
        path = join(directory, source)
        if path is None:
            return
        pattern = _any_depth(path)
    matches = re.compile(pattern).fullmatch
    yield from (each for each in known if each != directory and matches(each))


def _any_depth(source: str) -> str:
    return ".*".join(map(re.escape, source.rstrip("/").split(ANYTHING)))
