"""What engines print, masked, kept with the run and readable while it runs."""

from __future__ import annotations

import threading

import structlog
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from prbot.store.database import Database
from prbot.store.tables import RunOutput

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 0.5
FLUSH_LINES = 200


class OutputSink:
    """Takes one run's lines, and writes them in chunks: every half second at most, or every 200 lines.

    Never raises into whoever prints: a line that cannot be kept is not worth a broken apply.
    """

    def __init__(self, db: Database, run: str) -> None:
        self._db, self._run = db, run
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._step = ""
        self._timer: threading.Timer | None = None
        with db.read() as tx:
            newest = tx.exec(select(func.max(RunOutput.number)).where(RunOutput.run == run)).one()
        self._number: int = newest or 0

    def line(self, step: str, text: str) -> None:
        """Take a line (without its end) that `step` printed."""
        with self._lock:
            if step != self._step:
                self._flush()
                self._step = step
            self._lines.append(text)
            if len(self._lines) >= FLUSH_LINES:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._on_timer)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            self._flush()

    def _on_timer(self) -> None:
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        self._number += 1
        try:
            with self._db.write() as tx:
                at, body = self._db.now(tx), "\n".join(lines)
                tx.add(RunOutput(run=self._run, number=self._number, step=self._step, body=body, at=at))
        except SQLAlchemyError as problem:
            log.error("output lost", run=self._run, lines=len(lines), why=type(problem).__name__)


def read(tx: Session, run: str, after: int = 0) -> list[RunOutput]:
    """The chunks of a run's output after number `after`, in order."""
    query = select(RunOutput).where(RunOutput.run == run, col(RunOutput.number) > after)
    return list(tx.exec(query.order_by(col(RunOutput.number))))
