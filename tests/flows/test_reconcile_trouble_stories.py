"""What a round of reconcile costs, and what it does where GitHub does not answer or refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from prbot.core import retries
from prbot.flows import reconcile
from prbot.jobs import embedded
from prbot.jobs.embedded import EmbeddedJobs
from prbot.sandbox.faults import Faults
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.faults.workers import until
from tests.flows.app import Story
from tests.flows.conftest import NEVER, asked, change, check_afterwards, deaf, has_seen, look


# -- what it costs ----------------------------------------------------------------------------------------------------
def test_a_round_over_what_stands_still_is_one_free_request_a_repository_and_writes_nothing(tmp_path: Path) -> None:
    with World(tmp_path / "github") as world:
        repos = [world.repo(f"acme/r{number}", {"README.md": "read me\n"}) for number in range(5)]
        for repo in repos:
            for _ in range(3):
                repo.open_pull(by="al", files=change(repo, 1)).comment(by="bo", body="prbot plan")
        app = Story(tmp_path, world, reconcile_seconds=NEVER, repo_allowlist="acme/*")
        world.hooks.lose_next(10_000)
        app.start()
        try:
            until(lambda: all(has_seen(app, repo) for repo in repos))
            look(app)
            before, kept = len(world.requests), standing_still(app)
            for _ in range(3):
                look(app)
            assert asked(app, before) == [("list_pulls", 304)] * 15
            assert standing_still(app) == kept
            check_afterwards(app)
        finally:
            app.stop()


def standing_still(app: Story) -> list[str]:
    """All that is kept, but for the queue itself, its slot, and the workers' beats."""
    own = tuple(f'INSERT INTO "prbot_{table}"' for table in ("job", "worker", "slot"))
    return [line for line in app.everything_kept().splitlines() if not line.startswith(own)]


def test_the_last_fifth_of_the_allowance_is_left_to_others(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.world.use_up(4100)
    assert app.services.forge.me()
    app.services.forge.check()
    rounds = reconcile.Rounds()
    with capture_logs() as logs:
        for _ in range(2):
            reconcile.execute(app.services, rounds)
    assert [line["event"] for line in logs] == ["reconcile waits: little is left of what we may ask in this hour"]
    assert app.runs(pull) == []


# -- when it does not work --------------------------------------------------------------------------------------------
def test_a_forge_that_does_not_answer_is_said_once_and_asked_again_the_next_time(
    quiet: tuple[Story, SandboxRepo],
) -> None:
    app, infra = quiet
    infra.open_pull(by="al", files=change(infra, 2))
    app.world.fail_next("list_pulls", 502, times=6)
    rounds = reconcile.Rounds()
    with capture_logs() as logs:
        for _ in range(2):
            reconcile.execute(app.services, rounds)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["reconcile waits"]
    look(app)
    assert app.holder("net") == 1


def test_a_repository_that_the_forge_fails_on_comes_last_the_next_time(tmp_path: Path) -> None:
    with deaf(tmp_path, repo_allowlist="acme/before,acme/infra") as (app, _):
        app.world.repo("acme/before", {"README.md": "read me\n"})
        rounds = reconcile.Rounds()
        app.world.fail_next("list_pulls", 502, times=3)
        reconcile.execute(app.services, rounds)
        before = len(app.world.requests)
        reconcile.execute(app.services, rounds)
        paths = [each.path for each in app.world.requests[before:]]
        assert paths == [f"/api/v3/repos/acme/{name}/pulls" for name in ("infra", "before")]


def test_a_repository_that_cannot_be_seen_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    with deaf(tmp_path, repo_allowlist="acme/gone,acme/infra") as (app, infra):
        pull = infra.open_pull(by="al", files=change(infra, 2))
        look(app)
        assert app.holder("net") == pull.number


def test_a_pull_request_that_is_gone_holds_nothing_once_a_worker_starts(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    assert app.holder("net") == pull.number
    del infra.data.pulls[pull.number]
    reconcile.execute(app.services, reconcile.Rounds())
    app.settle()
    assert app.holder("net") is None


def test_statuses_that_github_refused_are_sent_again_once_a_worker_starts(
    quiet: tuple[Story, SandboxRepo], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, infra = quiet
    monkeypatch.setattr(retries, "FIRST_PAUSE", 600.0)
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.world.fail_next("set_status", 403, times=100)
    look(app)
    assert pull.statuses() == {}
    app.world.hub.faults = Faults()
    reconcile.execute(app.services, reconcile.Rounds())
    app.settle()
    assert pull.status("prbot/plan")["state"] == "success"
    assert pull.status("prbot/gate")["state"] == "pending"


def test_a_plan_that_is_shown_as_under_way_and_is_not_is_reported_again(
    quiet: tuple[Story, SandboxRepo], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, infra = quiet
    monkeypatch.setattr(embedded, "MOST_TRANSIENT", 8)
    monkeypatch.setattr(EmbeddedJobs, "first_pause", 0.01)
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.world.fail_next("create_comment", 502, times=1000)
    with app.services.db.write() as tx:
        reconcile.schedule(app.services, tx, delay=0)
    until(lambda: any("failed" in each for each in app.left_to_do()))
    assert pull.status("prbot/plan")["state"] == "pending"
    app.world.hub.faults = Faults()
    look(app)
    assert pull.status("prbot/plan")["state"] == "success"
