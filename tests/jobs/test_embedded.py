"""The embedded queue keeps what every queue keeps, and survives what can befall one host."""

from __future__ import annotations

import itertools
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from prbot.jobs import embedded
from prbot.jobs.embedded import EmbeddedJobs
from prbot.machine import SortableIds
from prbot.ports import Again, Job
from prbot.store.database import Database
from prbot.store.migrate import upgrade
from prbot.store.slots import DEAD_SECONDS
from prbot.store.tables import JobRow, Worker
from tests.jobs.conformance import WAIT, JobsConformance, begin, put, until


class EmbeddedQueue:
    """One SQLite file; every worker has connections and a socket of its own, as processes have."""

    def __init__(self, root: Path) -> None:
        self._root, self.wake_path = root, root / "wake"
        self._numbers = itertools.count()
        self._workers: list[EmbeddedJobs] = []
        self._databases: list[Database] = []
        self.db = self._connect()
        upgrade(self.db)

    def _connect(self) -> Database:
        self._databases.append(Database(f"sqlite:///{self._root / 'prbot.db'}"))
        return self._databases[-1]

    def _new_id(self) -> str:
        return f"01j{next(self._numbers):05}"

    def write(self) -> AbstractContextManager[Session]:
        return self.db.write()

    def jobs(self, *, threads: int = 2, runs_parallel: int = 1) -> EmbeddedJobs:
        jobs = EmbeddedJobs(
            self._connect(), self._new_id, threads=threads, worker=f"worker-{len(self._workers)}",
            wake_path=self.wake_path, runs_parallel=runs_parallel,
        )  # fmt: skip
        jobs.first_pause = jobs.longest_pause = 0.002
        self._workers.append(jobs)
        return jobs

    def rows(self) -> list[JobRow]:
        with self.db.read() as tx:
            return list(tx.exec(select(JobRow).order_by(col(JobRow.id))))

    def left(self) -> list[tuple[str, str, str]]:
        return sorted((row.kind, row.state, row.error) for row in self.rows())

    def workers(self) -> list[str]:
        with self.db.read() as tx:
            return list(tx.exec(select(Worker.id).order_by(Worker.id)))

    def abandon(self, kind: str, args: Mapping[str, str]) -> None:
        """A job of a worker whose last beat is older than the living are allowed."""
        dead = EmbeddedJobs(self.db, self._new_id, threads=1, worker="dead", wake_path=self._root, runs_parallel=1)
        with self.write() as tx:
            job = dead.enqueue(tx, kind, args)
            row = tx.get_one(JobRow, job)
            row.state, row.worker = "running", "dead"
            last = self.db.now(tx) - timedelta(seconds=DEAD_SECONDS + 1)
            tx.add(Worker(id="dead", host="elsewhere", pid=1, started_at=last, beat_at=last))
        dead.stop()

    def close(self) -> None:
        for jobs in self._workers:
            jobs.stop()
        for database in self._databases:
            database.close()


@pytest.fixture
def queue() -> Iterator[EmbeddedQueue]:
    with tempfile.TemporaryDirectory(prefix="prbot-") as root:  # a socket's path is bounded; pytest's are long
        queue = EmbeddedQueue(Path(root))
        yield queue
        queue.close()


class TestEmbedded(JobsConformance):
    """The suite of every queue, on this one."""


def test_a_lost_wake_is_made_good_by_the_next_sweep(queue: EmbeddedQueue) -> None:
    seen: list[Job] = []
    jobs = queue.jobs()
    begin(jobs, {"look": seen.append})
    put(queue, jobs, "look", number="1")
    until(lambda: len(seen) == 1)
    with queue.write() as tx:  # a row, and nobody is told
        now = queue.db.now(tx)
        tx.add(JobRow(id="unheard", kind="look", args="{}", due_at=now, created_at=now))
    until(lambda: len(seen) == 2, 4)


def test_what_was_queued_before_the_clock_was_set_back_is_done_now(queue: EmbeddedQueue) -> None:
    seen: list[Job] = []
    with queue.write() as tx:
        later = queue.db.now(tx) + timedelta(hours=1)
        tx.add(JobRow(id="ahead", kind="look", args="{}", due_at=later, created_at=later))
    begin(queue.jobs(), {"look": seen.append})
    until(lambda: len(seen) == 1)


def test_what_a_worker_leaves_that_dies_while_others_work_is_found_by_recover(queue: EmbeddedQueue) -> None:
    seen: list[Job] = []
    jobs = queue.jobs()
    begin(jobs, {"look": seen.append})
    queue.abandon("look", {"pull": "7"})
    assert jobs.recover() == 1
    until(lambda: seen and not queue.left())
    assert queue.workers() == ["worker-0"]


def test_what_a_living_worker_took_and_is_not_at_is_found_by_recover(queue: EmbeddedQueue) -> None:
    seen: list[Job] = []
    jobs = queue.jobs()
    begin(jobs, {"look": seen.append})
    (me,) = queue.workers()
    with queue.write() as tx:
        now = queue.db.now(tx)
        tx.add(JobRow(id="lost", kind="look", args="{}", state="running", worker=me, due_at=now, created_at=now))
    assert jobs.recover() == 1
    until(lambda: seen and not queue.left())


def test_recover_leaves_alone_what_living_workers_are_at(queue: EmbeddedQueue) -> None:
    started, go = threading.Event(), threading.Event()

    def look(_: Job) -> None:
        started.set()
        assert go.wait(WAIT)

    jobs = queue.jobs()
    begin(jobs, {"look": look})
    put(queue, jobs, "look")
    assert started.wait(WAIT)
    assert queue.jobs().recover() == 0
    go.set()
    until(lambda: not queue.left())


def test_what_is_recovered_while_the_same_is_queued_is_done_once(queue: EmbeddedQueue) -> None:
    seen: list[Job] = []
    jobs = queue.jobs()
    queue.abandon("look", {})
    put(queue, jobs, "look", delay=600)
    begin(jobs, {"look": seen.append})
    until(lambda: seen and not queue.left())
    assert len(seen) == 1


@pytest.mark.parametrize("ending", [None, Again("later", 0.0), ValueError("broken")])
def test_whoever_comes_too_late_does_not_end_a_job_that_another_has(
    queue: EmbeddedQueue, ending: Exception | None
) -> None:
    started, go = threading.Event(), threading.Event()

    def late(_: Job) -> None:
        started.set()
        assert go.wait(WAIT)
        if ending is not None:
            raise ending

    jobs = queue.jobs()
    begin(jobs, {"look": late})
    job = put(queue, jobs, "look")
    assert started.wait(WAIT)
    with queue.write() as tx:
        tx.get_one(JobRow, job).worker = "another"
    go.set()
    assert jobs.drain(WAIT)
    assert [(row.state, row.worker, row.attempt) for row in queue.rows()] == [("running", "another", 1)]


def test_a_worker_that_was_taken_for_dead_does_not_run_a_job_beside_itself(queue: EmbeddedQueue) -> None:
    gate, running, together = threading.Semaphore(0), [], []

    def look(job: Job) -> None:
        running.append(job.id)
        together.append(len(running))
        assert gate.acquire(timeout=WAIT)
        running.remove(job.id)

    jobs = queue.jobs()
    begin(jobs, {"look": look, "see": lambda _: None})
    job = put(queue, jobs, "look")
    until(lambda: running)
    with queue.write() as tx:
        row = tx.get_one(JobRow, job)
        row.state, row.worker = "queued", None
        tx.delete(tx.get_one(Worker, "worker-0"))
    put(queue, jobs, "see")
    until(lambda: queue.left() == [("look", "queued", "")])
    assert queue.workers() == ["worker-0"]  # it said that it lives before it took the next
    gate.release()
    gate.release()
    until(lambda: not queue.left())
    assert together == [1, 1]


def test_a_socket_that_a_dead_worker_left_is_removed(queue: EmbeddedQueue) -> None:
    jobs = queue.jobs()
    begin(jobs, {})
    left = queue.wake_path / "dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(left))
    jobs.wake()
    assert [place.name for place in queue.wake_path.glob("*")] == ["worker-0.sock"]


def test_a_worker_that_ends_takes_its_name_off_the_list(queue: EmbeddedQueue) -> None:
    jobs = queue.jobs()
    begin(jobs, {})
    assert queue.workers() == ["worker-0"]
    assert jobs.healthy
    jobs.stop()
    assert queue.workers() == []


def test_a_worker_whose_beat_does_not_come_through_begins_nothing_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also while the beat still waits for its turn to write: a failure would come much later."""
    monkeypatch.setattr(embedded, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(embedded, "UNHEALTHY_SECONDS", 0.5)
    db = Database(f"sqlite:///{tmp_path / 'jobs.db'}")
    upgrade(db)
    jobs = EmbeddedJobs(db, SortableIds(), threads=1, worker="w", wake_path=tmp_path / "wake", runs_parallel=1)
    jobs.start({}, on_abort=lambda _: None, on_sweep=lambda: None)
    try:
        with db.write():  # nobody else writes meanwhile
            deadline = time.monotonic() + 5
            while jobs.healthy and time.monotonic() < deadline:
                time.sleep(0.02)
            assert not jobs.healthy
        while not jobs.healthy and time.monotonic() < deadline + 5:
            time.sleep(0.02)
        assert jobs.healthy
    finally:
        jobs.stop()
        db.close()
