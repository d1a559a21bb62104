"""What happened while no process of prbot was there, or before it knew the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from prbot.flows import reconcile
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.faults.workers import until
from tests.flows.app import Story, tf
from tests.flows.conftest import NEVER, change, check_afterwards, has_seen, look


def test_a_worker_that_was_down_catches_up_when_it_starts(tmp_path: Path) -> None:
    with World(tmp_path / "github") as world:
        infra = world.repo("acme/infra", {"README.md": "infrastructure\n"})
        settings: dict[str, Any] = {"reconcile_seconds": NEVER, "repo_allowlist": "acme/infra"}
        world.hooks.lose_next(10_000)
        app = Story(tmp_path, world, **settings)
        app.start()
        until(lambda: has_seen(app, infra))
        first = infra.open_pull(by="al", files=change(infra, 1))
        left = infra.open_pull(by="al", files={"db/main.tf": tf(infra.backend("db"), v=1)})
        look(app)
        app.stop()
        first.approve(by="bo")
        first.merge(by="al")
        left.close(by="al")
        pushed = infra.open_pull(by="al", files={"dns/main.tf": tf(infra.backend("dns"), v=1)})
        pushed.push(by="al", files={"dns/main.tf": tf(infra.backend("dns"), v=2)})
        pushed.comment(by="bo", body="prbot version")
        through = infra.open_pull(by="al", files={"log/main.tf": tf(infra.backend("log"), v=1)})
        through.merge(by="mo")
        app = Story(tmp_path, world, **settings)
        app.start()
        try:
            until(lambda: infra.state("net") == {"v": "1"}, 60)
            app.settle()
            assert app.holder("db") is None
            assert app.runs(pushed)[-1].head_sha == pushed.head_sha
            assert len(app.audit("command.accepted")) == 1
            assert [run.status for run in app.runs(through)] == ["awaiting_approval"], "nobody saw a plan of it"
            check_afterwards(app)
        finally:
            app.stop()


def test_a_delivery_that_failed_is_asked_for_again_once_a_worker_starts(told: tuple[Story, SandboxRepo]) -> None:
    app, infra = told
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.settle()
    pull.approve(by="bo")
    app.settle()
    app.world.hooks.lose_next()
    queued = pull.enqueue(by="al")  # which is not polled
    app.settle()
    here = replace(app.services.identity, public_url=app.hook_url.removesuffix("/webhooks/github"))
    for _ in range(2):
        reconcile.execute(replace(app.services, identity=here), reconcile.Rounds())
        app.settle()
    assert pull.status("prbot/gate", queued)["state"] == "success"
    assert [each.route for each in app.world.requests].count("redeliver") == 1


def test_deliveries_to_others_are_not_prbots_to_ask_for(told: tuple[Story, SandboxRepo]) -> None:
    app, infra = told
    app.world.hooks.lose_next(100)
    infra.open_pull(by="al", files=change(infra, 2))
    for elsewhere in ("", "http://127.0.0.1:1", app.hook_url[:-5]):
        here = replace(app.services.identity, public_url=elsewhere)
        reconcile.execute(replace(app.services, identity=here), reconcile.Rounds())
    app.settle()
    assert "redeliver" not in {each.route for each in app.world.requests}


def test_what_was_there_before_prbot_knew_the_repository_is_left_alone(tmp_path: Path) -> None:
    with World(tmp_path / "github") as world:
        infra = world.repo("acme/infra", {"README.md": "infrastructure\n"})
        pull = infra.open_pull(by="al", files=change(infra, 1))
        pull.comment(by="al", body="prbot plan")
        merged = infra.open_pull(by="al", files={"db/main.tf": tf(infra.backend("db"), v=1)})
        merged.merge(by="al")
        app = Story(tmp_path, world, reconcile_seconds=NEVER, repo_allowlist="acme/infra")
        world.hooks.lose_next(10_000)
        app.start()
        try:
            until(lambda: has_seen(app, infra))
            merged.label(by="mo", name="old")
            pull.label(by="mo", name="old")
            look(app)
            assert app.every_run() == []
            assert app.audit("command.accepted") == []
            pull.comment(by="al", body="prbot version")
            look(app)
            assert len(app.audit("command.accepted")) == 1
            pull.push(by="al", files=change(infra, 2))
            look(app)
            assert [run.pull for run in app.every_run()] == [pull.number]
            check_afterwards(app)
        finally:
            app.stop()
