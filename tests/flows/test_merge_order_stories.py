"""Merges that prbot hears of in another order than that in which they were made, or that are taken back meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from prbot.core.events import PullEvent
from prbot.core.ids import PullKey, Repo
from prbot.core.runs import RunStatus
from prbot.flows.nudge import look_at
from prbot.sandbox.acts.pushes import RefChange, move_branch
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.store import inbox
from prbot.store.tables import InboxEvent
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
        back = f"bring {merge[:7]} back to main, or open a new pull request"
        assert run.status == RunStatus.ERRORED
        assert run.error == f"Its merge commit {merge[:7]} is not on main. To go on: {back}."
        assert infra.state("net") == {}
        assert app.audit("apply.authorized") == []


def test_an_earlier_merge_that_cannot_be_handled_is_not_waited_for_without_end(app: Story) -> None:
    infra, (first, second) = stacked(app, 2)
    app.world.hooks.lose_next(2)
    first.merge(by="al")
    now, key = app.services.clock.now(), PullKey(infra.name, first.number)
    closed = PullEvent("closed", Repo(infra.name, infra.clone_url), key, "al", first.head_sha)
    with app.services.db.write() as tx:  # it was refused, and is tried again in an hour
        inbox.put_event(tx, closed, event_id="refused", delivery=None, now=now - timedelta(minutes=2))
        tx.flush()
        tx.get_one(InboxEvent, "refused").retry_at = now + timedelta(hours=1)
    second.merge(by="al")
    until(lambda: [run.status for run in app.runs(second, "apply")] == [RunStatus.HELD])
    with app.services.db.write() as tx:
        tx.get_one(InboxEvent, "refused").retry_at = None
        look_at(app.services, tx, key)
    app.settle()
    assert app.runs(first, "apply")[-1].status == RunStatus.APPLIED
    assert infra.state("net") == {"r1": "1"}
