"""Which projects of a pull request read which others of it, as far as the code shows, and who waits for whom.

A project reads another when a `terraform_remote_state` of its own or of a module's fits the other's backend; when its
files name the place of the other's state in any string (`aws_s3_object`, `http`, …); when it calls the other root as a
module, or reads a file that belongs to it. What is computed fits everything: waiting without need costs minutes, and
not waiting would call a project applied that stays on old values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from prbot.core.hcl import BackendFacts, RemoteState
from prbot.core.ids import ProjectKey
from prbot.core.modules import ModuleFacts, RepoView
from prbot.core.projects import Project
from prbot.core.runs import RunStatus
from prbot.core.states import settings_of
from prbot.core.strings import ANYTHING
from prbot.core.trees import ancestry, is_within, join

OVER = frozenset({RunStatus.APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED})
"""An apply run in one of these keeps nobody waiting."""


# -- what reads what --------------------------------------------------------------------------------------------------
def read_by(view: RepoView, projects: Collection[Project]) -> dict[ProjectKey, tuple[ProjectKey, ...]]:
    """For each of the projects, those among them that it reads, sorted."""
    return {
        reader.key: tuple(
            sorted(each.key for each in projects if each.key != reader.key and _reads(view, reader, each))
        )
        for reader in projects
    }


def _reads(view: RepoView, reader: Project, other: Project) -> bool:
    modules = [view.modules[path] for path in sorted(reader.dirs) if path in view.modules]
    state = view.modules[other.key.dir].backend
    if any(_is_state_of(remote, state, other.key.workspace) for facts in modules for remote in facts.remote_states):
        return True
    if reader.key.dir == other.key.dir:
        return False
    return (
        other.key.dir in reader.module_dirs
        or any(_belongs_to(view, path, other.key.dir, reader.key.dir) for path in _elsewhere(reader, modules))
        or (state is not None and _names(modules, view.modules[reader.key.dir].backend, state))
    )


def _is_state_of(remote: RemoteState, state: BackendFacts | None, workspace: str) -> bool:
    if state is None:  # Terraform Cloud, which other states are read from as `remote`
        return fits(remote.backend, "remote")
    if not fits(remote.backend, state.type):
        return False
    names = settings_of(state)
    places = {name: state.setting(name) for name in names}
    in_workspace = fits(remote.workspace, workspace)
    for name, value in places.items():
        if value is None:
            continue
        pattern = remote.setting(name)
        if name == names[-1] and workspace != "default" and fits(pattern, _full_name(state, workspace, value)):
            in_workspace = True
        elif not fits(pattern.rstrip("/"), value.rstrip("/")):
            return False
    return in_workspace


def _full_name(state: BackendFacts, workspace: str, value: str) -> str:
    """The object that holds the state of a workspace, as others can name it without naming the workspace."""
    return f"{state.setting('workspace_key_prefix') or 'env:'}/{workspace}/{value}"


def fits(pattern: str, value: str) -> bool:
    """Whether a text may be what the pattern stands for."""
    first, *middle = pattern.split(ANYTHING)
    if not middle:
        return pattern == value
    last = middle.pop()
    if len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _elsewhere(reader: Project, modules: Collection[ModuleFacts]) -> Iterator[str]:
    """Paths of the repository outside of the project that it reads, or names in a string."""
    yield from reader.extra_inputs
    for facts in modules:
        for name in facts.names:
            path = join(facts.dir, name) if name.startswith("../") else None
            if path is not None:
                yield path


def _belongs_to(view: RepoView, path: str, directory: str, reader: str) -> bool:
    """Whether a path is of the root module at `directory`: not of one below it, nor of one that `reader` is within."""
    owners = view.roots | view.called
    owner = next((each for each in ancestry(path) if each in owners), None)
    return owner == directory and not is_within(reader, directory)


def _names(modules: Collection[ModuleFacts], own: BackendFacts | None, state: BackendFacts) -> bool:
    """Whether strings, besides those of remote states, name another state's place: what tells it from the reader's."""
    *others, last = settings_of(state) or ("",)
    telling = [name for name in (last, *others) if own is None or own.setting(name) != state.setting(name)]
    wanted = [state.setting(name) or "" for name in (telling[:1] if telling[:1] == [last] else telling)]
    judged = {value for facts in modules for remote in facts.remote_states for _, value in remote.settings}
    said = {name.strip("/") for facts in modules for name in facts.names - judged}
    return bool(wanted) and all(_is_said(value, said) for value in wanted)


def _is_said(value: str, said: Collection[str]) -> bool:
    """Whether a place is among the pieces of text, by itself or at the end of an address (`s3://bucket/net.tfstate`)."""
    place = value.strip("/")
    if "/" not in place and "." not in place:
        return False  # a word that may mean anything
    return place in said or any("://" in name and name.endswith(f"/{place}") for name in said)


# -- who waits --------------------------------------------------------------------------------------------------------
def waits_for(
    project: ProjectKey, reads: Mapping[ProjectKey, Collection[ProjectKey]], status: Mapping[ProjectKey, RunStatus]
) -> tuple[ProjectKey, ...]:
    """The projects whose apply must be over before `project` may be planned for its own, sorted.

    `reads` says what each project of a merge reads, `status` how the newest apply run of each stands. Projects that
    read each other go in the order of their names, one after the other.
    """
    circle = _circle(project, reads)
    before = {each for each in circle if each < project} | {each for each in reads[project] if each not in circle}
    return tuple(sorted(each for each in before if each in status and status[each] not in OVER))


def read_too_early(
    project: ProjectKey, reads: Mapping[ProjectKey, Collection[ProjectKey]], status: Mapping[ProjectKey, RunStatus]
) -> tuple[ProjectKey, ...]:
    """The projects that `project` reads and that could only be applied after it, since they read each other."""
    later = (each for each in _circle(project, reads) if each > project and each in reads[project])
    return tuple(sorted(each for each in later if status.get(each) is RunStatus.APPLIED))


def _circle(project: ProjectKey, reads: Mapping[ProjectKey, Collection[ProjectKey]]) -> frozenset[ProjectKey]:
    """The projects that it reads, directly or not, and that read it."""
    return frozenset(each for each in _all_read(project, reads) if project in _all_read(each, reads)) - {project}


def _all_read(project: ProjectKey, reads: Mapping[ProjectKey, Collection[ProjectKey]]) -> set[ProjectKey]:
    found: set[ProjectKey] = set()
    todo = [project]
    while todo:
        fresh = set(reads.get(todo.pop(), ())) - found
        found |= fresh
        todo.extend(fresh)
    return found


def with_readers(
    changed: Collection[ProjectKey], reads: Mapping[ProjectKey, Collection[ProjectKey]]
) -> frozenset[ProjectKey]:
    """`changed`, and every project that reads one of them, directly or not."""
    return frozenset(changed) | {each for each in reads if not _all_read(each, reads).isdisjoint(changed)}
