"""`prbot audit`: what it prints and how it exits. The commands' options are driven as a shell would drive them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel
from typer.testing import CliRunner

from prbot.audit.entries import PRBOT, user
from prbot.audit.keys import AuditKeys, SigningKey
from prbot.audit.log import AuditLog
from prbot.audit.query import Filter
from prbot.cli.audit import audit_app, run_query, run_verify
from prbot.core.ids import ProjectKey
from prbot.store.database import Database

KEYS = AuditKeys(SigningKey("prbot.example/audit", bytes(range(32))))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Minutes:
    """A clock on which a minute passes whenever somebody looks."""

    def __init__(self) -> None:
        self._looks = count()

    def now(self) -> datetime:
        return NOON + timedelta(minutes=next(self._looks))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'prbot.db'}")
    SQLModel.metadata.create_all(database.engine)
    ids = count()
    log = AuditLog(database, KEYS, clock=Minutes(), new_id=lambda: f"e{next(ids)}")
    with database.write() as tx:
        log.append(tx, "rules.loaded", actor=PRBOT)
        log.append(tx, "command.accepted", actor=user("bo"), repo="acme/infra", pull=7)
        log.append(
            tx,
            "plan.finished",
            actor=PRBOT,
            project=ProjectKey("acme/infra", "net\x1b[2J", "staging"),
            pull=7,
            run="r1",
        )
    yield database
    database.close()


def damage(db: Database) -> None:
    with db.write() as tx:
        tx.execute(text("UPDATE prbot_audit_entry SET actor = 'al' WHERE seq = 1"))


def test_entries_are_listed_for_people_newest_first(db: Database) -> None:
    out = io.StringIO()
    assert run_query(db, Filter(), out) == 0
    assert out.getvalue() == (
        "      2  2026-11-20T12:02:00.000Z  plan.finished         ok       prbot             "
        "acme/infra#7 net\N{REPLACEMENT CHARACTER}[2J (staging)  r1\n"
        "      1  2026-11-20T12:01:00.000Z  command.accepted      ok       bo                acme/infra#7\n"
        "      0  2026-11-20T12:00:00.000Z  rules.loaded          ok       prbot             -\n"
    )


def test_entries_are_listed_for_programs_one_object_a_line(db: Database) -> None:
    out = io.StringIO()
    assert run_query(db, Filter(pull=7), out, as_json=True) == 0
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["seq"], line["entry"]["action"]) for line in lines] == [(2, "plan.finished"), (1, "command.accepted")]
    assert all(set(line) == {"seq", "leaf_hash", "entry"} for line in lines)


def test_a_full_page_says_how_to_go_on(db: Database) -> None:
    out = io.StringIO()
    run_query(db, Filter(), out, limit=2)
    assert out.getvalue().splitlines()[-1] == "There may be more: --cursor 1"
    out = io.StringIO()
    run_query(db, Filter(), out, before=1, limit=2)
    assert len(out.getvalue().splitlines()) == 1


def test_a_damaged_entry_is_listed_as_such(db: Database) -> None:
    with db.write() as tx:
        tx.execute(text("UPDATE prbot_audit_entry SET body = 'x' WHERE seq = 1"))
    out = io.StringIO()
    assert run_query(db, Filter(actor="bo"), out) == 0
    assert out.getvalue() == "      1  DAMAGED; see prbot audit verify\n"


def test_a_log_that_holds_exits_with_0(db: Database) -> None:
    out = io.StringIO()
    assert run_verify(db, KEYS.verifiers, out) == 0
    assert out.getvalue() == f"The audit log holds: 3 entries, 1 checkpoints.\nTrusted: {KEYS.signer.verifier}\n"


def test_a_log_that_does_not_hold_exits_with_1_and_says_where(db: Database) -> None:
    damage(db)
    out = io.StringIO()
    assert run_verify(db, KEYS.verifiers, out) == 1
    assert out.getvalue() == (
        "entry 1: its column actor says 'al', and its bytes 'bo'\nThe audit log does NOT hold. Problems: 1.\n"
    )


def test_the_report_for_programs_holds_the_checkpoint_to_keep(db: Database, tmp_path: Path) -> None:
    out = io.StringIO()
    assert run_verify(db, KEYS.verifiers, out, as_json=True) == 0
    report = json.loads(out.getvalue())
    assert (report["ok"], report["size"], report["problems"]) == (True, 3, [])
    kept = tmp_path / "kept.txt"
    kept.write_text(report["checkpoint"], encoding="utf-8")
    assert run_verify(db, KEYS.verifiers, io.StringIO(), kept=[kept]) == 0
    kept.write_text(report["checkpoint"].replace("\n3\n", "\n4\n"), encoding="utf-8")
    out = io.StringIO()
    assert run_verify(db, KEYS.verifiers, out, kept=[kept]) == 1
    assert f"{kept}: the signature of prbot.example/audit does not fit" in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "--since", "yesterday"], "'yesterday' is no time"),
        (["query", "--until", "2026-13-01"], "'2026-13-01' is no time"),
        (["query", "--action", "aply"], "'aply' is none of"),
        (["query", "--outcome", "good"], "'good' is none of ok, refused, failed, unknown"),
        (["query", "--pull", "0"], "greater than or equal to 1"),
        (["query", "--limit", "0"], "greater than or equal to 1"),
        (["verify", "--public-key", "nonsense"], "a key is written as"),
        (["verify", "--checkpoint", "no-such-file"], "does not exist"),
        (["export"], "No such command"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: list[str], said: str) -> None:
    result = CliRunner(env={"TERMINAL_WIDTH": "200", "NO_COLOR": "1"}).invoke(audit_app, arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_help_names_every_filter() -> None:
    result = CliRunner(env={"TERMINAL_WIDTH": "200", "NO_COLOR": "1"}).invoke(audit_app, ["query", "--help"])
    for option in (
        "since", "until", "actor", "repo", "pull", "project", "workspace", "resource", "action", "outcome", "run",
        "limit", "cursor", "json", "config",
    ):  # fmt: skip
        assert f"--{option} " in result.output
