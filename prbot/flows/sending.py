"""What should stand at the forge and does not yet is sent, each thing by itself: one that is refused ends no other, and
is sent again later.

A comment is written at most once: what is about to be sent is noted first, and after a crash it is looked for by its
hidden marker before it is written again. A plan's or an apply's comment is there before anything about it is green, so
that nobody approves what they could not see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime

import structlog
from sqlmodel import Session

from prbot.core.comments.split import find_marker
from prbot.core.ids import PullKey
from prbot.core.pulls import Posted, Status
from prbot.flows import checks, deployments, sharing
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Conflict, NotFound, Transient, Unavailable
from prbot.store import posts
from prbot.store.tables import Post

log = structlog.get_logger(__name__)
MOST_UNANSWERED = 3
"""When so many things in one go could not be sent, the forge is not there, and the rest is left for later."""
Found = dict[tuple[str, int], tuple[int, datetime]]
"""Key and part of comments that were written, though we never heard of it; their ids, and when that was."""


def send_all(services: Services, pull: PullKey) -> Transient | None:
    """Send what is due. What is refused is due again later; what kept something from being sent is given back."""
    with services.db.write() as tx:
        now = services.clock.now()
        todo = [post for post in posts.of_pull(tx, pull) if posts.unsent(post, now)]
        doubtful = {_name(each) for each in todo if each.kind == posts.COMMENT and _is_doubtful(each)}
        refused = {_name(each) for each in todo if each.kind == posts.COMMENT and each.failure}
        for post in todo:
            post.sending_since = post.sending_since or now
            tx.add(post)
    problems: list[Transient] = []
    found, looked = _find_written(services, pull, problems) if doubtful else ({}, True)
    for post in sorted(todo, key=lambda each: _ORDER[each.kind]):
        if _name(post) in doubtful:
            if not looked:
                continue
            post.external_id, post.posted_at = found.get(_name(post), (None, None))
        try:
            _send(services, pull, post)
        except Transient as problem:
            problems.append(problem)
            if problem.retry_after is not None or len(problems) == MOST_UNANSWERED:
                break
    with services.db.write() as tx:
        again = posts.next_due(tx, pull)
        if any(
            post.kind == posts.COMMENT and _name(post) in refused and posts.stands(post)
            for post in posts.of_pull(tx, pull)
        ):
            report_soon(services, tx, pull)  # what was held back until it stood is green now
        if again is not None:
            report_soon(services, tx, pull, at=again)
    return problems[0] if problems else None


_ORDER = {posts.REACTION: 0, posts.COMMENT: 1, posts.STATUS: 2, posts.CHECK: 3, posts.DEPLOYMENT: 4}


def _name(post: Post) -> tuple[str, int]:
    return post.key, post.part


def _is_doubtful(post: Post) -> bool:
    """Whether it may have been written, though we do not know of it."""
    return post.sending_since is not None and post.external_id is None


def _find_written(services: Services, pull: PullKey, problems: list[Transient]) -> tuple[Found, bool]:
    """Comments that were written, though we never heard that they were; and whether we could look."""
    try:
        return _written(services, pull), True
    except Unavailable as problem:
        problems.append(problem if isinstance(problem, Transient) else Transient(str(problem)))
        return {}, False


def _written(services: Services, pull: PullKey) -> Found:
    """prbot's own comments in the conversation, by their hidden markers; the newest of each."""
    me, found = services.forge.me(), Found()
    for comment in services.forge.comments(pull):
        mark = find_marker(comment.body)
        if mark is not None and comment.user.casefold() == me.casefold():
            found[mark.key, mark.part] = (comment.id, comment.updated_at)
    return found


def _send(services: Services, pull: PullKey, post: Post) -> None:
    if _is_green(post):
        with services.db.read() as tx:
            if _unseen(posts.of_pull(tx, pull), post) is not None:
                return
    try:
        posted = _SENDERS[post.kind](services, pull, post)
    except Transient:
        raise
    except Unavailable as refusal:
        log.warning("not sent", repository=pull.repo, pull=pull.number, what=post.kind, key=post.key, why=str(refusal))
        why, now = str(refusal), services.clock.now()
        _note(services, post, lambda row: posts.refused(row, why, now))
        return

    def sent(row: Post) -> None:
        row.sending_since, row.hidden = None, post.hide
        row.sent = row.sent if post.hide else post.wanted
        row.failure, row.attempts, row.retry_at = "", 0, None
        if isinstance(posted, int):
            row.external_id = posted
        elif posted is not None:
            row.external_id, row.node_id, row.posted_at = posted.id, posted.node_id, posted.at

    _note(services, post, sent)


def _note(services: Services, post: Post, change: Callable[[Post], object]) -> None:
    with services.db.write() as tx:
        row = tx.get_one(Post, (post.repo, post.pull, post.kind, post.key, post.part))
        change(row)
        tx.add(row)


# -- comments first ---------------------------------------------------------------------------------------------------
def hold_back(tx: Session, pull: PullKey) -> None:
    """What is not to be green, because the forge refuses the comment that shows it, says so instead. What stands there
    already was shown before it turned green, and an edit that is refused does not undo that."""
    every = posts.of_pull(tx, pull)
    for post in every:
        name = post.key.partition(" ")[2]
        if post.kind != posts.STATUS or not _is_green(post) or posts.stands(post):
            continue
        comment = _unseen(every, post)
        if comment is not None and comment.failure:
            said = Status(name, "pending", f"its comment is not there: {comment.failure}"[:140])
            posts.want(tx, pull, posts.STATUS, post.key, [json.dumps(asdict(said), sort_keys=True)])


def _is_green(post: Post) -> bool:
    """Whether it says that something is well."""
    if post.kind not in (posts.STATUS, posts.CHECK) or post.hide:
        return False
    body = json.loads(post.body)
    return "success" in (body.get("state"), body.get("conclusion"))


def _unseen(every: Iterable[Post], green: Post) -> Post | None:
    """The comment that shows what this says is well, where it does not stand yet."""
    what = "apply:" if green.key.endswith(" prbot/apply") else "plan:"
    for post in every:
        if post.kind == posts.COMMENT and post.key.startswith(what) and not post.hide and not posts.stands(post):
            return post
    return None


# -- one of each kind -------------------------------------------------------------------------------------------------
def _send_comment(services: Services, pull: PullKey, post: Post) -> Posted | None:
    if post.hide:
        if not services.forge.hide_comment(pull.repo, post.node_id):
            raise Conflict("the forge did not hide it")
        return None
    if post.external_id is not None:
        try:
            return services.forge.edit_comment(pull.repo, post.external_id, post.body)
        except NotFound:
            known, _ = _written(services, pull).get(_name(post), (None, None))
            if known == post.external_id:
                raise  # it is there all the same, and is edited a little later
            if known is not None:
                return services.forge.edit_comment(pull.repo, known, post.body)
            log.info("somebody deleted our comment; it is written again", repository=pull.repo, pull=pull.number)
    return services.forge.create_comment(pull, post.body)


def _send_status(services: Services, pull: PullKey, post: Post) -> None:
    wanted, told = sharing.status_of(services, post), None
    while wanted != told:  # another pull request of the same commit may ask for something else meanwhile
        services.forge.set_status(pull.repo, post.key.split(" ", 1)[0], wanted)
        told, wanted = wanted, sharing.status_of(services, post)


def _send_reaction(services: Services, pull: PullKey, post: Post) -> None:
    services.forge.react(pull.repo, int(post.key.split(" ", 1)[0]), post.body)


_SENDERS: dict[str, Callable[[Services, PullKey, Post], Posted | int | None]] = {
    posts.COMMENT: _send_comment,
    posts.STATUS: _send_status,
    posts.REACTION: _send_reaction,
    posts.CHECK: checks.send,
    posts.DEPLOYMENT: deployments.send,
}
