"""What the directories of a repository are to Terraform: root modules, modules that others call, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from prbot.core.declarations import DECLARATIONS
from prbot.core.hcl import BackendFacts, FileFacts, RemoteState, scan_file
from prbot.core.places import Places, may_be
from prbot.core.strings import ANYTHING, NOTHING, Said, said_in, together
from prbot.core.trees import (
    LINK,
    SUBMODULE,
    VARIABLE_FILES,
    Blob,
    Tree,
    ancestry,
    escaping_links,
    join,
    link_targets,
    parent,
    walk,
)

Product = Literal["terraform", "opentofu"]

_SUFFIXES: dict[Product, tuple[str, ...]] = {
    "terraform": (".tf", ".tf.json"),
    "opentofu": (".tofu", ".tofu.json", ".tf", ".tf.json"),
}
_UNREAD_DIRS = frozenset({".terraform", ".terragrunt-cache"})

TRIED_OUT = frozenset({"examples", "tests"})
"""Where, by convention, what shows and tests a module lies: never part of it, unless it is called."""


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
    """Directories of this repository that it calls as modules, sorted, links followed; where a source is computed, all
    that it can stand for."""
    outside: tuple[str, ...] = ()
    """Local module sources, as written, that lead out of the repository."""
    required_version: str | None = None
    manages: bool = False
    """Whether it holds more than variables, outputs and settings: something that a state would be kept for."""
    reads: tuple[str, ...] = ()
    """The symbolic links and files behind its files and module calls."""
    sources: frozenset[str] = frozenset()
    """Its local module sources, as written, with ANYTHING for what is computed."""
    said: Said = NOTHING
    """What its files name that may be a path."""
    problems: tuple[Problem, ...] = ()
    cloud_settings: BackendFacts | None = None
    remote_states: tuple[RemoteState, ...] = ()
    """Other projects' states that it reads."""

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
    variables: Mapping[str, Blob] = field(default_factory=dict)
    """Variable files, by path."""
    product: Product = "terraform"
    """Which engine's eyes it is seen with."""

    @cached_property
    def roots(self) -> frozenset[str]:
        return frozenset(path for path, facts in self.modules.items() if facts.is_root)

    @property
    def submodules(self) -> frozenset[str]:
        return self._places.submodules

    @cached_property
    def escaping(self) -> Mapping[str, str]:
        """The symbolic links that lead out of the repository or nowhere."""
        return escaping_links(self.links)

    @cached_property
    def called(self) -> frozenset[str]:
        """Directories that some other directory calls as a module."""
        return frozenset(call for facts in self.modules.values() for call in facts.calls if call != facts.dir)

    @cached_property
    def linked(self) -> frozenset[str]:
        """Directories that hold files which others take in by links."""
        return frozenset(parent(path) for facts in self.modules.values() for path in facts.reads)

    @cached_property
    def owners(self) -> frozenset[str]:
        """Directories whose files are their own: roots and called modules."""
        return self.roots | self.called

    @cached_property
    def _loose(self) -> Mapping[str, frozenset[str]]:
        """For each owner, the directories below it that hold engine files and are nobody's but its own."""
        found: dict[str, set[str]] = {}
        for directory in self.modules.keys() - self.owners:
            above = next((each for each in ancestry(directory) if each in self.owners), None)
            within = directory if above in (None, ".") else directory.removeprefix(f"{above}/")
            if above is not None and TRIED_OUT.isdisjoint(within.split("/")):
                found.setdefault(above, set()).add(directory)
        return {owner: frozenset(below) for owner, below in found.items()}

    @cached_property
    def _places(self) -> Places:
        return Places(self.tree, self.links)

    @cached_property
    def _plausible(self) -> dict[str, Said]:
        return {}

    @cached_property
    def _named(self) -> dict[tuple[str, str], frozenset[str]]:
        return {}

    def below(self, directories: AbstractSet[str]) -> Iterator[str]:
        """The files in these directories and below them, each once."""
        for directory in directories:
            if directory == "." or not any(each in directories for each in ancestry(parent(directory))):
                yield from self._places.below(directory)

    def with_loose(self, dirs: frozenset[str]) -> frozenset[str]:
        """These directories, and those below them that hold engine files and are nobody else's."""
        return dirs.union(*(self._loose.get(directory, ()) for directory in dirs))

    def named(self, base: str, directory: str) -> frozenset[str]:
        """The files and directories that the engine's files of `directory` name, read as written from `base`."""
        if (base, directory) not in self._named:
            facts = self.modules.get(directory, ModuleFacts(directory))
            if directory not in self._plausible:
                self._plausible[directory] = self._places.plausible(facts.said)
            said = self._plausible[directory]
            self._named[base, directory] = self._places.named(base, said, self.owners, facts.sources)
        return self._named[base, directory]

    def named_by_variables(self, base: str, path: str) -> frozenset[str]:
        """The same for a variable file."""
        text = said_in(self.variables[path]) if path in self.variables else NOTHING
        return self._places.named(base, self._places.plausible(text), self.owners)

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


def is_terraform_file(path: str, product: Product = "terraform") -> bool:
    """Whether the engine loads this file as configuration; editors' backups and hidden files it does not."""
    name = path.rpartition("/")[2]
    return name.endswith(_SUFFIXES[product]) and not name.startswith((".", "#")) and not name.endswith(("~", "#"))


def terraform_blobs(tree: Tree, product: Product = "terraform") -> frozenset[str]:
    """The ids of the blobs that `repo_view` needs the contents of: engine and variable files, links, declarations."""
    return frozenset(
        entry.blob
        for path, entry in tree.items()
        if entry.mode == LINK
        or _is_loaded(path, entry.mode, product)
        or _declares(path, entry.mode)
        or _is_variables(path, entry.mode)
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
    called = {directory: _with_computed(facts, modules) for directory, facts in modules.items()}
    variables = {
        path: Blob(entry.blob, blobs[entry.blob]) for path, entry in tree.items() if _is_variables(path, entry.mode)
    }
    return RepoView(tree, called, links, declarations, variables, product)


def _with_computed(facts: ModuleFacts, modules: Mapping[str, ModuleFacts]) -> ModuleFacts:
    """With the calls whose sources are computed: whatever has no state of its own may be meant."""
    computed = [source for source in facts.sources if ANYTHING in source]
    if not computed:
        return facts
    callable_ = [path for path, each in modules.items() if not each.is_root]
    found = {each for source in computed for each in may_be(source, facts.dir, callable_)}
    return replace(facts, calls=tuple(sorted({*facts.calls, *found})))


def _is_variables(path: str, mode: str) -> bool:
    return path.endswith(VARIABLE_FILES) and mode not in (SUBMODULE, LINK)


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
    local = {source for source in sources.values() if source.startswith(("./", "../", ANYTHING))}
    calls = {source: _follow(directory, source, links) for source in local if ANYTHING not in source}
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
        reads=tuple(sorted(through)),
        sources=frozenset(local),
        said=together(scan.facts.said for scan in scans),
        problems=tuple(Problem(scan.path, *scan.facts.problem) for scan in scans if scan.facts.problem),
        cloud_settings=cloud,
        remote_states=tuple(state for scan in scans for state in scan.facts.remote_states),
    )


def _follow(directory: str, relative: str, links: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    path = join(directory, relative)
    return (None, ()) if path is None else walk(path, links)
