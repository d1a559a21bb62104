"""The queue for a project: what has nothing to apply stands in nobody's way, and everybody's turn comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.core.runs import RunStatus
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards

BROKEN = 'output "x" {\n  value = terraform_data.missing.output\n}\n'


@pytest.fixture
def ruled(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    """The whole app by the rules that the test names."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(request.param)
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def started(app: Story) -> SandboxRepo:
    """A repository with a project that is on the base and not applied."""
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="root")
    return infra


def opened(app: Story, infra: SandboxRepo, name: str, text: str, by: str = "al") -> SandboxPull:
    pull = infra.open_pull(by=by, files={f"net/{name}.tf": text})
    app.settle()
    return pull


def how(app: Story, pull: SandboxPull) -> tuple[str, str]:
    """How its newest plan ended, and whether it is a real one."""
    run = app.runs(pull, "plan")[-1]
    return run.status.value, "speculative" if run.speculative else "real"


def plans(app: Story, *pulls: SandboxPull) -> list[int]:
    return [len(app.runs(pull, "plan")) for pull in pulls]


def test_a_plan_that_failed_gives_way_to_those_behind_it_and_to_those_who_come_and_queues_again(app: Story) -> None:
    infra = started(app)
    first = opened(app, infra, "a", tf("", a=1))
    second = opened(app, infra, "b", tf("", b=1), by="bo")
    assert how(app, second) == ("planned", "speculative")
    first.push(by="al", files={"net/a.tf": BROKEN})
    app.settle()
    assert how(app, first) == ("errored", "real")
    assert how(app, second) == ("planned", "real")
    assert app.holder("net") == second.number

    first.push(by="al", files={"net/a.tf": tf("", a=2)})
    app.settle()
    assert how(app, first) == ("planned", "speculative")
    second.push(by="bo", files={"net/b.tf": BROKEN})
    app.settle()
    assert how(app, first) == ("planned", "real")
    assert app.holder("net") == first.number


def test_two_that_both_fail_do_not_plan_in_turns_for_ever(app: Story) -> None:
    infra = started(app)
    first = opened(app, infra, "a", BROKEN)
    second = opened(app, infra, "b", BROKEN, by="bo")
    third = opened(app, infra, "c", tf("", c=1), by="bo")
    assert (how(app, first), how(app, second)) == (("errored", "real"), ("errored", "real"))
    assert how(app, third) == ("planned", "real")
    assert plans(app, first, second, third) == [1, 1, 1]
    second.comment(by="bo", body="prbot plan")
    app.settle()
    assert how(app, second) == ("errored", "speculative")
    third.close(by="bo")
    app.settle()
    assert how(app, second) == ("errored", "real")  # what it failed of may have been somebody else's
    assert plans(app, first, second, third) == [1, 3, 1]
    assert app.holder("net") is None


def test_one_that_conflicts_gives_way_at_once_and_so_does_one_that_is_unlocked(app: Story) -> None:
    infra = started(app)
    first = opened(app, infra, "main", tf(infra.backend("net"), v=2))
    second = opened(app, infra, "b", tf("", b=1), by="bo")
    third = opened(app, infra, "c", tf("", c=1), by="bo")
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=3)}, by="root")
    first.comment(by="al", body="prbot plan")
    app.settle()
    assert first.status("prbot/gate")["state"] == "failure"
    assert app.holder("net") == second.number
    assert how(app, second) == ("planned", "real")
    assert how(app, third) == ("planned", "speculative")
    second.comment(by="bo", body="prbot unlock")
    app.settle()
    assert app.holder("net") == third.number
    assert how(app, third) == ("planned", "real")


@pytest.mark.parametrize("ruled", ["defaults: {locks: apply}\n", 'defaults: {locks: "off"}\n'], indirect=True)
def test_where_nobody_claims_before_the_merge_a_speculative_plan_gets_its_turn_all_the_same(ruled: Story) -> None:
    infra = started(ruled)
    first = opened(ruled, infra, "a", tf("", a=1))
    first.merge(by="al")  # past the gate
    ruled.settle()
    assert ruled.runs(first, "apply")[-1].status is RunStatus.AWAITING_APPROVAL
    second = opened(ruled, infra, "b", tf("", b=1), by="bo")
    assert how(ruled, second) == ("planned", "speculative")
    second.approve(by="al")
    ruled.settle()
    assert second.status("prbot/gate")["state"] == "pending"
    first.comment(by="bo", body="prbot approve")
    ruled.settle()
    assert infra.state("net") == {"v": "1", "a": "1"}
    assert how(ruled, second) == ("planned", "real")

    third = opened(ruled, infra, "c", tf("", c=1), by="bo")
    third.merge(by="bo")
    ruled.settle()
    assert how(ruled, second) == ("planned", "speculative")  # its base moved
    third.comment(by="mo", body="prbot unlock")
    ruled.settle()
    assert ruled.runs(third, "apply")[-1].status is RunStatus.DISCARDED
    assert how(ruled, second) == ("planned", "real")
