"""What should stand at the forge is worked out from our rows; prbot.flows.sending sends what does not stand there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sqlmodel import Session

from prbot.audit.entries import PRBOT
from prbot.core.approvals import Refusal
from prbot.core.comments import replies
from prbot.core.comments.apply import apply_document
from prbot.core.comments.blocks import Document
from prbot.core.comments.orphans import Left, orphans_document
from prbot.core.comments.plan import plan_document
from prbot.core.comments.split import split
from prbot.core.gate_facts import facts_digest
from prbot.core.gates import GateReport, evaluate
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.pulls import Status
from prbot.core.runs import LIVE, Goal, RunStatus
from prbot.core.statuses import (
    GATE,
    PLAN,
    apply_status,
    gate_status,
    gate_unknown,
    gate_while_closed,
    gate_while_planning,
    plan_statuses,
    with_refused,
)
from prbot.flows import checks, deployments, gather, queued, sending, views
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Transient, Unavailable
from prbot.store import orphans, posts, runs, slots
from prbot.store.tables import Operation, PullRow, Run

TOO_EARLY = frozenset({Refusal.NOT_SHOWN, Refusal.BEFORE_PLAN, Refusal.SAME_SECOND})
"""Whoever approved then is called by the plan's comment."""


# -- wanting ----------------------------------------------------------------------------------------------------------
def reply(services: Services, pull: PullKey, comment_id: int | None, document: Document, slug: str = "answer") -> None:
    """Answer a comment. The same slug for the same comment is the same answer."""
    with services.db.write() as tx:
        reply_in(services, tx, pull, comment_id, document, slug)


def reply_in(
    services: Services, tx: Session, pull: PullKey, comment_id: int | None, document: Document, slug: str = "answer"
) -> None:
    """Answer a comment, in the caller's transaction."""
    key = f"reply:{comment_id or services.new_id()}:{slug}"
    want_comment(services, tx, pull, key, document)
    report_soon(services, tx, pull)


def react(services: Services, tx: Session, pull: PullKey, comment_id: int, reaction: str) -> None:
    """Show a person at once that their comment was seen."""
    posts.want(tx, pull, posts.REACTION, f"{comment_id} {reaction}", [reaction])
    report_soon(services, tx, pull)


def want_comment(
    services: Services, tx: Session, pull: PullKey, key: str, document: Document, operation: str = ""
) -> None:
    masks = services.secrets()
    posts.want(tx, pull, posts.COMMENT, key, [masks.redact(body) for body in split(key, document)], operation)


def want_status(tx: Session, pull: PullKey, sha: str, status: Status) -> None:
    """Say which commit status should stand on a commit."""
    posts.want(tx, pull, posts.STATUS, f"{sha} {status.context}", [json.dumps(asdict(status), sort_keys=True)])


def want_all(services: Services, tx: Session, pull: PullRow, gate: _GateNow, *, shows_checks: bool) -> None:
    """Work out every comment, status, check and deployment of a pull request."""
    every = runs.operations(tx, pull.key)
    plans = [each for each in every if each.goal is Goal.PLAN]
    if plans:
        _want_plan_comment(services, tx, pull, plans, gate.reviewers)
        _want_plan_statuses(services, tx, pull, plans, shows_checks=shows_checks)
    if shows_checks:
        checks.want_permission(services, tx, pull)
    if gate.status is not None:
        want_status(tx, pull.key, pull.head_sha, gate.status)
    _end_what_is_left_behind(tx, pull)
    for operation in every:
        if operation.goal is Goal.APPLY:
            _want_apply_comment(services, tx, pull, operation)
            _want_refused_comment(services, tx, pull, operation)
    _want_orphans_comment(services, tx, pull)
    applies = runs.of_pull(tx, pull.key, Goal.APPLY)
    refused = sum(len(each.refusals or ()) for each in every if each.goal is Goal.APPLY)
    if applies or refused:
        latest = runs.latest(applies).values()
        told = zip(latest, views.members_of(latest, applies), strict=True)
        members = [replace(each, status=RunStatus.APPLYING) if _is_checked(tx, run) else each for run, each in told]
        url, prefix = services.identity.pull_url(pull.key), services.identity.prefixes[0]
        status = with_refused(apply_status(members, url, prefix=prefix), refused)
        for sha in {pull.merge_sha, pull.head_sha} - {None, ""}:
            want_status(tx, pull.key, str(sha), status)
        if services.rules(pull.repo).deployments:
            deployments.want(services, tx, pull.key, applies)


def _want_plan_statuses(
    services: Services, tx: Session, pull: PullRow, plans: list[Operation], *, shows_checks: bool
) -> None:
    """The statuses of the head. Of one that nobody looked at there is nothing to tell yet, and of a pull request that
    is not open any more, nothing of what was put aside."""
    head, projects = plans[-1].head_sha, gather.affected(tx, pull.key)
    if head != pull.head_sha:
        return
    latest = runs.latest(runs.of_pull(tx, pull.key, Goal.PLAN))
    members = [run for project, run in latest.items() if project in projects and run.head_sha == head]
    if pull.state != "open" and any(run.status is RunStatus.SUPERSEDED for run in members):
        return
    whole = next((each for each in reversed(plans) if each.whole), plans[-1])
    looked = gather.looked_at(tx, pull.key, head, pull.base_branch)
    url, prefix = services.identity.pull_url(pull.key), services.identity.prefixes[0]
    for status in plan_statuses(looked, views.members_of(members), url, prefix=prefix):
        if shows_checks and checks.in_place_of(tx, pull.key, head, status):
            checks.want(services, tx, pull.key, head, checks.of_plan(services, tx, pull, whole, members, status))
        else:
            want_status(tx, pull.key, head, status)
    _end_what_is_left_out(tx, pull, head, {f"{head} {PLAN}: {run.project.label}" for run in members})


def _end_what_is_left_out(tx: Session, pull: PullRow, head: str, planned: set[str]) -> None:
    """A project that the newest plan of a head leaves out has no plan there that anybody may take for good."""
    for post in posts.of_pull(tx, pull.key):
        if post.kind == posts.STATUS and post.key.startswith(f"{head} {PLAN}: ") and post.key not in planned:
            name = post.key.partition(" ")[2]
            want_status(tx, pull.key, head, Status(name, "error", "the newest plan leaves it out"))


def _end_what_is_left_behind(tx: Session, pull: PullRow) -> None:
    """Nothing stays pending on a commit that the pull request has moved on from, and no plan once it is not open."""
    put_aside = {run.head_sha for run in runs.of_pull(tx, pull.key, Goal.PLAN) if run.status is RunStatus.SUPERSEDED}
    over = pull.state != "open" and pull.head_sha in put_aside
    for post in posts.of_pull(tx, pull.key):
        sha, _, name = post.key.partition(" ")
        past_the_gate = pull.state == "merged" and name == GATE
        theirs = sha in (pull.head_sha, pull.merge_sha, pull.queued_sha)
        if theirs and not (over and name.startswith(PLAN)) and not past_the_gate:
            continue
        said = f"given up: {pull.state}" if sha == pull.head_sha else f"given up: {pull.head_sha[:7]} took its place"
        said = "merged before it was met" if past_the_gate and sha == pull.head_sha else said
        body = json.loads(post.body) if post.kind in (posts.STATUS, posts.CHECK) else {}
        if post.kind == posts.STATUS and body["state"] == "pending":
            want_status(tx, pull.key, sha, Status(name, "error", said))
        elif post.kind == posts.CHECK and body["conclusion"] is None:
            ended = {**body, "conclusion": "cancelled", "title": said, "summary": f"{said}."}
            posts.want(tx, pull.key, posts.CHECK, post.key, [json.dumps(ended, sort_keys=True)])


def _want_plan_comment(
    services: Services, tx: Session, pull: PullRow, plans: list[Operation], reviewers: Sequence[str] | None
) -> None:
    latest = plans[-1]
    members = runs.of_operation(tx, latest.id)
    if any(run.status in LIVE for run in members):
        return
    shows = _shows(latest, members)
    if reviewers is None and latest.comment_key and latest.comment_shows == shows:
        return  # it stands as it is: whom it calls is not known now
    if latest.conflict:
        document = replies.conflict(latest.head_sha, pull.base_branch, latest.conflict)
    elif members or latest.refusals or latest.orphans or latest.notes:
        rules = services.rules(pull.repo)
        document = plan_document(
            views.plan_view(tx, pull, latest, rules, services.identity.prefixes[0], reviewers or ())
        )
    else:
        document = ()
    if document and not latest.comment_key:
        twin = next((each for each in reversed(plans[:-1]) if each.comment_key and each.comment_shows == shows), None)
        recent = next((each for each in reversed(plans[:-1]) if each.comment_key), None)
        latest.comment_key = twin.comment_key if twin is not None and twin is recent else f"plan:{latest.id}"
        latest.comment_shows = shows
        tx.add(latest)
    if document:
        want_comment(services, tx, pull.key, latest.comment_key, document, latest.id)
    if latest.whole:
        _hide_older(tx, pull.key, {each.comment_key for each in plans[:-1]} - {latest.comment_key, ""})


def _shows(operation: Operation, members: list[Run]) -> str:
    """Digest of an operation's outcomes. What is found out about an unknown one is no other outcome."""
    outcomes = sorted(
        [str(run.project), run.fingerprint, run.status, "" if run.status is RunStatus.UNKNOWN else run.error]
        for run in members
    )
    return posts.digest(
        json.dumps([outcomes, operation.conflict, operation.refusals, operation.orphans, operation.notes])
    )


def _hide_older(tx: Session, pull: PullKey, keys: set[str]) -> None:
    for key in keys:
        posts.hide(tx, posts.of_key(tx, pull, posts.COMMENT, key))


def _want_apply_comment(services: Services, tx: Session, pull: PullRow, operation: Operation) -> None:
    members = runs.of_operation(tx, operation.id)
    if any(run.status in LIVE or _is_checked(tx, run) for run in members):
        return
    if all(run.status is RunStatus.SUPERSEDED for run in members):
        return  # what took its place is told of
    shows = _shows(operation, members)
    if shows != operation.comment_shows:
        number = int(operation.comment_key.rsplit(":", 1)[1]) + 1 if operation.comment_key else 1
        operation.comment_key, operation.comment_shows = f"apply:{operation.id}:{number}", shows
        tx.add(operation)
    view = views.apply_view(tx, pull, members, services.identity.prefixes[0])
    want_comment(services, tx, pull.key, operation.comment_key, apply_document(view), operation.id)


def _is_checked(tx: Session, run: Run) -> bool:
    """Whether a worker is looking if an apply left something to do. Who waits for that run goes on only then."""
    return run.status is RunStatus.APPLIED and slots.has(tx, slots.project_slot(run.project), run.id)


def _want_refused_comment(services: Services, tx: Session, pull: PullRow, operation: Operation) -> None:
    """What was merged though it is refused is not applied, and nobody may think that it is."""
    reasons = [f"Refused, so that nothing of it is applied: {each['reason']}" for each in operation.refusals or ()]
    if reasons:
        way_on = "What is refused is applied by a new pull request that changes it and in which it is planned."
        document = replies.notice("Merged, and not applied", [*reasons, way_on])
        want_comment(services, tx, pull.key, f"refused:{operation.id}", document)


def _want_orphans_comment(services: Services, tx: Session, pull: PullRow) -> None:
    rows = orphans.of_merge(tx, pull.key)
    if rows:
        left = [Left(row.project, row.reason) for row in rows]
        merge, before, prefix = rows[0].merge_sha, rows[0].before_sha, services.identity.prefixes[0]
        document = orphans_document(left, merge, before, pull.base_branch, prefix)
        want_comment(services, tx, pull.key, "orphans", document)


# -- the gate ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _GateNow:
    """What is to be said of the gate; `status` is None where there is nothing (new) to say."""

    status: Status | None = None
    reviewers: tuple[str, ...] | None = None
    """Who approved before the plan was there to be seen; None where that is not known now."""
    planning: bool = False
    """Whether its plan is under way, so that there will be more to say soon."""
    computing: bool = False
    """The forge does not know yet whether it merges: it is asked again, since nothing will tell."""
    nobody_approved: bool = False
    """Whether it was found that there is no approval at all, counting or not."""
    carried_to: frozenset[ProjectKey] | None = None
    """The projects to whose plans an approval of an earlier plan was carried over; None where that is not known now."""


def _gate_now(services: Services, row: PullRow) -> _GateNow:
    with services.db.read() as tx:
        plans = [each for each in runs.operations(tx, row.key) if each.goal is Goal.PLAN]
        busy = any(run.status in LIVE for run in runs.of_pull(tx, row.key, Goal.PLAN))
    url = services.identity.pull_url(row.key)
    if plans and row.state == "closed":
        return _GateNow(gate_while_closed(url))
    if row.state != "open" or not plans or plans[-1].head_sha != row.head_sha:
        return _GateNow()
    if busy:
        return _GateNow(gate_while_planning(url), planning=True)
    pull = services.forge.pull(row.key)
    if pull.state != "open" or pull.head_sha != row.head_sha:
        return _GateNow()
    facts = gather.gate_facts(services, pull, plans[-1].base_sha)
    verdict = evaluate(facts)
    status = gate_status(facts, verdict, url)
    _record_gate(services, row, verdict, facts_digest(facts), status)
    early = {each.user for v in verdict.verdicts.values() for each in v.not_counted if each.code in TOO_EARLY}
    computing = pull.mergeable is None and any(gate.name == "mergeable" for gate in verdict.unmet)
    opinions = any(each.state in ("APPROVED", "DISMISSED") for each in facts.reviews) or bool(facts.explicit)
    carried = {key for key, v in verdict.verdicts.items() if any(each.carried_from for each in v.counted)}
    return _GateNow(
        status,
        tuple(sorted(early)),
        computing=computing,
        nobody_approved=not opinions,
        carried_to=frozenset(carried),
    )


def _record_gate(services: Services, row: PullRow, verdict: GateReport, digest: str, status: Status) -> None:
    """One audit entry each time that the verdict changes."""
    key = f"{row.head_sha} {status.context}"
    with services.db.write() as tx:
        before = posts.of_key(tx, row.key, posts.STATUS, key)
        if before and json.loads(before[0].body)["description"] == status.description:
            return
        services.audit.append(
            tx,
            "gate.evaluated",
            actor=PRBOT,
            repo=row.repo,
            pull=row.number,
            head=row.head_sha,
            outcome="ok" if verdict.approve_ready else "refused",
            facts_digest=digest,
            facts={
                "unmet": [gate.name for gate in verdict.unmet],
                "approvals": [
                    f"{each.user} {each.via} {each.id} {each.raw_digest}"
                    for v in verdict.verdicts.values()
                    for each in v.counted
                ],
            },
        )


# -- bringing it about -------------------------------------------------------------------------------------------------
def execute(services: Services, pull: PullKey) -> None:
    """Bring the forge to where it shows what it should. Raises Transient when it is to be tried again."""
    with services.db.read() as tx:
        row = tx.get(PullRow, (pull.repo, pull.number))
    problem = _work_out(services, row) if row is not None else None  # else it could never be read, and that is told
    problem = sending.send_all(services, pull) or problem
    _mark_shown(services, pull)
    if problem is not None:
        raise problem


def _work_out(services: Services, row: PullRow) -> Transient | None:
    """Say what should stand there. What kept the gate from being known is given back; the rest does not wait for it."""
    pull = row.key
    gate, queue, problem = _GateNow(), None, None
    try:
        gate = _gate_now(services, row)
        queue = queued.judged(services, row, gate.status, soon=gate.planning or gate.computing)
    except Unavailable as refusal:  # what else there is to be shown does not wait for this
        problem = refusal if isinstance(refusal, Transient) else Transient(str(refusal))
        gate = _GateNow(gate_unknown(str(refusal), services.identity.pull_url(pull)))
    shows_checks = services.forge.shows_checks(pull.repo)
    with services.db.write() as tx:
        fresh = tx.get_one(PullRow, (pull.repo, pull.number))
        if _stands(fresh) != _stands(row):  # what was judged is not what is there now
            gate, queue = _GateNow(), None
            report_soon(services, tx, pull)
        if queue is not None and fresh.queued_sha == row.queued_sha:
            _want_of_queue(services, tx, fresh, queue)
        _say_nothing_of_approvals(tx, pull, gate)
        want_all(services, tx, fresh, gate, shows_checks=shows_checks)
        tx.flush()
        sending.hold_back(tx, pull)
    return Transient("the forge is still computing whether it merges") if gate.computing else problem


def _stands(row: PullRow) -> tuple[str, str, str]:
    return row.head_sha, row.base_branch, row.state


def _want_of_queue(services: Services, tx: Session, pull: PullRow, status: Status) -> None:
    there = posts.of_key(tx, pull.key, posts.STATUS, f"{pull.queued_sha} {status.context}")
    before = [json.loads(each.body)["state"] for each in there]
    want_status(tx, pull.key, pull.queued_sha, status)
    if before != [status.state]:
        queued.tell_those_behind(services, tx, pull)


def _say_nothing_of_approvals(tx: Session, pull: PullKey, gate: _GateNow) -> None:
    """Where nobody ever approved, nothing can carry over to a plan or be void. And nothing carries over to one that is
    not shown yet where all that there was is void already."""
    for run in runs.plans_in_force(tx, pull):
        void = run.carries is not None and gate.carried_to is not None and run.project not in gate.carried_to
        if run.carry_note and (gate.nobody_approved or (void and run.shown_at is None)):
            run.carry_note = ""
            tx.add(run)


def _mark_shown(services: Services, pull: PullKey) -> None:
    """Note when each plan's comment was complete: only later approvals count for it."""
    with services.db.write() as tx:
        changed = False
        for operation in runs.operations(tx, pull):
            parts = posts.of_key(tx, pull, posts.COMMENT, operation.comment_key) if operation.comment_key else []
            live = [post for post in parts if not post.hide]
            if not live or any(not posts.stands(post) or post.operation != operation.id for post in live):
                continue
            if operation.comment_shows != _shows(operation, runs.of_operation(tx, operation.id)):
                continue  # something newer came up meanwhile, and is not shown yet
            at = max(post.posted_at for post in live if post.posted_at)
            if operation.shown_at is None:
                operation.shown_at, changed = at, True
                tx.add(operation)
            for run in runs.of_operation(tx, operation.id):
                if run.fingerprint and run.shown_at is None:
                    run.shown_at, changed = at, True
                    tx.add(run)
        if changed:
            report_soon(services, tx, pull)
