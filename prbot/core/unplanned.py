"""Why a pull request is not planned, or cannot be applied, project by project, each with the way on.

What is not known is not planned: a head that nobody looked at whole, a plan that was put aside, one that leaves
something out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prbot.core.gate_facts import GateFacts, ProjectFacts
from prbot.core.marks import marked
from prbot.core.pulls import Pull
from prbot.core.runs import RunStatus

Problem = tuple[str, str]
"""Why, and what to do, where `{prefix}` stands for the first word of commands."""

HAS_PLAN = frozenset({RunStatus.PLANNED, RunStatus.NO_CHANGES, RunStatus.AWAITING_APPROVAL, RunStatus.HELD})
UNDER_WAY = frozenset({RunStatus.PENDING, RunStatus.WAITING, RunStatus.PLANNING, RunStatus.APPLYING})
PLAN_TO_COME = HAS_PLAN | UNDER_WAY
"""There is a plan to be shown, or there will be, without anybody's doing."""

_UNPLANNED: Mapping[RunStatus, Problem] = {
    RunStatus.PENDING: ("is about to be planned", "wait for its plan"),
    RunStatus.WAITING: ("waits for its turn", "wait for its plan"),
    RunStatus.PLANNING: ("is being planned", "wait for its plan"),
    RunStatus.APPLYING: ("is being applied", "wait for it to end"),
    RunStatus.POLICY_FAILED: ("failed a policy", "change the code until the policy passes"),
    RunStatus.ERRORED: ("could not be planned", "push a fix, or type `{prefix} plan` to try again"),
    RunStatus.CANCELLED: ("was cancelled", "type `{prefix} plan`"),
    RunStatus.DISCARDED: ("was discarded", "type `{prefix} plan`"),
    RunStatus.SUPERSEDED: ("has no plan since its last one was put aside", "type `{prefix} plan`"),
}


_NARROWING = frozenset(
    {"-target", "-target-file", "-exclude", "-exclude-file", "-replace", "-destroy", "-refresh-only", "-state"}
)


def narrowing(args: Iterable[str]) -> tuple[str, ...]:
    """Those of the engine's arguments that make it plan something else than what the code says, all of it."""
    found = []
    for arg in args:
        name, _, value = ("-" + arg.lstrip("-")).partition("=")
        switched_off = name in ("-refresh", "-lock") and value.casefold() in ("false", "0", "f")
        if name in _NARROWING or switched_off:
            found.append(arg)
    return tuple(found)


def unplanned(facts: GateFacts) -> list[Problem]:
    """What keeps an open pull request from being planned: what was not looked at first, then its projects."""
    pull = facts.pull
    if pull.state == "closed":
        return [("it is closed", "reopen it: it is planned again then")]
    if not facts.governed:
        why = f"{pull.base_branch} is not a branch that prbot plans for"
        return [(why, f"change the base to {pull.default_branch}, or have {pull.base_branch} listed in the rules")]
    projects = [
        (f"{each.project.label} {found[0]}", found[1])
        for each in facts.projects
        if (found := _problem_of(each, pull)) is not None
    ]
    return [*_unlooked(facts), *projects]


def _unlooked(facts: GateFacts) -> Iterator[Problem]:
    """What is not known of the whole, or was found to stand in the way of planning it."""
    pull, looked = facts.pull, facts.looked
    if looked is None:
        why = f"the whole of {pull.head_sha[:7]} was not looked at for {pull.base_branch}"
        yield why, "wait for its plan, or type `{prefix} plan`"
        return
    if looked.conflict:
        todo = f"merge {pull.base_branch} into {pull.head_branch}, or rebase, and resolve the conflicts"
        yield f"it conflicts with {pull.base_branch}, so that nothing is planned", todo
    for directory in looked.refused:
        yield f"{directory} cannot be planned as it is", "change it as the plan's comment says, and push"


def _problem_of(each: ProjectFacts, pull: Pull) -> Problem | None:
    """What is wrong with the plan of one project, and what to do."""
    if each.status is None:
        return "was never planned", "type `{prefix} plan`"
    if each.status not in HAS_PLAN:
        return _UNPLANNED.get(each.status, (f"is {each.status}", "type `{prefix} plan`"))
    if each.plan is None:
        return "has no plan that was shown", "wait for its plan"
    if each.plan.head_sha != pull.head_sha:
        why = f"was planned on {each.plan.head_sha[:7]}, not on this head"
        return why, "wait for its plan, or type `{prefix} plan`"
    if (found := unapprovable(each.narrowed, complete=each.complete)) is not None:
        return found
    if each.speculative and each.status is not RunStatus.NO_CHANGES:
        why = "has only a speculative plan, made while somebody else held it"
        return why, "it is planned anew when its turn comes"
    return None


def unapprovable(narrowed: Sequence[str], *, complete: bool) -> Problem | None:
    """Why a plan is none that could be approved, and what to do: it is not all that the code says, or `complete`."""
    if narrowed:
        why = f"was planned with {marked(' '.join(narrowed))}, and such a plan cannot be applied"
        return why, "type `{prefix} plan` without arguments"
    if not complete:
        why = "has a plan that puts changes off until others are applied, and such a plan cannot be approved"
        return why, "change the code so that all of it can be planned at once, and push"
    return None


def unapplicable(projects: Iterable[ProjectFacts]) -> list[Problem]:
    """What keeps the projects of a merged pull request from being applied (again)."""
    found = []
    for each in projects:
        if each.status in UNDER_WAY:
            todo = "wait for its turn" if each.status is RunStatus.WAITING else "wait for it to end"
            found.append((f"{each.project.label} {_UNPLANNED[each.status][0]}", todo))
        elif each.status is RunStatus.UNKNOWN:
            why = "was being applied when its worker was lost, and whether it was is not known"
            todo = (
                "compare the state with the plan; then `{prefix} plan` plans what is left, and `{prefix} unlock`, by "
                "somebody with maintain access, gives it up"
            )
            found.append((f"{each.project.label} {why}", todo))
    return found
