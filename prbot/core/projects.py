"""Which projects a pull request touches, and which it may not plan.

A directory is a root module when it has a backend or a `cloud` block. What belongs to a project is defined once, by
`reads`: a pull request touches exactly the projects that read a changed file, at its base or in the merge result, so
that no pull request can hide its own project.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from prbot.core.hcl import POINTER
from prbot.core.ids import ProjectKey
from prbot.core.modules import TRIED_OUT, RepoView, is_terraform_file
from prbot.core.refusals import Refusal, cannot_be_told, lost_its_backend, no_backend, unplannable
from prbot.core.states import told_apart
from prbot.core.trees import LOCK_FILE, VARIABLE_FILES, ancestry, below, is_prose, is_within, parent, walk


@dataclass(frozen=True, slots=True)
class Project:
    """A root module in one workspace, with all that goes into its plan."""

    key: ProjectKey
    var_files: tuple[str, ...] = ()
    """Variable files to pass to the engine, in order, relative to the project's directory."""
    module_dirs: frozenset[str] = frozenset()
    """Local modules that it calls, transitively."""
    extra_inputs: frozenset[str] = frozenset()
    """Files and directories that would not count by themselves and that it reads: the configuration names them."""
    code_dirs: frozenset[str] = frozenset()
    """Directories whose own files count: its own, its modules', and those below them that hold engine files."""
    owners: frozenset[str] = frozenset()
    """Directories of the repository whose files belong to them: every root and every called module."""
    foreign_files: frozenset[str] = frozenset()
    """Variable files of the directory's other workspaces."""
    reason: str = ""
    """Why it is selected, for people."""
    left_out: tuple[str, ...] = ()
    """What changed below its directories and was left out on purpose."""

    @property
    def dirs(self) -> frozenset[str]:
        return self.module_dirs | {self.key.dir}


@dataclass(frozen=True, slots=True)
class Orphan:
    """A root module of the base that is gone. `moved_to` now keeps its state, where that can be told."""

    dir: str
    moved_to: str | None
    workspaces: tuple[str, ...] = ("default",)
    """Those whose state stays behind with something in it, as far as one knows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pull request touches. Each is sorted; what was a project at the base is in one of the three."""

    projects: tuple[Project, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    notes: tuple[str, ...] = ()
    """What else is to be told, as sentences in Markdown."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to plan and nothing to tell."""
        return not (self.projects or self.refusals or self.orphans or self.notes)

    def refusing(self, refused: Mapping[ProjectKey, Refusal]) -> Selection:
        """The same, with some of the projects refused."""
        by_dir = {refusal.dir: refusal for refusal in (*self.refusals, *refused.values())}
        return replace(
            self,
            projects=tuple(project for project in self.projects if project.key not in refused),
            refusals=tuple(by_dir[path] for path in sorted(by_dir)),
        )


_NAMED = 5
_NOT_APPLIED = TRIED_OUT | {"modules", "wrappers"}
"""Names of directories in which, by convention, nothing has a state of its own."""
Standing = Literal["named", "own", "below", "none"]


def reads(project: Project) -> Callable[[str], bool]:
    """A test for paths: does this file go into the project's plan?

    It does when the configuration names it, or a directory that it is in; when it lies beside the engine's files of the
    project, of a module that it calls, or in a directory below those that is nobody else's, and is neither prose nor
    hidden; and when it is a variable file below. A root module at `.` has an application around it: of the files beside
    it, only those count that are the engine's, or named.
    """
    standing = standings(project)

    def test(path: str) -> bool:
        if path in project.extra_inputs:
            return True
        directory = parent(path)
        where = standing(directory)
        if where == "named":
            return True
        if where == "none" or path in project.foreign_files or is_prose(path):
            return False
        return is_engine_file(path) if directory == "." else where == "own" or path.endswith(VARIABLE_FILES)

    return test


def files_read(view: RepoView, project: Project) -> frozenset[str]:
    """The files of a commit that go into the project's plan. Looked for where they can be, and not everywhere."""
    near = view.below(project.code_dirs | project.extra_inputs)
    return frozenset(filter(reads(project), near)) | (project.extra_inputs & view.tree.keys())


def standings(project: Project) -> Callable[[str], Standing]:
    """What a directory is to a project: named by it, one whose own files count, below such a one, or nothing."""
    known: dict[str, Standing] = {}

    def standing(directory: str) -> Standing:
        where = known.get(directory)
        if where is None:
            where = "none"
            for step in reversed([*ancestry(directory)]):
                where = known[step] = judge(step, where)
        return where

    def judge(directory: str, above: Standing) -> Standing:
        if directory in project.extra_inputs:
            return "named"
        if directory in project.code_dirs:
            return "named" if above == "named" else "own"
        hidden = directory != "." and directory.rpartition("/")[2].startswith(".")
        if directory in project.owners or (hidden and above != "named"):
            return "none"
        return "below" if above == "own" else above

    return standing


def project_at(view: RepoView, key: ProjectKey, workspaces: Collection[str] = (), reason: str = "") -> Project:
    """The project of a root module of `view`. `workspaces` are those of its directory that have plans of their own."""
    modules = view.uses(key.dir)
    code_dirs = view.with_loose(modules | {key.dir})
    var_file = _var_file(key.workspace)
    others = (below(key.dir, _var_file(workspace)) for workspace in {*workspaces, "default"} - {key.workspace})
    project = Project(
        key=key,
        var_files=(var_file,) if below(key.dir, var_file) in view.tree else (),
        module_dirs=modules,
        extra_inputs=_named(view, key.dir, code_dirs) | {below(key.dir, var_file)},
        code_dirs=code_dirs,
        owners=view.owners,
        foreign_files=frozenset(others),
        reason=reason,
    )
    return replace(project, extra_inputs=project.extra_inputs | _behind_links(view, project))


def _named(view: RepoView, root: str, code_dirs: frozenset[str]) -> frozenset[str]:
    """What the engine's files of these directories name, each read as from its own directory and as from the root's,
    and what the root's variable files do."""
    found: set[str] = set()
    for directory in code_dirs & view.modules.keys():
        found.update(view.modules[directory].reads, view.named(directory, directory), view.named(root, directory))
    for path in view.variables:
        if parent(path) in (root, below(root, "env")):
            found |= view.named_by_variables(root, path)
    return frozenset(found)


def _behind_links(view: RepoView, project: Project) -> frozenset[str]:
    """What the symbolic links among a project's files stand for, with the links on the way."""
    if not view.links:
        return frozenset()
    found: set[str] = set()
    for link in files_read(view, project) & view.links.keys():
        end, taken = walk(link, view.links)
        found.update(taken if end is None else (*taken, end))
    return frozenset(path for path in found if not is_within(project.key.dir, path))


def _var_file(workspace: str) -> str:
    return f"env/{workspace}.tfvars"


def discover(
    repo: str, base: RepoView, merged: RepoView, changed: frozenset[str], known: Collection[ProjectKey] = ()
) -> Selection:
    """What a pull request touches.

    `changed` are the paths that differ between the two commits, with both ends of a rename. `known` are the projects
    of earlier runs: their workspaces are looked at besides the default one.
    """
    spaces = Workspaces(repo, known)
    before, after = _touched(base, changed, spaces), _touched(merged, changed, spaces)
    around, owner_of = _around(merged, changed), _by_state(merged)
    projects: list[Project] = []
    refusals: dict[str, Refusal] = {}
    orphans: dict[str, Orphan] = {}
    for key in sorted(before.keys() | after.keys()):
        if key.dir in merged.roots:
            project = project_at(merged, key, spaces.of(key.dir))
            refusal = unplannable(merged, key, reads(project), project.dirs)
            if refusal is None:
                touching = before.get(key, frozenset()) | after.get(key, frozenset())
                left_out = _left_out(project, around)
                projects.append(replace(project, reason=_reason(project, sorted(touching)), left_out=left_out))
            else:
                refusals[key.dir] = refusal
        elif (moved_to := owner_of.get(told_apart(base.modules[key.dir].backend))) or key.dir not in merged.modules:
            spaces_of = orphans[key.dir].workspaces if key.dir in orphans else ()
            orphans[key.dir] = Orphan(key.dir, moved_to, (*spaces_of, key.workspace))
        else:
            refusals[key.dir] = lost_its_backend(key.dir, merged.modules[key.dir].problems)
    refusals |= {refusal.dir: refusal for refusal in _stateless(base, merged, changed)}
    return Selection(
        tuple(projects),
        tuple(refusals[path] for path in sorted(refusals)),
        tuple(orphans[path] for path in sorted(orphans)),
    )


class Workspaces:
    """The workspaces of each directory: the default one, and those with earlier runs."""

    def __init__(self, repo: str, known: Collection[ProjectKey]) -> None:
        self.repo = repo
        self._known: dict[str, set[str]] = {}
        for key in known:
            if key.repo == repo:
                self._known.setdefault(key.dir, set()).add(key.workspace)

    def of(self, directory: str) -> frozenset[str]:
        return frozenset({"default"} | self._known.get(directory, set()))

    def keys(self, directory: str) -> Iterator[ProjectKey]:
        return (ProjectKey(self.repo, directory, workspace) for workspace in sorted(self.of(directory)))


def _touched(view: RepoView, changed: frozenset[str], spaces: Workspaces) -> dict[ProjectKey, frozenset[str]]:
    """The projects of a commit that read any of what changed, with what of it they read."""
    keys = (key for directory in view.roots for key in spaces.keys(directory))
    found = {key: files_read(view, project_at(view, key, spaces.of(key.dir))) & changed for key in keys}
    return {key: touching for key, touching in found.items() if touching}


def known_workspaces(
    tried: Collection[ProjectKey], sure: Collection[ProjectKey], views: Sequence[RepoView]
) -> frozenset[ProjectKey]:
    """The projects whose workspaces are looked at besides the default one: those that are sure, and of those that were
    merely tried the ones with variables of their own. A name that somebody once mistyped is none of these."""
    files = ((key, below(key.dir, _var_file(key.workspace))) for key in tried)
    return frozenset(sure) | {key for key, file in files if any(file in view.tree for view in views)}


def _around(view: RepoView, changed: Collection[str]) -> dict[str, list[str]]:
    """What changed, by the root module or called module that it lies below and no other: prose does not count."""
    found: dict[str, list[str]] = {}
    for path in changed:
        owner = next((each for each in ancestry(parent(path)) if each in view.owners), None)
        if owner is not None and not is_prose(path):
            found.setdefault(owner, []).append(path)
    return found


def _left_out(project: Project, around: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    takes = reads(project)
    near = (path for directory in project.dirs for path in around.get(directory, ()))
    return tuple(sorted(path for path in near if path not in project.foreign_files and not takes(path)))


def left_out_note(paths: Sequence[str]) -> str:
    """What of a pull request a project was not taken to read, as a sentence for its comment."""
    named = [f"`{path}`" for path in paths[:_NAMED]]
    more = [f"{len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
    *first, last = [*named, *more]
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"Changed below it and left out of what it reads: {listed}. The configuration names none of them."


def _reason(project: Project, touching: list[str]) -> str:
    """Why the project is planned, by the change that says most: its own, a module's, a file's that it reads."""
    own = [path for path in touching if is_within(path, project.key.dir)]
    module = [path for path in touching if any(is_within(path, used) for used in project.module_dirs)]
    more = f" and {len(touching) - 1} more" if len(touching) > 1 else ""
    if own:
        return f"{own[0]}{more} changed"
    if module:
        return f"{module[0]}{more} changed, in a module that it calls"
    return f"{touching[0]}{more} changed, which it reads"


def _by_state(view: RepoView) -> dict[object, str]:
    """The root modules by where their states are, as far as that tells them apart."""
    found = {told_apart(view.modules[path].backend): path for path in sorted(view.roots, reverse=True)}
    return {state: path for state, path in found.items() if state is not None}


def _stateless(base: RepoView, merged: RepoView, changed: frozenset[str]) -> Iterator[Refusal]:
    """Changed directories that manage something, or that are not all there, and that no backend, caller, link or name
    accounts for."""
    for directory in sorted({parent(path) for path in changed if is_engine_file(path)}):
        facts = merged.modules.get(directory)
        if facts is None or facts.is_root or directory in base.roots:
            continue
        if directory in merged.called | merged.linked or not _NOT_APPLIED.isdisjoint(directory.split("/")):
            continue
        pointer = next((problem for problem in facts.problems if problem.message == POINTER), None)
        if pointer is not None:
            yield cannot_be_told(directory, pointer.file)
        elif facts.manages:
            yield no_backend(directory)


def is_engine_file(path: str) -> bool:
    """Whether the engine reads this file by itself, or with the arguments that go with it."""
    return is_terraform_file(path, "opentofu") or path.endswith((*VARIABLE_FILES, LOCK_FILE))
