"""The embedded queue: a dispatcher over our own rows, for one host and its database.

It is woken by a Unix datagram from whoever queued something, and looks by itself every two seconds. A job is claimed by
changing its row, run on a thread, and deleted when it is done; what a dead worker had is queued again.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import exists, func, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from prbot.core.ids import NewId
from prbot.ports import Again, Job, Transient
from prbot.store.database import Database, after_commit
from prbot.store.slots import BEAT_SECONDS, DEAD_SECONDS, beat, this_host
from prbot.store.tables import JobRow, Worker

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 2.0
JANITOR_SECONDS = 10.0
UNHEALTHY_SECONDS = 10.0
MOST_TRANSIENT = 125
"""Tries, within two hours at least: an outage, or a rate limit that says each time when to come again."""
MOST_BROKEN = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
UNKNOWN_KIND_PAUSE = 60.0
SET_BACK = timedelta(seconds=5)
"""By so much a clock is set back, and not merely adjusted."""
RUN = "run"
"""The kind of job that has threads of its own, so that plans never keep webhooks waiting."""

Work = Mapping[str, Callable[[Job], None]]


class EmbeddedJobs:
    """The Jobs port over `prbot_job`. `wake_path` is the directory of the workers' sockets, beside the database.

    A job that raises Transient is tried 125 times, one that raises anything else three times; then its row says
    `failed` and why. A job may run again after its worker died, so that what it does must bear that.
    """

    first_pause = FIRST_PAUSE
    """Seconds between the first try and the second; they double from there, …"""
    longest_pause = LONGEST_PAUSE
    """… to a minute, so that what waits is done soon after somebody answers again."""

    def __init__(
        self, db: Database, new_id: NewId, *, threads: int, worker: str, wake_path: Path, runs_parallel: int
    ) -> None:
        self._db, self._new_id, self._worker, self._wake_path = db, new_id, worker, wake_path
        self._limits = {RUN: runs_parallel, "": threads}
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._work: Work = {}
        self._running: dict[str, tuple[str, Future[None]]] = {}
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._draining = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._last_beat = time.monotonic()

    # -- queueing, in any process -------------------------------------------------------------------------------------
    def enqueue(self, tx: Session, kind: str, args: Mapping[str, str], *, delay: float = 0.0) -> str:
        """Queue a job in the caller's transaction. One that is queued and not begun already is queued once."""
        text = json.dumps(dict(args), sort_keys=True)
        now = self._db.now(tx)
        due = now + timedelta(seconds=delay)
        after_commit(tx, self.wake)
        there = tx.exec(
            select(JobRow).where(JobRow.kind == kind, JobRow.args == text, JobRow.state == "queued")
        ).first()
        if there is not None:
            there.due_at = min(there.due_at, due)
            tx.add(there)
            return there.id
        row = JobRow(id=self._new_id(), kind=kind, args=text, due_at=due, created_at=now)
        tx.add(row)
        tx.flush()
        return row.id

    def wake(self) -> None:
        """Tell every worker on this host to look. A lost one costs a sweep's wait."""
        self._send(b"wake")

    def abort(self, run: str) -> None:
        """Tell the workers that a run is to be stopped."""
        self._send(b"abort " + run.encode())

    def _send(self, message: bytes) -> None:
        for path in self._wake_path.glob("*.sock"):
            try:
                self._sender.sendto(message, str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                with suppress(OSError):
                    path.unlink()
            except OSError:
                continue  # its queue is full: it is awake

    # -- working ------------------------------------------------------------------------------------------------------
    def start(
        self,
        work: Work,
        *,
        on_abort: Callable[[str], None],
        on_sweep: Callable[[], None],
    ) -> None:
        """Begin to work: register, beat, and take jobs."""
        self._work, self._on_abort, self._on_sweep = work, on_abort, on_sweep
        self._wake_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket_path = self._wake_path / f"{self._worker[-40:]}.sock"
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.bind(str(self._socket_path))
        with self._db.write() as tx:
            self._say_alive(tx)
        self._last_beat = time.monotonic()
        self.recover()
        self._pools = {
            lane: ThreadPoolExecutor(limit, thread_name_prefix=f"prbot-{lane or 'job'}")
            for lane, limit in self._limits.items()
        }
        for loop in (self._dispatch, self._beat, self._sweep):
            thread = threading.Thread(target=loop, name=f"prbot-{loop.__name__.strip('_')}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def healthy(self) -> bool:
        """False when our last good beat is so long ago that we may soon be taken for dead: nothing is begun then."""
        return time.monotonic() - self._last_beat < UNHEALTHY_SECONDS

    def drain(self, timeout: float) -> bool:
        """Begin nothing more, and wait for what runs. False when something still ran after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._draining.set()
        if not self._taking.acquire(timeout=timeout):  # what is being taken right now has to end as well
            return False
        self._taking.release()
        with self._lock:
            futures = [future for _, future in self._running.values()]
        return not wait(futures, max(0.0, deadline - time.monotonic())).not_done

    def stop(self) -> None:
        """End this worker's threads, and take its name off the list."""
        self._draining.set()
        self._stopped.set()
        self._sender_to_self()
        for thread in self._threads:
            thread.join(5)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        if self._threads:
            self._receiver.close()
            with suppress(OSError):
                self._socket_path.unlink()
            with self._db.write() as tx:
                row = tx.get(Worker, self._worker)
                if row is not None and not self._running:
                    tx.delete(row)
        self._sender.close()

    def _sender_to_self(self) -> None:
        if self._threads:
            with suppress(OSError):
                self._sender.sendto(b"wake", str(self._socket_path))

    # -- loops --------------------------------------------------------------------------------------------------------
    def _dispatch(self) -> None:
        while not self._stopped.is_set():
            pause = SWEEP_SECONDS
            try:
                with self._taking:
                    if not self._draining.is_set() and self.healthy:
                        pause = self._take_all()
            except SQLAlchemyError as problem:
                log.warning("the queue could not be read", why=str(problem).splitlines()[0])
            except Exception:
                log.exception("the queue could not be read")  # and the one thread that reads it must go on
            self._listen(pause)

    def _listen(self, pause: float) -> None:
        """Wait for a datagram, and read all that came with it."""
        with suppress(OSError):  # nothing came in time, or nothing is left
            self._receiver.settimeout(max(0.001, pause))
            while True:
                message = self._receiver.recv(256)
                self._receiver.setblocking(False)
                self._heard(message)

    def _heard(self, message: bytes) -> None:
        word, _, run = message.partition(b" ")
        if word != b"abort":
            return
        try:
            self._on_abort(run.decode(errors="replace"))
        except Exception:
            log.exception("a run could not be stopped", run=run.decode(errors="replace"))

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                with self._db.write() as tx:
                    self._say_alive(tx)
                self._last_beat = time.monotonic()
            except SQLAlchemyError as problem:
                log.warning("a beat failed", why=str(problem).splitlines()[0])
            except Exception:
                log.exception("a beat failed")

    def _say_alive(self, tx: Session) -> None:
        """Beat; a worker that was taken for dead, or is new, puts its name on the list."""
        if not beat(tx, self._db, self._worker):
            now = self._db.now(tx)
            tx.add(Worker(id=self._worker, host=this_host(), pid=os.getpid(), started_at=now, beat_at=now))

    def _sweep(self) -> None:
        while not self._stopped.wait(JANITOR_SECONDS):
            try:
                self.recover()
                self._on_sweep()
            except Exception:
                log.exception("a sweep failed")

    def recover(self) -> int:
        """Queue again what dead workers were at, and what we took and are not at; how many jobs that were. Dead workers
        are forgotten."""
        with self._taking, self._db.write() as tx:
            alive_since = self._db.now(tx) - timedelta(seconds=DEAD_SECONDS)
            alive = exists().where(col(Worker.id) == col(JobRow.worker), col(Worker.beat_at) >= alive_since)
            with self._lock:
                at_it = list(self._running)
            ours = (col(JobRow.worker) == self._worker) & col(JobRow.id).not_in(at_it)
            lost = list(tx.exec(select(JobRow).where(JobRow.state == "running", ~alive | ours)))
            for row in lost:
                self._put_back(tx, row, self._db.now(tx))
            for worker in tx.exec(select(Worker).where(col(Worker.beat_at) < alive_since)):
                tx.delete(worker)
        if lost:
            self.wake()
        return len(lost)

    # -- one job ------------------------------------------------------------------------------------------------------
    def _take_all(self) -> float:
        """Begin every job that is due and has a thread; how long until the next one is due."""
        with self._lock:
            mine = list(self._running)
            room = dict(self._limits)
            for kind, _ in self._running.values():
                room[_lane(kind)] -= 1
        with self._db.read() as tx:
            now = self._db.now(tx)
            queued = select(JobRow.id).where(JobRow.state == "queued")
            # One that was given to others while we were taken for dead, and still runs here, is not run beside itself.
            # One that was queued later than now is from before the clock was set back, and says no more when it is due.
            ready = (col(JobRow.due_at) <= now) | (col(JobRow.created_at) > now + SET_BACK)
            due = queued.where(ready, col(JobRow.id).not_in(mine)).order_by(col(JobRow.due_at))
            chosen = [
                *tx.exec(due.where(JobRow.kind == RUN).limit(room[RUN])),
                *tx.exec(due.where(JobRow.kind != RUN).limit(room[""])),
            ]
            next_due = tx.exec(
                select(func.min(JobRow.due_at)).where(JobRow.state == "queued", JobRow.due_at > now)
            ).one()
        if chosen:
            claimed = self._claim(chosen)
            for job in claimed:
                self._begin(job)
            if len(claimed) < len(chosen):
                return 0.0  # another worker was faster: look at once for what is left
        return SWEEP_SECONDS if next_due is None else min(SWEEP_SECONDS, (next_due - now).total_seconds())

    def _claim(self, ids: list[str]) -> list[Job]:
        with self._db.write() as tx:
            self._say_alive(tx)  # or what we claim may be taken from us at once
            rows = tx.execute(
                update(JobRow)
                .where(col(JobRow.id).in_(ids), col(JobRow.state) == "queued")
                .values(state="running", worker=self._worker)
                .returning(col(JobRow.id), col(JobRow.kind), col(JobRow.args), col(JobRow.attempt))
            ).all()
        order = {each: number for number, each in enumerate(ids)}
        return [Job(row[0], row[1], json.loads(row[2]), row[3]) for row in sorted(rows, key=lambda row: order[row[0]])]

    def _begin(self, job: Job) -> None:
        with self._lock:
            future = self._pools[_lane(job.kind)].submit(self._do, job)
            self._running[job.id] = (job.kind, future)
        future.add_done_callback(lambda _: self._ended(job.id))

    def _ended(self, job: str) -> None:
        with self._lock:
            self._running.pop(job, None)
        self._sender_to_self()

    def _do(self, job: Job) -> None:
        call = self._work.get(job.kind)
        try:
            if call is None:
                raise Again(f"nobody here knows how to do {job.kind}", UNKNOWN_KIND_PAUSE)
            call(job)
        except Again as later:
            self._later(job, later.seconds, job.attempt)
        except Transient as problem:
            self._retry(job, str(problem), MOST_TRANSIENT, problem.retry_after)
        except Exception as problem:
            log.exception("a job failed", kind=job.kind, args=dict(job.args), attempt=job.attempt)
            self._retry(job, f"{type(problem).__name__}: {problem}", MOST_BROKEN, None)
        else:
            self._settle(job, self._done)

    def _retry(self, job: Job, problem: str, most: int, after: float | None) -> None:
        if job.attempt < most:
            longer = self.first_pause * 2.0 ** min(job.attempt - 1, 24)
            pause = after if after is not None else min(self.longest_pause, longer)
            log.warning("a job is tried again", kind=job.kind, attempt=job.attempt, seconds=pause, why=problem)
            self._later(job, pause, job.attempt + 1)
            return
        log.error("a job is given up", kind=job.kind, args=dict(job.args), attempt=job.attempt, why=problem)

        def give_up(tx: Session, row: JobRow) -> None:
            _forget_failed(tx, row)
            row.state, row.error = "failed", problem

        self._settle(job, give_up)

    @staticmethod
    def _done(tx: Session, row: JobRow) -> None:
        _forget_failed(tx, row)
        tx.delete(row)

    def _later(self, job: Job, seconds: float, attempt: int) -> None:
        def put_back(tx: Session, row: JobRow) -> None:
            row.attempt = attempt
            self._put_back(tx, row, self._db.now(tx) + timedelta(seconds=seconds))

        self._settle(job, put_back)

    def _settle(self, job: Job, change: Callable[[Session, JobRow], None]) -> None:
        """Change the row of a job that ended, if it is still ours; keep at it, for nobody else will while we live."""
        while True:
            try:
                with self._db.write() as tx:
                    row = tx.get(JobRow, job.id)
                    if row is not None and row.state == "running" and row.worker == self._worker:
                        change(tx, row)
                return
            except SQLAlchemyError as problem:
                log.warning("how a job ended is not kept yet", kind=job.kind, why=str(problem).splitlines()[0])
            if self._stopped.wait(BEAT_SECONDS):
                return

    def _put_back(self, tx: Session, row: JobRow, due: datetime) -> None:
        """Queue a row again, unless the same is queued meanwhile: then that one does for both."""
        same = tx.exec(
            select(JobRow).where(JobRow.kind == row.kind, JobRow.args == row.args, JobRow.state == "queued")
        ).first()
        if same is not None:
            same.attempt, same.due_at = max(same.attempt, row.attempt), min(same.due_at, due)
            tx.add(same)
            tx.delete(row)
        else:
            row.state, row.worker, row.due_at = "queued", None, due
            tx.add(row)


def _forget_failed(tx: Session, row: JobRow) -> None:
    """Of jobs that were given up the newest is kept, until the same was done after all."""
    for old in tx.exec(select(JobRow).where(JobRow.kind == row.kind, JobRow.args == row.args)):
        if old.state == "failed" and old.id != row.id:
            tx.delete(old)


def _lane(kind: str) -> str:
    return RUN if kind == RUN else ""
