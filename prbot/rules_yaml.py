"""YAML whose every key and item remembers its line, for messages that say where something is wrong.

Scalars stay the text that was written, so that `off` is a word, a login may be `no`, and what reads them decides what
they mean; only `null`, `~` and nothing at all become None.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Place = tuple[str | int, ...]
"""The keys and positions that lead to a value, from the top."""
_OWN_TAGS = "tag:yaml.org,2002:"


class NotReadable(Exception):
    """The file cannot be read, or is not YAML; the message names file, line and what is wrong, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the file."""

    line: int
    where: str
    """The key path as people write it, such as `repos[1].who.apply`; empty for the whole file."""
    said: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A file's content as dictionaries, lists, text and None; which line each key and item is on; what is wrong."""

    content: Any
    lines: dict[Place, int]
    problems: list[Problem]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, place: Place, said: str) -> Problem:
        return Problem(self.line(place), spelled(place), said)


def spelled(place: Place) -> str:
    """`("repos", 1, "who")` as `repos[1].who`."""
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in place)
    return text.removeprefix(".")


def read_lines(path: Path) -> Lines:
    """Read one YAML document; duplicate keys, unknown tags and the like are problems. Raises NotReadable."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise NotReadable(f"{path}: cannot be read: {said}") from None
    found = Lines(None, {}, [])
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        content = None if root is None else _Reading(loader, found).value(root, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f":{mark.line + 1}"
        raise NotReadable(f"{path}{where}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError:
        raise NotReadable(f"{path}: not YAML: it holds characters that YAML does not allow") from None
    return replace(found, content=content)


class _Reading:
    """Walks the nodes of one document."""

    def __init__(self, loader: yaml.SafeLoader, found: Lines) -> None:
        self._loader = loader
        self._found = found
        self._flat: set[int] = set()
        """Mappings whose keys were looked at: an alias leads to the same one again."""

    def value(self, node: Node, place: Place, within: tuple[Node, ...]) -> Any:
        """What a node holds; `within` are the nodes around it, one of which an alias may name."""
        self._found.lines.setdefault(place, node.start_mark.line + 1)
        if not node.tag.startswith(_OWN_TAGS):
            self._wrong(place, f"the tag {node.tag} means nothing here; leave it out")
        elif node in within:
            self._wrong(place, "an alias that holds itself")
        elif isinstance(node, MappingNode):
            return self._mapping(node, place, (*within, node))
        elif isinstance(node, SequenceNode):
            return [self.value(each, (*place, at), (*within, node)) for at, each in enumerate(node.value)]
        elif isinstance(node, ScalarNode):
            return None if node.tag == f"{_OWN_TAGS}null" else node.value
        return None

    def _mapping(self, node: MappingNode, place: Place, within: tuple[Node, ...]) -> dict[str, Any]:
        if id(node) not in self._flat:
            self._check_keys(node, place)
            self._loader.flatten_mapping(node)  # `<<: *common`: what is merged comes first, so that own keys win
            self._flat.add(id(node))
        content = {}
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                self._found.lines[(*place, key.value)] = key.start_mark.line + 1
                content[key.value] = self.value(value, (*place, key.value), within)
        return content

    def _check_keys(self, node: MappingNode, place: Place) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._found.problems.append(Problem(line, spelled(place), "a key that is not text"))
            elif key.value in lines:
                said = f"is here twice, first on line {lines[key.value]}; keep one"
                self._found.problems.append(Problem(line, spelled((*place, key.value)), said))
            else:
                lines[key.value] = line

    def _wrong(self, place: Place, said: str) -> None:
        self._found.problems.append(self._found.problem(place, said))
