"""What came first is told by a number that the database gives, not by a clock that somebody may set back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import text
from sqlmodel import Session

from prbot.core.events import ReviewEvent
from prbot.core.ids import PullKey, Repo
from prbot.core.runs import Goal
from prbot.store import inbox, overview, runs
from prbot.store.database import Database
from prbot.store.migrate import _config, upgrade
from prbot.store.tables import Operation, Run

PULL = PullKey("acme/infra", 1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDS = ("b", "c", "a")
"""As a clock makes them that was set back before the third."""


def put(tx: Session, name: str, at: datetime) -> None:
    tx.add(
        Operation(
            id=name, repo=PULL.repo, pull=1, goal=Goal.PLAN, trigger="autoplan", actor="al", head_sha="h", base_sha="b",
            created_at=at,
        )
    )  # fmt: skip
    tx.add(
        Run(
            id=name, operation=name, repo=PULL.repo, pull=1, dir="net", goal=Goal.PLAN, head_sha="h", base_sha="b",
            commit="c", created_at=at,
        )
    )  # fmt: skip
    event = ReviewEvent(Repo(PULL.repo, "https://forge.example/acme/infra"), PULL, "bo", "submitted")
    inbox.put_event(tx, event, event_id=name, delivery=None, now=at)


def check_order(db: Database, *expected: str) -> None:
    with db.read() as tx:
        assert [each.id for each in runs.operations(tx, PULL)] == list(expected)
        assert [each.id for each in runs.of_pull(tx, PULL)] == list(expected)
        assert [run.id for run in runs.newest(runs.of_pull(tx, PULL)).values()] == [expected[-1]]
        assert [each.id for each in inbox.waiting(tx, PULL)] == list(expected)
        assert [each.id for each in overview.recent_runs(tx)] == list(reversed(expected))


def test_the_newest_is_what_was_written_last_also_when_the_clock_was_set_back(db: Database) -> None:
    for number, name in enumerate(IDS):
        with db.write() as tx:
            put(tx, name, NOON - timedelta(hours=number))
    check_order(db, *IDS)


def test_rows_of_one_transaction_keep_the_order_in_which_they_were_added(db: Database) -> None:
    with db.write() as tx:
        for name in IDS:
            put(tx, name, NOON)
    check_order(db, *IDS)


def test_rows_from_before_keep_their_order_and_new_ones_come_after_them(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'prbot.db'}")
    with db.engine.begin() as connection:
        command.upgrade(_config(connection), "0002")
        connection.execute(
            text(
                "INSERT INTO prbot_pull (repo, number, clone_url, title, author, url, state, head_sha, base_branch,"
                " base_sha, pushed_sha, earlier_sha, read_at) VALUES"
                " ('acme/infra', 1, '', '', '', '', 'open', '', 'release', '', '', '', '2026-11-20 12:00:00')"
            )
        )
        for name in IDS:
            connection.execute(
                text(
                    "INSERT INTO prbot_operation (id, repo, pull, goal, trigger, actor, head_sha, base_sha, whole,"
                    " comment_key, comment_shows, created_at, orphans) VALUES"
                    " (:id, 'acme/infra', 1, 'PLAN', '', '', '', '', 1, '', '', '2026-11-20 12:00:00', :gone)"
                ),
                {"id": name, "gone": '[{"dir": "old", "moved_to": null}]' if name == "b" else None},
            )
    upgrade(db)
    with db.write() as tx:
        put(tx, "0", NOON)
    with db.read() as tx:
        assert [(each.id, each.seq) for each in runs.operations(tx, PULL)] == [("a", 1), ("b", 2), ("c", 3), ("0", 4)]
        named = [{"dir": "old", "moved_to": None, "workspaces": ["default"]}]
        assert [each.orphans for each in runs.operations(tx, PULL)] == [None, named, None, None]
        assert [each.base_branch for each in runs.operations(tx, PULL)] == ["release"] * 3 + [""]
    db.close()


def test_a_projects_history_is_found_by_an_index_of_its_own_however_many_runs_its_repository_has(db: Database) -> None:
    query = "SELECT max(seq) FROM prbot_run WHERE repo = :a AND dir = :b AND workspace = :c AND goal = :d GROUP BY pull"
    upgrade(db)
    with db.read() as tx:
        rows = tx.connection().execute(text(f"EXPLAIN QUERY PLAN {query}"), dict.fromkeys("abcd", "x"))
        [how] = [row.detail for row in rows]
    assert "prbot_run_project (repo=? AND dir=? AND workspace=?)" in how
