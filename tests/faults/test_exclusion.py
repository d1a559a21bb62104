"""One at a time: slots, cancels and transactions under competition."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from prbot.core.runs import RunStatus
from prbot.flows import janitor
from prbot.flows.services import Services
from prbot.flows.work import execute_run
from prbot.store import slots
from prbot.store.database import Database
from prbot.store.migrate import upgrade
from prbot.store.tables import Worker
from tests.faults.workers import WorkerProcess, stage, until
from tests.flows.app import Story, tf


def test_two_jobs_of_one_project_forced_past_the_queue_run_one(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        worker = WorkerProcess(app)
        engine.hold("plan")
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        until(lambda: engine.calls("plan") == 1)
        run = app.runs(pull)[0]
        worker.kill()
        _put_back(app, run.id)
        engine.release()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: execute_run(_as_worker(app, name), run.id), ("one", "other")))
        assert engine.calls("plan") == 2  # the killed one, and one of the two
        assert [each.status for each in app.runs(pull)] == [RunStatus.PLANNED]


def _put_back(app: Story, run: str) -> None:
    with app.services.db.write() as tx:
        slots.forget_the_dead_here(tx)
    janitor.sweep(app.services)
    assert next(each for each in app.every_run() if each.id == run).status is RunStatus.PENDING


def _as_worker(app: Story, name: str) -> Services:
    services = replace(app.services, identity=replace(app.services.identity, worker=name))
    with services.db.write() as tx:
        now = services.db.now(tx)
        tx.add(Worker(id=name, host="here", pid=1, started_at=now, beat_at=now))
    return services


def test_after_a_cancel_the_next_run_of_the_project_starts_only_when_the_process_has_gone(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        infra = app.repo()
        worker = WorkerProcess(app)
        engine.hold("plan")
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        until(lambda: engine.calls("plan") == 1)
        pull.comment(by="bo", body="prbot cancel")
        until(lambda: app.runs(pull)[0].status is RunStatus.CANCELLED)
        assert app.slots_taken() == [] or "project" not in str(app.slots_taken())
        engine.release()
        pull.comment(by="bo", body="prbot plan")
        app.settle()
        first, second = app.runs(pull)
        assert first.ended_at is not None
        assert second.started_at is not None
        assert second.started_at >= first.ended_at
        assert second.status is RunStatus.PLANNED
        assert worker.end() == 0


def _count_up(url: str, times: int) -> None:
    db = Database(url)

    def one(_: int) -> None:
        with db.write() as tx:
            row = tx.get_one(Worker, "counter")
            row.pid += 1
            tx.add(row)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(times)))
    db.close()


def test_four_hundred_transactions_that_read_and_then_write_count_four_hundred(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'count.db'}"
    db = Database(url)
    upgrade(db)
    with db.write() as tx:
        now = db.now(tx)
        tx.add(Worker(id="counter", host="", pid=0, started_at=now, beat_at=now))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(url, 200)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    with db.read() as tx:
        assert tx.get_one(Worker, "counter").pid == 400
    db.close()
