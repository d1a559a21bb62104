from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.audit.keys import AuditKeys
from prbot.audit.verify import verify
from tests.flows.app import Story, story


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Story]:
    """The whole app. Afterwards nothing may be broken, left over, unknown or leaked."""
    with story(tmp_path) as it:
        yield it
        check_afterwards(it)


def check_afterwards(it: Story) -> None:
    assert it.world.unknown_routes == []
    assert it.slots_taken() == []
    assert not list((it.root / "data" / "scratch").glob("*")), "an engine's directory was left over"
    kept = it.everything_kept()
    assert it.world.token not in kept
    keys = AuditKeys.load(it.settings.data_dir / "audit.key")
    report = verify(it.services.db, keys.verifiers, now=it.services.clock.now())
    assert report.ok, report.problems
