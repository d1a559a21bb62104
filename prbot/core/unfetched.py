"""What stands in a tree for something that a checkout of it does not hold: a submodule, a Git LFS pointer, what a
filter would make. A project that reads such a thing is refused, and never planned without it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from prbot.core.hcl import POINTER_BEGINS
from prbot.core.modules import RepoView
from prbot.core.projects import Project, files_read, standings
from prbot.core.refusals import USE_THE_FILE, Refusal, not_the_file
from prbot.core.trees import LINK, SUBMODULE, is_within, parent

LARGEST_POINTER = 1024
"""Bytes; no Git LFS pointer is longer."""


def content_needed(view: RepoView, projects: Collection[Project]) -> dict[str, str]:
    """The files that go into the plans of these projects: path to blob."""
    tree = view.tree
    paths = {path for project in projects for path in files_read(view, project)}
    return {path: tree[path].blob for path in sorted(paths) if tree[path].mode not in (LINK, SUBMODULE)}


def pointers(files: Mapping[str, str], contents: Mapping[str, bytes]) -> frozenset[str]:
    """Those of `files` (path to blob) that are Git LFS pointers. `contents` holds the small ones, by blob."""
    return frozenset(path for path, blob in files.items() if contents.get(blob, b"").startswith(POINTER_BEGINS))


def without(view: RepoView, project: Project, filters: Mapping[str, str], pointing: Collection[str]) -> Refusal | None:
    """Why a project cannot be planned from a checkout. `filters` are the filters of files that have one."""
    found = next((each for each in _missing(view, project, filters, pointing)), None)
    return None if found is None else Refusal(project.key.dir, *found)


def _missing(
    view: RepoView, project: Project, filters: Mapping[str, str], pointing: Collection[str]
) -> Iterator[tuple[str, str]]:
    name = project.key.dir
    wanted, standing = project.dirs | project.extra_inputs, standings(project)
    for path in sorted(view.submodules):
        if standing(parent(path)) == "named" or any(is_within(each, path) for each in wanted):
            yield (
                f"`{path}` is a submodule, which is not fetched: `{name}` would be planned as if it were empty.",
                "Bring its files into the repository, or name the module by its registry or Git address.",
            )
    for path in sorted(files_read(view, project) & {*pointing, *filters}):
        if path in pointing:
            reason = f"{not_the_file(path)}: `{name}` would be planned with the pointer."
            yield reason, USE_THE_FILE
        elif filters.get(path, "lfs") != "lfs":  # what goes by LFS and is no pointer is the file itself
            through = f"`{path}` goes through the filter `{filters[path]}` of `.gitattributes`, which is not run"
            way_on = "Take the file out of the filter, or keep it where the engine can fetch it."
            yield f"{through}: `{name}` would be planned with what is in Git.", way_on
