"""A server whose clock was set back goes on in the order in which things happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prbot.machine import SortableIds, SystemClock
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards


def set_back(app: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process is that begins after the clock was set back: what it makes looks older than what is there."""
    monkeypatch.setattr(SystemClock, "now", lambda _self: datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setattr(app.services.new_id, "_last", 0)
    monkeypatch.setattr(app.services.new_id, "_milliseconds", lambda: 1_700_000_000_000)


def test_a_clock_that_was_set_back_turns_nothing_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with story(tmp_path) as app:
        assert isinstance(app.services.new_id, SortableIds)
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        set_back(app, monkeypatch)
        pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
        app.settle()
        newest = app.runs(pull)[-1]
        assert (newest.head_sha, newest.status) == (pull.head_sha, "planned")
        assert pull.status("prbot/plan")["state"] == "success"

        second = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=3)})
        app.settle()
        assert app.holder("net") == pull.number
        assert app.runs(second)[-1].speculative

        pull.approve(by="bo")
        app.settle()
        assert pull.status("prbot/gate")["state"] == "success"
        pull.merge(by="bo")
        app.settle()
        assert [run.status for run in app.runs(pull, "apply")] == ["applied"]
        check_afterwards(app)
