"""Pull requests of one head share its statuses, since the forge keeps them by commit: the worst of theirs is shown,
and says whose it is."""

from __future__ import annotations

import json

from sqlmodel import Session, col, or_, select

from prbot.core.ids import PullKey
from prbot.core.pulls import CheckRun, Status
from prbot.core.statuses import APPLY, worst_check, worst_status
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import posts
from prbot.store.tables import Post, PullRow


def status_of(services: Services, post: Post) -> Status:
    """What the commit's status is to be, where `post` says what one of its pull requests asks for."""
    return worst_status({number: Status(**json.loads(body)) for number, body in _asked(services, post).items()})


def check_of(services: Services, post: Post) -> CheckRun:
    """What a pull request's check run on the commit is to be."""
    asked = {number: CheckRun(**json.loads(body)) for number, body in _asked(services, post).items()}
    return worst_check(asked, post.pull, CheckRun(**json.loads(post.body)))


def _asked(services: Services, post: Post) -> dict[int, str]:
    """What each pull request whose commit it is asks for; one that has moved on does only where it is alone."""
    sha, context = post.key.split(" ", 1)
    rows = (
        select(Post.pull, Post.body)
        .join(PullRow, (col(PullRow.repo) == Post.repo) & (col(PullRow.number) == Post.pull))
        .where(Post.repo == post.repo, Post.kind == post.kind, Post.key == post.key)
    )
    if context == APPLY:
        rows = rows.where(PullRow.state == "merged", or_(PullRow.head_sha == sha, PullRow.merge_sha == sha))
    else:
        rows = rows.where(PullRow.state == "open", PullRow.head_sha == sha)
    with services.db.read() as tx:
        return dict(tx.exec(rows).all()) or {post.pull: post.body}


def anew(services: Services, tx: Session, pull: PullKey, sha: str) -> None:
    """A pull request came to a commit, or left it: where others are there, it is worked out anew what they show."""
    query = select(PullRow.number).where(
        PullRow.repo == pull.repo, PullRow.state == "open", PullRow.head_sha == sha, PullRow.number != pull.number
    )
    others = [PullKey(pull.repo, number) for number in tx.exec(query)]
    for each in [*others, pull] if others else []:
        posts.forget_sent(tx, each, sha)
        report_soon(services, tx, each)
