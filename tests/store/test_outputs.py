"""What engines print is kept in order and readable soon, and never breaks whoever prints."""

from __future__ import annotations

import time
from pathlib import Path

from prbot.store import outputs
from prbot.store.database import Database
from prbot.store.outputs import FLUSH_LINES, FLUSH_SECONDS, OutputSink


def chunks(db: Database, run: str = "run-1", after: int = 0) -> list[tuple[int, str, str]]:
    with db.read() as tx:
        return [(row.number, row.step, row.body) for row in outputs.read(tx, run, after)]


def test_a_line_can_be_read_soon_while_the_step_goes_on(db: Database) -> None:
    sink = OutputSink(db, "run-1")
    sink.line("plan", "Refreshing state…")
    deadline = time.monotonic() + FLUSH_SECONDS + 5
    while not chunks(db) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert chunks(db) == [(1, "plan", "Refreshing state…")]
    sink.close()


def test_lines_are_kept_in_order_and_by_step(db: Database) -> None:
    sink = OutputSink(db, "run-1")
    for step, line in [("init", "one"), ("init", ""), ("plan", "two"), ("init", "three")]:
        sink.line(step, line)
    sink.close()
    assert chunks(db) == [(1, "init", "one\n"), (2, "plan", "two"), (3, "init", "three")]


def test_many_lines_are_written_in_few_chunks_and_none_is_lost(db: Database) -> None:
    sink = OutputSink(db, "run-1")
    lines = [f"line {number}" for number in range(5 * FLUSH_LINES + 7)]
    for line in lines:
        sink.line("apply", line)
    sink.close()
    kept = chunks(db)
    assert "\n".join(body for _, _, body in kept).splitlines() == lines
    assert len(kept) <= 12


def test_a_reader_asks_for_what_came_after_the_chunk_that_it_has(db: Database) -> None:
    sink = OutputSink(db, "run-1")
    for step in ("init", "plan", "show"):
        sink.line(step, step)
    sink.close()
    assert [step for _, step, _ in chunks(db, after=1)] == ["plan", "show"]
    assert chunks(db, after=3) == []


def test_runs_do_not_see_each_others_output(db: Database) -> None:
    for run in ("run-1", "run-2"):
        sink = OutputSink(db, run)
        sink.line("plan", run)
        sink.close()
    assert chunks(db, "run-2") == [(1, "plan", "run-2")]


def test_a_second_sink_of_a_run_goes_on_after_the_first_also_past_a_gap(db: Database) -> None:
    first = OutputSink(db, "run-1")
    for step in ("init", "plan"):
        first.line(step, step)
    first.close()
    with db.write() as tx:
        tx.delete(outputs.read(tx, "run-1")[0])
    second = OutputSink(db, "run-1")
    second.line("apply", "again")
    second.close()
    assert chunks(db) == [(2, "plan", "plan"), (3, "apply", "again")]


def test_a_line_that_cannot_be_kept_breaks_nothing_and_the_next_is_kept(db: Database, tmp_path: Path) -> None:
    sink = OutputSink(db, "run-1")
    with db.write() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE prbot_run_output RENAME TO away")
    sink.line("apply", "lost")
    sink.close()
    with db.write() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE away RENAME TO prbot_run_output")
    sink.line("apply", "kept")
    sink.close()
    assert [body for _, _, body in chunks(db)] == ["kept"]


def test_a_sink_that_took_nothing_writes_nothing(db: Database) -> None:
    OutputSink(db, "run-1").close()
    assert chunks(db) == []
