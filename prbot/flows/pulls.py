"""A pull request is looked at: its inbox is handled in order, each event by reading the pull request again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from prbot.audit.entries import PRBOT, user
from prbot.core.branches import governed
from prbot.core.commands import Command
from prbot.core.events import AboutPull, CommentEvent, PullEvent, QueueEvent, RerunEvent, ReviewEvent
from prbot.core.ids import PullKey
from prbot.core.missed import Standing, is_behind, standing
from prbot.core.pulls import Pull
from prbot.core.retries import is_due, next_try, next_try_unanswered
from prbot.core.runs import Goal, RunStatus
from prbot.flows import approved, checks, commands, gather, given_up, merges, plan, pushers, queued, sharing, strangers
from prbot.flows.admission import admit_runs
from prbot.flows.asks import Ask
from prbot.flows.locks import claimed_by, give_up
from prbot.flows.nudge import look_at, report_soon
from prbot.flows.services import Services
from prbot.ports import Outage, Transient, Unavailable
from prbot.store import inbox, runs
from prbot.store.known import acted_on
from prbot.store.slots import SlotLost
from prbot.store.tables import InboxEvent, PullRow

log = structlog.get_logger(__name__)
MOST_BEHIND = 6
"""So often within a minute the forge is asked again where it tells of a pull request as it was before."""


def execute(services: Services, key: PullKey) -> None:
    """Handle what waits in a pull request's inbox, oldest first. The caller has taken the pull request's slot.

    What is refused is tried again soon, with all that came after it, and told once it is given up; that nobody answers
    is waited out for longer. Raises Transient when the forge said when to come again: what was not handled stays in the
    inbox.
    """
    with services.db.read() as tx:
        waiting = inbox.waiting(tx, key)
    for row in waiting:
        if not is_due(row.retry_at, services.clock.now()):
            break
        problem = _problem(services, key, row)
        asked = given_up.asked(services, row) if problem is not None else []
        with services.db.write() as tx:
            if problem is None:
                inbox.handled(tx, row.id, services.clock.now())
            elif not _refused(services, tx, row.id, problem, asked):
                break
    with services.db.write() as tx:
        left = inbox.waiting(tx, key)
        if left:
            look_at(services, tx, key, at=left[0].retry_at)


def _problem(services: Services, key: PullKey, row: InboxEvent) -> Unavailable | None:
    """Handle an event; why that could not be done, None if it was."""
    try:
        _handle(services, key, row)
    except (SQLAlchemyError, SlotLost):
        raise
    except Transient as problem:
        if problem.retry_after is not None:
            raise
        return problem
    except Unavailable as refusal:
        return refusal
    except Exception:
        log.exception("an event broke prbot", repository=key.repo, pull=key.number, event_kind=row.kind)
        return Unavailable("prbot failed here, by its own fault; its log says more.")
    return None


def _refused(services: Services, tx: Session, event: str, problem: Unavailable, asked: Sequence[str]) -> bool:
    """Have an event tried again later. True if that was tried often enough, and people are told."""
    row = tx.get_one(InboxEvent, event)
    row.error, now = str(problem), services.clock.now()
    if isinstance(problem, Outage):
        row.unanswered += 1
        row.retry_at = next_try_unanswered(row.unanswered, now)
    else:
        row.attempts += 1
        row.retry_at = next_try(row.attempts, now)
    tx.add(row)
    tried = row.attempts + row.unanswered
    facts = {"repository": row.repo, "pull": row.pull, "event_kind": row.kind, "attempt": tried, "why": row.error}
    if row.retry_at is not None:
        log.warning("an event is tried again", **facts)
        return False
    log.error("event not handled", **facts)
    inbox.handled(tx, row.id, services.clock.now())
    given_up.tell(services, tx, row, asked)
    return True


def _handle(services: Services, key: PullKey, row: InboxEvent) -> None:
    event = inbox.event_of(row)
    if isinstance(event, PullEvent) and event.action == "gone":
        _gone(services, key)
        return
    if isinstance(event, CommentEvent) and not commands.is_followed(services, event, row.id):
        return
    pull = _read(services, key, row, event)
    match event:
        case ReviewEvent() | PullEvent(action="drafted" | "labeled"):
            _tell(services, key)
        case PullEvent():
            if _act(services, pull, event):
                _acted_on(services, pull)
        case CommentEvent():
            commands.execute(services, pull, event, row.id)
        case RerunEvent():
            _pressed(services, pull, event, row.id)
        case QueueEvent():
            queued.asked(services, pull, event)
        case None:
            _own(services, pull, row)


def _read(services: Services, key: PullKey, event_row: InboxEvent, event: AboutPull | None) -> Pull:
    """Read the pull request from the forge, and keep what it says. Transient where that is older than what is known:
    the forge may be some seconds behind itself, and is taken at its word after a minute."""
    pull = services.forge.pull(key)
    pushed = event if isinstance(event, PullEvent) else None
    with services.db.write() as tx:
        row = tx.get(PullRow, (key.repo, key.number))
        if row is None:
            clone_url = event.repo.clone_url if event is not None else pull.repo.clone_url
            row = PullRow(repo=key.repo, number=key.number, clone_url=clone_url, read_at=services.clock.now())
        if event_row.attempts < MOST_BEHIND and is_behind(standing(pull), acted_on(row), pushed):
            raise Transient(f"GitHub tells of {key} as it was before this")
        before = (row.state, row.head_sha)
        row.title, row.author, row.url = pull.title, pull.author, pull.url
        row.state = "merged" if pull.merged else pull.state
        row.base_branch, row.head_sha, row.merge_sha = pull.base_branch, pull.head_sha, pull.merge_sha
        if not pull.merged:
            row.base_sha = pull.base_sha
        if pushed is not None and pushed.action in ("pushed", "opened"):
            _note_push(row, pull, pushed)
        row.read_at = services.clock.now()
        tx.add(row)
        if before != (row.state, row.head_sha):
            for sha in {before[1], row.head_sha}:
                sharing.anew(services, tx, key, sha)
    return pull


def _note_push(row: PullRow, pull: Pull, push: PullEvent) -> None:
    """Keep who pushed. Who opens a pull request need not have pushed anything. Of the present head the first word
    counts, unless it was that nobody can say; once that is known, older pushes come too late, and who made the one
    before it is to be asked."""
    who = push.sender or None if push.action == "pushed" else None
    if push.head_sha == row.pushed_sha:
        row.pusher = row.pusher or who
    elif row.pushed_sha != pull.head_sha:
        earlier = push.before_sha or row.pushed_sha
        row.earlier_sha, row.earlier_pusher = earlier, row.pusher if earlier == row.pushed_sha else None
        row.pushed_sha, row.pusher = push.head_sha, who


def _tell(services: Services, pull: PullKey) -> None:
    with services.db.write() as tx:
        report_soon(services, tx, pull)


def _act(services: Services, pull: Pull, event: PullEvent) -> bool:
    """Do what an event of a pull request asks for. False if the pull request is not any more what the event was about:
    what it has become is another event's."""
    if (event.action == "closed") == (pull.state == "open"):
        return False
    if event.action == "closed":
        _closed(services, pull)
    else:
        _changed(services, pull, event)
    return True


def _acted_on(services: Services, pull: Pull) -> None:
    """Keep how the pull request stood: reconcile finds what happens to it from here on."""
    with services.db.write() as tx:
        row = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
        row.acted_on = asdict(standing(pull))
        tx.add(row)


def _changed(services: Services, pull: Pull, event: PullEvent) -> None:
    """Opened, pushed to, …: plan the head as it is now, unless that was done."""
    rules = services.rules(pull.key.repo)
    if not governed(rules, pull):
        _not_ours(services, pull)
        return
    if event.action in ("pushed", "opened"):
        pushers.keep(services, pull)
    if pull.draft and not rules.drafts:
        log.info("a draft is not planned", repository=pull.key.repo, pull=pull.key.number)
        return
    if _planned(services, pull, event):  # said twice, an older push whose newer one was handled, or a draft no more
        _tell(services, pull.key)
        return
    if not strangers.may_run(services, pull):
        with services.db.write() as tx:
            _let_go(services, tx, pull.key)
            strangers.wait_for_a_writer(services, tx, pull)
        return
    plan.start(services, pull, plan.Asked("autoplan", user(event.sender) if event.sender else PRBOT))


def _pressed(services: Services, pull: Pull, event: RerunEvent, row: str) -> None:
    """Somebody pressed a button of a check: the `plan` command, for the very commit that they looked at."""
    with services.db.write() as tx:
        checks.begin_anew(services, tx, pull.key, event.head_sha)
    if event.head_sha != pull.head_sha:
        log.info("an older head is not planned again", repository=pull.key.repo, pull=pull.key.number)
        return
    ask = Ask(pull, event, Command("plan"), row=row)
    commands.do(services, ask, services.forge.role(pull.key.repo, event.sender))


def _planned(services: Services, pull: Pull, event: PullEvent) -> bool:
    """Whether the newest plan of the whole pull request is of its present head, and was not let go or left behind since
    by its being closed or given another base."""
    with services.db.read() as tx:
        row = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
        whole = [each for each in runs.operations(tx, pull.key) if each.goal is Goal.PLAN and each.whole]
    if row.acted_on is None:
        stands = event.action in ("opened", "pushed", "ready")
    else:
        acted = Standing(**row.acted_on)
        stands = (acted.state, acted.base_branch) == ("open", pull.base_branch)
    return stands and bool(whole) and whole[-1].head_sha == pull.head_sha


def _not_ours(services: Services, pull: Pull) -> None:
    reason = f"its base {pull.base_branch} is neither the default branch nor one that the rules list"
    log.info("ignored", repository=pull.key.repo, pull=pull.key.number, reason=reason)
    with services.db.write() as tx:
        services.audit.append(
            tx, "delivery.ignored", actor=PRBOT, repo=pull.key.repo, pull=pull.key.number, facts={"reason": reason}
        )
        if not merges.is_handled(tx, pull.key):  # merged before the rules took the branch out, it keeps what it has
            _let_go(services, tx, pull.key)
        report_soon(services, tx, pull.key)


def _closed(services: Services, pull: Pull) -> None:
    if pull.merged:
        if governed(services.rules(pull.key.repo), pull):
            merges.merged(services, pull)
        else:
            _not_ours(services, pull)
        return
    if pull.state == "open":  # it was opened again since; that event follows
        return
    with services.db.write() as tx:
        _let_go(services, tx, pull.key)
        report_soon(services, tx, pull.key)


def _gone(services: Services, key: PullKey) -> None:
    """The forge does not know it any more: it holds nothing, and nothing more is to be done to it."""
    with services.db.write() as tx:
        _let_go(services, tx, key)
        row = tx.get_one(PullRow, (key.repo, key.number))
        row.state = "gone"
        row.acted_on = row.acted_on and {**row.acted_on, "state": "gone"}
        tx.add(row)
        sharing.anew(services, tx, key, row.head_sha)


def _let_go(services: Services, tx: Session, pull: PullKey) -> None:
    """Free a pull request's locks, and put its plans aside."""
    plan.supersede(services, tx, pull, None)
    for project in claimed_by(tx, pull):
        give_up(services, tx, project, pull.number)
    tx.flush()
    for run in runs.of_pull(tx, pull, Goal.PLAN):
        if run.plan_key:
            approved.forget(services, tx, run)
    admit_runs(services, tx)


def _own(services: Services, pull: Pull, row: InboxEvent) -> None:
    """Its turn came in a queue, or its base moved: plan anew, while there is still something to plan."""
    if pull.state != "open" or not governed(services.rules(pull.key.repo), pull):
        return
    with services.db.read() as tx:
        looked = any(each.goal is Goal.PLAN for each in runs.operations(tx, pull.key))
        affected = gather.affected(tx, pull.key)
        newest = runs.newest(runs.of_pull(tx, pull.key, Goal.PLAN))
    put_aside = bool(affected) and all(run.status is RunStatus.CANCELLED for run in newest.values())
    if not looked or put_aside:
        return
    if strangers.may_run(services, pull):
        plan.start(services, pull, plan.Asked(row.kind, PRBOT))
