"""A disk that is full, and whatever else makes a living worker lose sight of what it is at: nothing stays under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from prbot.core.runs import RunStatus
from prbot.flows import endings, janitor
from prbot.store import slots
from prbot.store.database import Database
from prbot.store.tables import Run
from tests.faults.workers import until
from tests.flows.app import Story, shared_with_engines, story, tf
from tests.flows.conftest import app, check_afterwards  # noqa: F401  (the fixture)

TALKS = """
resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = "echo begun >> PLACE/log; while [ -e PLACE/hold ]; do sleep 0.1; done; seq 1000000 1020000"
  }
}
"""


@contextmanager
def full_disk(db: Database) -> Iterator[list[str]]:
    """The database's file cannot grow; gives the statements that were refused so far for that."""
    refused: list[str] = []

    def no_room(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def note(context: Any) -> None:
        if "full" in str(context.original_exception):
            refused.append(str(context.statement))

    event.listen(db.engine, "begin", no_room)
    event.listen(db.engine, "handle_error", note)
    try:
        yield refused
    finally:
        event.remove(db.engine, "begin", no_room)
        event.remove(db.engine, "handle_error", note)
        event.listen(
            db.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        )


def test_an_apply_that_ends_while_the_disk_is_full_is_recorded_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "PAUSE", 0.1)
    with story(tmp_path) as app:  # noqa: F811
        place = shared_with_engines(tmp_path)
        infra = app.repo()
        main = infra.backend("net") + TALKS.replace("PLACE", str(place))
        pull = infra.open_pull(by="al", files={"net/main.tf": main})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        (place / "hold").touch()
        pull.merge(by="al")
        until((place / "log").exists)
        with full_disk(app.services.db) as refused:
            (place / "hold").unlink()
            until(lambda: len([each for each in refused if "applied_output" in each]) >= 3)
            (run,) = app.runs(pull, "apply")
            assert run.status == "applying"
        app.settle()
        assert [run.status for run in app.runs(pull, "apply")] == ["applied"]
        assert "Applied" in pull.comments()[-1].body
        assert (place / "log").read_text() == "begun\n"
        check_afterwards(app)


def lose(app: Story, run: Run, status: RunStatus) -> None:  # noqa: F811
    """A run of this worker's whose thread is gone, and left all as it was."""
    with app.services.db.write() as tx:
        slots.take(
            tx,
            slots.project_slot(run.project),
            owner=run.id,
            worker=app.services.identity.worker,
            now=app.services.clock.now(),
        )
        mine = tx.get_one(Run, run.id)
        mine.status, mine.ended_at = status, None
        tx.add(mine)


def test_a_run_that_a_living_worker_lost_sight_of_is_found(app: Story) -> None:  # noqa: F811
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    lose(app, app.runs(pull)[0], RunStatus.PLANNING)
    janitor.sweep(app.services)
    app.settle()
    assert [run.status for run in app.runs(pull)] == ["planned"]
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    lose(app, app.runs(pull, "apply")[0], RunStatus.APPLYING)
    janitor.sweep(app.services)
    app.settle()
    (run,) = app.runs(pull, "apply")
    assert run.status == "unknown"
    assert app.slots_taken() == []
    assert app.audit("worker.lost") == []
    assert len(app.audit("run.unknown")) == len(app.audit("run.inspected")) == 1


def test_a_slot_that_nobody_here_has_any_more_is_free_again_and_the_others_stay(app: Story) -> None:  # noqa: F811
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    worker, now = app.services.identity.worker, app.services.clock.now()
    with app.services.running.owning("busy"):
        with app.services.db.write() as tx:
            held = slots.take(tx, "report acme/infra#9", owner="busy", worker=worker, now=now)
            lost = slots.take(tx, f"pull acme/infra#{pull.number}", owner="lost", worker=worker, now=now)
        assert held is not None
        assert lost is not None
        pull.comment(by="al", body="prbot version")
        app.world.settle_hooks()
        janitor.sweep(app.services)
        until(lambda: "Versions" in pull.comments()[-1].body)
        assert "report acme/infra#9" in app.slots_taken()
        with app.services.db.write() as tx:
            slots.free(tx, held)
    app.settle()
    assert app.slots_taken() == []
