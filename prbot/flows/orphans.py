"""Projects whose directory is gone while their state stayed: listed until they are brought back, or forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlmodel import Session, col, select

from prbot.audit.entries import PRBOT, Actor
from prbot.core.comments.orphans import nothing_to_forget
from prbot.core.comments.replies import no_such_project, notice
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.marks import marked
from prbot.core.modules import RepoView
from prbot.core.orphans import Last, leaves_something
from prbot.core.projects import Orphan, Selection
from prbot.core.pulls import Pull
from prbot.core.runs import Goal
from prbot.core.states import Places, place, told_apart
from prbot.core.wanted import NoSuchProject, among
from prbot.flows import gather
from prbot.flows.asks import Ask, answer, refuse
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.flows.steps import places_of
from prbot.ports import NotFound
from prbot.store import orphans, runs
from prbot.store.tables import OrphanRow, Run


# -- found ------------------------------------------------------------------------------------------------------------
def with_what_stays(tx: Session, repo: str, selection: Selection) -> Selection:
    """The selection, each orphan in it with those of its workspaces whose state may hold something."""
    return replace(selection, orphans=tuple(_with_what_stays(tx, repo, each) for each in selection.orphans))


def _with_what_stays(tx: Session, repo: str, orphan: Orphan) -> Orphan:
    if orphan.moved_to is not None:
        return replace(orphan, workspaces=())
    keys = [ProjectKey(repo, orphan.dir, workspace) for workspace in orphan.workspaces]
    return replace(orphan, workspaces=tuple(key.workspace for key in keys if leaves_something(_last(tx, key))))


def _last(tx: Session, project: ProjectKey) -> Last | None:
    query = select(Run).where(Run.repo == project.repo, Run.dir == project.dir, Run.workspace == project.workspace)
    for run in tx.exec(query.order_by(col(Run.seq).desc())):
        found = places_of(run)
        elsewhere = run.goal is Goal.PLAN and found is not None and found.differ  # it looked at another state
        if not elsewhere and (run.seal or run.applying_at):
            has_state = ((run.seal or {}).get("state") or {}).get("lineage") is not None
            began = run.applying_at is not None
            return Last(run.status, has_state, began, (run.summary or {}).get("remaining"))
    return None


def places(tx: Session, change: gather.Change, project: ProjectKey) -> Places:
    """Where a project's state is kept before a change and after it. One whose orphaned directory comes back had it
    where it left it behind."""
    row = orphans.of(tx, project)
    before = place(change.before, project.dir, project.workspace) or (row.place if row is not None else "")
    return Places(before, place(change.after, project.dir, project.workspace))


# -- begun and ended --------------------------------------------------------------------------------------------------
def left_behind(services: Services, tx: Session, pull: Pull, change: gather.Change, removed: Iterable[Orphan]) -> None:
    """A merge removed these directories: whatever of them holds something is listed from here on."""
    for orphan in removed:
        for workspace in orphan.workspaces:
            key = ProjectKey(pull.key.repo, orphan.dir, workspace)
            row = _row(services, key, change.commit, place(change.before, key.dir, key.workspace))
            row.pull, row.before_sha = pull.key.number, change.base_sha
            _list(services, tx, row)


@dataclass(frozen=True, slots=True)
class Base:
    """A commit of a pull request's base branch, as the engine reads it."""

    sha: str
    view: RepoView
    holds: frozenset[str]
    """Of the commits that projects whose directory is gone from it were applied at, those that are part of it."""


def base_at(sha: str, view: RepoView, services: Services, pull: Pull) -> Base:
    """The base at a commit, with what git says of it, which is asked while nobody waits to write."""
    with services.db.read() as tx:
        commits = {run.commit for run, _ in _gone(view, tx, pull)}
    return Base(sha, view, frozenset(each for each in commits if _came_before(services, pull, each, sha)))


def seen_on(base: Base, services: Services, tx: Session, pull: Pull) -> None:
    """Note what the base branch says by itself: a push that was no merge removed a directory, or another directory has
    taken over the state that one left behind."""
    for run, where in _left(base, tx, pull):
        _list(services, tx, _row(services, run.project, base.sha, where))
    for row, owner in _taken_over(tx, pull.key.repo, base.view):
        _end(services, tx, row, PRBOT, "orphan.returned", f"taken over: its state belongs to {marked(owner)} now")


def is_new(base: Base, tx: Session, pull: Pull) -> bool:
    """Whether `seen_on` has anything to write down."""
    return bool(_left(base, tx, pull) or _taken_over(tx, pull.key.repo, base.view))


def _left(base: Base, tx: Session, pull: Pull) -> list[tuple[Run, str]]:
    """Those that are gone from this base, and were there before: one that is older than a directory does not hold it
    yet. What was applied since git was asked is for the next look at the base."""
    return [(run, where) for run, where in _gone(base.view, tx, pull) if run.commit in base.holds]


def _gone(view: RepoView, tx: Session, pull: Pull) -> list[tuple[Run, str]]:
    """The projects that were applied from this branch, whose directory is not on it, and of which nobody has yet noted
    that it went: what was applied last, and where the state is kept."""
    found = []
    for run in runs.last_applied(tx, pull.key.repo, pull.base_branch):
        if run.dir in view.modules:
            continue
        row, kept = tx.get(OrphanRow, (run.repo, run.dir, run.workspace)), places_of(run)
        where = kept.after if kept is not None else ""
        noted = row is not None and (run.started_at is None or run.started_at <= row.since)
        if noted or _owner(view, where, run.project) is not None or not leaves_something(_last(tx, run.project)):
            continue
        found.append((run, where))
    return found


def _came_before(services: Services, pull: Pull, commit: str, base: str) -> bool:
    """Whether what was applied is part of this base."""
    try:
        return services.git.is_ancestor(pull.repo, commit, base)
    except NotFound:
        return False


def _taken_over(tx: Session, repo: str, view: RepoView) -> list[tuple[OrphanRow, str]]:
    found = ((row, _owner(view, row.place, row.project)) for row in orphans.every(tx, repo))
    return [(row, owner) for row, owner in found if owner is not None]


def _owner(view: RepoView, where: str, left: ProjectKey) -> str | None:
    """The directory that now keeps a state which another left behind, where that can be told."""
    for directory in sorted(view.roots - {left.dir}) if where else ():
        if told_apart(view.modules[directory].backend) and place(view, directory, left.workspace) == where:
            return directory
    return None


def _row(services: Services, key: ProjectKey, commit: str, where: str) -> OrphanRow:
    return OrphanRow(
        repo=key.repo,
        dir=key.dir,
        workspace=key.workspace,
        pull=None,
        merge_sha=commit,
        before_sha="",
        place=where,
        since=services.clock.now(),
    )


def _list(services: Services, tx: Session, row: OrphanRow) -> None:
    tx.merge(row)
    services.audit.append(
        tx,
        "orphan.left",
        actor=PRBOT,
        project=row.project,
        pull=row.pull,
        merge=row.merge_sha,
        base=row.before_sha,
        facts={"why": "its directory was removed, and its state may hold something"},
    )


def brought_back(services: Services, tx: Session, run: Run) -> None:
    """A run of the project was applied. It is orphaned no more, if that was with the state that it left behind."""
    row, kept = orphans.of(tx, run.project), places_of(run)
    if row is not None and kept is not None and kept.after == row.place:
        _end(services, tx, row, PRBOT, "orphan.returned", f"brought back, and applied by #{run.pull}")


def _end(services: Services, tx: Session, row: OrphanRow, actor: Actor, action: str, how: str) -> None:
    row.ended_at, row.reason = services.clock.now(), how
    tx.add(row)
    key = row.project
    facts = {"how": how, "since": row.since.isoformat(timespec="seconds")}
    services.audit.append(tx, action, actor=actor, project=key, pull=row.pull, merge=row.merge_sha, facts=facts)
    if row.pull is not None:
        report_soon(services, tx, PullKey(row.repo, row.pull))


def forget(services: Services, ask: Ask) -> None:
    """List orphaned projects no more. What they made stays as it is."""
    with services.db.read() as tx:
        keys = [row.project for row in orphans.every(tx, ask.pull.key.repo)]
    if not keys or not (ask.command.dirs or ask.command.projects):
        refuse(services, ask, nothing_to_forget(keys, services.identity.prefixes[0]), title="Nothing forgotten")
        return
    named = among(keys, ask.wanted)
    with services.db.write() as tx:
        if isinstance(named, NoSuchProject):
            answer(services, tx, ask, no_such_project(named))
            return
        for key in sorted(named):
            row = orphans.of(tx, key)
            if row is not None:
                _end(services, tx, row, ask.actor, "orphan.forgotten", f"forgotten by `@{ask.event.sender}`")
        said = ", ".join(marked(key.label) for key in sorted(named))
        answer(services, tx, ask, notice("Forgotten", [f"{said}: listed no more. What was made stays as it is."]))
