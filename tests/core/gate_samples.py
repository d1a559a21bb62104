"""Sample facts that the gates are decided from: a pull request with all but the merge, and one that may be applied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prbot.core.approvals import PeopleFacts
from prbot.core.gate_facts import GateFacts, Looked, ProjectFacts
from prbot.core.ids import ProjectKey, PullKey, Repo
from prbot.core.locks import Claim
from prbot.core.pulls import Pull, Review
from prbot.core.rules import Rules
from prbot.core.runs import Goal, RunStatus
from prbot.core.shown import ShownPlan

NOON = datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC)
MERGED_AT = NOON + timedelta(seconds=90)
HEAD, OLD, MERGE = "2" * 40, "1" * 40, "9" * 40
NET, DB = ProjectKey("acme/infra", "net"), ProjectKey("acme/infra", "db")
PLAN = ShownPlan("run-2", HEAD, "k1:7f3a" + "a" * 60, NOON)
MINE = Claim(7, NOON)

PULL = Pull(
    key=PullKey("acme/infra", 7), repo=Repo("acme/infra", "https://forge.example/acme/infra.git"), title="More net",
    author="al", author_is_bot=False, state="open", draft=False, merged=False, merge_sha=None, merged_by=None,
    head_sha=HEAD, head_branch="more", head_repo="acme/infra", base_branch="main", base_sha="b" * 40,
    default_branch="main", labels=(), commits=1, mergeable=True, mergeable_state="blocked",
    url="https://forge.example/acme/infra/pull/7", created_at=NOON, updated_at=NOON,
)  # fmt: skip
MERGED = replace(
    PULL, state="closed", merged=True, merge_sha=MERGE, merged_by="al", merged_at=MERGED_AT, mergeable=None
)
PEOPLE = PeopleFacts("al", None, frozenset({"al"}), frozenset({"al"}), "prbot-acme", {"bo": "write", "eve": "read"})
REVIEW = Review(1, "bo", False, "APPROVED", HEAD, NOON + timedelta(seconds=60), "sha256:1")
PROJECT = ProjectFacts(NET, RunStatus.PLANNED, PLAN, {PLAN.run: PLAN}, MINE)

READY = GateFacts(
    pull=PULL, rules=Rules(), base_sha="b" * 40, merge_on_base=False, people=PEOPLE, reviews=(REVIEW,), explicit=(),
    projects=(PROJECT,), looked=Looked(),
)  # fmt: skip
APPLICABLE = replace(READY, pull=MERGED, merge_on_base=True)
HELD = ShownPlan("run-9", HEAD, "k1:beef" + "b" * 60, NOON + timedelta(seconds=120), goal=Goal.APPLY)


def with_project(facts: GateFacts = READY, **changes: Any) -> GateFacts:
    return replace(facts, projects=(replace(PROJECT, **changes),))


def with_pull(facts: GateFacts = READY, **changes: Any) -> GateFacts:
    return replace(facts, pull=replace(facts.pull, **changes))
