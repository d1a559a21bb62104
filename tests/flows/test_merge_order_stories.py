"""Merges that prbot hears of in another order than that in which they were made, or that are taken back meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from prbot.core.runs import RunStatus
from prbot.sandbox.acts.pushes import RefChange, move_branch
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.faults.workers import Engine, until
from tests.flows.app import Story, shared_with_engines, story, tf


def stacked(app: Story, count: int) -> tuple[SandboxRepo, list[SandboxPull]]:
    """Approved pull requests that each add a resource to the same project."""
    infra = app.repo()
    infra.commit("main", {"net/main.tf": infra.backend("net")}, by="root")
    pulls = []
    for number in range(1, count + 1):
        pulls.append(infra.open_pull(by="al", files={f"net/r{number}.tf": tf("", **{f"r{number}": number})}))
        app.settle()
        pulls[-1].approve(by="bo")
        app.settle()
    return infra, pulls


@pytest.mark.parametrize("method", ["merge", "rebase"])
def test_the_last_merge_heard_of_first_waits_for_those_before_it(app: Story, method: str) -> None:
    infra, pulls = stacked(app, 3)
    app.world.hooks.hold()
    for pull in pulls:
        pull.merge(by="al", method=method)
    app.world.hooks.release(order="reversed")
    app.settle()
    assert [app.runs(pull, "apply")[-1].status for pull in pulls] == [RunStatus.APPLIED] * 3
    assert infra.state("net") == {"r1": "1", "r2": "2", "r3": "3"}
    assert [each["pull"] for each in app.audit("apply.finished")] == [pull.number for pull in pulls]
    assert [len(app.runs(pull, "apply")) for pull in pulls] == [1, 1, 1]


def test_an_earlier_merge_that_nobody_told_of_is_found(app: Story) -> None:
    infra, (first, second) = stacked(app, 2)
    app.world.hooks.lose_next(2)  # the push to main, and that it is closed
    first.merge(by="al")
    second.merge(by="al")
    app.settle()
    assert [app.runs(pull, "apply")[-1].status for pull in (first, second)] == [RunStatus.APPLIED] * 2
    assert infra.state("net") == {"r1": "1", "r2": "2"}


def test_a_merge_that_is_taken_back_while_it_is_planned_is_not_applied(tmp_path: Path) -> None:
    shared = shared_with_engines(tmp_path)
    shared.mkdir()
    engine = Engine(shared)
    with story(tmp_path, engine=str(engine.path)) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        before = infra.head()
        engine.hold("show")
        merge = pull.merge(by="al")
        until(lambda: engine.calls("show") == 2)
        move_branch(infra.world.hub, infra.data, RefChange("main", merge, before, "force_push"), "root")
        engine.release()
        app.settle()
        run = app.runs(pull, "apply")[-1]
        assert (run.status, run.error) == (
            RunStatus.AWAITING_APPROVAL,
            f"merged: its merge commit {merge[:7]} is not on main",
        )
        assert infra.state("net") == {}
        assert app.audit("apply.authorized") == []
