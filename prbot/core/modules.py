"""What the directories of a repository are to Terraform: root modules, modules that others call, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from prbot.core.declarations import DECLARATIONS
from prbot.core.hcl import BackendFacts, Blob, FileFacts, RemoteState, scan_file
from prbot.core.trees import LINK, SUBMODULE, Tree, ancestry, is_within, join, link_targets, parent, walk

Product = Literal["terraform", "opentofu"]

_SUFFIXES: dict[Product, tuple[str, ...]] = {
    "terraform": (".tf", ".tf.json"),
    "opentofu": (".tofu", ".tofu.json", ".tf", ".tf.json"),
}
_UNREAD_DIRS = frozenset({".terraform", ".terragrunt-cache"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A Terraform file that could not be read as one; the facts are those of the rest."""

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A directory with Terraform files, as its files and override files say together."""

    dir: str
    backend: BackendFacts | None = None
    cloud: bool = False
    calls: tuple[str, ...] = ()
    """Directories of this repository that it calls as modules, sorted, links followed."""
    outside: tuple[str, ...] = ()
    """Local module sources, as written, that lead out of the repository."""
    required_version: str | None = None
    manages: bool = False
    """Whether it holds more than variables, outputs and settings: something that a state would be kept for."""
    reads: tuple[str, ...] = ()
    """Files and directories of this repository that it names and reads, outside of module calls."""
    root_reads: tuple[str, ...] = ()
    """The same, relative to whichever root module is planned."""
    problems: tuple[Problem, ...] = ()
    cloud_settings: BackendFacts | None = None
    remote_states: tuple[RemoteState, ...] = ()
    """Other projects' states that it reads."""
    names: frozenset[str] = frozenset()
    """What its files write in quotes and looks like a path or an address."""

    @property
    def is_root(self) -> bool:
        """Whether a state belongs to this directory: it has a backend or a `cloud` block."""
        return self.cloud or self.backend is not None


@dataclass(frozen=True)
class RepoView:
    """All that project discovery needs to know of one commit."""

    tree: Tree
    modules: Mapping[str, ModuleFacts]
    """Every directory that has Terraform files."""
    links: Mapping[str, str]
    """Symbolic links, path to target as written."""
    declarations: Mapping[str, bytes] = field(default_factory=dict)
    """The files that declare projects, by name."""

    @cached_property
    def roots(self) -> frozenset[str]:
        return frozenset(path for path, facts in self.modules.items() if facts.is_root)

    @cached_property
    def submodules(self) -> frozenset[str]:
        return frozenset(path for path, entry in self.tree.items() if entry.mode == SUBMODULE)

    @cached_property
    def called(self) -> frozenset[str]:
        """Directories that some other directory calls as a module."""
        return frozenset(call for facts in self.modules.values() for call in facts.calls if call != facts.dir)

    @cached_property
    def _within(self) -> Mapping[str, frozenset[str]]:
        """For each root or called module: those of them that lie below it with no other in between."""
        owners = self.roots | self.called
        found: dict[str, set[str]] = {}
        for owner in owners - {"."}:
            above = next((directory for directory in ancestry(parent(owner)) if directory in owners), None)
            if above is not None:
                found.setdefault(above, set()).add(owner)
        return {owner: frozenset(below) for owner, below in found.items()}

    def uses(self, directory: str) -> frozenset[str]:
        """The local modules that `directory` calls, transitively, without itself."""
        seen: set[str] = set()
        todo = [directory]
        while todo:
            facts = self.modules.get(todo.pop())
            fresh = set(facts.calls) - seen if facts else set()
            seen |= fresh
            todo.extend(fresh)
        return frozenset(seen - {directory})

    def foreign(self, dirs: frozenset[str]) -> frozenset[str]:
        """Root and called modules below `dirs` that are none of them: what they hold belongs to others."""
        return frozenset(below for directory in dirs for below in self._within.get(directory, ())) - dirs


def is_terraform_file(path: str, product: Product = "terraform") -> bool:
    """Whether the engine loads this file as configuration; editors' backups and hidden files it does not."""
    name = path.rpartition("/")[2]
    return name.endswith(_SUFFIXES[product]) and not name.startswith((".", "#")) and not name.endswith(("~", "#"))


def terraform_blobs(tree: Tree, product: Product = "terraform") -> frozenset[str]:
    """The ids of the blobs that `repo_view` needs the contents of: Terraform files, symbolic links, declarations."""
    return frozenset(
        entry.blob
        for path, entry in tree.items()
        if entry.mode == LINK or _is_loaded(path, entry.mode, product) or _declares(path, entry.mode)
    )


def repo_view(tree: Tree, blobs: Mapping[str, bytes], product: Product = "terraform") -> RepoView:
    """Scan a tree. `blobs` must hold at least what `terraform_blobs` names. What files say is remembered by blob id."""
    links = link_targets(tree, blobs)
    names: dict[str, list[str]] = {}
    for path, entry in tree.items():
        if _is_loaded(path, entry.mode, product):
            names.setdefault(parent(path), []).append(path)
    modules = {
        directory: _module(directory, sorted(_scans(paths, tree, blobs, links), key=_load_order), links)
        for directory, paths in ((directory, _in_force(paths)) for directory, paths in names.items())
    }
    declarations = {
        path: blobs[tree[path].blob] for path in DECLARATIONS if path in tree and _declares(path, tree[path].mode)
    }
    return RepoView(tree, modules, links, declarations)


def _declares(path: str, mode: str) -> bool:
    return path in DECLARATIONS and mode != SUBMODULE


def _is_loaded(path: str, mode: str, product: Product) -> bool:
    return mode != SUBMODULE and is_terraform_file(path, product) and _UNREAD_DIRS.isdisjoint(path.split("/"))


def _in_force(paths: list[str]) -> list[str]:
    """Without the `x.tf` that OpenTofu passes over because of an `x.tofu` beside it."""
    replaced = {path.replace(".tofu", ".tf") for path in paths if path.endswith((".tofu", ".tofu.json"))}
    return [path for path in paths if path not in replaced]


@dataclass(frozen=True, slots=True)
class _Scan:
    path: str
    facts: FileFacts
    linked: tuple[str, ...] = ()
    """What stands for it, when it is a symbolic link: the links on the way and the file at the end."""

    @property
    def overrides(self) -> bool:
        stem = self.path.rpartition("/")[2].removesuffix(".json").rpartition(".")[0]
        return stem == "override" or stem.endswith("_override")


def _load_order(scan: _Scan) -> tuple[bool, str]:
    return scan.overrides, scan.path


def _scans(paths: list[str], tree: Tree, blobs: Mapping[str, bytes], links: Mapping[str, str]) -> Iterator[_Scan]:
    for path in paths:
        target, taken = walk(path, links)
        entry = tree.get(target) if target else None
        if entry is None or entry.blob not in blobs:
            facts = FileFacts(problem=(1, f"this is a link to `{links.get(path)}`, which is not a Terraform file here"))
        else:
            blob = Blob(entry.blob, blobs[entry.blob])
            facts = scan_file(blob, "json" if path.endswith(".json") else "hcl")
        yield _Scan(path, facts, (*taken[1:], target) if taken and target else ())


def _module(directory: str, scans: list[_Scan], links: Mapping[str, str]) -> ModuleFacts:
    """Put files together, override files last: what they say of a backend, a version or a call's source stands."""
    backend: BackendFacts | None = None
    cloud: BackendFacts | None = None
    version: str | None = None
    sources: dict[str, str] = {}
    for scan in scans:
        if scan.overrides and (scan.facts.backend or scan.facts.cloud):
            backend, cloud = None, None
        backend = scan.facts.backend or backend
        cloud = scan.facts.cloud_settings or cloud
        version = scan.facts.required_version or version
        sources.update(scan.facts.calls)
    local = {source for source in sources.values() if source.startswith(("./", "../"))}
    calls = {source: _follow(directory, source, links) for source in local}
    named = [read.path for scan in scans for read in scan.facts.reads if read.origin == "module"]
    through = {link for path, taken in calls.values() if path is not None for link in taken}
    through.update(path for scan in scans for path in scan.linked)
    return ModuleFacts(
        dir=directory,
        backend=backend,
        cloud=cloud is not None,
        calls=tuple(sorted({path for path, _ in calls.values() if path is not None})),
        outside=tuple(sorted(source for source, (path, _) in calls.items() if path is None)),
        required_version=version,
        manages=any(scan.facts.manages for scan in scans),
        reads=tuple(sorted(through | read_paths(directory, named, links))),
        root_reads=tuple(sorted({r.path for scan in scans for r in scan.facts.reads if r.origin == "root"})),
        problems=tuple(Problem(scan.path, *scan.facts.problem) for scan in scans if scan.facts.problem),
        cloud_settings=cloud,
        remote_states=tuple(state for scan in scans for state in scan.facts.remote_states),
        names=frozenset().union(*(scan.facts.names for scan in scans)),
    )


def read_paths(directory: str, named: Iterable[str], links: Mapping[str, str]) -> frozenset[str]:
    """Where in the repository `named`, written relative to `directory`, are; with the links on the way.

    What leads to `directory` itself or to something that holds it is left out: a file with a computed name there
    could be any, and taking all of the repository for read would tie every project to every change.
    """
    found: set[str] = set()
    for name in named:
        path, taken = _follow(directory, name, links)
        found.update(taken if path is None else (*taken, path))
    return frozenset(path for path in found if not is_within(directory, path))


def _follow(directory: str, relative: str, links: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    path = join(directory, relative)
    return (None, ()) if path is None else walk(path, links)
