"""What no webhook told: found by asking GitHub, acted on once, and never less strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.store.tables import PullRow
from tests.faults.workers import until
from tests.flows.app import Story
from tests.flows.conftest import change, deaf, deliveries, look


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
