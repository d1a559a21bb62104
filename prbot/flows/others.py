"""Open pull requests that a merge is of concern to: what was found of them was found on another base."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from sqlmodel import Session, select

from prbot.core.ids import ProjectKey, PullKey
from prbot.core.projects import Project, project_at, reads
from prbot.core.pulls import Pull
from prbot.flows import gather
from prbot.flows.locks import plans_of
from prbot.flows.nudge import look_at
from prbot.flows.services import Services
from prbot.ports import Unavailable
from prbot.store import inbox
from prbot.store.tables import PullRow


def newly_concerned(services: Services, pull: Pull, change: gather.Change) -> set[int]:
    """The open pull requests that change what some project reads since this merge, and did not read before: they may
    have no plan of it, and nothing to be planned at all."""
    takes = [reads(project) for project in change.selection.projects if _reads_otherwise(project, change)]
    if not takes:
        return set()
    with services.db.read() as tx:
        query = select(PullRow).where(
            PullRow.repo == pull.key.repo, PullRow.state == "open", PullRow.base_branch == pull.base_branch
        )
        rows = tx.exec(query).all()
    return {row.number for row in rows if row.number != pull.key.number and _touches(services, row, change, takes)}


def _reads_otherwise(project: Project, change: gather.Change) -> bool:
    """Whether other files go into the project's plan than did at the base."""
    if project.key.dir not in change.before.roots:
        return True
    before = project_at(change.before, project.key)
    return before != replace(project, reason="", left_out=(), foreign_files=before.foreign_files)


def _touches(services: Services, row: PullRow, change: gather.Change, takes: list[Callable[[str], bool]]) -> bool:
    git, repo = services.git, row.repository
    try:
        since = git.merge_base(repo, change.commit, row.head_sha)
        paths = git.changed_paths(repo, since, row.head_sha) if since else frozenset()
    except Unavailable:  # a head that is not here was not looked at: there is nothing to be found anew
        return False
    return any(test(path) for test in takes for path in paths)


def plan_anew(
    services: Services, tx: Session, pull: Pull, projects: Collection[ProjectKey], concerned: Collection[int]
) -> None:
    """Open pull requests that plan the same projects, and those that it is found to be of concern to, stand on another
    base now, whether or not they wait for a lock."""
    for other in {*concerned, *(number for key in projects for number in plans_of(tx, key))} - {pull.key.number}:
        key = PullKey(pull.key.repo, other)
        inbox.put_own(tx, inbox.BASE_MOVED, key, event_id=services.new_id(), now=services.clock.now())
        look_at(services, tx, key)
