"""The record of what a decision was made from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from prbot.core.approvals import ExplicitApproval
from prbot.core.gate_facts import GateFacts, Looked, facts_digest, facts_record
from prbot.core.locks import Claim
from prbot.core.permissions import WhoMay
from prbot.core.rules import Rules
from prbot.core.runs import Goal, RunStatus
from tests.core.gate_samples import APPLICABLE, DB, NOON, OLD, PEOPLE, PLAN, READY, REVIEW, with_project, with_pull


def test_the_digest_of_the_facts_stays_while_they_do() -> None:
    reordered = replace(READY, people=replace(PEOPLE, roles={"eve": "read", "bo": "write"}))
    assert facts_digest(reordered) == facts_digest(READY)
    assert facts_digest(with_pull(title="Another title", url="elsewhere")) == facts_digest(READY)


SAID = ExplicitApproval("bo", False, PLAN.run, PLAN.fingerprint, NOON + timedelta(seconds=70), 900)


@pytest.mark.parametrize(
    "other",
    [
        APPLICABLE,
        replace(READY, base_sha="c" * 40),
        replace(READY, merge_on_base=True),
        replace(READY, rules=Rules(approvals=2)),
        replace(READY, reviews=()),
        replace(READY, reviews=(replace(REVIEW, raw_digest="sha256:2"),)),
        replace(READY, reviews=(replace(REVIEW, user_is_bot=True),)),
        replace(READY, explicit=(SAID,)),
        replace(READY, people=replace(PEOPLE, roles={"bo": "read", "eve": "read"})),
        replace(READY, people=replace(PEOPLE, last_pushers=frozenset({"bo"}))),
        replace(READY, people=replace(PEOPLE, commit_authors=frozenset({"bo"}))),
        replace(READY, people=replace(PEOPLE, requester="bo")),
        replace(READY, people=replace(PEOPLE, bot_login="bo")),
        replace(READY, people=replace(PEOPLE, author="bo")),
        replace(READY, people=replace(PEOPLE, approvers=WhoMay(users=("bo",)))),
        replace(READY, projects=()),
        with_pull(head_sha=OLD),
        with_pull(draft=True),
        with_pull(mergeable=None),
        with_pull(state="closed"),
        with_pull(base_branch="release"),
        with_project(status=RunStatus.ERRORED),
        with_project(plan=None),
        with_project(plan=replace(PLAN, shown_at=None)),
        with_project(plan=replace(PLAN, carries="run-1")),
        with_project(plan=replace(PLAN, goal=Goal.APPLY)),
        with_project(earlier={}),
        with_project(holder=None),
        with_project(holder=Claim(7, NOON, 3)),
        with_project(speculative=True),
        with_project(narrowed=("-target=a.b",)),
        with_project(complete=False),
        replace(READY, looked=None),
        replace(READY, looked=Looked(conflict=("net/main.tf",))),
        replace(READY, looked=Looked(refused=("db",))),
        replace(READY, governed=False),
        with_project(project=DB),
    ],
)
def test_any_fact_that_a_gate_is_decided_from_changes_the_digest(other: GateFacts) -> None:
    assert facts_digest(other) != facts_digest(READY)


def test_the_record_names_what_the_forge_said_by_its_digest() -> None:
    record = facts_record(replace(READY, explicit=(SAID,)))
    assert [each["raw"] for each in record["reviews"]] == ["sha256:1"]
    assert [each["raw"] for each in record["explicit"]] == [SAID.raw_digest]
    assert record["rules"] == Rules().digest
