"""The forge tells of a pull request as it was a moment ago: what happened is found within seconds."""

from __future__ import annotations

import pytest

from prbot.core import retries
from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, tf


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.05)


def approved(app: Story) -> SandboxPull:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    return pull


@pytest.mark.parametrize("same_second", [False, True])
def test_a_close_is_seen_where_it_is_read_as_open_after_it(app: Story, same_second: bool) -> None:
    pull = approved(app)
    if same_second:
        pull.data.updated_at = app.world.clock.now()
        with app.world.clock.same_second():
            pull.lag(3)
            pull.data.old_document["updated_at"] = f"{app.world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
            pull.close(by="al")
    else:
        pull.lag(3)
        pull.close(by="al")
    app.settle()
    assert pull.data.old_reads == 0
    assert app.holder("net") is None


def test_a_merge_is_seen_where_it_is_read_as_open_after_it(app: Story) -> None:
    pull = approved(app)
    pull.lag(3)
    pull.merge(by="al")
    app.settle()
    assert [run.status for run in app.runs(pull, "apply")] == ["applied"]


def test_a_push_is_seen_where_the_head_is_read_as_it_was_before(app: Story) -> None:
    pull = approved(app)
    pull.lag(3)
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=2)})
    app.settle()
    newest = app.runs(pull)[-1]
    assert (newest.head_sha, newest.status) == (pull.head_sha, "planned")
    pull.lag(2)
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=3)})
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert app.runs(pull)[-1].head_sha == pull.head_sha


def test_closed_and_opened_again_is_open_whichever_is_told_first(app: Story) -> None:
    pull = approved(app)
    for order in ("as sent", "reversed"):
        app.world.hooks.hold()
        pull.close(by="al")
        pull.reopen(by="al")
        app.world.hooks.release(order=order)
        app.settle()
        assert app.holder("net") == pull.number
        assert app.runs(pull)[-1].status == "planned"


def test_a_forge_that_stays_behind_is_taken_at_its_word(app: Story) -> None:
    pull = approved(app)
    pull.lag(1000)
    pull.comment(by="al", body="prbot version")
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=2)})
    app.settle()
    assert pull.data.old_reads > 900
    pull.lag(0)
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert app.runs(pull)[-1].head_sha == pull.head_sha
