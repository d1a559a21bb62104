"""What should stand at the forge, and what is known to stand there."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from prbot.core.ids import PullKey
from prbot.core.runs import LIVE
from prbot.store.tables import Post, PullRow, Run

COMMENT, STATUS, REACTION, CHECK, DEPLOYMENT = "comment", "status", "reaction", "check", "deployment"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def want(tx: Session, pull: PullKey, kind: str, key: str, bodies: list[str], operation: str = "") -> None:
    """Say what should stand there: one row a part; parts that there were and are not wanted any more get hidden."""
    present = {post.part: post for post in of_key(tx, pull, kind, key)}
    for part, body in enumerate(bodies, start=1):
        post = present.pop(part, None)
        if post is None:
            post = Post(repo=pull.repo, pull=pull.number, kind=kind, key=key, part=part)
        if post.wanted != digest(body):
            post.failure = ""  # the forge refused another text, not this one
        post.body, post.wanted, post.hide = body, digest(body), False
        post.operation = operation or post.operation
        tx.add(post)
    for post in present.values():
        post.hide = True
        tx.add(post)


def of_key(tx: Session, pull: PullKey, kind: str, key: str) -> list[Post]:
    query = select(Post).where(Post.repo == pull.repo, Post.pull == pull.number, Post.kind == kind, Post.key == key)
    return list(tx.exec(query.order_by(col(Post.part))))


def of_pull(tx: Session, pull: PullKey) -> list[Post]:
    query = select(Post).where(Post.repo == pull.repo, Post.pull == pull.number)
    return list(tx.exec(query.order_by(col(Post.key), col(Post.part))))


def unsent(post: Post) -> bool:
    """Whether the forge does not show yet what it should."""
    if post.failure:
        return False
    if post.hide:
        return post.external_id is not None and not post.hidden
    return post.wanted != post.sent


def pulls_unsent(tx: Session) -> set[PullKey]:
    """Pull requests with something that the forge does not show yet."""
    query = select(Post).where(col(Post.failure) == "").where((col(Post.wanted) != col(Post.sent)) | col(Post.hide))
    return {PullKey(post.repo, post.pull) for post in tx.exec(query) if unsent(post)}


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


def forgive_statuses(tx: Session) -> set[PullKey]:
    """Have the statuses of open pull requests' heads that the forge refused sent once more; whose they are."""
    refused = tx.exec(
        select(Post)
        .join(PullRow, (col(PullRow.repo) == Post.repo) & (col(PullRow.number) == Post.pull))
        .where(PullRow.state == "open", Post.kind == STATUS, Post.failure != "")
        .where(col(Post.key).startswith(PullRow.head_sha))
    ).all()
    for post in refused:
        post.failure = ""
        tx.add(post)
    return {PullKey(post.repo, post.pull) for post in refused}
