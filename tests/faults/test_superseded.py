"""What is under way for an old commit gives way, and nothing is left pending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.core.runs import RunStatus
from prbot.sandbox.pullrequest import SandboxPull
from tests.faults.workers import WorkerProcess, stage, until
from tests.flows.app import tf

Act = Callable[[SandboxPull, str], object]


def push(pull: SandboxPull, backend: str) -> None:
    pull.push(by="al", files={"net/main.tf": tf(backend, v=2)})


def retarget(pull: SandboxPull, backend: str) -> None:
    pull.retarget(by="al", base="release")


def plan_again(pull: SandboxPull, backend: str) -> None:
    pull.comment(by="bo", body="prbot plan")


@pytest.mark.parametrize("act", [push, retarget, plan_again])
def test_a_plan_under_way_gives_way(tmp_path: Path, act: Act) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  branches: [release]\n")
    with stage(tmp_path, rules=rules) as (app, engine):
        infra = app.repo()
        infra.branch("release")
        worker = WorkerProcess(app)
        engine.hold("plan")
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        old = pull.head_sha
        until(lambda: engine.calls("plan") == 1)
        act(pull, infra.backend("net"))
        until(lambda: any(run.superseded for run in app.runs(pull)))
        engine.release()
        app.settle()
        first, *_, last = app.runs(pull)
        assert (first.status, last.status) == (RunStatus.SUPERSEDED, RunStatus.PLANNED)
        assert last.head_sha == pull.head_sha
        assert sum("## Plan" in comment.body for comment in pull.comments()) == 1
        for sha in {old, pull.head_sha}:
            for context, status in pull.statuses(sha).items():
                assert context == "prbot/gate" or status["state"] != "pending", (sha, context)
        assert app.slots_taken() == []
        assert worker.end() == 0


def test_a_plan_that_is_cancelled_gives_its_lock_up_and_whoever_waited_is_planned(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="root")
        worker = WorkerProcess(app)
        engine.hold("plan")
        first = infra.open_pull(by="al", files={"net/a.tf": tf("", a=1)})
        until(lambda: engine.calls("plan") == 1)
        second = infra.open_pull(by="bo", files={"net/b.tf": tf("", b=1)})
        until(lambda: [run.speculative for run in app.runs(second)] == [True])
        first.comment(by="al", body="prbot cancel")
        until(lambda: app.runs(first)[-1].status is RunStatus.CANCELLED)
        engine.release()
        app.settle()
        assert app.holder("net") == second.number
        last = app.runs(second)[-1]
        assert (last.status, last.speculative) == (RunStatus.PLANNED, False)
        assert len(app.runs(first)) == 1  # nobody asked for it again
        assert worker.end() == 0
