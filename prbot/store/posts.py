"""What should stand at the forge, and what is known to stand there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from prbot.core import retries
from prbot.core.ids import PullKey
from prbot.core.retries import is_due, next_try
from prbot.core.runs import LIVE
from prbot.store.tables import Post, PullRow, Run

COMMENT, STATUS, REACTION, CHECK, DEPLOYMENT = "comment", "status", "reaction", "check", "deployment"
MOST_TRIES = 24
"""Of what the forge refuses: half a day. It may be a permission, which somebody mends."""
FEWER_TRIES = retries.MOST_TRIES
"""Of a reaction, which later nobody looks at, and of hiding an old comment, which nothing depends on."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def want(tx: Session, pull: PullKey, kind: str, key: str, bodies: list[str], operation: str = "") -> None:
    """Say what should stand there: one row a part; parts that there were and are not wanted any more get hidden."""
    present = {post.part: post for post in of_key(tx, pull, kind, key)}
    for part, body in enumerate(bodies, start=1):
        post = present.pop(part, None)
        if post is None:
            post = Post(repo=pull.repo, pull=pull.number, kind=kind, key=key, part=part)
        if post.wanted != digest(body) or post.hide:
            _try_anew(post)  # the forge refused another text, not this one
        post.body, post.wanted, post.hide = body, digest(body), False
        post.operation = operation or post.operation
        tx.add(post)
    hide(tx, present.values())


def hide(tx: Session, unwanted: Iterable[Post]) -> None:
    """Say that these should not be seen any more."""
    for post in unwanted:
        if not post.hide:
            _try_anew(post)
        post.hide = True
        tx.add(post)


def _try_anew(post: Post) -> None:
    post.failure, post.attempts, post.retry_at = "", 0, None


def forget_sent(tx: Session, pull: PullKey, sha: str) -> None:
    """Have the statuses and checks of a commit sent again, whatever the forge was last known to show."""
    for post in of_pull(tx, pull):
        if post.kind in (STATUS, CHECK) and post.key.startswith(f"{sha} "):
            post.sent = ""
            tx.add(post)


def of_key(tx: Session, pull: PullKey, kind: str, key: str) -> list[Post]:
    query = select(Post).where(Post.repo == pull.repo, Post.pull == pull.number, Post.kind == kind, Post.key == key)
    return list(tx.exec(query.order_by(col(Post.part))))


def of_pull(tx: Session, pull: PullKey) -> list[Post]:
    query = select(Post).where(Post.repo == pull.repo, Post.pull == pull.number)
    return list(tx.exec(query.order_by(col(Post.key), col(Post.part))))


def wrote(tx: Session, pull: PullKey, comment: int) -> bool:
    """Whether a comment of a pull request is known to be ours."""
    query = select(Post.key).where(Post.repo == pull.repo, Post.pull == pull.number, Post.kind == COMMENT)
    return tx.exec(query.where(Post.external_id == comment)).first() is not None


def stands(post: Post) -> bool:
    """Whether the forge shows what it should."""
    if post.hide:
        return post.external_id is None or post.hidden
    return post.wanted == post.sent


def unsent(post: Post, now: datetime) -> bool:
    """Whether something is to be sent now: it does not stand, and no refusal is waited out, nor was it given up."""
    return not stands(post) and not _given_up(post) and is_due(post.retry_at, now)


def _given_up(post: Post) -> bool:
    return bool(post.failure) and post.retry_at is None


def refused(post: Post, why: str, now: datetime) -> None:
    """The forge would not have it; it is sent again later, so many times."""
    post.attempts += 1
    post.failure, post.sending_since = why, None
    most = FEWER_TRIES if post.kind == REACTION or post.hide else MOST_TRIES
    post.retry_at = next_try(post.attempts, now, most)


def next_due(tx: Session, pull: PullKey) -> datetime | None:
    """When something of a pull request that was refused is to be sent again; None if nothing is."""
    waits = [post.retry_at for post in of_pull(tx, pull) if post.retry_at is not None and not stands(post)]
    return min(waits, default=None)


def pulls_unsent(tx: Session, now: datetime) -> set[PullKey]:
    """Pull requests with something to be sent now."""
    query = select(Post).where((col(Post.wanted) != col(Post.sent)) | col(Post.hide))
    waits = (col(Post.failure) == "") | col(Post.retry_at).is_not(None)
    return {PullKey(post.repo, post.pull) for post in tx.exec(query.where(waits)) if unsent(post, now)}


def statuses_stuck(tx: Session) -> set[PullKey]:
    """Open pull requests whose head is shown as being planned, and nobody plans it."""
    busy = select(Run.id).where(Run.repo == Post.repo, Run.pull == Post.pull, col(Run.status).in_(LIVE))
    rows = tx.exec(
        select(Post.repo, Post.pull)
        .join(PullRow, (col(PullRow.repo) == Post.repo) & (col(PullRow.number) == Post.pull))
        .where(PullRow.state == "open", Post.kind == STATUS, Post.key == col(PullRow.head_sha) + " prbot/plan")
        .where(col(Post.body).contains('"state": "pending"'), ~busy.exists())
    )
    return {PullKey(repo, number) for repo, number in rows}


def forgive(tx: Session) -> set[PullKey]:
    """Have what the forge refused of open pull requests sent once more, of the statuses those of their heads; whose
    they are."""
    of_head = (col(Post.kind) != STATUS) | col(Post.key).startswith(PullRow.head_sha)
    refused_ones = tx.exec(
        select(Post)
        .join(PullRow, (col(PullRow.repo) == Post.repo) & (col(PullRow.number) == Post.pull))
        .where(PullRow.state == "open", Post.failure != "", Post.kind != REACTION, of_head)
    ).all()
    for post in refused_ones:
        _try_anew(post)
        tx.add(post)
    return {PullKey(post.repo, post.pull) for post in refused_ones}
