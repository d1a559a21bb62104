"""Which approvals count for which plan, and why the others do not.

An opinion is a review that approves, requests changes or was dismissed, or an explicit `prbot approve`. A person's
newest opinion decides, and

- an approval on top of an approval takes nothing back: of the approvals since the person's last other opinion, the
  newest that counts is taken;
- a request for changes, or a dismissal, after an approval ends that approval, be it a review or explicit; in the same
  second it ends an explicit one too, since their order cannot be known;
- an explicit approval lifts the person's earlier request for changes only while it counts (it leaves no trace in the
  forge's own list of reviews); an approving review lifts it always.

Logins are compared without regard to case. Times are the forge's, in whole seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Literal

import rfc8785

from prbot.core.permissions import WhoMay
from prbot.core.pulls import Commit, Review, Role, at_least
from prbot.core.runs import Goal
from prbot.core.shown import ShownPlan, short_fingerprint

Via = Literal["review", "command"]

FORGE_COMMITTERS = frozenset({"web-flow"})
"""Who the forge itself commits as when a person merges or edits in the browser: nobody's second pair of hands."""


# -- facts ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ExplicitApproval:
    """A `prbot approve` comment, once it is known which run's plan it names."""

    user: str
    user_is_bot: bool
    run: str
    fingerprint: str
    """The whole fingerprint of the plan that it named when it was written."""
    at: datetime
    comment_id: int

    @property
    def raw_digest(self) -> str:
        """`sha256:<hex>` over the RFC 8785 form of these six fields (`at` as `2026-11-20T12:00:03Z`)."""
        record: dict[str, Any] = {
            "user": self.user,
            "user_is_bot": self.user_is_bot,
            "run": self.run,
            "fingerprint": self.fingerprint,
            "at": iso(self.at),
            "comment_id": self.comment_id,
        }
        return "sha256:" + hashlib.sha256(rfc8785.dumps(record)).hexdigest()


@dataclass(frozen=True, slots=True)
class PeopleFacts:
    """Who has a hand in the pull request, and what the reviewers may do at this moment."""

    author: str
    requester: str | None
    """Who asked for it, if prbot itself opened the pull request."""
    last_pushers: frozenset[str]
    """One login, or several when the forge does not say which of them it was; see `last_pushers`."""
    commit_authors: frozenset[str]
    bot_login: str
    roles: Mapping[str, Role]
    """By login. Whoever is missing here has no access."""
    approvers: WhoMay = field(default_factory=WhoMay)
    """Whose approvals the rules let count. Anybody's with write access can still object."""


# -- the verdict ------------------------------------------------------------------------------------------------------
class Refusal(StrEnum):
    """Why an approval does not count."""

    PRBOT = "prbot"
    BOT = "bot"
    AUTHOR = "author"
    REQUESTER = "requester"
    COMMIT_AUTHOR = "commit_author"
    LAST_PUSHER = "last_pusher"
    PERHAPS_LAST_PUSHER = "perhaps_last_pusher"
    NO_WRITE_ACCESS = "no_write_access"
    NOT_AN_APPROVER = "not_an_approver"
    NOT_SHOWN = "not_shown"
    BEFORE_PLAN = "before_plan"
    SAME_SECOND = "same_second"
    OTHER_HEAD = "other_head"
    OTHER_PLAN = "other_plan"
    AFTER_MERGE = "after_merge"
    PLANNED_AFTER_MERGE = "planned_after_merge"
    CHANGED = "changed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Counted:
    """An approval that counts. `id` is the review's or the comment's; `carried_from` the run that it was given to."""

    user: str
    via: Via
    id: int
    at: datetime
    carried_from: str | None
    raw_digest: str
    of: int = 1
    """How many approvals this person gave, of which this is the newest that counts."""


@dataclass(frozen=True, slots=True)
class NotCounted:
    """An approval that does not count; `reason` is one sentence for people."""

    user: str
    reason: str
    code: Refusal


@dataclass(frozen=True, slots=True)
class Objection:
    """A request for changes by somebody who counts."""

    user: str
    review: int
    raw_digest: str


@dataclass(frozen=True, slots=True)
class ApprovalVerdict:
    """What the opinions amount to for one plan. Everybody is in at most one of `counted` and `not_counted`."""

    counted: tuple[Counted, ...] = ()
    not_counted: tuple[NotCounted, ...] = ()
    blocking: tuple[Objection, ...] = ()

    def satisfies(self, needed: int) -> bool:
        """Whether nobody who counts objects and at least `needed` approvals count."""
        return not self.blocking and len(self.counted) >= needed


def judge(
    reviews: Sequence[Review],
    explicit: Sequence[ExplicitApproval],
    plans: Mapping[str, ShownPlan],
    plan: ShownPlan,
    people: PeopleFacts,
    *,
    merged_at: datetime | None,
) -> ApprovalVerdict:
    """Decide which opinions count for `plan`.

    `plans` are all plans of the same project and pull request by run, so that explicit approvals of other projects
    are told from those of earlier plans. `merged_at` is when the pull request was merged, None while it is not: an
    approving review counts only up to then.
    """
    bench = _Bench(people, tuple(_chain(plan, plans)), merged_at)
    counted: list[Counted] = []
    not_counted: list[NotCounted] = []
    blocking: list[Objection] = []
    for opinions in _by_person(_opinions(reviews, explicit, {*plans, plan.run})):
        outcome, objection = bench.decide(opinions)
        if isinstance(outcome, Counted):
            counted.append(outcome)
        elif outcome is not None:
            not_counted.append(outcome)
        if objection is not None:
            blocking.append(objection)
    return ApprovalVerdict(tuple(counted), tuple(not_counted), tuple(blocking))


@dataclass(frozen=True, slots=True)
class _Opinion:
    user: str
    is_bot: bool
    via: Via
    id: int
    at: datetime
    state: Literal["APPROVED", "CHANGES_REQUESTED", "DISMISSED"]
    subject: str
    """A review's commit, or the fingerprint that a command named."""
    run: str | None
    raw_digest: str

    @property
    def approves(self) -> bool:
        return self.state == "APPROVED"

    def is_about(self, plan: ShownPlan) -> bool:
        if self.via == "command":
            return self.run == plan.run and self.subject == plan.fingerprint
        return self.subject == plan.head_sha


def _opinions(reviews: Sequence[Review], explicit: Sequence[ExplicitApproval], runs: set[str]) -> Iterator[_Opinion]:
    for review in reviews:
        if review.state == "APPROVED" or review.state == "CHANGES_REQUESTED" or review.state == "DISMISSED":
            yield _Opinion(
                review.user, review.user_is_bot, "review", review.id, review.submitted_at, review.state,
                review.commit_id, None, review.raw_digest,
            )  # fmt: skip
    for approval in explicit:
        if approval.run in runs:
            yield _Opinion(
                approval.user, approval.user_is_bot, "command", approval.comment_id, approval.at, "APPROVED",
                approval.fingerprint, approval.run, approval.raw_digest,
            )  # fmt: skip


def _by_person(opinions: Iterable[_Opinion]) -> list[list[_Opinion]]:
    """Each person's opinions, oldest first. Ids order one kind in one second; reviews come after commands."""
    people: dict[str, list[_Opinion]] = {}
    for opinion in sorted(opinions, key=lambda each: (_second(each.at), each.via == "review", each.id)):
        people.setdefault(opinion.user.casefold(), []).append(opinion)
    return list(people.values())


def _chain(plan: ShownPlan, plans: Mapping[str, ShownPlan]) -> Iterator[ShownPlan]:
    """The plan and those whose approvals it carries, newest first. A link between unequal plans is no link."""
    yield plan
    seen = {plan.run}
    link = plans.get(plan.carries or "")
    while link is not None and link.run not in seen and link.fingerprint == plan.fingerprint != "":
        seen.add(link.run)
        yield link
        link = plans.get(link.carries or "")


class _Bench:
    """Decides one person at a time, all on the same facts."""

    def __init__(self, people: PeopleFacts, chain: tuple[ShownPlan, ...], merged_at: datetime | None) -> None:
        self._people = people
        self._chain = chain
        self._merged_at = merged_at
        self._roles = {login.casefold(): role for login, role in people.roles.items()}

    def decide(self, opinions: Sequence[_Opinion]) -> tuple[Counted | NotCounted | None, Objection | None]:
        """One person's opinions, oldest first → what became of the approval, and a standing request for changes."""
        approvals = list(takewhile(lambda each: each.approves, reversed(opinions)))
        before = opinions[: len(opinions) - len(approvals)]
        objection = self._objection(before[-1]) if before else None
        if not approvals:
            return None if self._excluded(opinions[-1]) else _withdrawn(opinions), objection
        outcomes = [self._outcome(each) for each in approvals]
        best = next((each for each in outcomes if isinstance(each, Counted)), outcomes[0])
        if isinstance(best, Counted):
            best = replace(best, of=len(approvals))
        lifted = isinstance(best, Counted) or any(each.via == "review" for each in approvals)
        return best, None if lifted else objection

    def _objection(self, opinion: _Opinion) -> Objection | None:
        if opinion.state != "CHANGES_REQUESTED" or self._excluded(opinion) is not None:
            return None
        return Objection(opinion.user, opinion.id, opinion.raw_digest)

    def _outcome(self, approval: _Opinion) -> Counted | NotCounted:
        refused = (
            self._excluded(approval)
            or self._perhaps_pushed(approval.user)
            or self._kept_for_others(approval.user)
            or self._too_late(approval)
        )
        if refused is not None:
            return refused
        about = [plan for plan in self._chain if approval.is_about(plan)]
        for plan in about:
            if plan.shown_at is not None and _second(approval.at) > _second(plan.shown_at):
                carried_from = None if plan is self._chain[0] else plan.run
                return Counted(approval.user, approval.via, approval.id, approval.at, carried_from, approval.raw_digest)
        return _too_early(approval, about[0]) if about else _about_another(approval, self._chain[0])

    def _excluded(self, opinion: _Opinion) -> NotCounted | None:
        """Why this person's opinion counts for nothing here, whatever it is and whenever it came."""
        people, user = self._people, opinion.user
        role = self._roles.get(user.casefold(), "none")
        tests: tuple[tuple[bool, Refusal, str], ...] = (
            (_is(user, {people.bot_login}), Refusal.PRBOT, "prbot itself speaks with that account"),
            (opinion.is_bot, Refusal.BOT, "it is a bot, and only people count"),
            (_is(user, {people.author}), Refusal.AUTHOR, f"{user} is the author of the pull request"),
            (_is(user, {people.requester or ""}), Refusal.REQUESTER, f"{user} asked prbot for the pull request"),
            (_is(user, people.commit_authors), Refusal.COMMIT_AUTHOR, f"{user} is the author of a commit in it"),
            (_is(user, people.last_pushers), *_pusher_refusal(user, people.last_pushers)),
            (
                not at_least(role, "write"),
                Refusal.NO_WRITE_ACCESS,
                f"{user} has no write access ({'no access at all' if role == 'none' else role})",
            ),
        )
        for excluded, code, why in tests:
            if excluded:
                return NotCounted(user, f"{user}'s approval does not count: {why}.", code)
        return None

    def _perhaps_pushed(self, user: str) -> NotCounted | None:
        """Where neither the forge nor any commit names somebody who can have pushed last, anybody may have."""
        if self._people.last_pushers:
            return None
        why = "nobody can say who pushed last, and no commit names an account; a further push tells"
        reason = f"{user}'s approval does not count: {why}."
        return NotCounted(user, reason, Refusal.PERHAPS_LAST_PUSHER)

    def _kept_for_others(self, user: str) -> NotCounted | None:
        """Why the rules do not let this person approve, who could otherwise."""
        approvers, role = self._people.approvers, self._roles[user.casefold()]
        if approvers.admits(user, role):
            return None
        had = f", and {user} has {role} access" if approvers.lists(user) else ""
        reason = f"{user}'s approval does not count: the rules keep approving for {approvers}{had}."
        return NotCounted(user, reason, Refusal.NOT_AN_APPROVER)

    def _too_late(self, approval: _Opinion) -> NotCounted | None:
        if approval.via == "command":
            return None
        if self._merged_at is not None and _second(approval.at) > _second(self._merged_at):
            why = "came after the merge; on a merged pull request only an explicit approve counts"
            return NotCounted(approval.user, f"{approval.user}'s review {why}.", Refusal.AFTER_MERGE)
        if self._chain[0].goal is Goal.APPLY:
            why = "cannot be for this plan, which was made after the merge; only an explicit approve counts"
            return NotCounted(approval.user, f"{approval.user}'s review {why}.", Refusal.PLANNED_AFTER_MERGE)
        return None


def _withdrawn(opinions: Sequence[_Opinion]) -> NotCounted | None:
    """Of one who does not approve any more. None where there was never an approval to speak of."""
    last = opinions[-1]
    if last.state == "DISMISSED":
        reason = f"{last.user}'s last review was dismissed; a new approval is needed."
        return NotCounted(last.user, reason, Refusal.DISMISSED)
    if any(each.approves for each in opinions):
        return NotCounted(last.user, f"{last.user} approved, and then requested changes.", Refusal.CHANGED)
    return None


def _pusher_refusal(user: str, pushers: frozenset[str]) -> tuple[Refusal, str]:
    if len(pushers) == 1:
        return Refusal.LAST_PUSHER, f"{user} pushed last"
    why = "it is not known who pushed last, so that nobody who authored or committed something in it counts"
    return Refusal.PERHAPS_LAST_PUSHER, why


def _too_early(approval: _Opinion, plan: ShownPlan) -> NotCounted:
    if plan.shown_at is None:
        reason = f"{approval.user} approved before the plan was shown; approve again once its comment is there."
        return NotCounted(approval.user, reason, Refusal.NOT_SHOWN)
    same = _second(approval.at) == _second(plan.shown_at)
    when = "in the same second as" if same else "before"
    reason = f"{approval.user}'s approval came {when} the plan's comment at {at_clock(plan.shown_at)}; approve again."
    return NotCounted(approval.user, reason, Refusal.SAME_SECOND if same else Refusal.BEFORE_PLAN)


def _about_another(approval: _Opinion, plan: ShownPlan) -> NotCounted:
    if approval.via == "command":
        named, wanted = short_fingerprint(approval.subject), short_fingerprint(plan.fingerprint)
        # equal digests with different pushes between them: saying `7f3a is not 7f3a` would explain nothing
        other = "an earlier plan" if named == wanted else f"the plan {named}, and the plan is now {wanted}"
        reason = f"{approval.user} approved {other}; approve again."
        return NotCounted(approval.user, reason, Refusal.OTHER_PLAN)
    reason = (
        f"{approval.user} approved {approval.subject[:7]}, not the planned head {plan.head_sha[:7]}; approve again."
    )
    return NotCounted(approval.user, reason, Refusal.OTHER_HEAD)


# -- who pushed, who wrote --------------------------------------------------------------------------------------------
def commit_authors(commits: Iterable[Commit], *, base_merges: frozenset[str] = frozenset()) -> frozenset[str]:
    """The logins that authored any of the commits.

    `base_merges` are ids of commits that are known to merge base and nothing else (docs/adr/0002): whoever clicked
    "update branch" wrote nothing. A commit whose address belongs to no account names nobody.
    """
    return frozenset(each.author for each in commits if each.author is not None and each.sha not in base_merges)


def last_pushers(known: str | None, commits: Iterable[Commit]) -> frozenset[str]:
    """Who may have pushed last: whoever is known to have, else everybody among the commits' authors and committers (but
    not the forge's own committer)."""
    if known:
        return frozenset({known})
    names = {name for each in commits for name in (each.author, each.committer) if name is not None}
    return frozenset(name for name in names if name.casefold() not in FORGE_COMMITTERS)


# -- words ------------------------------------------------------------------------------------------------------------
def at_clock(moment: datetime) -> str:
    """`2026-11-20 12:00:03Z`: the forge's clock, for people."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def iso(moment: datetime) -> str:
    """`2026-11-20T12:00:03Z`, as the forge writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _is(login: str, logins: Iterable[str]) -> bool:
    return login.casefold() in {each.casefold() for each in logins}
