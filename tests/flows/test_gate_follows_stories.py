"""Whoever does what the gate asks for gets it green, by that alone; and what is not so any more is not left green."""

from __future__ import annotations

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.faults.workers import until
from tests.flows.app import Story, tf


def approved(app: Story, *, draft: bool = False) -> tuple[SandboxRepo, SandboxPull]:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)}, draft=draft)
    app.settle()
    pull.approve(by="bo")
    app.settle()
    return infra, pull


def gate(pull: SandboxPull) -> tuple[str | None, str | None]:
    found = pull.status("prbot/gate")
    assert found is not None
    return found["state"], found["description"]


def test_a_draft_that_is_made_ready_is_green_and_one_that_becomes_a_draft_is_not(app: Story) -> None:
    _, pull = approved(app, draft=True)
    assert gate(pull) == ("pending", "not met: mergeable; see `prbot apply`")
    pull.ready(by="al")
    app.settle()
    assert gate(pull)[0] == "success"
    pull.to_draft(by="al")
    app.settle()
    assert gate(pull) == ("pending", "not met: mergeable; see `prbot apply`")


def test_while_the_forge_computes_whether_it_merges_it_is_asked_again_until_it_knows(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.hide_mergeable(reads=4)
    pull.approve(by="bo")
    app.settle()
    assert gate(pull)[0] == "success"


def test_closed_it_is_green_no_more_and_reopened_it_is_as_soon_as_it_is_planned(app: Story) -> None:
    _, pull = approved(app)
    assert gate(pull)[0] == "success"
    pull.close(by="al")
    app.settle()
    assert gate(pull) == ("pending", "it is closed, and is planned again when it is reopened")
    pull.reopen(by="al")
    app.settle()
    assert gate(pull)[0] == "success"
    assert app.holder("net") == pull.number


def test_what_is_pushed_while_the_gate_is_judged_does_not_get_the_verdict_of_the_head_before(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    app.world.slow_next("permission", 3)
    pull.approve(by="bo")
    until(lambda: not app.world.pending_faults)  # of the first head all is read but who bo is, and that takes its time
    pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    assert "success" not in pull.status_history("prbot/gate")
    assert gate(pull) == ("pending", "not met: approved; see `prbot apply`")
    pull.approve(by="bo")
    app.settle()
    assert gate(pull)[0] == "success"
