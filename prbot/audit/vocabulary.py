"""What an audit entry may be about. A name, once used, keeps its meaning for ever; new ones are added."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Outcome = Literal["ok", "refused", "failed", "unknown"]
"""ok: it was done, or decided in favour. refused: decided against. failed: tried, and it did not work.
unknown: tried, and nobody can say."""

OUTCOMES: tuple[str, ...] = get_args(Outcome)

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        # the server
        "server.started": "A server or worker process started; its version and settings' digests.",
        "rules.loaded": "The rules that are in force from here on, by their digest.",
        "rules.refused": "The rules were to be loaded anew and are wrong: those that were in force stay so, and why.",
        "worker.lost": "A worker was declared dead, and what it held was taken from it.",
        # what reached it
        "delivery.ignored": "A delivery that asks nothing of prbot, and why.",
        "delivery.refused": "A delivery that prbot may not act on: repository not allowed, wrong signature.",
        "command.accepted": "A command that somebody typed and may use.",
        "command.refused": "A command that somebody typed and may not use, or that makes no sense or fails, and why.",
        "head.allowed": "Somebody with write access let a stranger's head run.",
        "head.revoked": "A push took that permission away.",
        # plans
        "plan.started": "An engine began to plan.",
        "plan.finished": "A plan was made, or failed: its seal and what it would change.",
        "run.superseded": "A run was given up for a newer one.",
        "run.cancelled": "A run was stopped because somebody asked.",
        "run.discarded": "A run was given up for good, by whom, and why.",
        # locks
        "lock.taken": "A pull request holds a project that nobody held.",
        "lock.passed": "A project went from one pull request to another.",
        "lock.waiting": "A pull request waits for a project that another one holds.",
        "lock.left": "A pull request waits for a project no more.",
        "lock.freed": "Nobody holds a project any more.",
        # approval
        "approval.counted": "An approval by a comment counts for a plan.",
        "approval.refused": "An approval by a comment does not count for a plan, and why.",
        "gate.evaluated": "All requirements for an apply, which are met, and on which facts.",
        # applies
        "apply.authorized": "All gates are met and the plan is the approved one: the engine may start. Recorded first.",
        "apply.refused": "An apply does not start, and why.",
        "apply.finished": "An apply ended: well, or with what error.",
        "run.held": "The fresh plan is not what was approved; the run waits for an approval of the new one.",
        "run.released": "A held run may go on.",
        "credentials.read": "The rules' credentials for one phase are about to be read for a run.",
        "run.unknown": "The worker was lost during an apply: nobody knows what was done.",
        "run.inspected": "An unknown run's state was compared with what it was, and its lock looked at.",
        "run.resolved": "A person, or the state, settled what became of an unknown run.",
        "late_result": "A worker that had lost its right to act came with a result; it was not used.",
        "convergence.checked": "What a plan right after an apply still wants to change.",
        # what a merge left behind
        "orphan.left": "A project's directory was removed, and its state may hold something.",
        "orphan.returned": "An orphaned project's directory is back and applied, or another one took over its state.",
        "orphan.forgotten": "Somebody said that an orphaned project is to be listed no more.",
    }
)
"""Every action, and what an entry of it says."""
