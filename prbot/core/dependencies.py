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
from prbot.core.strings import ANYTHING, is_address, pieces
from prbot.core.trees import ancestry, is_within, join

OVER = frozenset({RunStatus.APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED})
"""An apply run in one of these keeps nobody waiting."""


# -- what reads what --------------------------------------------------------------------------------------------------
def read_by(view: RepoView, projects: Collection[Project]) -> dict[ProjectKey, tuple[ProjectKey, ...]]:
    """For each of the projects, those among them that it reads, sorted."""
    others = sorted(each.key for each in projects)
    found = {}
    for project in projects:
        reader = _Reader(view, project)
        found[project.key] = tuple(each for each in others if each != project.key and reader.reads(each))
    return found


class _Reader:
    """What one project says of others, gathered once for all of them."""

    def __init__(self, view: RepoView, project: Project) -> None:
        modules = [view.modules[path] for path in sorted(project.dirs) if path in view.modules]
        self._view = view
        self._project = project
        self._own = view.modules[project.key.dir].backend
        self._remotes = {remote for facts in modules for remote in facts.remote_states}
        said = frozenset[str]().union(*(facts.said.paths for facts in modules))
        settings = {value for remote in self._remotes for _, value in remote.settings}
        judged = {piece for value in settings for part in value.split(ANYTHING) for piece in (value, *pieces(part))}
        self._said = {piece.strip("/") for piece in said - judged}
        self._addresses = [piece for piece in said if is_address(piece)]
        paths = {*project.extra_inputs, *_going_up(project, modules)}
        self._reached = {next((each for each in ancestry(path) if each in view.owners), None) for path in paths}

    def reads(self, other: ProjectKey) -> bool:
        state = self._view.modules[other.dir].backend
        if any(_is_state_of(remote, state, other.workspace) for remote in self._remotes):
            return True
        mine = self._project.key.dir
        if mine == other.dir:
            return False
        return (
            other.dir in self._project.module_dirs
            or (other.dir in self._reached and not is_within(mine, other.dir))
            or (state is not None and self._names(state))
        )

    def _names(self, state: BackendFacts) -> bool:
        """Whether strings, besides those of remote states, name another state's place: what tells it from the
        reader's."""
        *others, last = settings_of(state) or ("",)
        own = self._own
        telling = [name for name in (last, *others) if own is None or own.setting(name) != state.setting(name)]
        wanted = [state.setting(name) or "" for name in (telling[:1] if telling[:1] == [last] else telling)]
        return bool(wanted) and all(self._says(value) for value in wanted)

    def _says(self, value: str) -> bool:
        """Whether a place is among the pieces of text, by itself or at the end of an address
        (`s3://bucket/net.tfstate`)."""
        place = value.strip("/")
        if "/" not in place and "." not in place:
            return False  # a word that may mean anything
        return place in self._said or any(name.endswith(f"/{place}") for name in self._addresses)


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


def _going_up(reader: Project, modules: Collection[ModuleFacts]) -> Iterator[str]:
    """Paths outside of its directories that a project names, whether or not there is anything yet."""
    for facts in modules:
        for piece in facts.said.paths:
            for base in {facts.dir, reader.key.dir} if piece.startswith(("../", "./../")) else ():
                path = join(base, piece)
                if path is not None:
                    yield path


# -- who waits --------------------------------------------------------------------------------------------------------
def waiting(
    reads: Mapping[ProjectKey, Collection[ProjectKey]], status: Mapping[ProjectKey, RunStatus]
) -> dict[ProjectKey, tuple[ProjectKey, ...]]:
    """For each project, those whose apply must be over before it may be planned for its own, sorted.

    `reads` says what each project of a merge reads, `status` how the newest apply run of each stands. Projects that
    read each other go in the order of their names, one after the other.
    """
    found = {}
    for circle in _circles(reads):
        members = set(circle)
        for at, project in enumerate(circle):
            before = {*circle[:at], *(set(reads[project]) - members)}
            found[project] = tuple(sorted(each for each in before if each in status and status[each] not in OVER))
    return found


def read_too_early(
    reads: Mapping[ProjectKey, Collection[ProjectKey]], status: Mapping[ProjectKey, RunStatus]
) -> dict[ProjectKey, tuple[ProjectKey, ...]]:
    """For each project, those that it reads and that could only be applied after it, since they read each other."""
    applied = {each for each, now in status.items() if now is RunStatus.APPLIED}
    return {
        project: tuple(each for each in circle[at + 1 :] if each in reads[project] and each in applied)
        for circle in _circles(reads)
        for at, project in enumerate(circle)
    }


def _circles(reads: Mapping[ProjectKey, Collection[ProjectKey]]) -> list[list[ProjectKey]]:
    """The projects, sorted, in groups of those that read each other, directly or not."""
    read = _turned_round(reads)
    circles, left = [], set(reads)
    for project in reversed(_after_what_they_read(reads)):
        if project in left:
            circles.append(sorted(_reached([project], read, left)))
            left.difference_update(circles[-1])
    return circles


def _after_what_they_read(reads: Mapping[ProjectKey, Collection[ProjectKey]]) -> list[ProjectKey]:
    """The projects, each after those that it reads, as far as they do not read each other."""
    order: list[ProjectKey] = []
    seen: set[ProjectKey] = set()
    for start in reads:
        todo = [(start, False)]
        while todo:
            project, done = todo.pop()
            if done:
                order.append(project)
            elif project not in seen:
                seen.add(project)
                todo.append((project, True))
                todo.extend((each, False) for each in reads[project] if each in reads)
    return order


def _turned_round(reads: Mapping[ProjectKey, Collection[ProjectKey]]) -> dict[ProjectKey, list[ProjectKey]]:
    """Whom each project is read by."""
    found: dict[ProjectKey, list[ProjectKey]] = {}
    for project, others in reads.items():
        for other in others:
            found.setdefault(other, []).append(project)
    return found


def _reached(
    start: Collection[ProjectKey],
    graph: Mapping[ProjectKey, Collection[ProjectKey]],
    within: Collection[ProjectKey] | None = None,
) -> set[ProjectKey]:
    """`start`, and what can be reached from there, staying `within` some of it."""
    found, todo = set(start), list(start)
    while todo:
        for each in graph.get(todo.pop(), ()):
            if each not in found and (within is None or each in within):
                found.add(each)
                todo.append(each)
    return found


def with_readers(
    changed: Collection[ProjectKey], reads: Mapping[ProjectKey, Collection[ProjectKey]]
) -> frozenset[ProjectKey]:
    """`changed`, and every project that reads one of them, directly or not."""
    return frozenset(_reached(changed, _turned_round(reads)))
