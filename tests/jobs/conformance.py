"""What every queue keeps. A test module subclasses `JobsConformance` and gives it a `queue` fixture."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest

from prbot.ports import Again, Job, Jobs, Transient

Work = Mapping[str, Callable[[Job], None]]
WAIT = 10.0
"""Seconds after which a test gives up to wait."""


class Queue(Protocol):
    """One empty queue in a database of its own, seen from several processes or what is as good as that."""

    def write(self) -> AbstractContextManager[Any]:
        """The transaction that `enqueue` takes."""
        ...

    def jobs(self, *, threads: int = 2, runs_parallel: int = 1) -> Jobs:
        """Another worker's end of the queue, not started; a first retry comes at once. The fixture stops it."""
        ...

    def left(self) -> list[tuple[str, str, str]]:
        """What is not done: (kind, state, error), sorted; state is queued, running or failed."""
        ...

    def abandon(self, kind: str, args: Mapping[str, str]) -> None:
        """Leave a job as a worker leaves it that died over it."""
        ...


def until(what: Callable[[], object], seconds: float = WAIT) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.01)


def begin(
    jobs: Jobs,
    work: Work,
    *,
    on_abort: Callable[[str], None] = lambda _: None,
    on_sweep: Callable[[], None] = lambda: None,
) -> None:
    """Start a worker for which aborts and sweeps mean nothing unless said."""
    jobs.start(work, on_abort=on_abort, on_sweep=on_sweep)


def put(queue: Queue, jobs: Jobs, kind: str, *, delay: float = 0.0, **args: str) -> str:
    """Queue one job in a transaction of its own."""
    with queue.write() as tx:
        return jobs.enqueue(tx, kind, args, delay=delay)


class Rolled(Exception):
    """Ends a transaction without a commit."""


class JobsConformance:
    """The promises of the Jobs port."""

    def test_a_job_is_done_once_and_then_gone(self, queue: Queue) -> None:
        seen: list[Job] = []
        jobs = queue.jobs()
        begin(jobs, {"look": seen.append})
        put(queue, jobs, "look", pull="7")
        until(lambda: seen and not queue.left())
        assert [(job.kind, dict(job.args), job.attempt) for job in seen] == [("look", {"pull": "7"}, 1)]

    def test_what_was_queued_before_anybody_worked_is_done_after_the_start(self, queue: Queue) -> None:
        seen: list[Job] = []
        jobs = queue.jobs()
        put(queue, jobs, "look")
        begin(jobs, {"look": seen.append})
        until(lambda: len(seen) == 1)

    def test_a_job_of_a_transaction_that_was_rolled_back_does_not_exist(self, queue: Queue) -> None:
        seen: list[str] = []
        jobs = queue.jobs()
        begin(jobs, {"look": lambda job: seen.append(job.args["pull"])})
        with pytest.raises(Rolled), queue.write() as tx:  # noqa: PT012
            jobs.enqueue(tx, "look", {"pull": "rolled back"})
            raise Rolled
        assert queue.left() == []
        put(queue, jobs, "look", pull="kept")
        until(lambda: seen and not queue.left())
        assert seen == ["kept"]

    def test_the_same_job_is_queued_once_whatever_the_order_of_its_arguments(self, queue: Queue) -> None:
        jobs = queue.jobs()
        first = put(queue, jobs, "look", pull="7", repo="a")
        assert put(queue, jobs, "look", repo="a", pull="7") == first
        assert put(queue, jobs, "look", repo="a", pull="8") != first
        assert put(queue, jobs, "see", repo="a", pull="7") != first
        assert queue.left() == [("look", "queued", ""), ("look", "queued", ""), ("see", "queued", "")]

    def test_a_job_queued_again_without_delay_is_not_late(self, queue: Queue) -> None:
        seen: list[Job] = []
        jobs = queue.jobs()
        begin(jobs, {"look": seen.append})
        put(queue, jobs, "look", delay=600)
        put(queue, jobs, "look")
        until(lambda: len(seen) == 1)

    def test_the_same_job_queued_while_it_runs_is_done_a_second_time(self, queue: Queue) -> None:
        started, go, calls = threading.Event(), threading.Event(), []

        def look(job: Job) -> None:
            started.set()
            assert go.wait(WAIT)
            calls.append(job.id)

        jobs = queue.jobs()
        begin(jobs, {"look": look})
        put(queue, jobs, "look")
        assert started.wait(WAIT)
        put(queue, jobs, "look")
        go.set()
        until(lambda: not queue.left())
        assert len(set(calls)) == len(calls) == 2

    def test_a_delayed_job_waits_for_its_time_and_not_for_a_sweep(self, queue: Queue) -> None:
        seen: list[float] = []
        jobs = queue.jobs()
        begin(jobs, {"look": lambda _: seen.append(time.monotonic())})
        before = time.monotonic()
        put(queue, jobs, "look", delay=0.4)
        until(lambda: seen)
        assert 0.39 <= seen[0] - before < 1.4

    def test_a_wake_is_fast(self, queue: Queue) -> None:
        seen: list[Job] = []
        worker, other = queue.jobs(), queue.jobs()
        begin(worker, {"look": seen.append})
        put(queue, other, "look")
        until(lambda: not queue.left())
        before = time.monotonic()
        for count in (2, 3, 4):
            put(queue, other, "look")
            until(lambda count=count: len(seen) == count and not queue.left())  # type: ignore[misc]
        assert time.monotonic() - before < 3 * 0.5

    def test_a_job_that_says_again_is_put_back_and_loses_no_attempt(self, queue: Queue) -> None:
        attempts: list[int] = []

        def busy_nine_times(job: Job) -> None:
            attempts.append(job.attempt)
            if len(attempts) < 10:
                raise Again("not my turn", 0.01)

        jobs = queue.jobs()
        begin(jobs, {"look": busy_nine_times})
        put(queue, jobs, "look")
        until(lambda: len(attempts) == 10 and not queue.left())
        assert attempts == [1] * 10

    def test_what_is_transient_is_tried_for_two_hours_and_then_failed_with_its_error(self, queue: Queue) -> None:
        attempts: list[int] = []

        def unreachable(job: Job) -> None:
            attempts.append(job.attempt)
            raise Transient("the forge answers 502")

        jobs = queue.jobs()
        begin(jobs, {"look": unreachable})
        put(queue, jobs, "look")
        until(lambda: queue.left() == [("look", "failed", "the forge answers 502")])
        assert attempts == [*range(1, 126)]

    def test_what_says_when_to_come_back_is_left_alone_until_then(self, queue: Queue) -> None:
        times: list[float] = []

        def limited(_: Job) -> None:
            times.append(time.monotonic())
            if len(times) == 1:
                raise Transient("too many requests", retry_after=0.3)

        jobs = queue.jobs()
        begin(jobs, {"look": limited})
        put(queue, jobs, "look")
        until(lambda: len(times) == 2)
        assert times[1] - times[0] >= 0.3

    def test_a_bug_is_tried_three_times_and_then_failed_with_its_name(self, queue: Queue) -> None:
        attempts: list[int] = []

        def broken(job: Job) -> None:
            attempts.append(job.attempt)
            raise ValueError("no such key")

        jobs = queue.jobs()
        begin(jobs, {"look": broken})
        put(queue, jobs, "look")
        until(lambda: queue.left() == [("look", "failed", "ValueError: no such key")])
        assert attempts == [1, 2, 3]

    def test_a_job_that_failed_does_not_keep_the_same_from_being_queued(self, queue: Queue) -> None:
        seen: list[int] = []

        def broken_at_first(job: Job) -> None:
            seen.append(job.attempt)
            if len(seen) <= 3:
                raise ValueError("broken")

        jobs = queue.jobs()
        begin(jobs, {"look": broken_at_first})
        put(queue, jobs, "look")
        until(lambda: queue.left() == [("look", "failed", "ValueError: broken")])
        put(queue, jobs, "look")
        until(lambda: seen == [1, 2, 3, 1])

    def test_a_kind_that_nobody_knows_is_kept_for_a_version_that_does(self, queue: Queue) -> None:
        seen: list[Job] = []
        jobs = queue.jobs(threads=1)
        begin(jobs, {"look": seen.append})
        put(queue, jobs, "of a later version")
        put(queue, jobs, "look")
        until(lambda: seen and queue.left() == [("of a later version", "queued", "")])

    def test_what_a_dead_worker_was_at_is_done_by_another(self, queue: Queue) -> None:
        seen: list[Job] = []
        queue.abandon("look", {"pull": "7"})
        jobs = queue.jobs()
        begin(jobs, {"look": seen.append})
        until(lambda: not queue.left())
        assert [dict(job.args) for job in seen] == [{"pull": "7"}]

    def test_two_workers_do_every_job_once(self, queue: Queue) -> None:
        done: Counter[str] = Counter()
        by: Counter[str] = Counter()
        guard = threading.Lock()

        def counting(worker: str) -> Work:
            def count(job: Job) -> None:
                with guard:
                    done[job.args["number"]] += 1
                    by[worker] += 1
                time.sleep(0.005)

            return {"count": count}

        first, second = queue.jobs(threads=3), queue.jobs(threads=3)
        begin(first, counting("first"))
        begin(second, counting("second"))
        with queue.write() as tx:
            for number in range(100):
                first.enqueue(tx, "count", {"number": str(number)})
        until(lambda: not queue.left(), 20)
        assert done == {str(number): 1 for number in range(100)}
        assert by.keys() == {"first", "second"}

    def test_runs_have_threads_of_their_own_so_that_they_keep_nothing_else_waiting(self, queue: Queue) -> None:
        go, began = threading.Event(), list[str]()
        seen: list[Job] = []

        def run(job: Job) -> None:
            began.append(job.args["run"])
            assert go.wait(WAIT)

        jobs = queue.jobs(threads=1, runs_parallel=2)
        begin(jobs, {"run": run, "look": seen.append})
        for number in "123":
            put(queue, jobs, "run", run=number)
        until(lambda: len(began) == 2)
        put(queue, jobs, "look")
        until(lambda: seen)
        assert began == ["1", "2"]
        go.set()
        until(lambda: not queue.left())
        assert began == ["1", "2", "3"]

    def test_drain_waits_for_what_runs_and_begins_nothing_more(self, queue: Queue) -> None:
        started, go, ended = threading.Event(), threading.Event(), []

        def look(job: Job) -> None:
            started.set()
            assert go.wait(WAIT)
            ended.append(job.args["pull"])

        jobs = queue.jobs()
        begin(jobs, {"look": look})
        put(queue, jobs, "look", pull="7")
        assert started.wait(WAIT)
        assert not jobs.drain(0.05)
        put(queue, jobs, "look", pull="8")
        go.set()
        assert jobs.drain(WAIT)
        assert ended == ["7"]
        assert queue.left() == [("look", "queued", "")]

    def test_what_a_drained_worker_left_is_done_by_the_next(self, queue: Queue) -> None:
        seen: list[Job] = []
        first, second = queue.jobs(), queue.jobs()
        begin(first, {"look": seen.append})
        assert first.drain(WAIT)
        put(queue, first, "look")
        first.stop()
        assert seen == []
        begin(second, {"look": seen.append})
        until(lambda: len(seen) == 1)

    def test_an_abort_reaches_every_worker(self, queue: Queue) -> None:
        heard: list[tuple[str, str]] = []
        first, second, web = queue.jobs(), queue.jobs(), queue.jobs()
        begin(first, {}, on_abort=lambda run: heard.append(("first", run)))
        begin(second, {}, on_abort=lambda run: heard.append(("second", run)))
        web.abort("01run")
        until(lambda: sorted(heard) == [("first", "01run"), ("second", "01run")])

    def test_an_abort_that_breaks_does_not_stop_the_worker(self, queue: Queue) -> None:
        heard = threading.Event()
        seen: list[Job] = []

        def broken(_: str) -> None:
            heard.set()
            raise ValueError("broken")

        jobs = queue.jobs()
        begin(jobs, {"look": seen.append}, on_abort=broken)
        jobs.abort("01run")
        assert heard.wait(WAIT)
        put(queue, jobs, "look")
        until(lambda: seen)
