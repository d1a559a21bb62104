"""A merge in which very many projects wait: what that costs prbot each time somebody is let in, or it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from prbot.core.runs import Goal, RunStatus
from prbot.flows import views
from prbot.flows.admission import admit_runs
from prbot.sandbox.world import World
from prbot.store import runs
from prbot.store.tables import Claim, Operation, PullRow, Run
from tests.flows.app import Story

ABOUT: dict[str, Any] = {
    "repo": "acme/infra",
    "pull": 1,
    "goal": Goal.APPLY,
    "trigger": "merge",
    "head_sha": "a",
    "base_sha": "b",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Story]:
    with World(tmp_path / "github") as world:
        app = Story(tmp_path, world)
        app.start_web()
        yield app
        app.stop()


def merge(app: Story, tx: Session) -> None:
    """The merge that the runs belong to."""
    now = app.services.clock.now()
    tx.add(
        PullRow(
            repo="acme/infra", number=1, clone_url="", title="", author="al", url="", head_sha="a",
            base_branch="main", base_sha="b", state="merged", merge_sha="c", read_at=now,
        )
    )  # fmt: skip
    tx.add(Operation(id="it", actor="prbot", created_at=now, **ABOUT))
    tx.flush()


def project(app: Story, number: int, **more: Any) -> Run:
    name, now = f"p{number:03}", app.services.clock.now()
    return Run(
        **{"id": name, "operation": "it", "dir": name, "commit": "c", "tree": "t", "created_at": now, **ABOUT, **more}
    )


def questions(app: Story) -> list[str]:
    """What the database is asked from here on."""
    asked: list[str] = []
    event.listen(app.services.db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked


def test_who_waits_is_found_with_one_look_at_the_merge(app: Story) -> None:
    with app.services.db.write() as tx:
        merge(app, tx)
        tx.add_all(project(app, number, comes_after=[["p000", "default"]] if number else []) for number in range(100))
        admit_runs(app.services, tx)
    asked = questions(app)
    with app.services.db.write() as tx:
        assert len(runs.with_status(tx, {RunStatus.WAITING})) == 99
        admit_runs(app.services, tx)
    assert len(asked) < 20, asked


def test_who_comes_later_is_found_with_one_look_at_the_claims(app: Story) -> None:
    now = app.services.clock.now()
    with app.services.db.write() as tx:
        merge(app, tx)
        for number in range(100):
            run = project(app, number)
            tx.add(run)
            for pull, position in ((1, 8), (2, 7 if number else 9)):
                since = now + timedelta(seconds=pull)
                about = {"repo": run.repo, "dir": run.dir, "workspace": run.workspace}
                tx.add(Claim(**about, pull=pull, since=since, merged_position=position))
        admit_runs(app.services, tx)
    asked = questions(app)
    with app.services.db.write() as tx:
        waiting = runs.with_status(tx, {RunStatus.WAITING})
        assert {run.dir for run in waiting} == {f"p{number:03}" for number in range(1, 100)}
        assert {run.error for run in waiting} == {"#2 was merged before and comes first."}
        admit_runs(app.services, tx)
    assert len(asked) < 20, asked


def test_a_merge_of_many_retries_is_shown_with_a_few_looks(app: Story) -> None:
    with app.services.db.write() as tx:
        merge(app, tx)
        for number in range(100):
            tx.add(project(app, number, status=RunStatus.ERRORED, applied_output="no" if number else ""))
        operation = Operation(id="again", actor="al", created_at=app.services.clock.now(), **ABOUT)
        tx.add(operation)
        tx.flush()
        again = [
            project(app, number, id=f"again{number}", operation="again", attempt=2, status=RunStatus.PLANNED)
            for number in range(100)
        ]
        tx.add_all(again)
        tx.flush()
        pull = tx.get_one(PullRow, ("acme/infra", 1))
        asked = questions(app)
        shown = views.apply_view(tx, pull, again, "prbot").projects
    assert {each.key.dir for each in shown if not each.is_retry} == {"p000"}
    assert len(asked) < 10, asked
    assert not any("prbot_run.diff" in each for each in asked)


def test_a_plan_of_many_workspaces_asks_once_where_anything_was_applied(app: Story) -> None:
    with app.services.db.write() as tx:
        merge(app, tx)
        tx.add_all(project(app, number, workspace="prd", status=RunStatus.APPLIED) for number in range(2))
        about = {**ABOUT, "goal": Goal.PLAN, "pull": 2}
        tx.add(PullRow(**{**tx.get_one(PullRow, ("acme/infra", 1)).model_dump(), "number": 2, "state": "open"}))
        tx.add(Operation(**{**about, "id": "plan", "actor": "al", "created_at": app.services.clock.now()}))
        tx.flush()
        plans = [
            project(
                app, number, **about, id=f"plan{number}", operation="plan", workspace="prd", status=RunStatus.PLANNED
            )
            for number in range(10)
        ]
        tx.add_all(plans)
        tx.flush()
        asked = questions(app)
        shown = views.planned(tx, plans)
    slips = {each.key.dir for each in shown if any("If the name is a slip" in note for note in each.notes)}
    assert slips == {f"p{number:03}" for number in range(2, 10)}
    assert len([each for each in asked if "DISTINCT" in each]) == 1, asked
