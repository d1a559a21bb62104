"""A pull request is looked at: its inbox is handled in order, each event by reading the pull request again."""

from __future__ import annotations

import structlog
from sqlmodel import Session

from prbot.audit.entries import PRBOT, user
from prbot.core.branches import governed
from prbot.core.commands import Command
from prbot.core.events import CommentEvent, PullEvent, QueueEvent, RerunEvent, ReviewEvent
from prbot.core.ids import PullKey
from prbot.core.pulls import Pull, Status
from prbot.core.runs import Goal, RunStatus
from prbot.flows import checks, commands, merges, plan, report, strangers
from prbot.flows.admission import admit_runs
from prbot.flows.locks import claimed_by, give_up
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Conflict, Denied, NotFound, Transient
from prbot.store import inbox, runs
from prbot.store.tables import InboxEvent, PullRow

log = structlog.get_logger(__name__)
PLANS_ON = frozenset({"opened", "pushed", "reopened", "ready", "base_changed"})


def execute(services: Services, key: PullKey) -> None:
    """Handle what waits in a pull request's inbox, oldest first. The caller has taken the pull request's slot.

    Raises Transient when the forge or git could not answer: what was not handled stays in the inbox.
    """
    with services.db.read() as tx:
        waiting = inbox.waiting(tx, key)
    for row in waiting:
        problem = ""
        try:
            _handle(services, key, row)
        except Transient:
            raise
        except (Denied, NotFound, Conflict) as refusal:
            problem = str(refusal)
            log.error("event not handled", repository=key.repo, pull=key.number, event_kind=row.kind, why=problem)
        with services.db.write() as tx:
            mine = tx.get_one(InboxEvent, row.id)
            mine.handled_at, mine.error = services.clock.now(), problem
            tx.add(mine)


def _handle(services: Services, key: PullKey, row: InboxEvent) -> None:
    event = inbox.event_of(row)
    match event:
        case PullEvent(action="closed"):
            _closed(services, _read(services, event.repo.clone_url, key, None))
        case PullEvent(action="drafted" | "labeled"):
            _read(services, event.repo.clone_url, key, None)
        case PullEvent():
            _changed(services, _read(services, event.repo.clone_url, key, event), event)
        case CommentEvent():
            commands.execute(services, _read(services, event.repo.clone_url, key, None), event)
        case ReviewEvent():
            _read(services, event.repo.clone_url, key, None)
            with services.db.write() as tx:
                report_soon(services, tx, key)
        case RerunEvent():
            _pressed(services, _read(services, event.repo.clone_url, key, None), event)
        case QueueEvent():
            _queued(services, _read(services, event.repo.clone_url, key, None), event)
        case None:
            _own(services, _read(services, "", key, None), row)


def _read(services: Services, clone_url: str, key: PullKey, pushed: PullEvent | None) -> Pull:
    """Read the pull request from the forge, and keep what it says."""
    pull = services.forge.pull(key)
    with services.db.write() as tx:
        row = tx.get(PullRow, (key.repo, key.number)) or PullRow(
            repo=key.repo, number=key.number, clone_url=clone_url or pull.repo.clone_url, read_at=services.clock.now()
        )
        row.title, row.author, row.url = pull.title, pull.author, pull.url
        row.state = "merged" if pull.merged else pull.state
        row.base_branch, row.head_sha, row.merge_sha = pull.base_branch, pull.head_sha, pull.merge_sha
        if not pull.merged:
            row.base_sha = pull.base_sha
        if pushed is not None and pushed.action in ("pushed", "opened") and pushed.head_sha != row.pushed_sha:
            row.earlier_pusher = row.pusher
            row.pushed_sha, row.pusher = pushed.head_sha, pushed.sender
        row.read_at = services.clock.now()
        tx.add(row)
    return pull


def _changed(services: Services, pull: Pull, event: PullEvent) -> None:
    """Opened, pushed to, …: plan the head as it is now, unless that was done."""
    if pull.state != "open":
        return
    rules = services.rules(pull.key.repo)
    if not governed(rules, pull):
        _not_ours(services, pull)
        return
    if pull.draft and not rules.drafts:
        log.info("a draft is not planned", repository=pull.key.repo, pull=pull.key.number)
        return
    if event.action in ("opened", "pushed", "ready") and _planned(services, pull):
        return  # said twice, or an older push whose newer one was handled
    if not strangers.may_run(services, pull):
        with services.db.write() as tx:
            _let_go(services, tx, pull)
            strangers.wait_for_a_writer(services, tx, pull)
        return
    plan.start(services, pull, plan.Asked("autoplan", user(event.sender)))


def _pressed(services: Services, pull: Pull, event: RerunEvent) -> None:
    """Somebody pressed a button of a check: the `plan` command, for the very commit that they looked at."""
    with services.db.write() as tx:
        checks.begin_anew(services, tx, pull.key, event.head_sha)
    if event.head_sha != pull.head_sha:
        log.info("an older head is not planned again", repository=pull.key.repo, pull=pull.key.number)
        return
    commands.do(services, pull, event, Command("plan"), services.forge.role(pull.key.repo, event.sender))


def _queued(services: Services, pull: Pull, event: QueueEvent) -> None:
    """The merge queue asks about a commit of its own. The pull request's own gate was met before it came there."""
    if not governed(services.rules(pull.key.repo), pull):
        return
    with services.db.write() as tx:
        told = Status("prbot/gate", "success", "not checked: merge queues are not supported yet")
        report.want_status(tx, pull.key, event.head_sha, told)
        report_soon(services, tx, pull.key)


def _planned(services: Services, pull: Pull) -> bool:
    """Whether the newest plan of the whole pull request is of its present head."""
    with services.db.read() as tx:
        whole = [each for each in runs.operations(tx, pull.key) if each.goal is Goal.PLAN and each.whole]
    return bool(whole) and whole[-1].head_sha == pull.head_sha


def _not_ours(services: Services, pull: Pull) -> None:
    reason = f"its base {pull.base_branch} is neither the default branch nor one that the rules list"
    log.info("ignored", repository=pull.key.repo, pull=pull.key.number, reason=reason)
    with services.db.write() as tx:
        services.audit.append(
            tx, "delivery.ignored", actor=PRBOT, repo=pull.key.repo, pull=pull.key.number, facts={"reason": reason}
        )
        _let_go(services, tx, pull)


def _closed(services: Services, pull: Pull) -> None:
    if pull.merged:
        if governed(services.rules(pull.key.repo), pull):
            merges.merged(services, pull)
        return
    if pull.state == "open":  # it was opened again since; that event follows
        return
    with services.db.write() as tx:
        _let_go(services, tx, pull)


def _let_go(services: Services, tx: Session, pull: Pull) -> None:
    """Free a pull request's locks, and put its plans aside."""
    plan.supersede(services, tx, pull, None)
    for project in claimed_by(tx, pull.key):
        give_up(services, tx, project, pull.key.number)
    tx.flush()
    for run in runs.of_pull(tx, pull.key, Goal.PLAN):
        if run.plan_key:
            services.plans.delete(f"{run.plan_key}/plan.json")
            run.plan_key = ""
            tx.add(run)
    admit_runs(services, tx)


def _own(services: Services, pull: Pull, row: InboxEvent) -> None:
    """Its turn came in a queue, or its base moved: plan anew, while there is still something to plan."""
    if pull.state != "open" or not governed(services.rules(pull.key.repo), pull):
        return
    with services.db.read() as tx:
        newest = runs.newest(runs.of_pull(tx, pull.key, Goal.PLAN))
    if not newest or all(run.status is RunStatus.CANCELLED for run in newest.values()):
        return
    if strangers.may_run(services, pull):
        plan.start(services, pull, plan.Asked(row.kind, PRBOT))
