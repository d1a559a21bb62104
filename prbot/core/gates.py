"""What stands between a pull request and its apply: every requirement at once, each with what would meet it.

`evaluate` judges the facts of one moment and nothing else, so that anybody who has them can check what it said.
`prbot.core.decision` has the last word, once the fresh plan is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prbot.core.approvals import ApprovalVerdict, Counted, PeopleFacts, at_clock, judge
from prbot.core.commands import approving, to_paste
from prbot.core.gate_facts import GateFacts, ProjectFacts
from prbot.core.ids import ProjectKey
from prbot.core.locks import GIVES_WAY
from prbot.core.marks import first_of, marked
from prbot.core.pulls import Pull
from prbot.core.rules import Rules
from prbot.core.runs import RELEASABLE, Goal, RunStatus
from prbot.core.shown import ShownPlan
from prbot.core.unplanned import PLAN_TO_COME, UNDER_WAY, unapplicable, unplanned

GateName = Literal["planned", "approved", "mergeable", "unlocked", "merged"]


# -- report -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Gate:
    """One requirement: whether it is met, why (not), and if not, what to do and who can."""

    name: GateName
    met: bool
    why: str
    todo: str = ""
    notes: tuple[str, ...] = ()
    """A sentence for each approval that counted and each that did not."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """All requirements, in the order in which people meet them."""

    gates: tuple[Gate, ...]
    verdicts: Mapping[ProjectKey, ApprovalVerdict]
    """What the approvals amount to, for each project with a plan."""

    @property
    def unmet(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.met)

    @property
    def approve_ready(self) -> bool:
        """Whether all but the merge is met: what the status `prbot/gate` says."""
        return all(gate.met for gate in self.gates if gate.name != "merged")

    @property
    def may_apply(self) -> bool:
        """Whether an apply may go on to its fresh plan. `planned` is not asked: that plan, and `decide_apply`, are
        what answers it."""
        return all(gate.met for gate in self.gates if gate.name != "planned")


def evaluate(facts: GateFacts) -> GateReport:
    """Every requirement, met or not. Where no project is affected, there is nothing to require but the merge."""
    verdicts = {
        each.project: judge(
            facts.reviews, facts.explicit, each.earlier, each.plan, facts.people, merged_at=facts.pull.merged_at
        )
        for each in facts.projects
        if each.plan is not None
    }
    gates = (_planned(facts), _approved(facts, verdicts), _mergeable(facts), _unlocked(facts), _merged(facts))
    return GateReport(gates, verdicts)


NO_PROJECT = "no project is affected"
NOTHING_LEFT = "nothing of it is left to be applied"
NOT_KNOWN = "which projects are affected is not known yet"


def _without_projects(name: GateName, facts: GateFacts) -> Gate:
    """A requirement of a pull request without projects: met if that was found, and not only for want of a look."""
    if facts.pull.merged:
        return Gate(name, True, NOTHING_LEFT)
    return Gate(name, True, NO_PROJECT) if _is_known(facts) else Gate(name, False, NOT_KNOWN, "see `planned`")


def _is_known(facts: GateFacts) -> bool:
    """Whether it was found which projects are affected."""
    looked = facts.looked
    return facts.governed and looked is not None and not looked.conflict and not looked.refused


def _is_plannable(facts: GateFacts) -> bool:
    """Whether it would be planned as it is."""
    return facts.governed and facts.pull.state == "open" and not (facts.looked is not None and facts.looked.conflict)


def _from_problems(name: GateName, problems: Sequence[tuple[str, str]], met: str) -> Gate:
    """A gate that is met without problems; else all of them, and each different advice once."""
    if not problems:
        return Gate(name, True, met)
    return Gate(
        name,
        False,
        "; ".join(first_of([why for why, _ in problems])),
        "; ".join(first_of([*dict.fromkeys(todo for _, todo in problems)])),
    )


# -- planned ----------------------------------------------------------------------------------------------------------
def _planned(facts: GateFacts) -> Gate:
    if not facts.projects and facts.pull.merged:
        return _without_projects("planned", facts)
    problems = [
        (why, todo.format(prefix=facts.prefix))
        for why, todo in (unapplicable(facts.projects) if facts.pull.merged else unplanned(facts))
    ]
    if facts.pull.merged:
        met = "each project is planned anew, in the merge commit, when it is applied"
    else:
        met = "all projects are planned on this head" if facts.projects else NO_PROJECT
    return _from_problems("planned", problems, met)


# -- approved ---------------------------------------------------------------------------------------------------------
def approvals_needed(rules: Rules, plan: ShownPlan | None) -> int:
    """How many approvals a plan needs. One that differed after the merge, that is made against another place of the
    state, or that leaves a state behind, needs at least one, whatever the rules say."""
    must_be_seen = plan is not None and (plan.goal is Goal.APPLY or plan.must_be_approved)
    return max(rules.approvals, 1) if must_be_seen else rules.approvals


def _approved(facts: GateFacts, verdicts: Mapping[ProjectKey, ApprovalVerdict]) -> Gate:
    if not facts.projects:
        return _without_projects("approved", facts)
    labels = [each.project.label for each in facts.projects]
    found = [(each, verdicts.get(each.project, ApprovalVerdict())) for each in facts.projects]
    standings = [(each, *_standing(each.plan, verdict, facts)) for each, verdict in found]
    lacking = [each for each, enough, _ in standings if not enough]
    objectors = sorted({objection.user for _, verdict in found for objection in verdict.blocking})
    counts = _by_project(labels, [(each.project.label, sentence) for each, _, sentence in standings])
    notes = _by_project(labels, [(each.project.label, note) for each, verdict in found for note in _notes(verdict)])
    return Gate(
        "approved",
        met=not lacking,
        why="; ".join([*first_of(counts), *(f"{user} requested changes" for user in objectors)]),
        todo=_approval_todo(facts, lacking, objectors) if lacking else "",
        notes=tuple(notes),
    )


def _standing(plan: ShownPlan | None, verdict: ApprovalVerdict, facts: GateFacts) -> tuple[bool, str]:
    """Whether a project's plan is approved, and the count in words."""
    if plan is not None and not _is_of_head(plan, facts.pull):
        head = facts.pull.head_sha[:7]
        return False, f"the plan that was shown is of {plan.head_sha[:7]}, not of the head {head}: approvals are void"
    needed = approvals_needed(facts.rules, plan)
    return verdict.satisfies(needed), _count(len(verdict.counted), needed)


def _count(counted: int, needed: int) -> str:
    if not needed:
        return "no approval is needed"
    have = f"{counted} approval{'s' * (counted != 1)}" if counted else "no approval"
    return f"{have} count{'s' * (counted < 2)}, and {needed} {'is' if needed == 1 else 'are'} needed"


def _is_of_head(plan: ShownPlan, pull: Pull) -> bool:
    """False when a push came after the plan: it could be merged before it is planned, and equal plans do not make it
    reviewed. A plan made after the merge is of the merge commit itself."""
    return plan.goal is Goal.APPLY or plan.head_sha == pull.head_sha


def _is_shown(each: ProjectFacts, pull: Pull) -> bool:
    return each.plan is not None and _is_of_head(each.plan, pull) and each.plan.shown_at is not None


def _can_be_approved(each: ProjectFacts, pull: Pull) -> bool:
    """Whether an approval is for the plan that is there: after the merge only for one that was stopped for it."""
    return not pull.merged or each.status in RELEASABLE


def _until_it_can_be_approved(lacking: Sequence[ProjectFacts], facts: GateFacts) -> Iterator[str]:
    for each in lacking:
        shown, approvable = _is_shown(each, facts.pull), _can_be_approved(each, facts.pull)
        if each.status in (PLAN_TO_COME if not shown else () if approvable else UNDER_WAY):
            yield "wait until the plan is shown"
        elif not approvable:
            yield f"type `{facts.prefix} plan`, and have approved what it shows"


def _by_project(labels: Collection[str], said: Iterable[tuple[str, str]]) -> list[str]:
    """What is said of projects: each sentence once, after the labels of those it is about unless it is about all."""
    about: dict[str, dict[str, None]] = {}
    for label, sentence in said:
        about.setdefault(sentence, {})[label] = None
    return [
        sentence if len(those) == len(labels) else f"{', '.join(first_of([*those]))}: {sentence}"
        for sentence, those in about.items()
    ]


def _notes(verdict: ApprovalVerdict) -> list[str]:
    return [_counted_note(each) for each in verdict.counted] + [each.reason for each in verdict.not_counted]


def _counted_note(counted: Counted) -> str:
    how = "approved by a review" if counted.via == "review" else "approved by a comment"
    carried = ", and it carries over from an earlier plan" if counted.carried_from else ""
    which = f" Of {counted.user}'s {counted.of} approvals it is the newest that counts." if counted.of > 1 else ""
    return f"{counted.user} {how} at {at_clock(counted.at)}: it counts{carried}.{which}"


def _approval_todo(facts: GateFacts, lacking: Sequence[ProjectFacts], objectors: Sequence[str]) -> str:
    steps = []
    if objectors:
        steps.append(f"ask {_and(objectors)} to review again, or have the review dismissed")
    shown = [
        (each.project, each.plan.fingerprint)
        for each in lacking
        if each.plan is not None and _is_shown(each, facts.pull) and _can_be_approved(each, facts.pull)
    ]
    steps += dict.fromkeys(_until_it_can_be_approved(lacking, facts))
    who = f"{facts.people.approvers}, and other than {_and(_involved(facts.people))},"
    if facts.pull.merged and shown:
        commands = first_of(sorted(map(marked, approving(shown, facts.prefix))))
        steps.append(f"{who} can type {_and(commands)}")
    elif not facts.pull.merged and not _is_plannable(facts):
        steps.append("see `planned`")
    elif not facts.pull.merged:
        steps.append(f"{who} can approve {facts.pull.head_sha[:7]} by a review, after the plan's comment")
    return "; ".join(steps)


def _involved(people: PeopleFacts) -> list[str]:
    """Who cannot approve, by name, each once whatever the case of the letters."""
    names = [people.author, people.requester or people.author, *sorted(people.commit_authors | people.last_pushers)]
    return list({name.casefold(): name for name in reversed(names)}.values())[::-1]


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# -- mergeable, unlocked, merged --------------------------------------------------------------------------------------
def _mergeable(facts: GateFacts) -> Gate:
    """Only whether it can be merged as it is. The forge's word for whether it *may* (`blocked`) takes in our own
    `prbot/gate`, and would wait for itself."""
    pull = facts.pull
    if pull.merged:
        return Gate("mergeable", True, "it is merged")
    if not facts.projects and _is_known(facts):
        return Gate("mergeable", True, NO_PROJECT)
    if not facts.rules.require_mergeable:
        return Gate("mergeable", True, "the rules do not ask for it")
    if pull.state == "closed":
        return Gate("mergeable", False, "it is closed", "reopen it")
    if pull.draft:
        return Gate("mergeable", False, "it is a draft", "mark it as ready for review")
    if pull.mergeable is None:
        return Gate("mergeable", False, "the forge is still computing whether it merges", "try again in a moment")
    if not pull.mergeable:
        todo = f"merge {pull.base_branch} into {pull.head_branch}, or rebase, and resolve the conflicts"
        return Gate("mergeable", False, f"it conflicts with {pull.base_branch}", todo)
    return Gate("mergeable", True, f"it merges into {pull.base_branch}")


def _unlocked(facts: GateFacts) -> Gate:
    if not facts.projects:
        return _without_projects("unlocked", facts)
    if facts.rules.locks == "off":
        return Gate("unlocked", True, "the rules lock nothing")
    problems = [found for each in facts.projects if (found := _locked(each, facts))]
    return _from_problems("unlocked", problems, "nobody else holds a project")


def _locked(each: ProjectFacts, facts: GateFacts) -> tuple[str, str] | None:
    """Why the project is not this pull request's, and what to do. What has nothing to apply needs no lock, and has
    given up the one that it had."""
    label, holder = each.project.label, each.holder
    if each.status is RunStatus.NO_CHANGES:
        return None
    if holder is None and each.status in GIVES_WAY and not facts.pull.merged:
        return None  # `planned` says what is to be done, and the lock is claimed with it
    if holder is None:
        if facts.rules.locks == "apply" and not facts.pull.merged:
            return None  # taken at the merge
        if facts.pull.merged:
            return f"{label} was given up by this pull request", "bring the change back with a new pull request"
        claims = f"type `{facts.prefix} plan` to claim it" if _is_plannable(facts) else "see `planned`"
        return f"this pull request does not hold {label}", claims
    if holder.pull == facts.pull.key.number:
        return None
    unlock = marked(to_paste("unlock", each.project, facts.prefix))
    if holder.merged:
        todo = f"wait until #{holder.pull} is applied, or have somebody with maintain access type {unlock} there"
        return f"{label} is held by #{holder.pull}, which is merged and not applied yet", todo
    todo = f"wait for #{holder.pull}, or have its author or somebody with maintain access type {unlock} there"
    return f"{label} is held by #{holder.pull}", todo


def _merged(facts: GateFacts) -> Gate:
    pull = facts.pull
    if not pull.merged:
        todo = "merge it once all else is met" if pull.state == "open" else "reopen it, and merge it"
        return Gate("merged", False, "it is not merged", todo)
    commit = (pull.merge_sha or "")[:7]
    if not facts.merge_on_base:
        why = f"its merge commit {commit} is not on {pull.base_branch}"
        return Gate("merged", False, why, f"bring {commit} back to {pull.base_branch}, or open a new pull request")
    return Gate("merged", True, f"merged as {commit}")
