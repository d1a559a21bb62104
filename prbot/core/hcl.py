"""What one Terraform file says that decides about projects: a backend, module calls, files that it reads.

This is a scan, not an evaluation: it never raises, a file that does not parse gives the facts of the part that does,
and what depends on a variable is left out or widened to a directory. Syntax: the HCL native syntax specification and
its JSON form (https://github.com/hashicorp/hcl/tree/main/hclsyntax, …/json).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from prbot.core.strings import ANYTHING, NOTHING, Said, said
from prbot.core.trees import Blob

_HCL = Language(tree_sitter_hcl.language())
_MANAGING = ("resource", "data", "module", "ephemeral", "action", "import", "removed", "moved")
_MANAGING_BLOCK = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*(?:%s)[ \t]*[\"{]" % "|".join(_MANAGING).encode(), re.MULTILINE)
POINTER_BEGINS = (b"version https://git-lfs.github.com/", b"version https://hawser.github.com/")
"""How a file begins that stands for another one, which Git LFS keeps."""
POINTER = "this is a Git LFS pointer"
_LARGEST = 1 << 20  # parsing takes about half a second a MiB, and whoever opens a pull request picks the size
_COMPUTED = re.compile(r"[$%]\{[^}]*\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt"\\]))|\$(\$\{)|%(%\{)')


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """A `backend` block: its type, and those settings whose values are literal, sorted by name."""

    type: str
    settings: tuple[tuple[str, str], ...] = ()
    computed: tuple[tuple[str, str], ...] = ()
    """The settings whose values are expressions, as written."""

    def setting(self, name: str) -> str | None:
        return dict(self.settings).get(name)


@dataclass(frozen=True, slots=True)
class RemoteState:
    """A `terraform_remote_state` data source: whose state it reads, as patterns in which ANYTHING stands for what is
    computed. A setting that is not there may be anything."""

    backend: str = ANYTHING
    settings: tuple[tuple[str, str], ...] = ()
    workspace: str = "default"

    def setting(self, name: str) -> str:
        return dict(self.settings).get(name, ANYTHING)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file says. `calls` are (name, source) of module calls; ANYTHING stands for what is computed of it."""

    backend: BackendFacts | None = None
    cloud: bool = False
    calls: tuple[tuple[str, str], ...] = ()
    required_version: str | None = None
    manages: bool = False
    problem: tuple[int, str] | None = None
    """Line, counted from 1, and what is wrong there."""
    cloud_settings: BackendFacts | None = None
    """What a `cloud` block says of where the state is."""
    remote_states: tuple[RemoteState, ...] = ()
    said: Said = NOTHING
    """What it names that may be a path or an address."""


@lru_cache(maxsize=4096)
def scan_file(blob: Blob, syntax: Literal["hcl", "json"]) -> FileFacts:
    """Scan one file. Remembered by the blob's id, so that the base's and the merge result's files are scanned once."""
    if blob.content.startswith(POINTER_BEGINS):
        return FileFacts(problem=(1, POINTER))
    found = _scan_json(blob.content) if syntax == "json" else _scan_hcl(blob.content)
    unread = found.problem is not None and b"terraform_remote_state" in blob.content
    states = (*found.remote_states, RemoteState(workspace=ANYTHING)) if unread else found.remote_states
    return replace(found, remote_states=states, said=said(blob.content))


# -- native syntax ----------------------------------------------------------------------------------------------------
def _scan_hcl(text: bytes) -> FileFacts:
    manages = bool(_MANAGING_BLOCK.search(text))
    if b"module" not in text and b"terraform" not in text:
        return FileFacts(manages=manages)  # parsing costs a hundred times more than looking
    if len(text) > _LARGEST:
        return FileFacts(manages=manages, problem=(1, "this is larger than 1 MiB and was not read"))
    root = Parser(_HCL).parse(text).root_node
    backend: BackendFacts | None = None
    cloud: BackendFacts | None = None
    version = None
    calls: list[tuple[str, str]] = []
    states: list[RemoteState] = []
    for kind, labels, body in _blocks(root):
        if kind == "terraform":
            for inner, types, settings in _blocks(body):
                if inner == "cloud":
                    cloud = _backend("cloud", settings)
                if inner == "backend" and types:
                    backend = _backend(types[0], settings)
            version = _literals(body).get("required_version", version)
        elif kind == "data" and labels[:1] == ["terraform_remote_state"]:
            states.append(_remote_state(body))
        elif kind == "module" and labels:
            calls += [(labels[0], _pattern(value)) for name, value in _attributes(body) if name == "source"]
    problem = _first_error(root) if root.has_error else None
    return FileFacts(backend, cloud is not None, tuple(calls), version, manages, problem, cloud, tuple(states))


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _members(node: Node | None, kind: str) -> Iterator[Node]:
    """The blocks or attributes directly in a body, also where the parser lost its way and went on."""
    for child in node.children if node else ():
        if child.type == kind:
            yield child
        elif child.type in ("body", "ERROR"):
            yield from _members(child, kind)


def _blocks(node: Node | None) -> Iterator[tuple[str, list[str], Node]]:
    for block in _members(node, "block"):
        names = [_label(child) for child in block.children if child.type in ("identifier", "string_lit")]
        if names:
            yield names[0], names[1:], block


def _label(node: Node) -> str:
    return _string(node) if node.type == "string_lit" else _text(node)


def _string(node: Node) -> str:
    return _unescape("".join(_text(part) for part in node.children if part.type == "template_literal"))


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        short, long, plain, dollar, percent = match.groups()
        code = short or long
        if code:
            return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match.group()
        return _ESCAPES[plain] if plain else str(dollar or percent)

    return _ESCAPE.sub(one, text)


def _attributes(body: Node) -> Iterator[tuple[str, Node]]:
    for attribute in _members(body, "attribute"):
        parts = attribute.named_children
        if len(parts) >= 2 and parts[-1].type == "expression" and parts[-1].named_children:
            yield _text(parts[0]), parts[-1].named_children[0]


def _literals(body: Node) -> dict[str, str]:
    """The attributes with a literal string, number or boolean, as text."""
    found = {}
    for name, value in _attributes(body):
        inner = value.named_children[0] if value.type == "literal_value" and value.named_children else None
        if inner is not None and inner.type != "null_lit":
            found[name] = _string(inner) if inner.type == "string_lit" else _text(inner)
    return found


def _backend(kind: str, body: Node) -> BackendFacts:
    """A backend's or a `cloud` block's settings; those of a block within it are named `block.setting`."""
    literal, computed = _literals(body), {name: _text(value.parent or value) for name, value in _attributes(body)}
    for inner, labels, settings in _blocks(body):
        within = _backend(inner, settings)
        prefix = ".".join((inner, *labels))
        literal |= {f"{prefix}.{name}": value for name, value in within.settings}
        computed |= {f"{prefix}.{name}": value for name, value in within.computed}
    others = ((name, value) for name, value in computed.items() if name not in literal and value != "null")
    return BackendFacts(kind, tuple(sorted(literal.items())), tuple(sorted(others)))


def _remote_state(body: Node) -> RemoteState:
    found = dict(_attributes(body))
    config = found["config"].named_children if "config" in found else []
    settings = _members(config[0], "object_elem") if config and config[0].type == "object" else ()
    pairs = [[part.named_children[0] for part in elem.named_children if part.named_children] for elem in settings]
    return RemoteState(
        _pattern(found.get("backend")),
        tuple((_key(pair[0]), _pattern(pair[1])) for pair in pairs if len(pair) == 2 and not _is_null(pair[1])),
        _pattern(found["workspace"]) if "workspace" in found else "default",
    )


def _key(node: Node) -> str:
    return _text(node) if node.type == "variable_expr" else _pattern(node)


def _is_null(node: Node) -> bool:
    return _text(node) == "null"


def _pattern(node: Node | None) -> str:
    inner = node.named_children[0] if node is not None and node.named_children else None
    if node is None or inner is None:
        return ANYTHING
    if node.type == "literal_value":
        return _string(inner) if inner.type == "string_lit" else _text(inner)
    if node.type != "template_expr" or inner.type != "quoted_template":
        return ANYTHING
    parts = (part for part in inner.named_children if part.type.startswith(("template_literal", "template_inter")))
    return "".join(_unescape(_text(part)) if part.type == "template_literal" else ANYTHING for part in parts)


def _first_error(root: Node) -> tuple[int, str]:
    todo = [root]
    while todo:
        node = todo.pop()
        if node.is_error or node.is_missing:
            return node.start_point.row + 1, "this is not valid HCL"
        todo.extend(child for child in reversed(node.children) if child.has_error)
    return 1, "this is not valid HCL"


# -- JSON syntax ------------------------------------------------------------------------------------------------------
def _scan_json(text: bytes) -> FileFacts:
    try:
        # Pairs, because HCL's JSON form allows a key twice. An object is then a tuple and an array a list.
        root = json.loads(text.decode("utf-8-sig", "replace"), object_pairs_hook=tuple)
        return _json_facts(root)
    except json.JSONDecodeError as error:
        return FileFacts(problem=(error.lineno, f"this is not valid JSON: {error.msg}"))
    except (ValueError, RecursionError) as error:
        return FileFacts(problem=(1, f"this is not JSON that Terraform reads: {error}"))


def _json_facts(root: Any) -> FileFacts:
    terraform = list(_pairs(_value(root, "terraform")))
    backends = [pair for name, value in terraform if name == "backend" for pair in _pairs(value)]
    clouds = [value for name, value in terraform if name == "cloud"]
    versions = [value for name, value in terraform if name == "required_version" and _is_literal(value)]
    calls: list[tuple[str, str]] = []
    for name, body in _pairs(_value(root, "module")):
        calls += [(name, _json_pattern(value)) for key, value in _pairs(body) if key == "source"]
    return FileFacts(
        backend=_json_backend(*backends[-1]) if backends else None,
        cloud=bool(clouds),
        calls=tuple(calls),
        required_version=versions[-1] if versions else None,
        manages=any(name in _MANAGING for name, _ in _pairs(root)),
        cloud_settings=_json_backend("cloud", clouds[-1]) if clouds else None,
        remote_states=tuple(
            _json_remote_state(body)
            for kind, named in _pairs(_value(root, "data"))
            if kind == "terraform_remote_state"
            for _, body in _pairs(named)
        ),
    )


def _json_backend(kind: str, body: Any) -> BackendFacts:
    settings: dict[str, str] = {}
    computed: dict[str, str] = {}
    for name, value in _pairs(body):
        if isinstance(value, (bool, int, float)):
            settings[name] = json.dumps(value)
        elif _is_literal(value):
            settings[name] = value
        elif isinstance(value, tuple):
            within = _json_backend(name, value)
            settings |= {f"{name}.{inner}": text for inner, text in within.settings}
            computed |= {f"{name}.{inner}": text for inner, text in within.computed}
        elif value is not None:
            computed[name] = json.dumps(value)
    return BackendFacts(kind, tuple(sorted(settings.items())), tuple(sorted(computed.items())))


def _json_remote_state(body: Any) -> RemoteState:
    found = dict(_pairs(body))
    settings = ((name, _json_pattern(value)) for name, value in _pairs(found.get("config")) if value is not None)
    return RemoteState(
        _json_pattern(found.get("backend")), tuple(settings), _json_pattern(found.get("workspace", "default"))
    )


def _json_pattern(value: Any) -> str:
    if isinstance(value, str):
        return _COMPUTED.sub(ANYTHING, value)
    return json.dumps(value) if isinstance(value, (bool, int, float)) else ANYTHING


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of an object, or of all objects of an array: HCL's JSON form takes both for blocks."""
    if isinstance(value, tuple):
        yield from value
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


def _value(root: Any, name: str) -> list[Any]:
    return [value for key, value in _pairs(root) if key == name]


def _is_literal(value: Any) -> bool:
    return isinstance(value, str) and "${" not in value and "%{" not in value
