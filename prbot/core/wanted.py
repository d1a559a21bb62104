"""Which projects a command is for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from prbot.core.ids import ProjectKey
from prbot.core.marks import marked
from prbot.core.modules import RepoView
from prbot.core.projects import Project, Selection, Workspaces, project_at, reads
from prbot.core.refusals import Refusal, unplannable
from prbot.core.trees import glob_pattern

_ASKED = "named in a command"
_WORKSPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,89}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command names: directories and projects as globs (`*` within a name, `**` across), and a workspace."""

    dirs: tuple[str, ...] = ()
    workspace: str | None = None
    projects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoSuchProject:
    """A command that names nothing that can be planned: a sentence in Markdown, and the names that would do, which the
    sentence does not repeat."""

    message: str
    valid: tuple[str, ...]


def for_command(
    repo: str, selection: Selection, merged: RepoView, wanted: Wanted, known: Collection[ProjectKey] = ()
) -> tuple[Project, ...] | NoSuchProject:
    """The projects that a command is for, sorted.

    One that names none is for what the pull request touches; a workspace alone stands for the same directories in that
    workspace. One that names some may name any root module of the merge result, touched or not. As long as projects
    have no names of their own, `-p` goes by what people read in their place: `ProjectKey.label`.
    """
    space = wanted.workspace
    if space is not None and not _WORKSPACE.fullmatch(space):
        return NoSuchProject(f"`{space}` cannot be the name of a workspace.", ())
    spaces = Workspaces(repo, known)
    if wanted.dirs or wanted.projects:
        keys = {
            key
            for directory in merged.roots
            for key in ([ProjectKey(repo, directory, space)] if space else spaces.keys(directory))
        }
        for flag, globs in (("-d", wanted.dirs), ("-p", wanted.projects)):
            missing = [glob for glob in globs if not _matching(flag, glob, keys)]
            if missing:
                return _no_such(flag, missing[0], keys, selection)
            if globs:
                keys = {key for glob in globs for key in _matching(flag, glob, keys)}
    elif space is None:
        return selection.projects
    else:
        keys = {ProjectKey(repo, project.key.dir, space) for project in selection.projects}
    return _plannable(selection, merged, [project_at(merged, key, spaces.of(key.dir), _ASKED) for key in sorted(keys)])


def _plannable(selection: Selection, merged: RepoView, named: list[Project]) -> tuple[Project, ...] | NoSuchProject:
    touched = {project.key: project for project in selection.projects}
    found = {project.key: unplannable(merged, project.key, reads(project), project.dirs) for project in named}
    refused = {key: refusal for key, refusal in found.items() if refusal is not None}
    return all_but(tuple(touched.get(project.key, project) for project in named), refused)


def all_but(named: tuple[Project, ...], refused: Mapping[ProjectKey, Refusal]) -> tuple[Project, ...] | NoSuchProject:
    """Those of the projects that a command names that are not refused; or, if all are, why the first one is."""
    good = tuple(project for project in named if project.key not in refused)
    first = next(iter(refused.values()), None)
    return good if good or first is None else NoSuchProject(f"{first.reason} {first.fix}", ())


def among(keys: Collection[ProjectKey], wanted: Wanted) -> set[ProjectKey] | NoSuchProject:
    """Those of the projects that a command names; all, where it names none."""
    left = set(keys)
    named = (("-w", (wanted.workspace,) if wanted.workspace else ()), ("-d", wanted.dirs), ("-p", wanted.projects))
    for flag, globs in named:
        for glob in globs:
            if not _matching(flag, glob, left):
                return _none_matches(flag, glob, left)
        if globs:
            left = {key for glob in globs for key in _matching(flag, glob, left)}
    return left


def _matching(flag: str, glob: str, keys: Collection[ProjectKey]) -> set[ProjectKey]:
    pattern = glob_pattern(glob)
    return {key for key in keys if pattern.fullmatch(_by(flag, key))}


def _by(flag: str, key: ProjectKey) -> str:
    return {"-d": key.dir, "-w": key.workspace, "-p": key.label}[flag]


def _no_such(flag: str, glob: str, keys: Collection[ProjectKey], selection: Selection) -> NoSuchProject:
    pattern = glob_pattern(glob)
    for refusal in selection.refusals:
        if pattern.fullmatch(refusal.dir):
            return NoSuchProject(f"{refusal.reason} {refusal.fix}", ())
    for orphan in selection.orphans:
        if pattern.fullmatch(orphan.dir):
            where = f"; its state is now `{orphan.moved_to}`'s" if orphan.moved_to else ""
            return NoSuchProject(f"This pull request removes `{orphan.dir}`{where}.", ())
    return _none_matches(flag, glob, keys)


def _none_matches(flag: str, glob: str, keys: Collection[ProjectKey]) -> NoSuchProject:
    valid = tuple(sorted({_by(flag, key) for key in keys}))
    near = get_close_matches(glob, valid, n=1)
    meant = f" Did you mean {marked(near[0])}?" if near else ""
    none = "" if valid else " There is no project here."
    return NoSuchProject(f"No project matches {marked(f'{flag} {glob}')}.{meant}{none}", valid)
