"""What people type: who may, and what becomes of it. Every command is acknowledged, and every refusal explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from prbot.audit.entries import user
from prbot.core.branches import governed
from prbot.core.commands import Command, CommandError
from prbot.core.comments import replies
from prbot.core.events import Asking, CommentEvent
from prbot.core.permissions import Refused, may, narrowed
from prbot.core.pulls import Pull, Role
from prbot.core.runs import Goal, RunStatus
from prbot.flows import plan, report, strangers
from prbot.flows.applying import apply, plan_merged
from prbot.flows.approving import approve
from prbot.flows.asks import Ask, answer, done, first_time, refuse
from prbot.flows.giving_up import cancel, unlock
from prbot.flows.heard import heard, is_ours
from prbot.flows.orphans import forget
from prbot.flows.services import Services
from prbot.store import inbox, runs

log = structlog.get_logger(__name__)


def execute(services: Services, pull: Pull, event: CommentEvent, row: str) -> None:
    """Do what a comment asks for.

    `row` is its place in the inbox: what was done of it before it had to be tried again is not done twice.
    """
    found = heard(services, event.body)
    with services.db.write() as tx:
        report.react(services, tx, pull.key, event.comment_id, "eyes")
        so_far = inbox.commands_done(tx, row)
        errors = [each for each in found if isinstance(each, CommandError)]
        if errors and inbox.first_time(tx, row, "errors"):
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
        if number >= so_far:
            ask = Ask(pull, event, command, number, row)
            do(services, ask, role)
            with services.db.write() as tx:
                done(tx, ask)  # a plan's operation does not say so itself: made twice, the later one takes its place


def is_followed(services: Services, event: CommentEvent, row: str) -> bool:
    """Whether a comment, at `row` of the inbox, asks for anything. Most do not, nor do those that prbot wrote itself,
    and of a flood nothing is followed: they cost no request."""
    asks = bool(heard(services, event.body)) and not is_ours(services, event)
    return asks and not strangers.is_flood(services, event, row)


def do(services: Services, ask: Ask, role: Role) -> None:
    """Do one command, if who asks may give it. By a check's button that is `plan`."""
    pull, event, command = ask.pull, ask.event, ask.command
    verdict = may(command.name, role, **_unlock_facts(services, pull, event, command))
    if not isinstance(verdict, Refused):
        verdict = narrowed(command.name, event.sender, role, services.rules(pull.key.repo).who)
    if isinstance(verdict, Refused):
        refuse(services, ask, verdict.reason, once=True)
        return
    with services.db.write() as tx:
        if first_time(tx, ask, "accepted"):
            services.audit.append(
                tx,
                "command.accepted",
                actor=ask.actor,
                repo=pull.key.repo,
                pull=pull.key.number,
                head=pull.head_sha,
                facts={"command": command.to_line(services.identity.prefixes[0]), "comment": event.comment_id},
            )
    ACTS[command.name](services, ask)


def _unlock_facts(services: Services, pull: Pull, event: Asking, command: Command) -> dict[str, bool]:
    if command.name != "unlock":
        return {}
    with services.db.read() as tx:
        unapplied = any(
            run.status not in (RunStatus.APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED)
            for run in runs.newest(runs.of_pull(tx, pull.key, Goal.APPLY)).values()
        )
    return {"is_holder_author": event.sender.casefold() == pull.author.casefold(), "discards": unapplied}


# -- plan, and what only answers --------------------------------------------------------------------------------------
def _plan(services: Services, ask: Ask) -> None:
    pull, event = ask.pull, ask.event
    problem = _why_no_plan(services, pull, ask.command)
    if problem:
        refuse(services, ask, problem, title="Not planned")
        return
    if pull.merged:
        plan_merged(services, ask)
        return
    if not strangers.trusted(services, pull):
        unseen = strangers.why_not_allowed(services, pull, event)
        if unseen:
            refuse(services, ask, unseen, title="Not planned")
            return
        with services.db.write() as tx:
            if first_time(tx, ask, "allowed"):
                strangers.allow(services, tx, pull, event)
    plan.start(services, pull, plan.Asked("comment", ask.actor, ask.command, event.comment_id, ask.slug))


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
            return f"The argument `{name}` is not allowed by the rules (`extra_args`). Allowed: {listed}."
    return ""


def _help(services: Services, ask: Ask) -> None:
    document = replies.help_reply(services.identity.prefixes[0], services.rules(ask.pull.key.repo).who)
    with services.db.write() as tx:
        answer(services, tx, ask, document)


def _version(services: Services, ask: Ask) -> None:
    version = services.engine.version()
    document = replies.version_reply(services.identity.version, f"{version.product} {version.version}")
    with services.db.write() as tx:
        answer(services, tx, ask, document)


ACTS: Mapping[str, Callable[[Services, Ask], None]] = {
    "plan": _plan,
    "apply": apply,
    "approve": approve,
    "unlock": unlock,
    "cancel": cancel,
    "forget": forget,
    "help": _help,
    "version": _version,
}
"""What does each command."""
