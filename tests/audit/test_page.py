"""docs/audit-log.md says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from prbot.audit import checkpoints, merkle
from prbot.audit.checkpoints import Checkpoint
from prbot.audit.entries import PRBOT, Entry
from prbot.audit.keys import AuditKeys
from prbot.audit.log import AuditLog
from prbot.audit.vocabulary import ACTIONS
from prbot.store import audit_log as store
from prbot.store.database import Database

PAGE = (Path(__file__).parents[2] / "docs" / "audit-log.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def by_hand(tmp_path: Path, database_file: Path, keys: AuditKeys) -> list[str]:
    """The page's program, ready to run."""
    (program,) = blocks("python")
    path = tmp_path / "verify.py"
    path.write_text(program, encoding="utf-8")
    return [sys.executable, str(path), str(database_file), str(keys.signer.verifier)]


def test_the_example_is_what_prbot_writes(keys: AuditKeys) -> None:
    (body,) = (each.rstrip("\n").encode() for each in blocks("json"))
    leaf, note = blocks("text")
    assert Entry.parse(body).body() == body
    assert merkle.leaf_hash(body).hex() == leaf.strip()
    assert checkpoints.sign(Checkpoint(keys.signer.name, 1, merkle.leaf_hash(body)), keys.signer) == note
    assert str(keys.signer.verifier) in PAGE


def test_the_program_agrees_with_prbot(by_hand: list[str], db: Database, log: AuditLog) -> None:
    for count in (1, 3, 2):
        with db.write() as tx:
            for _ in range(count):
                log.append(tx, "lock.taken", actor=PRBOT)
    done = subprocess.run(by_hand, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "6 entries, all as they were signed\n"
    with db.write() as tx:
        tx.execute(text("UPDATE prbot_audit_entry SET body = replace(body, 'taken', 'freed') WHERE seq = 4"))
    done = subprocess.run(by_hand, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0


def test_every_action_key_and_table_is_on_the_page() -> None:
    for action, meaning in ACTIONS.items():
        assert f"| `{action}` | {meaning} |" in PAGE
    for key in Entry.model_fields:
        assert f"`{key}`" in PAGE
    for name, each in vars(store).items():
        if name.startswith("Audit"):
            assert f"| `{each.__tablename__}` |" in PAGE
