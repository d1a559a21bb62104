"""Finding entries: each filter finds what it names, and misses nothing for spelling."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from sqlalchemy import text

from prbot.audit.entries import PRBOT, operator, user
from prbot.audit.log import AuditLog
from prbot.audit.merkle import leaf_hash
from prbot.audit.query import Filter, find
from prbot.core.ids import ProjectKey
from prbot.store.database import Database
from tests.audit.conftest import StoppedClock

NET = ProjectKey("acme/infra", "net")
STAGING = ProjectKey("acme/infra", "net", "staging")
OTHER = ProjectKey("acme/other", "net")


@pytest.fixture
def filled(db: Database, log: AuditLog, clock: StoppedClock) -> AuditLog:
    """Seven entries, a minute apart from 12:00 on."""
    with db.write() as tx:
        for action, actor, about in (
            ("rules.loaded", PRBOT, {}),
            ("command.accepted", user("Bo"), {"repo": "acme/infra", "pull": 7}),
            ("plan.finished", PRBOT, {"project": NET, "pull": 7, "run": "r1", "resources": ["aws_vpc.main"]}),
            ("plan.finished", PRBOT, {"project": STAGING, "pull": 8, "outcome": "failed", "run": "r2"}),
            ("apply.finished", PRBOT, {"project": OTHER, "pull": 7,
                                       "resources": ["module.Vpc.aws_subnet.a[0]", "module.Vpc2.aws_subnet.b"]}),
            ("apply.refused", user("al"), {"repo": "acme/infra", "pull": 7, "outcome": "refused"}),
            ("lock.freed", operator("root"), {"project": NET}),
        ):  # fmt: skip
            log.append(tx, action, actor=actor, **about)
            clock.move(60)
    return log


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"since": "2026-11-20T12:04:03.250Z"}, [6, 5, 4]),
        ({"until": "2026-11-20T12:04:03.250Z"}, [3, 2, 1, 0]),
        ({"actor": "bo"}, [1]),
        ({"actor": "BO"}, [1]),
        ({"actor": "b"}, []),
        ({"repo": "Acme/Infra"}, [6, 5, 3, 2, 1]),
        ({"pull": 7}, [5, 4, 2, 1]),
        ({"repo": "acme/infra", "pull": 7}, [5, 2, 1]),
        ({"dir": "net"}, [6, 4, 3, 2]),
        ({"dir": "net", "workspace": "staging"}, [3]),
        ({"run": "r2"}, [3]),
        ({"outcome": "refused"}, [5]),
        ({"action": "plan.finished"}, [3, 2]),
        ({"action": "apply"}, [5, 4]),
        ({"action": "app"}, []),
        ({"resource": "aws_vpc.main"}, [2]),
        ({"resource": "aws_vpc.mai"}, []),
        ({"resource": "module.Vpc"}, [4]),
        ({"resource": "module.vpc"}, []),
        ({"resource": "module.Vpc.aws_subnet.a"}, [4]),
        ({"resource": "module.Vpc.aws_subnet.a[0]"}, [4]),
        ({"resource": "module_Vpc"}, []),
        ({"resource": "%"}, []),
        ({"action": "apply", "actor": "al", "resource": "aws_vpc.main"}, []),
    ],
)
def test_each_filter_finds_what_it_names(
    filled: AuditLog, db: Database, wanted: dict[str, Any], expected: list[int]
) -> None:
    assert [each.seq for each in find(db, Filter(**wanted))] == expected


def test_pages_follow_each_other_also_while_entries_are_written(filled: AuditLog, db: Database) -> None:
    first = find(db, Filter(), limit=3)
    with db.write() as tx:
        filled.append(tx, "lock.taken", actor=PRBOT)
    second = find(db, Filter(), before=first[-1].seq, limit=3)
    last = find(db, Filter(), before=second[-1].seq, limit=3)
    assert [each.seq for each in first + second + last] == [6, 5, 4, 3, 2, 1, 0]


def test_a_json_line_holds_the_bytes_that_were_hashed(filled: AuditLog, db: Database) -> None:
    for found in find(db, Filter()):
        line = json.loads(found.as_json())
        assert line["seq"] == found.seq
        start = found.as_json().index('"entry":') + len('"entry":')
        assert base64.b64decode(line["leaf_hash"]) == leaf_hash(found.as_json()[start:-1].encode())
        assert found.entry is not None
        assert line["entry"] == found.entry.model_dump()


@pytest.mark.parametrize("change", ["body = 'x'", "body = replace(body, 'Bo', 'Al')", "leaf_hash = zeroblob(32)"])
def test_a_damaged_entry_is_found_and_shows_nothing(filled: AuditLog, db: Database, change: str) -> None:
    with db.write() as tx:
        tx.execute(text(f"UPDATE prbot_audit_entry SET {change} WHERE seq = 1"))
    (found,) = find(db, Filter(actor="Bo"))
    assert (found.seq, found.entry) == (1, None)
    assert json.loads(found.as_json())["entry"] is None
