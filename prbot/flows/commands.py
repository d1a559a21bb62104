"""What people type: who may, and what becomes of it. Every command is acknowledged, and every refusal explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import structlog

from prbot.audit.entries import user
from prbot.core.branches import governed
from prbot.core.commands import Command, CommandError
from prbot.core.comments import replies
from prbot.core.comments.split import find_marker
from prbot.core.events import Asking, CommentEvent
from prbot.core.gate_facts import facts_digest
from prbot.core.gates import evaluate
from prbot.core.permissions import Refused, may, narrowed
from prbot.core.pulls import Pull, Role
from prbot.core.runs import BUSY, LIVE, Goal, RunStatus
from prbot.core.shown import NamesNone, named_plan
from prbot.flows import gather, plan, report, strangers
from prbot.flows.admission import admit_runs
from prbot.flows.apply_ends import another_attempt
from prbot.flows.heard import heard
from prbot.flows.locks import claimed_by, give_up
from prbot.flows.nudge import report_soon, stop
from prbot.flows.services import Services
from prbot.store import runs
from prbot.store.tables import Approval, Operation, Post, Run

log = structlog.get_logger(__name__)
RELEASABLE = frozenset({RunStatus.HELD, RunStatus.AWAITING_APPROVAL})


def execute(services: Services, pull: Pull, event: CommentEvent) -> None:
    """Do what a comment asks for. One that asks for nothing, and one that prbot wrote, costs nothing."""
    found = heard(services, event.body)
    if not found or _is_ours(services, event) or strangers.is_flood(services, pull, event):
        return
    with services.db.write() as tx:
        report.react(services, tx, pull.key, event.comment_id, "eyes")
    errors = [each for each in found if isinstance(each, CommandError)]
    if errors:
        with services.db.write() as tx:
            services.audit.append(
                tx,
                "command.refused",
                actor=user(event.sender),
                repo=pull.key.repo,
                pull=pull.key.number,
                outcome="refused",
                facts={"problems": [each.problem for each in errors]},
            )
            report.reply_in(services, tx, pull.key, event.comment_id, replies.command_errors(errors), "errors")
    role: Role = services.forge.role(pull.key.repo, event.sender)
    for number, command in enumerate(each for each in found if isinstance(each, Command)):
        do(services, pull, event, command, role, number)


def _is_ours(services: Services, event: CommentEvent) -> bool:
    """Whether prbot wrote the comment: by its marker together with our login, or by its stored id."""
    if find_marker(event.body) is None:
        return False
    with services.db.read() as tx:
        known = tx.exec(
            Post.__table__.select().where(Post.__table__.c.external_id == event.comment_id)  # type: ignore[attr-defined]
        ).first()
    return known is not None or event.sender.casefold() == services.forge.me().casefold()


def do(services: Services, pull: Pull, event: Asking, command: Command, role: Role, number: int = 0) -> None:
    """Do one command, if who asks may give it. By a check's button that is `plan`."""
    slug = f"{number}:{command.name}"
    verdict = may(command.name, role, **_unlock_facts(services, pull, event, command))
    if not isinstance(verdict, Refused):
        verdict = narrowed(command.name, event.sender, role, services.rules(pull.key.repo).who)
    if isinstance(verdict, Refused):
        _refuse(services, pull, event, command, verdict.reason, slug, once=True)
        return
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "command.accepted",
            actor=user(event.sender),
            repo=pull.key.repo,
            pull=pull.key.number,
            head=pull.head_sha,
            facts={"command": command.to_line(services.identity.prefixes[0]), "comment": event.comment_id},
        )
    _ACTS[command.name](services, pull, event, command, slug)


def _refuse(
    services: Services, pull: Pull, event: Asking, command: Command, reason: str, slug: str, *, once: bool = False
) -> None:
    """Answer with the reason; with `once`, only the first time that this person asks for this command here."""
    document = replies.refused(event.sender, command.name, reason)
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "command.refused",
            actor=user(event.sender),
            repo=pull.key.repo,
            pull=pull.key.number,
            outcome="refused",
            facts={"command": command.name, "why": reason, "comment": event.comment_id},
        )
        if once:
            report.want_comment(services, tx, pull.key, f"refused:{event.sender}:{command.name}", document)
            report_soon(services, tx, pull.key)
        else:
            report.reply_in(services, tx, pull.key, event.comment_id, document, slug)


def _unlock_facts(services: Services, pull: Pull, event: Asking, command: Command) -> dict[str, bool]:
    if command.name != "unlock":
        return {}
    with services.db.read() as tx:
        unapplied = any(
            run.status not in (RunStatus.APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED)
            for run in runs.newest(runs.of_pull(tx, pull.key, Goal.APPLY)).values()
        )
    return {"is_holder_author": event.sender.casefold() == pull.author.casefold(), "discards": unapplied}


# -- plan -------------------------------------------------------------------------------------------------------------
def _plan(services: Services, pull: Pull, event: Asking, command: Command, slug: str) -> None:
    problem = _why_no_plan(services, pull, command)
    if problem:
        _refuse(services, pull, event, command, problem, slug)
        return
    if pull.merged:
        _plan_merged(services, pull, event, command, slug)
        return
    if not strangers.trusted(services, pull):
        unseen = strangers.why_not_allowed(services, pull, event)
        if unseen:
            _refuse(services, pull, event, command, unseen, slug)
            return
        with services.db.write() as tx:
            strangers.allow(services, tx, pull, event)
    plan.start(services, pull, plan.Asked("comment", user(event.sender), command, event.comment_id))


def _why_no_plan(services: Services, pull: Pull, command: Command) -> str:
    rules = services.rules(pull.key.repo)
    if not governed(rules, pull):
        return (
            f"`{pull.base_branch}` is not a branch that prbot plans for: the default branch is, and those in the rules."
        )
    if pull.state == "closed" and not pull.merged:
        return "This pull request is closed. Reopen it to plan it."
    allowed = rules.extra_args
    for arg in command.extra_args:
        name = "-" + arg.lstrip("-").split("=", 1)[0]
        if name not in allowed:
            listed = ", ".join(f"`{each}`" for each in allowed) or "none"
            return f"The argument `{name}` is not allowed by the rules. Allowed: {listed}."
    return ""


def _chosen(members: Sequence[Run], command: Command) -> list[Run]:
    """The runs that a command's `-d`, `-w` and `-p` name; all without them."""
    return [
        run
        for run in members
        if (not command.dirs or any(fnmatchcase(run.dir, glob) for glob in command.dirs))
        and (not command.projects or any(fnmatchcase(run.project.label, glob) for glob in command.projects))
        and (command.workspace is None or run.workspace == command.workspace)
    ]


def _plan_merged(services: Services, pull: Pull, event: Asking, command: Command, slug: str) -> None:
    """On a merged pull request: see what is left of what was not applied. It goes no further than the plan."""
    again = frozenset({RunStatus.ERRORED, RunStatus.UNKNOWN, RunStatus.CANCELLED, *RELEASABLE, RunStatus.PLANNED})
    with services.db.write() as tx:
        members = runs.newest(runs.of_pull(tx, pull.key, Goal.APPLY)).values()
        chosen = _chosen([run for run in members if run.status in again], command)
        if not chosen:
            document = replies.notice(
                "Nothing to plan", ["Everything that this merge changes is applied or under way."]
            )
            report.reply_in(services, tx, pull.key, event.comment_id, document, slug)
            return
        operation = Operation(
            id=services.new_id(),
            repo=pull.key.repo,
            pull=pull.key.number,
            goal=Goal.APPLY,
            trigger="comment",
            actor=event.sender,
            comment_id=event.comment_id,
            head_sha=pull.head_sha,
            base_sha=chosen[0].base_sha,
            created_at=services.clock.now(),
        )
        tx.add(operation)
        tx.flush()
        for run in chosen:
            if run.status is RunStatus.UNKNOWN:
                services.audit.append(
                    tx,
                    "run.resolved",
                    actor=user(event.sender),
                    project=run.project,
                    pull=run.pull,
                    run=run.id,
                    outcome="unknown",
                    facts={"by": "a new plan"},
                )
            runs.step(tx, run, RunStatus.DISCARDED, services.clock.now())
            tx.add(another_attempt(services, run, operation))
        tx.flush()
        admit_runs(services, tx)
        report_soon(services, tx, pull.key)


# -- apply ------------------------------------------------------------------------------------------------------------
def _apply(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    base = gather.fetched(services, pull)
    on_base = pull.merge_sha is not None and services.git.is_ancestor(pull.repo, pull.merge_sha, base)
    facts = gather.gate_facts(services, pull, base, merge_on_base=on_base)
    verdict = evaluate(facts)
    with services.db.write() as tx:
        newest = list(runs.newest(runs.of_pull(tx, pull.key, Goal.APPLY)).values())
        ready = _chosen([run for run in newest if run.status is RunStatus.PLANNED], command)
        if pull.merged and ready:
            for run in ready:
                run.auto = True
                runs.step(tx, run, RunStatus.PENDING, services.clock.now())
            tx.flush()
            admit_runs(services, tx)
            report_soon(services, tx, pull.key)
            return
        if pull.merged and newest and all(r.status in (RunStatus.APPLIED, RunStatus.NO_CHANGES) for r in newest):
            document = replies.notice("Already applied", ["Every project of this pull request is applied."])
        else:
            document = replies.gates(verdict.gates)
            services.audit.append(
                tx,
                "apply.refused",
                actor=user(event.sender),
                repo=pull.key.repo,
                pull=pull.key.number,
                head=pull.head_sha,
                outcome="refused",
                facts_digest=facts_digest(facts),
                facts={"unmet": [gate.name for gate in verdict.unmet]},
            )
        report.reply_in(services, tx, pull.key, event.comment_id, document, slug)


# -- approve ----------------------------------------------------------------------------------------------------------
def _approve(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    """Keep the approval; whether it counts is decided, and said, on the facts of this moment."""
    with services.db.read() as tx:
        every = runs.of_pull(tx, pull.key)
        latest = runs.newest(every).values()
        open_ones = [r for r in latest if r.goal is Goal.PLAN and r.status is RunStatus.PLANNED and not pull.merged]
        held = [r for r in latest if r.goal is Goal.APPLY and r.status in RELEASABLE]
        waiting = _chosen([*open_ones, *held], command)
    named = named_plan(command.args[0] if command.args else None, [gather.shown_plan(run) for run in waiting])
    if isinstance(named, NamesNone):
        _refuse(services, pull, event, command, named.reason, slug)
        return
    run = next(each for each in waiting if each.id == named.run)
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
    _judge(services, pull, event, command, run, slug)


def _judge(services: Services, pull: Pull, event: CommentEvent, command: Command, run: Run, slug: str) -> None:
    base = gather.fetched(services, pull)
    on_base = pull.merge_sha is not None and services.git.is_ancestor(pull.repo, pull.merge_sha, base)
    facts = gather.gate_facts(services, pull, base, merge_on_base=on_base, only=run.project)
    verdict = evaluate(facts)
    judged = verdict.verdicts.get(run.project)
    mine = event.sender.casefold()
    refusals = [each.reason for each in judged.not_counted if each.user.casefold() == mine] if judged else []
    counted = judged is not None and any(each.user.casefold() == mine for each in judged.counted)
    if not counted:
        _refuse(services, pull, event, command, " ".join(refusals) or "It does not count.", slug)
        return
    approved = next((gate for gate in verdict.gates if gate.name == "approved"), None)
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "approval.counted",
            actor=user(event.sender),
            project=run.project,
            pull=run.pull,
            run=run.id,
            facts={"fingerprint": run.fingerprint, "comment": event.comment_id},
        )
        report.react(services, tx, pull.key, event.comment_id, "+1")
        fresh = tx.get_one(Run, run.id)
        if approved is not None and approved.met and fresh.goal is Goal.APPLY and fresh.status in RELEASABLE:
            # Where the rules leave it to people when to apply, or not to this one, the plan made then waits for that.
            may_apply = facts.rules.who.apply.admits(event.sender, facts.people.roles[event.sender])
            fresh.auto = facts.rules.apply == "auto" and may_apply
            runs.step(tx, fresh, RunStatus.PENDING, services.clock.now())
            services.audit.append(
                tx,
                "run.released",
                actor=user(event.sender),
                project=run.project,
                pull=run.pull,
                run=run.id,
                facts={"fingerprint": run.fingerprint},
            )
            tx.flush()
            admit_runs(services, tx)
        report_soon(services, tx, pull.key)


# -- unlock, cancel, and what only answers ----------------------------------------------------------------------------
def _unlock(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    freed = []
    with services.db.write() as tx:
        newest = runs.newest(runs.of_pull(tx, pull.key))
        busy = [run.project.label for run in newest.values() if run.status in BUSY]
        if busy:
            document = replies.notice("Not unlocked", [f"{', '.join(busy)}: a run is under way; cancel it or wait."])
            report.reply_in(services, tx, pull.key, event.comment_id, document, slug)
            return
        chosen = {run.project for run in _chosen(list(newest.values()), command)}
        for project in claimed_by(tx, pull.key):
            if project not in chosen:
                continue
            run = newest[project]
            if run.goal is Goal.APPLY and run.status not in (RunStatus.APPLIED, RunStatus.NO_CHANGES):
                runs.step(tx, run, RunStatus.DISCARDED, services.clock.now())
                services.audit.append(
                    tx,
                    "run.discarded",
                    actor=user(event.sender),
                    project=project,
                    pull=run.pull,
                    run=run.id,
                    merge=run.commit,
                    facts={"exception": "merged and not applied", "comment": event.comment_id},
                )
            elif run.goal is Goal.PLAN:
                plan.supersede(services, tx, pull.key, project)
            given = give_up(services, tx, project, pull.key.number, user(event.sender))
            freed += [given] if given else []
        tx.flush()
        admit_runs(services, tx)
        report.reply_in(services, tx, pull.key, event.comment_id, replies.unlocked(freed), slug)


def _cancel(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    with services.db.write() as tx:
        live = _chosen([run for run in runs.of_pull(tx, pull.key) if run.status in LIVE], command)
        for run in live:
            if run.status in BUSY:
                stop(services, tx, run)
            else:
                runs.step(tx, run, RunStatus.CANCELLED, services.clock.now())
            services.audit.append(
                tx, "run.cancelled", actor=user(event.sender), project=run.project, pull=run.pull, run=run.id
            )
        said = [f"Stopping {', '.join(f'`{run.project.label}`' for run in live)}."] if live else ["Nothing is running."]
        report.reply_in(services, tx, pull.key, event.comment_id, replies.notice("Cancel", said), slug)


def _help(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    report.reply(
        services,
        pull.key,
        event.comment_id,
        replies.help_reply(services.identity.prefixes[0], services.rules(pull.key.repo).who),
        slug,
    )


def _version(services: Services, pull: Pull, event: CommentEvent, command: Command, slug: str) -> None:
    version = services.engine.version()
    document = replies.version_reply(services.identity.version, f"{version.product} {version.version}")
    report.reply(services, pull.key, event.comment_id, document, slug)


_ACTS: Mapping[str, Callable[[Services, Pull, Any, Command, str], None]] = {
    "plan": _plan,
    "apply": _apply,
    "approve": _approve,
    "unlock": _unlock,
    "cancel": _cancel,
    "help": _help,
    "version": _version,
}
