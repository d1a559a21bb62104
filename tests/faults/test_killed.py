"""Processes are killed and stopped at the worst moments: nothing is lost, nothing is done twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from prbot.core.runs import RunStatus
from tests.faults.workers import WorkerProcess, stage, until
from tests.flows.app import shared_with_engines, tf


def test_killed_right_after_the_202_and_during_a_plan_every_plan_is_there_once(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        first = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.world.settle_hooks(20)  # answered 202, and nobody works on it
        engine.hold("plan")
        worker = WorkerProcess(app)
        until(lambda: engine.calls("plan") == 1)
        second = infra.open_pull(by="bo", files={"db/main.tf": tf(infra.backend("db"), v=1)})
        app.world.settle_hooks(20)
        worker.kill()
        engine.release()
        again = WorkerProcess(app)
        app.settle()
        assert again.end() == 0
        for pull in (first, second):
            assert [comment.body.count("## Plan") for comment in pull.comments()] == [1]
            assert pull.status("prbot/plan")["state"] == "success"
        assert "worker.lost" in [entry["action"] for entry in app.audit()]


def test_killed_in_an_apply_it_is_never_applied_again_and_the_pull_request_says_unknown(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        worker = WorkerProcess(app)
        app.settle()
        pull.approve(by="bo")
        app.settle()
        engine.hold("apply")
        pull.merge(by="al")
        until(lambda: engine.calls("apply") == 1)
        worker.kill()
        again = WorkerProcess(app)
        app.settle()
        engine.release()
        until(lambda: not app.left_to_do())
        assert again.end() == 0
        assert engine.calls("apply") == 1
        assert app.runs(pull, "apply")[-1].status == RunStatus.UNKNOWN
        (said,) = (comment.body for comment in pull.comments() if "Outcome unknown" in comment.body)
        assert "There was no state before, and there is none now" in said
        assert app.holder("net") == pull.number


def test_an_unknown_apply_tells_what_the_state_and_its_lock_say_and_there_are_two_ways_on(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, _):
        infra = app.repo()
        flag, go = (shared_with_engines(tmp_path) / name for name in ("begun", "go"))
        slow = (
            'resource "terraform_data" "slow" {\n provisioner "local-exec" {\n'
            f'  command = "touch {flag}; while [ ! -e {go} ]; do sleep 0.1; done"\n }}\n}}\n'
        )
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1) + slow})
        worker = WorkerProcess(app)
        app.settle()
        pull.approve(by="bo")
        app.settle()
        pull.merge(by="al")
        until(flag.exists)
        worker.kill()
        again = WorkerProcess(app)
        app.settle()
        assert "Terraform's own lock on the state is held by" in pull.comments()[-1].body
        go.touch()  # the engine outlived its worker, and comes to its end
        until(lambda: not infra.state_locked("net"))
        assert infra.state("net") == {"v": "1"}
        pull.comment(by="al", body="prbot plan")
        app.settle()
        assert app.runs(pull, "apply")[-1].status == RunStatus.NO_CHANGES
        assert app.holder("net") is None
        inspected = app.audit("run.inspected")
        assert len(inspected) == 1
        assert inspected[0]["facts"]["lock"]
        assert again.end() == 0


def test_a_drained_worker_finishes_its_apply(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        worker = WorkerProcess(app)
        app.settle()
        pull.approve(by="bo")
        app.settle()
        engine.hold("apply")
        pull.merge(by="al")
        until(lambda: engine.calls("apply") == 1)
        worker.signal(signal.SIGTERM)
        engine.release()
        assert worker.end() == 0
        assert infra.state("net") == {"v": "1"}
        assert app.runs(pull, "apply")[-1].status == RunStatus.APPLIED


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_that_was_stopped_for_a_minute_comes_too_late_and_that_is_on_record(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        sleeper = WorkerProcess(app)
        until(lambda: app.workers() == 1)
        engine.hold("plan")
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        until(lambda: engine.calls("plan") == 1)
        sleeper.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        other = WorkerProcess(app)
        until(lambda: engine.calls("plan") == 2, 60)  # taken over
        engine.release()
        app.settle()
        time.sleep(max(0.0, 60 - (time.monotonic() - stopped)))  # nothing to wait for: the minute is the point
        sleeper.signal(signal.SIGCONT)
        until(lambda: app.audit("late_result"), 30)
        app.settle()
        assert other.end() == 0
        assert sleeper.end() == 0
        assert len(pull.comments()) == 1
        assert [run.status for run in app.runs(pull)] == [RunStatus.PLANNED]
