"""What no webhook told: found by asking GitHub, acted on once, and never less strictly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from prbot.core import retries
from prbot.flows import reconcile
from prbot.jobs.embedded import EmbeddedJobs
from prbot.sandbox.faults import Faults
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from prbot.store import known
from prbot.store.tables import Delivery, PullRow
from tests.faults.workers import until
from tests.flows.app import Story, tf
from tests.flows.conftest import check_afterwards

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


# -- without webhooks -------------------------------------------------------------------------------------------------
def test_polling_alone_walks_the_whole_story_of_the_main_job(tmp_path: Path) -> None:
    with deaf(tmp_path, reconcile_seconds=5) as (app, infra):
        pull = infra.open_pull(by="al", files=change(infra, 2))
        until(pull.unread_comments, 60)
        assert "`net`" in pull.next_comment()
        assert app.holder("net") == pull.number
        pull.comment(by="al", body="prbot apply")
        until(pull.unread_comments, 60)
        assert "approved" in pull.next_comment()
        pull.approve(by="bo")
        until(lambda: pull.status("prbot/gate")["state"] == "success", 60)
        pull.merge(by="al")
        until(pull.unread_comments, 60)
        assert "Applied" in pull.next_comment()
        assert infra.state("net") == {"v": "2"}
        assert app.holder("net") is None
        app.settle()  # a status follows its comment
        assert pull.status("prbot/apply")["state"] == "success"
        assert [each["action"] for each in app.audit()].count("command.accepted") == 1
        assert not [each for each in app.world.deliveries if each.status_code == 202]


def test_a_push_is_planned_a_close_frees_the_lock_and_a_reopening_takes_it_again(
    quiet: tuple[Story, SandboxRepo],
) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.push(by="al", files=change(infra, 3))
    look(app)
    assert [run.head_sha for run in app.runs(pull)][-1] == pull.head_sha
    pull.close(by="al")
    look(app)
    assert app.holder("net") is None
    pull.reopen(by="al")
    look(app)
    assert app.holder("net") == pull.number
    assert pull.status("prbot/plan")["state"] == "success"


def test_a_changed_base_is_planned_on(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    infra.branch("release")
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.retarget(by="al", base="release")
    look(app)
    assert app.holder("net") is None, "nobody said that release is planned for"
    pull.retarget(by="al", base="main")
    look(app)
    assert app.holder("net") == pull.number


def test_a_review_that_nobody_told_of_turns_the_gate(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    review = pull.approve(by="bo")
    look(app)
    assert pull.status("prbot/gate")["state"] == "success"
    pull.dismiss(review, by="root")
    look(app)
    assert pull.status("prbot/gate")["state"] == "pending"


def test_a_comment_on_a_merged_pull_request_is_heard(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.merge(by="al")  # which nobody approved
    look(app)
    assert [run.status for run in app.runs(pull, "apply")] == ["awaiting_approval"]
    pull.comment(by="bo", body="prbot approve")
    look(app)
    assert infra.state("net") == {"v": "2"}


# -- once -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ["as sent", "reversed"])
def test_a_comment_that_is_polled_and_told_late_and_twice_is_acted_on_once(
    told: tuple[Story, SandboxRepo], order: Any
) -> None:
    app, infra = told
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.settle()
    app.world.hooks.hold()
    app.world.hooks.double_next(2)
    pull.comment(by="al", body="prbot plan")
    pull.comment(by="al", body="prbot version")
    look(app)
    assert len(app.audit("command.accepted")) == 2
    app.world.hooks.release(order)
    app.settle()
    look(app)
    assert len(app.audit("command.accepted")) == 2
    assert len(app.runs(pull)) == 2
    assert {each.status_code for each in app.world.deliveries} == {202}


def test_a_comment_that_was_told_is_not_found_again(told: tuple[Story, SandboxRepo]) -> None:
    app, infra = told
    pull = infra.open_pull(by="al", files=change(infra, 2))
    pull.comment(by="al", body="prbot version")
    app.settle()
    for _ in range(2):
        look(app)
    assert len(app.audit("command.accepted")) == 1


def test_an_opening_a_push_and_a_merge_that_are_told_after_all_change_nothing(told: tuple[Story, SandboxRepo]) -> None:
    app, infra = told
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.push(by="al", files=change(infra, 3))
    look(app)
    pull.approve(by="bo")
    pull.merge(by="al")
    look(app)
    before = [run.id for run in app.runs(pull)]
    assert infra.state("net") == {"v": "3"}
    app.world.hooks.release("reversed")
    app.settle()
    assert [run.id for run in app.runs(pull)] == before
    assert len(app.audit("apply.authorized")) == 1


# -- after a time without prbot ---------------------------------------------------------------------------------------
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


# -- not less strict --------------------------------------------------------------------------------------------------
def counts(app: Story, pull: SandboxPull) -> bool:
    return bool(pull.status("prbot/gate")["state"] == "success")


def test_who_pushed_what_nobody_told_of_does_not_approve_it(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.push(by="bo", files=change(infra, 3), author="al")
    look(app)
    pull.approve(by="bo")
    look(app)
    assert not counts(app, pull)
    pull.approve(by="mo")
    look(app)
    assert counts(app, pull)


def test_a_push_stays_its_pushers_though_others_only_merged_the_base_since(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    pull.push(by="bo", files=change(infra, 3), author="al")
    for number in (1, 2):
        infra.commit("main", {f"{number}.md": "more\n"}, by="mo")
        pull.update_branch(by="al")
    look(app)
    with app.services.db.read() as tx:
        row = tx.get_one(PullRow, (pull.repo_name, pull.number))
    assert (row.pushed_sha, row.pusher) == (pull.head_sha, "bo")
    pull.approve(by="bo")
    look(app)
    assert not counts(app, pull)


def test_pushes_before_a_pull_request_was_first_seen_have_their_pushers_too(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    pull.push(by="bo", files=change(infra, 3), author="al")
    look(app)
    pull.approve(by="bo")
    look(app)
    assert not counts(app, pull)


def test_an_edited_comment_is_not_followed_and_on_record(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    pull = infra.open_pull(by="al", files=change(infra, 2))
    look(app)
    comment = pull.comment(by="al", body="Good morning")
    pull.edit_comment(comment, by="root", body="prbot unlock")
    for _ in range(2):
        look(app)
    assert app.holder("net") == pull.number
    assert app.audit("command.accepted") == []
    assert deliveries(app, "CommentEvent") == ["ignored"]


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


def test_a_plan_that_is_shown_as_under_way_and_is_not_is_reported_again(quiet: tuple[Story, SandboxRepo]) -> None:
    app, infra = quiet
    jobs = app.services.jobs
    assert isinstance(jobs, EmbeddedJobs)
    jobs.first_pause = 0.01
    pull = infra.open_pull(by="al", files=change(infra, 2))
    app.world.fail_next("create_comment", 502, times=1000)
    with app.services.db.write() as tx:
        reconcile.schedule(app.services, tx, delay=0)
    until(lambda: any("failed" in each for each in app.left_to_do()))
    assert pull.status("prbot/plan")["state"] == "pending"
    app.world.hub.faults = Faults()
    look(app)
    assert pull.status("prbot/plan")["state"] == "success"
