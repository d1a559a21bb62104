"""What the forge's merge queue asks of a commit of its own: green only where all that it would merge is known to be.

Such a commit stands on the base branch, or on the one of the pull request that is before it in the queue. It is judged
by what it holds, by how its own pull request's gate stands, and by what was said of the commit that it stands on.
"""

from __future__ import annotations

import json

from sqlmodel import Session, col, select

from prbot.core.branches import governed
from prbot.core.events import QueueEvent
from prbot.core.ids import PullKey
from prbot.core.pulls import Pull, Status
from prbot.core.statuses import GATE, queue_status
from prbot.flows import gather
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Conflict, Denied, NotFound
from prbot.store import posts
from prbot.store.tables import Post, PullRow


def asked(services: Services, pull: Pull, event: QueueEvent) -> None:
    """Keep which commit waits to be judged; the report judges it, now and whenever the gate changes."""
    if not governed(services.rules(pull.key.repo), pull):
        return
    with services.db.write() as tx:
        row = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
        row.queued_sha, row.queued_base = event.head_sha, event.base_sha
        tx.add(row)
        report_soon(services, tx, pull.key)


def judged(services: Services, row: PullRow, gate: Status | None, *, soon: bool) -> Status | None:
    """What to say of the commit that waits; None if none does. `gate` is what is said of the pull request's head, if
    anything is, and `soon` whether that changes without anybody's doing."""
    if row.state != "open" or not row.queued_sha:
        return None
    repo, refs = row.repository, [f"refs/heads/{row.base_branch}"]
    try:
        gather.fetch(services, repo, [row.queued_sha, row.queued_base, row.head_sha], refs)
    except (Denied, NotFound, Conflict):  # out of the queue again, so that its commit is gone
        return None
    git = services.git
    return queue_status(
        gate,
        soon=soon,
        holds_only_it=gather.holds_only(services, repo, row.queued_base, row.head_sha, row.queued_sha),
        on_base=git.is_ancestor(repo, row.queued_base, git.resolve(repo, refs[0])),
        before=_said_of(services, row.repo, row.queued_base),
        url=services.identity.pull_url(row.key),
    )


def _said_of(services: Services, repo: str, sha: str) -> Status | None:
    """What is said of the commit that is before another one in the queue."""
    with services.db.read() as tx:
        rows = tx.exec(
            select(Post)
            .join(PullRow, (col(PullRow.repo) == Post.repo) & (col(PullRow.number) == Post.pull))
            .where(Post.repo == repo, Post.kind == posts.STATUS, Post.key == f"{sha} {GATE}", PullRow.queued_sha == sha)
        ).all()
    return Status(**json.loads(rows[0].body)) if rows else None


def tell_those_behind(services: Services, tx: Session, row: PullRow) -> None:
    """What is said of a commit bears on those that stand on it."""
    query = select(PullRow.number).where(
        PullRow.repo == row.repo, PullRow.state == "open", PullRow.queued_base == row.queued_sha
    )
    for number in tx.exec(query):
        report_soon(services, tx, PullKey(row.repo, number))
