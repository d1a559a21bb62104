"""The gate as one table: every status of a run × lock mode × who holds the project × open or merged × approved or not.

What is green is written down here by hand, and everything else must not be.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from prbot.core.gate_facts import GateFacts
from prbot.core.gates import evaluate
from prbot.core.locks import Claim
from prbot.core.rules import LockMode, Rules
from prbot.core.runs import RunStatus
from tests.core.gate_samples import APPLICABLE, NOON, READY, with_project

S = RunStatus
MINE, OTHERS, OTHERS_MERGED = Claim(7, NOON), Claim(5, NOON), Claim(5, NOON, 3)
HOLDERS = {"mine": MINE, "nobody": None, "another": OTHERS, "merged": OTHERS_MERGED}
MODES: tuple[LockMode, ...] = get_args(LockMode)

PLANS = {S.PLANNED, S.AWAITING_APPROVAL, S.HELD}
"""With something to apply."""
GREEN_OPEN: dict[tuple[RunStatus, LockMode], set[str]] = {
    **{(status, "plan"): {"mine"} for status in PLANS},
    **{(status, "apply"): {"mine", "nobody"} for status in PLANS},
    **{(status, "off"): set(HOLDERS) for status in PLANS},
    **{(S.NO_CHANGES, mode): set(HOLDERS) for mode in MODES},
}
"""Of an open and approved pull request: who may hold the project for the gate to be green."""


def facts_of(status: RunStatus, mode: LockMode, holder: str, *, merged: bool, approved: bool) -> GateFacts:
    facts = with_project(APPLICABLE if merged else READY, status=status, holder=HOLDERS[holder])
    return replace(facts, rules=Rules(locks=mode), reviews=facts.reviews if approved else ())


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("mode", MODES)
def test_the_gate_of_an_open_pull_request(status: RunStatus, mode: LockMode) -> None:
    for holder, approved in product(HOLDERS, (True, False)):
        report = evaluate(facts_of(status, mode, holder, merged=False, approved=approved))
        green = approved and holder in GREEN_OPEN.get((status, mode), set())
        assert report.approve_ready is green, (status, mode, holder, approved)
        assert not report.may_apply
        assert all(gate.why and gate.todo for gate in report.unmet)
        assert {"approved"} <= {gate.name for gate in report.unmet} or approved


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("mode", MODES)
def test_the_gate_of_a_merged_pull_request(status: RunStatus, mode: LockMode) -> None:
    for holder, approved in product(HOLDERS, (True, False)):
        report = evaluate(facts_of(status, mode, holder, merged=True, approved=approved))
        free = mode == "off" or holder == "mine" or status is S.NO_CHANGES
        assert report.may_apply is (approved and free), (status, mode, holder, approved)
        under_way = status in (S.PENDING, S.WAITING, S.PLANNING, S.APPLYING, S.UNKNOWN)
        assert report.approve_ready is (approved and free and not under_way), (status, mode, holder, approved)
        assert all(gate.why and gate.todo for gate in report.unmet)


def test_a_speculative_plan_is_green_only_if_it_has_no_changes() -> None:
    for status in RunStatus:
        report = evaluate(with_project(status=status, speculative=True))
        assert report.approve_ready is (status is S.NO_CHANGES), status
