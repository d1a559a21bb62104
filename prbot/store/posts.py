"""What should stand at the forge, and what is known to stand there."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from prbot.core.ids import PullKey
from prbot.store.tables import Post

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
