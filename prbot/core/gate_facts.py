"""The facts that the gates are decided from, and their digest for the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import rfc8785

from prbot.core.approvals import ExplicitApproval, PeopleFacts, iso
from prbot.core.ids import ProjectKey
from prbot.core.locks import Claim
from prbot.core.pulls import Pull, Review
from prbot.core.rules import Rules
from prbot.core.runs import RunStatus
from prbot.core.shown import ShownPlan


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """One project that the pull request changes and that is not applied or discarded yet."""

    project: ProjectKey
    status: RunStatus | None
    """Of its newest run; None if it was never planned."""
    plan: ShownPlan | None
    """What approvals are to be for: the newest plan, or after the merge the approved or held one."""
    earlier: Mapping[str, ShownPlan] = field(default_factory=dict)
    """All plans of this project in this pull request, by run."""
    holder: Claim | None = None
    """Whose the project is; see prbot.core.locks."""
    speculative: bool = False
    """The plan was made while somebody else held the project."""
    narrowed: tuple[str, ...] = ()
    """The arguments that it was planned with and that leave something out, so that the plan cannot be applied."""
    complete: bool = True
    """Whether the engine says that the plan is all that is to be done."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found when a pull request was looked at whole: its present head, for its present base branch."""

    conflict: tuple[str, ...] = ()
    """The files that do not merge, so that no project could be looked for."""
    refused: tuple[str, ...] = ()
    """The directories that cannot be planned as they are."""
    removed: tuple[str, ...] = ()
    """The projects whose directory is gone while their state may hold something."""


@dataclass(frozen=True, slots=True)
class GateFacts:
    """All that gates are decided from, read afresh. A ValueError if it is merged and `merged_at` is missing."""

    pull: Pull
    rules: Rules
    base_sha: str
    """The base branch's commit."""
    merge_on_base: bool
    """Whether the merge commit is reachable from there."""
    people: PeopleFacts
    reviews: tuple[Review, ...]
    explicit: tuple[ExplicitApproval, ...]
    projects: tuple[ProjectFacts, ...]
    looked: Looked | None
    """None while nobody has looked at the whole of it: that no project is affected is not known then."""
    governed: bool = True
    """Whether its base branch is one that prbot plans for."""
    prefix: str = "prbot"
    """First word of commands, for advice."""

    def __post_init__(self) -> None:
        if self.pull.merged and self.pull.merged_at is None:
            raise ValueError("a merged pull request without a time of merging: reviews after it could not be told")


def facts_record(facts: GateFacts) -> dict[str, Any]:
    """The facts as JSON: all that `evaluate` decides from. Sets and mappings of people are sorted by login."""
    pull, people = facts.pull, facts.people
    return {
        "pull": str(pull.key),
        "head_sha": pull.head_sha,
        "state": pull.state,
        "draft": pull.draft,
        "mergeable": pull.mergeable,
        "merged": pull.merged,
        "merge_sha": pull.merge_sha,
        "merged_at": _time(pull.merged_at),
        "merge_on_base": facts.merge_on_base,
        "base_branch": pull.base_branch,
        "base_sha": facts.base_sha,
        "rules": facts.rules.digest,
        "author": people.author,
        "requester": people.requester,
        "last_pushers": sorted(people.last_pushers),
        "commit_authors": sorted(people.commit_authors),
        "bot_login": people.bot_login,
        "roles": dict(people.roles),
        "approvers": people.approvers.model_dump(mode="json"),
        "reviews": [
            {
                "id": each.id,
                "user": each.user,
                "user_is_bot": each.user_is_bot,
                "state": each.state,
                "commit_id": each.commit_id,
                "submitted_at": iso(each.submitted_at),
                "raw": each.raw_digest,
            }
            for each in facts.reviews
        ],
        "explicit": [
            {
                "comment_id": each.comment_id,
                "user": each.user,
                "user_is_bot": each.user_is_bot,
                "run": each.run,
                "fingerprint": each.fingerprint,
                "at": iso(each.at),
                "raw": each.raw_digest,
            }
            for each in facts.explicit
        ],
        "governed": facts.governed,
        "looked": None
        if facts.looked is None
        else {"conflict": list(facts.looked.conflict), "refused": list(facts.looked.refused)},
        "projects": [_project_record(each) for each in facts.projects],
    }


def _project_record(each: ProjectFacts) -> dict[str, Any]:
    holder = each.holder
    return {
        "project": str(each.project),
        "status": None if each.status is None else each.status.value,
        "plan": None if each.plan is None else _plan_record(each.plan),
        "earlier": {run: _plan_record(plan) for run, plan in each.earlier.items()},
        "holder": None if holder is None else {"pull": holder.pull, "merged": holder.merged},
        "speculative": each.speculative,
        "narrowed": list(each.narrowed),
        "complete": each.complete,
    }


def _plan_record(plan: ShownPlan) -> dict[str, Any]:
    return {
        "run": plan.run,
        "head_sha": plan.head_sha,
        "fingerprint": plan.fingerprint,
        "shown_at": _time(plan.shown_at),
        "carries": plan.carries,
        "goal": plan.goal.value,
        "must_be_approved": plan.must_be_approved,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def facts_digest(facts: GateFacts) -> str:
    """`sha256:<hex>` over the RFC 8785 form of `facts_record`, for audit entries."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(facts_record(facts))).hexdigest()
