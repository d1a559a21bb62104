"""Files in which a repository declares its projects. prbot does not go by them yet, and looks at one thing only: which
directories they name for other workspaces than the default one."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from prbot.core.trees import glob_pattern

DECLARATIONS = ("prbot.yaml", "prbot.yml", "atlantis.yaml", "atlantis.yml")
"""At the root of a repository."""
_LARGEST = 1 << 18


@dataclass(frozen=True, slots=True)
class Declared:
    """The workspaces that a file names for directories, as written there (globs). `problem`: why it tells nothing."""

    workspaces: Mapping[str, frozenset[str]]
    problem: str = ""

    def elsewhere(self, directory: str) -> frozenset[str]:
        """The workspaces that it names a directory for, where the default one is none of them."""
        named = [each for glob, each in self.workspaces.items() if glob_pattern(glob).fullmatch(directory)]
        found = frozenset[str]().union(*named)
        return frozenset() if "default" in found else found


def declared(content: bytes) -> Declared:
    """Read such a file. Nodes are looked at as they were written: whoever opens a pull request writes them."""
    if len(content) > _LARGEST:
        return Declared({}, "it is larger than 256 KiB")
    try:
        root = yaml.compose(content.decode("utf-8-sig"), yaml.SafeLoader)
        if root is not None and not isinstance(root, MappingNode):
            return Declared({}, "it holds no keys")
        return Declared(_workspaces(root))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return Declared({}, "it is not YAML")


def _workspaces(root: Node | None) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    listed = dict(_pairs(root)).get("projects") if root is not None else None
    for project in listed.value if isinstance(listed, SequenceNode) else ():
        values = dict(_pairs(project))
        spaces = [*_texts(values.get("workspace")), *_texts(values.get("workspaces"))]
        for directory in _texts(values.get("dir")):
            found.setdefault(posixpath.normpath(directory.lstrip("/")), set()).update(spaces or ["default"])
    return {directory: frozenset(spaces) for directory, spaces in found.items()}


def _pairs(node: Node, seen: set[int] | None = None) -> Iterator[tuple[str, Node]]:
    """The keys of a mapping; what is merged into it (`<<: *common`) comes first, so that own ones win. No mapping is
    gone through twice, be it that it merges itself or that many merge it."""
    seen = set() if seen is None else seen
    if not isinstance(node, MappingNode) or id(node) in seen:
        return
    seen.add(id(node))
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == "<<":
            for merged in value.value if isinstance(value, SequenceNode) else (value,):
                yield from _pairs(merged, seen)
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value != "<<":
            yield key.value, value


def _texts(node: Node | None) -> list[str]:
    if isinstance(node, ScalarNode):
        return [node.value]
    return [each.value for each in node.value if isinstance(each, ScalarNode)] if isinstance(node, SequenceNode) else []
