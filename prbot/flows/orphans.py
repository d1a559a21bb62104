"""Projects whose directory is gone while their state stayed: listed until they are brought back, or forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlmodel import Session, col, select

from prbot.audit.entries import PRBOT, Actor
from prbot.core.comments.orphans import nothing_to_forget
from prbot.core.comments.replies import no_such_project, notice
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.marks import marked
from prbot.core.orphans import Last, leaves_something
from prbot.core.projects import Orphan, Selection
from prbot.core.pulls import Pull
from prbot.core.runs import Goal
from prbot.core.states import Places, place
from prbot.core.wanted import NoSuchProject, among
from prbot.flows import gather
from prbot.flows.asks import Ask, answer, refuse
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.flows.steps import places_of
from prbot.store import orphans
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
            tx.merge(
                OrphanRow(
                    repo=key.repo,
                    dir=key.dir,
                    workspace=key.workspace,
                    pull=pull.key.number,
                    merge_sha=change.commit,
                    before_sha=change.base_sha,
                    place=place(change.before, key.dir, key.workspace),
                    since=services.clock.now(),
                )
            )
            services.audit.append(
                tx,
                "orphan.left",
                actor=PRBOT,
                project=key,
                pull=pull.key.number,
                merge=change.commit,
                base=change.base_sha,
                facts={"why": "its directory was removed, and its state may hold something"},
            )


def brought_back(services: Services, tx: Session, run: Run) -> None:
    """A run of the project was applied. It is orphaned no more, if that was with the state that it left behind."""
    row, kept = orphans.of(tx, run.project), places_of(run)
    if row is not None and kept is not None and kept.after == row.place:
        _end(services, tx, row, PRBOT, "orphan.returned", f"brought back, and applied by #{run.pull}")


def _end(services: Services, tx: Session, row: OrphanRow, actor: Actor, action: str, how: str) -> None:
    row.ended_at, row.ended_by, row.reason = services.clock.now(), actor.name, how
    tx.add(row)
    key = row.project
    facts = {"how": how, "since": row.since.isoformat(timespec="seconds")}
    services.audit.append(tx, action, actor=actor, project=key, pull=row.pull, merge=row.merge_sha, facts=facts)
    report_soon(services, tx, PullKey(row.repo, row.pull))


def forget(services: Services, ask: Ask) -> None:
    """List orphaned projects no more. What they made stays as it is."""
    with services.db.read() as tx:
        keys = [row.project for row in orphans.every(tx, ask.pull.key.repo)]
    if not keys or not (ask.command.dirs or ask.command.projects):
        refuse(services, ask, nothing_to_forget(keys, services.identity.prefixes[0]))
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
