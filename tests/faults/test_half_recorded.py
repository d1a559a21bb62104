"""A look at a pull request and the runs that follow from it are recorded together or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from prbot.core.ids import PullKey
from prbot.store import runs
from tests.faults.workers import WorkerProcess, stage, until
from tests.flows.app import Story, tf


def break_off(app: Story, on: str) -> None:
    """Have every transaction fail that adds a row to a table, as if the process had died just there."""
    with sqlite3.connect(str(app.settings.database).removeprefix("sqlite:///")) as connection:
        connection.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {on} BEGIN SELECT RAISE(ABORT, 'broken off'); END")


def mend(app: Story) -> None:
    with sqlite3.connect(str(app.settings.database).removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TRIGGER broken")


def test_broken_off_while_the_runs_are_made_nothing_reads_as_planned_and_a_restart_plans(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, _):
        infra = app.repo()
        app.world.settle_hooks(20)
        break_off(app, "prbot_run")
        worker = WorkerProcess(app)
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        until(lambda: "broken off" in worker.log.read_text())
        worker.kill()
        with app.services.db.read() as tx:
            assert runs.operations(tx, PullKey(pull.repo_name, pull.number)) == []
        assert pull.statuses() == {}
        mend(app)
        again = WorkerProcess(app)
        app.settle()
        assert again.end() == 0
        assert pull.status("prbot/plan")["state"] == "success"
        assert pull.status("prbot/gate")["state"] == "pending"
        assert [comment.body.count("## Plan") for comment in pull.comments()] == [1]
