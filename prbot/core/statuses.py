"""The commit statuses: what each says of how a pull request stands. Only what is known to be good is a success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prbot.core.comments import words
from prbot.core.comments.text import plural
from prbot.core.gate_facts import GateFacts, Looked
from prbot.core.gates import NO_PROJECT, GateReport
from prbot.core.plans import Counts
from prbot.core.pulls import CheckRun, Status, StatusState
from prbot.core.runs import LIVE, RunStatus
from prbot.core.unplanned import HAS_PLAN

PLAN, GATE, APPLY = "prbot/plan", "prbot/gate", "prbot/apply"
MOST_STATUSES = 20
MOST_CHARACTERS = 140

_FAILED = frozenset({RunStatus.ERRORED, RunStatus.POLICY_FAILED, RunStatus.CANCELLED, RunStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Member:
    """A project's latest run, as the statuses show it."""

    label: str
    status: RunStatus
    counts: Counts = words.NOTHING
    tried: bool = False
    """An earlier apply of the same merge began, and did not end well."""


# -- the plan ---------------------------------------------------------------------------------------------------------
def plan_statuses(looked: Looked | None, members: Sequence[Member], url: str, *, prefix: str) -> list[Status]:
    """The total, and each project's where there are few enough. Projects have one only when their plan has ended.

    `looked` and `members` are of the commit that the statuses are for.
    """
    found = [_plan_total(looked, members, url, prefix)]
    if len(members) <= MOST_STATUSES:
        found += [_plan_of(each, url, prefix) for each in members if each.status not in LIVE]
    return found


def _plan_total(looked: Looked | None, members: Sequence[Member], url: str, prefix: str) -> Status:
    def status(state: StatusState, text: str) -> Status:
        return Status(PLAN, state, text[:MOST_CHARACTERS], url)

    if looked is not None and looked.conflict:
        return status("failure", f"does not merge: conflicts in {plural(len(looked.conflict), 'file')}")
    if any(each.status in LIVE for each in members):
        return status("pending", f"planning {plural(len(members), 'project')}")
    failed = [each for each in members if each.status in _FAILED]
    refused = looked.refused if looked is not None else ()
    if failed or refused:
        return status("failure", f"{len(failed) + len(refused)} not planned; see the comment")
    if looked is None:
        return status("pending", f"not all of it was looked at; see `{prefix} apply`")
    unplanned = [each.label for each in members if each.status not in HAS_PLAN]
    if unplanned:
        return status("pending", f"type `{prefix} plan`: there is no plan of {', '.join(unplanned)}")
    if looked.removed and not any(each.counts != words.NOTHING for each in members):
        return status("success", f"leaves behind what is made of {', '.join(looked.removed)}; see the comment")
    if not members:
        return status("success", NO_PROJECT)
    return status("success", words.in_words(words.total(each.counts for each in members)))


def _plan_of(each: Member, url: str, prefix: str) -> Status:
    name = f"{PLAN}: {each.label}"
    if each.status in _FAILED:
        return Status(name, "failure", each.status.replace("_", " "), url)
    if each.status not in HAS_PLAN:
        return Status(name, "pending", f"there is no plan any more; see `{prefix} apply`", url)
    return Status(name, "success", words.in_words(each.counts)[:MOST_CHARACTERS], url)


# -- the gate ---------------------------------------------------------------------------------------------------------
def gate_status(facts: GateFacts, verdict: GateReport, url: str) -> Status:
    """Success when all but the merge itself is met."""
    if verdict.approve_ready:
        return Status(GATE, "success", "all requirements but the merge are met", url)
    looked = facts.looked
    if facts.governed and looked is not None and looked.conflict:
        said = f"it conflicts with {facts.pull.base_branch}; see the comment"
        return Status(GATE, "failure", said[:MOST_CHARACTERS], url)
    if facts.governed and looked is not None and looked.refused:
        return Status(GATE, "failure", "not every directory could be planned; see the comment", url)
    if not facts.governed:
        return Status(GATE, "pending", f"{facts.pull.base_branch} is not planned for"[:MOST_CHARACTERS], url)
    lacking = ", ".join(gate.name for gate in verdict.unmet if gate.name != "merged")
    return Status(GATE, "pending", f"not met: {lacking}; see `{facts.prefix} apply`"[:MOST_CHARACTERS], url)


def queue_status(
    gate: Status | None, *, soon: bool, holds_only_it: bool, on_base: bool, before: Status | None, url: str
) -> Status:
    """Of a merge queue's commit: success when the pull request's gate is met, the commit is nothing but its head merged
    into what it stands on, and that is the base branch or green itself. What will not change by itself is a failure,
    so that the queue goes on without it."""

    def status(state: StatusState, text: str) -> Status:
        return Status(GATE, state, text[:MOST_CHARACTERS], url)

    if not holds_only_it:
        return status("failure", "it holds something else than the pull request's head merged into what it stands on")
    if soon or gate is None:
        return status("pending", "the pull request's own gate is not known yet")
    if gate.state != "success":
        return status("failure", gate.description)
    if on_base:
        return status("success", gate.description)
    if before is None or before.state == "pending":
        return status("pending", "what is before it in the queue is not known to be met yet")
    if before.state != "success":
        return status("failure", "what is before it in the queue does not meet its gate")
    return status("success", "all requirements but the merge are met, also before it in the queue")


def gate_while_planning(url: str) -> Status:
    """Before the plans are there, nothing else is asked for."""
    return Status(GATE, "pending", "not met: planned; wait for the plan", url)


def gate_unknown(why: str, url: str) -> Status:
    """What cannot be read now may have changed since it was."""
    return Status(GATE, "pending", f"not known, and asked again: {why}"[:MOST_CHARACTERS], url)


def gate_while_closed(url: str) -> Status:
    """Nothing is held or known of a closed pull request: if it is opened again it is planned again."""
    return Status(GATE, "pending", "it is closed, and is planned again when it is reopened", url)


# -- the apply --------------------------------------------------------------------------------------------------------
def apply_status(members: Sequence[Member], url: str, *, prefix: str) -> Status:
    """How the apply of a merged pull request stands: of its projects, the one that stands worst."""

    def status(state: StatusState, text: str, those: Sequence[Member] = ()) -> Status:
        named = f": {', '.join(each.label for each in those)}" if those else ""
        return Status(APPLY, state, f"{text}{named}"[:MOST_CHARACTERS], url)

    def having(*statuses: RunStatus, tried: bool | None = None) -> list[Member]:
        return [each for each in members if each.status in statuses and tried in (None, each.tried)]

    if lost := having(RunStatus.UNKNOWN):
        return status("failure", "not known whether it was applied; see the comment", lost)
    if failed := having(RunStatus.ERRORED, RunStatus.CANCELLED, RunStatus.POLICY_FAILED, RunStatus.SUPERSEDED):
        return status("failure", "not applied; see the comment", failed)
    if held := having(RunStatus.HELD, RunStatus.AWAITING_APPROVAL):
        return status("failure", "held until somebody approves; see the comment", held)
    if again := having(RunStatus.PLANNED, tried=True):
        return status("failure", f"the apply failed; `{prefix} apply` tries again", again)
    if discarded := having(RunStatus.DISCARDED):
        return status("failure", "discarded, so merged and never applied", discarded)
    if waiting := having(RunStatus.PLANNED):
        return status("pending", f"waits for `{prefix} apply`", waiting)
    if any(each.status in LIVE for each in members):
        return status("pending", "under way")
    if turn := having(RunStatus.WAITING):
        return status("pending", "waits for its turn", turn)
    applied = having(RunStatus.APPLIED)
    if not applied:
        return status("success", "there was nothing to apply")
    return status("success", f"applied: {words.in_words(words.total(each.counts for each in applied))}")


def with_refused(status: Status, refused: int) -> Status:
    """The same, unless it is well and some directories were merged though they are refused."""
    if not refused or status.state != "success":
        return status
    return replace(status, state="failure", description=f"{refused} refused and not applied; see the comment")


# -- several pull requests of one commit ------------------------------------------------------------------------------
_RANKS: Mapping[StatusState, int] = {"success": 0, "pending": 1, "failure": 2, "error": 2}


def worst_status(asked: Mapping[int, Status]) -> Status:
    """Of what pull requests ask for, by number, the worst; it says whose it is where there are several."""
    number = max(asked, key=lambda each: (_RANKS[asked[each].state], -each))
    found = asked[number]
    if len(asked) == 1:
        return found
    return replace(found, description=f"#{number}: {found.description}"[:MOST_CHARACTERS])


def worst_check(asked: Mapping[int, CheckRun], own: int, page: CheckRun) -> CheckRun:
    """The page of the pull request `own`, under the title and the conclusion of the worst, which says whose it is."""
    number = max(asked, key=lambda each: (_rank(asked[each]), -each))
    if set(asked) == {own}:
        return page
    return replace(page, conclusion=asked[number].conclusion, title=f"#{number}: {asked[number].title}")


def _rank(check: CheckRun) -> int:
    return {"success": 0, None: 1}.get(check.conclusion, 2)
