"""Reconcile: what webhooks should have told and did not is found by asking the forge, and goes through the same inbox.

One request a repository finds whether anything moved there, and costs nothing of the forge's allowance while nothing
did. What moved is held against how prbot last acted on it (prbot.core.missed).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session

from prbot.core import missed
from prbot.core.events import CommentEvent, PullEvent, ReviewEvent
from prbot.core.ids import PullKey
from prbot.core.pulls import Pull, Push
from prbot.core.runs import Goal
from prbot.flows.heard import heard
from prbot.flows.intake import keep_found
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import NotFound, Transient, Unavailable
from prbot.store import known, posts, runs
from prbot.store.tables import Delivery, PullRow, RepositoryRow

log = structlog.get_logger(__name__)

RESERVE = 0.2
"""The share of the forge's allowance that is left for people's pull requests."""
SETTLED = timedelta(seconds=20)
"""What moved is looked at again until this long after: a forge's lists may be some seconds behind one another."""
FIND_AGAIN = timedelta(minutes=5)
"""From one question for the repositories behind the allow-list's globs to the next."""
MOST_ASKED_AGAIN = 40
"""Deliveries that one process asks to be made again: each is a write, and comments need those more."""
EDITED = "it was edited before it was read, and edited comments do nothing: who wrote what is not known"
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Rounds:
    """What one process remembers from round to round."""

    begun: bool = False
    checked: set[str] = field(default_factory=set)
    """Repositories whose locks were held against the forge since the process began."""
    found: tuple[str, ...] = ()
    found_at: datetime = _EVER
    after: str = ""
    """The repository that the last round did not come beyond: the next one begins with those after it."""
    asked_again: int = 0
    told: set[str] = field(default_factory=set)

    def tell(self, what: str, event: str, **facts: Any) -> None:
        """Log a problem, once until `well` is said of it."""
        if what not in self.told:
            self.told.add(what)
            log.warning(event, **facts)

    def well(self, what: str) -> None:
        self.told.discard(what)


def schedule(services: Services, tx: Session, delay: float | None = None) -> None:
    """Have the next round begin after `delay` seconds, by default those that the settings say; or when it was to."""
    services.jobs.enqueue(tx, "reconcile", {}, delay=services.reconcile_seconds if delay is None else delay)


def execute(services: Services, rounds: Rounds) -> None:
    """One round over all repositories. The caller has taken the slot. What cannot be asked now is left to the next."""
    _finish_statuses(services, begun=rounds.begun)
    rounds.begun = True
    scarce = False
    for repo in _in_turn(_repositories(services, rounds), rounds.after):
        try:
            if services.forge.left(repo) >= RESERVE:
                _reconcile(services, rounds, repo)
                rounds.well(repo)
                continue
            rounds.tell("allowance", "reconcile waits: little is left of what we may ask in this hour", repository=repo)
            scarce = True
        except Transient as problem:
            rounds.tell("forge", "reconcile waits", repository=repo, why=str(problem))
            rounds.after = repo
            return
        except Unavailable as problem:
            rounds.tell(repo, "not reconciled", repository=repo, why=str(problem))
    rounds.after = ""
    rounds.well("forge")
    if not scarce:
        rounds.well("allowance")


# -- which repositories -----------------------------------------------------------------------------------------------
def _repositories(services: Services, rounds: Rounds) -> list[str]:
    """Those that the allow-list names, those that we had to do with, and those that the forge shows us."""
    allowed, now = services.allowed, services.clock.now()
    if allowed.is_open and now - rounds.found_at >= FIND_AGAIN:
        try:
            rounds.found, rounds.found_at = tuple(services.forge.repositories()), now
            rounds.well("repositories")
        except Unavailable as problem:
            rounds.tell("repositories", "the repositories cannot be listed", why=str(problem))
    with services.db.read() as tx:
        ours = known.repositories(tx)
    by_name = {repo.casefold(): repo for repo in (*allowed.named, *rounds.found, *ours) if allowed(repo)}
    return [by_name[name] for name in sorted(by_name)]


def _in_turn(repos: list[str], after: str) -> list[str]:
    start = repos.index(after) + 1 if after in repos else 0
    return repos[start:] + repos[:start]


# -- one repository ---------------------------------------------------------------------------------------------------
def _reconcile(services: Services, rounds: Rounds, repo: str) -> None:
    with services.db.read() as tx:
        seen = known.repository(tx, repo)
        busy = known.busy(tx, repo)
    if seen is None:
        _see_first(services, repo)
        return
    looked_at = set()
    for pull, row in reversed(_moved(services, repo, seen.since)):
        looked_at.add(pull.key)
        if pull.key.number not in busy:  # else what waits is handled first, and may be all there is
            catch_up(services, pull, row, seen.since)
    if repo not in rounds.checked:
        _check_holders(services, repo, looked_at, seen.since)
        _ask_again(services, rounds, repo, seen.since)
        rounds.checked.add(repo)


def _see_first(services: Services, repo: str) -> None:
    """A repository that is new to us: how its pull requests are is how they are, and nobody missed anything."""
    newest = next(services.forge.pulls_moved(repo))
    since = max((pull.updated_at for pull in newest), default=None)
    there = services.forge.pulls_open(repo) if newest else []
    with services.db.write() as tx:
        tx.add(RepositoryRow(name=repo.casefold(), since=since))
        for pull in there:
            if since is not None and pull.updated_at <= since:
                _note_as_it_is(services, tx, pull)
    log.info("repository.seen", repository=repo, pulls=len(there))


def _note_as_it_is(services: Services, tx: Session, pull: Pull) -> None:
    row = tx.get(PullRow, (pull.key.repo, pull.key.number)) or PullRow(
        repo=pull.key.repo, number=pull.key.number, clone_url=pull.repo.clone_url, title=pull.title, author=pull.author,
        url=pull.url, head_sha=pull.head_sha, base_branch=pull.base_branch, base_sha=pull.base_sha,
    )  # fmt: skip
    row.acted_on = row.acted_on or asdict(missed.standing(pull))
    row.heard_until, row.read_at = pull.updated_at, services.clock.now()
    tx.add(row)


def _moved(services: Services, repo: str, since: datetime | None) -> list[tuple[Pull, PullRow | None]]:
    """The pull requests that moved last, the latest first, each with what is known of it: all that moved since we
    looked, and some more."""
    found: list[tuple[Pull, PullRow | None]] = []
    for page in services.forge.pulls_moved(repo):
        if any(pull.key.repo.casefold() != repo.casefold() for pull in page):
            raise NotFound(f"it is called {page[0].key.repo} now")
        with services.db.read() as tx:
            rows = known.pulls(tx, page[0].key.repo, [pull.key.number for pull in page]) if page else {}
        found += [(pull, rows.get(pull.key.number)) for pull in page]
        if not page or not _has_moved(*found[-1], since):
            break
    return found


def _has_moved(pull: Pull, row: PullRow | None, since: datetime | None) -> bool:
    return pull.updated_at > ((row.heard_until if row is not None else None) or since or _EVER)


# -- one pull request -------------------------------------------------------------------------------------------------
def catch_up(services: Services, pull: Pull, row: PullRow | None, since: datetime | None) -> None:
    """Put what was missed of a pull request into its inbox."""
    old = since is not None and pull.created_at <= since
    changes = _changes(services, pull, row, old=old)
    moved = _has_moved(pull, row, since) and not (row is None and old and not changes)
    said, edited = _comments(services, pull, row, since if old else None) if moved else ([], [])
    reviews = _reviews(services, pull) if moved and row is not None else None
    heard = moved and row is not None and services.clock.now() - pull.updated_at >= SETTLED
    if not (changes or said or edited or reviews or heard):
        return
    with services.db.write() as tx:
        for event in missed.in_order(pull, changes, said):
            if isinstance(event, CommentEvent):
                at = datetime.fromisoformat(event.created_at)
                keep_found(services, tx, f"poll:comment:{event.comment_id}", event, at=at)
            else:
                what = f"{event.action}:{event.head_sha}:{changes.index(event)}"
                keep_found(services, tx, f"poll:{pull.key}:{what}:{pull.updated_at:%Y%m%dT%H%M%SZ}", event)
        for comment in edited:
            keep_found(services, tx, f"poll:comment:{comment.comment_id}", comment, EDITED)
        if reviews is not None:
            keep_found(services, tx, f"poll:{pull.key}:reviews:{reviews[1]}", reviews[0])
        if heard:
            mine = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
            mine.heard_until = pull.updated_at
            tx.add(mine)


def _changes(services: Services, pull: Pull, row: PullRow | None, *, old: bool) -> list[PullEvent]:
    """What happened to the pull request itself."""
    acted = known.acted_on(row)
    found: list[PullEvent] = []
    for action in missed.actions_missed(missed.standing(pull), acted, old=old):
        pushes: list[Push] = []
        if action in ("opened", "pushed"):
            told = services.forge.pushes(pull.head_repo, pull.head_branch) if pull.head_repo else []
            pushes = missed.pushes_missed(told, acted.head_sha if acted else "", pull.head_sha)
        found += missed.pull_events(pull, action, pushes)
    return found


def _comments(
    services: Services, pull: Pull, row: PullRow | None, since: datetime | None
) -> tuple[list[CommentEvent], list[CommentEvent]]:
    """The comments with commands that may not have been heard: as they were written, and edited since.

    Whose words an edited one has, its author's or another's who may edit it, the forge does not say.
    """
    asked = (row.heard_until if row is not None else None) or since
    said: list[CommentEvent] = []
    edited: list[CommentEvent] = []
    for comment in services.forge.comments(pull.key, asked):
        before_us = since is not None and comment.created_at <= since
        if before_us or not heard(services, comment.body):
            continue
        event = missed.comment_event(pull, comment)
        (said if comment.updated_at == comment.created_at else edited).append(event)
    return said, edited


def _reviews(services: Services, pull: Pull) -> tuple[ReviewEvent, str] | None:
    """What reviews there are, as the event of the last one, and their digest; None where they decide nothing."""
    with services.db.read() as tx:
        planned = any(each.goal is Goal.PLAN for each in runs.operations(tx, pull.key))
    reviews = services.forge.reviews(pull.key) if planned and pull.state == "open" else []
    if not reviews:
        return None
    digest = hashlib.sha256(" ".join(review.raw_digest for review in reviews).encode()).hexdigest()[:16]
    return ReviewEvent(pull.repo, pull.key, reviews[-1].user, "submitted"), digest


# -- what was left over -----------------------------------------------------------------------------------------------
def _check_holders(services: Services, repo: str, looked_at: set[PullKey], since: datetime | None) -> None:
    """Hold every lock against its pull request: one that is closed, or gone, frees it."""
    with services.db.read() as tx:
        holders = [key for key in known.holders(tx, repo) if key not in looked_at]
    for key in holders:
        with services.db.read() as tx:
            row = tx.get_one(PullRow, (key.repo, key.number))
        try:
            catch_up(services, services.forge.pull(key), row, since)
        except NotFound:
            with services.db.write() as tx:
                gone = PullEvent("gone", row.repository, key, "", row.head_sha)
                keep_found(services, tx, f"poll:{key}:gone", gone)


def _ask_again(services: Services, rounds: Rounds, repo: str, since: datetime | None) -> None:
    """Have the deliveries made again that failed while no process was there: they may tell what cannot be polled."""
    url = services.identity.public_url
    missing = services.forge.undelivered(repo, url) if url else []
    with services.db.read() as tx:
        wanted = [each for each in missing if tx.get(Delivery, each.guid) is None and each.at > (since or _EVER)]
    for delivery in reversed(wanted[: MOST_ASKED_AGAIN - rounds.asked_again]):
        services.forge.redeliver(delivery)
        rounds.asked_again += 1
        log.info("delivery.asked_again", delivery=delivery.guid, repository=repo)


def _finish_statuses(services: Services, *, begun: bool) -> None:
    """Have what the forge shows as under way, and is not, reported again; and, as a process begins, what it refused."""
    with services.db.read() as tx:
        stuck = posts.statuses_stuck(tx)
    if begun and not stuck:
        return
    with services.db.write() as tx:
        for pull in stuck if begun else stuck | posts.forgive(tx):
            report_soon(services, tx, pull)
