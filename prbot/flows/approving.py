"""`approve`: somebody approves a plan by its fingerprint, and what waited for that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlmodel import Session

from prbot.core.approvals import ApprovalVerdict
from prbot.core.commands import approving
from prbot.core.events import CommentEvent
from prbot.core.gate_facts import GateFacts
from prbot.core.gates import GateReport, evaluate
from prbot.core.marks import first_of, marked
from prbot.core.pulls import Pull
from prbot.core.runs import RELEASABLE, Goal, RunStatus
from prbot.core.shown import NamesNone, named_plan
from prbot.core.unplanned import narrowing, unapprovable
from prbot.core.wanted import NoSuchProject, among
from prbot.flows import gather, report
from prbot.flows.admission import admit_runs
from prbot.flows.applying import why_waiting
from prbot.flows.asks import Ask, chosen, done, refuse
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import runs
from prbot.store.tables import Approval, Run


def approve(services: Services, ask: Ask) -> None:
    """Keep the approval; whether it counts is decided, and said, on the facts of this moment."""
    pull, event, command = ask.pull, cast(CommentEvent, ask.event), ask.command  # a check's button only plans
    with services.db.read() as tx:
        removed = _only_removed(tx, ask)
    if removed:
        refuse(services, ask, removed, title="Not approved")
        return
    with services.db.write() as tx:
        latest = chosen(services, tx, ask, runs.newest(runs.of_pull(tx, pull.key)).values())
        if latest is None:
            return
        waiting = [run for run in latest if _waits(run, pull)]
    named = named_plan(command.args[0] if command.args else None, [gather.shown_plan(run) for run in waiting])
    if isinstance(named, NamesNone):
        prefix = services.identity.prefixes[0]
        ways = (_to_type(waiting, prefix) or _how_to_plan(latest, prefix), *why_waiting(latest))
        refuse(services, ask, " ".join(filter(None, (named.reason, *ways))), title="Not approved")
        return
    run = next(each for each in waiting if each.id == named.run)
    problem = unapprovable(narrowing(run.extra_args or ()), complete=gather.is_complete(run))
    if problem is not None:
        why, todo = problem
        way_on = f"{todo[0].upper()}{todo[1:]}.".format(prefix=services.identity.prefixes[0])
        refuse(services, ask, f"{marked(run.project.label)} {why}. {way_on}", title="Not approved")
        return
    with services.db.write() as tx:
        if tx.get(Approval, (event.comment_id, run.id)) is None:
            tx.add(
                Approval(
                    comment_id=event.comment_id,
                    run=run.id,
                    repo=run.repo,
                    pull=run.pull,
                    user=event.sender,
                    user_is_bot=event.author_is_bot,
                    fingerprint=run.fingerprint,
                    at=datetime.fromisoformat(event.created_at),
                )
            )
    _judge(services, ask, event, run)


def _waits(run: Run, pull: Pull) -> bool:
    """Whether a plan waits for an approval."""
    if run.goal is Goal.PLAN:
        return run.status is RunStatus.PLANNED and not pull.merged
    return run.status in RELEASABLE


def _only_removed(tx: Session, ask: Ask) -> str:
    """Where a command is for nothing but projects whose directory is removed: how that is approved."""
    every = runs.newest(runs.of_pull(tx, ask.pull.key)).values()
    plans = among({run.project for run in every if _waits(run, ask.pull)}, ask.wanted)
    removed = among({each.project for each in gather.removed(tx, ask.pull)}, ask.wanted)
    if isinstance(removed, NoSuchProject) or not removed or (plans and not isinstance(plans, NoSuchProject)):
        return ""
    named = ", ".join(marked(key.label) for key in sorted(removed))
    head = ask.pull.head_sha[:7]
    return f"There is no plan of {named}, which this pull request removes: approve that by a review of `{head}`."


def _judge(services: Services, ask: Ask, event: CommentEvent, run: Run) -> None:
    pull = ask.pull
    base, on_base = gather.base_of_merged(services, pull)
    facts = gather.gate_facts(services, pull, base, merge_on_base=on_base, only=run.project)
    verdict = evaluate(facts)
    judged = verdict.verdicts.get(run.project, ApprovalVerdict())
    mine = event.sender.casefold()
    if any(each.user.casefold() == mine for each in judged.counted):
        _counts(services, ask, event, run, (facts, verdict))
    else:
        refusals = [each.reason for each in judged.not_counted if each.user.casefold() == mine]
        _does_not_count(services, ask, event, run, " ".join(refusals) or "It does not count.")


def _does_not_count(services: Services, ask: Ask, event: CommentEvent, run: Run, why: str) -> None:
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "approval.refused",
            actor=ask.actor,
            project=run.project,
            pull=run.pull,
            run=run.id,
            outcome="refused",
            facts={"fingerprint": run.fingerprint, "comment": event.comment_id, "why": why},
        )
    refuse(services, ask, why, title="Not approved")


def _counts(services: Services, ask: Ask, event: CommentEvent, run: Run, grounds: tuple[GateFacts, GateReport]) -> None:
    """Keep that an approval counts, and release what waits for it once it is enough."""
    facts, verdict = grounds
    enough = any(gate.met for gate in verdict.gates if gate.name == "approved")
    with services.db.write() as tx:
        done(tx, ask)
        services.audit.append(
            tx,
            "approval.counted",
            actor=ask.actor,
            project=run.project,
            pull=run.pull,
            run=run.id,
            facts={"fingerprint": run.fingerprint, "comment": event.comment_id},
        )
        report.react(services, tx, ask.pull.key, event.comment_id, "+1")
        fresh = tx.get_one(Run, run.id)
        if enough and fresh.goal is Goal.APPLY and fresh.status in RELEASABLE:
            # Where the rules leave it to people when to apply, or not to this one, the plan made then waits for that.
            may_apply = facts.rules.who.apply.admits(event.sender, facts.people.roles[event.sender])
            fresh.auto = facts.rules.apply == "auto" and may_apply
            runs.step(tx, fresh, RunStatus.PENDING, services.clock.now())
            services.audit.append(
                tx,
                "run.released",
                actor=ask.actor,
                project=run.project,
                pull=run.pull,
                run=run.id,
                facts={"fingerprint": run.fingerprint},
            )
            tx.flush()
            admit_runs(services, tx)
        report_soon(services, tx, ask.pull.key)


def _to_type(waiting: Sequence[Run], prefix: str) -> str:
    """The lines that approve what waits."""
    lines = [marked(line) for line in approving([(run.project, run.fingerprint) for run in waiting], prefix)]
    return f"There is: {', '.join(first_of(lines))}." if lines else ""


def _how_to_plan(latest: Sequence[Run], prefix: str) -> str:
    """What to do where no plan waits since one could not be made."""
    failed = [marked(run.project.label) for run in latest if run.status in (RunStatus.ERRORED, RunStatus.CANCELLED)]
    return f"There is no plan of {', '.join(failed)}: `{prefix} plan` makes one." if failed else ""
