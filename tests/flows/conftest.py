"""What stories begin with: the whole app, told everything or (`deaf`) nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from prbot.audit.keys import AuditKeys
from prbot.audit.verify import verify
from prbot.flows import reconcile
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from prbot.store import known
from prbot.store.tables import Delivery
from tests.faults.workers import until
from tests.flows.app import Story, story, tf

NEVER = 86_400
"""Seconds between rounds, for stories that say themselves when to look."""


@contextmanager
def deaf(root: Path, *, lost: int = 10_000, **settings: Any) -> Iterator[tuple[Story, SandboxRepo]]:
    """The whole app and a repository with one project, which it knows; the next webhooks, all of them, are lost."""
    with World(root / "github") as world:
        infra = world.repo("acme/infra", {"README.md": "infrastructure\n"})
        infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
        app = Story(root, world, **{"reconcile_seconds": NEVER, "repo_allowlist": "acme/infra", **settings})
        world.hooks.lose_next(lost)
        app.start()
        try:
            until(lambda: has_seen(app, infra))
            app.settle()
            yield app, infra
            check_afterwards(app)
        finally:
            app.stop()


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[tuple[Story, SandboxRepo]]:
    with deaf(tmp_path) as both:
        yield both


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Story, SandboxRepo]]:
    with deaf(tmp_path, lost=0) as both:
        yield both


def has_seen(app: Story, infra: SandboxRepo) -> bool:
    with app.services.db.read() as tx:
        return known.repository(tx, infra.name) is not None


def look(app: Story) -> None:
    """Have a round now, and everything that follows from it."""
    with app.services.db.write() as tx:
        reconcile.schedule(app.services, tx, delay=0)
    app.settle()


def change(infra: SandboxRepo, v: int) -> dict[str, str]:
    return {"net/main.tf": tf(infra.backend("net"), v=v)}


def asked(app: Story, since: int) -> list[tuple[str, int]]:
    """What GitHub's API was asked from then on, and how it answered."""
    return [(each.route, each.status) for each in app.world.requests[since:] if each.route != "git"]


def deliveries(app: Story, kind: str) -> list[str]:
    with app.services.db.read() as tx:
        return [row.outcome for row in tx.exec(select(Delivery).where(Delivery.event == kind))]


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
