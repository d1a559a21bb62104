"""A merge in which very many projects wait for one: what that costs prbot each time somebody is let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from prbot.core.runs import Goal, RunStatus
from prbot.flows.admission import admit_runs
from prbot.sandbox.world import World
from prbot.store import runs
from prbot.store.tables import Operation, PullRow, Run
from tests.flows.app import Story

ABOUT: dict[str, Any] = {
    "repo": "acme/infra",
    "pull": 1,
    "goal": Goal.APPLY,
    "trigger": "merge",
    "head_sha": "a",
    "base_sha": "b",
}


def test_who_waits_is_found_with_one_look_at_the_merge(tmp_path: Path) -> None:
    with World(tmp_path / "github") as world:
        app = Story(tmp_path, world)
        app.start_web()
        services = app.services
        now = services.clock.now()
        with services.db.write() as tx:
            tx.add(
                PullRow(
                    repo="acme/infra", number=1, clone_url="", title="", author="al", url="", head_sha="a",
                    base_branch="main", base_sha="b", state="merged", read_at=now,
                )
            )  # fmt: skip
            tx.add(Operation(id="it", actor="prbot", created_at=now, **ABOUT))
            tx.flush()
            for number in range(100):
                reads = [["p000", "default"]] if number else []
                name = f"p{number:03}"
                tx.add(
                    Run(
                        id=name, operation="it", dir=name, workspace="default", commit="c", tree="t",
                        comes_after=reads, created_at=now, **ABOUT,
                    )
                )  # fmt: skip
            admit_runs(services, tx)
        asked: list[str] = []
        event.listen(services.db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        with services.db.write() as tx:
            assert len(runs.with_status(tx, {RunStatus.WAITING})) == 99
            admit_runs(services, tx)
        assert len(asked) < 20, asked
        app.stop()
