"""A worker that dies once the engine has applied: what was applied is known, and nobody waits for ever."""

from __future__ import annotations

from pathlib import Path

from prbot.core.runs import RunStatus
from tests.faults.workers import WorkerProcess, stage, until
from tests.flows.app import tf


def test_killed_while_it_looks_what_is_left_the_apply_is_over_all_the_same(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        worker = WorkerProcess(app)
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        engine.hold("apply")
        pull.merge(by="al")
        until(lambda: engine.calls("apply") == 1)
        behind = infra.open_pull(by="bo", files={"net/more.tf": tf("", w=1)})
        until(lambda: app.runs(behind))
        engine.hold("plan")
        engine.release("apply")
        until(lambda: engine.calls("plan") == 3)  # of the pull request, of its apply, and what is left
        assert app.runs(pull, "apply")[-1].status == RunStatus.APPLIED
        assert app.holder("net") == pull.number
        worker.kill()
        engine.release()
        again = WorkerProcess(app)
        app.settle()
        run = app.runs(pull, "apply")[-1]
        assert (run.status, run.convergence) == (RunStatus.APPLIED, "")
        assert engine.calls("apply") == 1
        assert [each["facts"]["result"] for each in app.audit("convergence.checked")] == ["not checked"]
        assert len(app.audit("apply.finished")) == 1
        told = [comment.body for comment in pull.comments() if "## Applied" in comment.body]
        assert len(told) == 1
        assert "not checked" in told[0]
        assert pull.status("prbot/apply", run.commit)["state"] == "success"
        assert app.holder("net") == behind.number
        assert not app.runs(behind)[-1].speculative
        assert app.slots_taken() == []
        assert again.end() == 0
