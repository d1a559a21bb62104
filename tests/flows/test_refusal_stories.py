"""The forge refuses: what was asked for is done a little later, or whoever waits for it is told."""

from __future__ import annotations

import re
from functools import partial

import pytest

from prbot.core import retries
from prbot.core.events import QueueEvent
from prbot.core.ids import PullKey, Repo
from prbot.github import transport
from prbot.sandbox.faults import Faults
from prbot.sandbox.pullrequest import SandboxPull
from prbot.store import inbox
from prbot.store.tables import InboxEvent
from tests.faults.workers import until
from tests.flows.app import Story, planned, said, tf


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes take a second and a half."""
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transport, "_PAUSES", (0.0, 0.0))


def reactions(pull: SandboxPull, comment: int) -> set[str]:
    (written,) = [each for each in pull.comments() if each.id == comment]
    return {content for _, content in written.reactions}


TOLD = """\
## Given up

`@bo` asked for `prbot plan -d net` and `prbot version`. prbot tried for two minutes to act on that, and was refused \
each time, the last time with:

> …

Write that again to have it tried again. If that is refused as well, whoever operates prbot finds more in its log."""


def given_up_since(app: Story, pull: SandboxPull, before: int) -> bool:
    return len(said(app, pull, "Given up")) > before


# -- what comes in ----------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("quick")
def test_a_command_that_is_refused_for_a_moment_is_done(app: Story) -> None:
    pull = planned(app)
    for number, (route, status) in enumerate(
        [("get_pull", 403), ("get_pull", 404), ("get_pull", 409), ("get_pull", 422), ("get_pull", 502),
         ("permission", 403), ("permission", 502), ("git", 403), ("git", 404)]
    ):  # fmt: skip
        app.world.fail_next(route, status, times=2)
        comment = pull.comment(by="al", body="prbot plan")
        app.settle()
        assert app.world.pending_faults == []
        assert len(app.runs(pull)) == number + 2, (route, status)
        assert reactions(pull, comment) == {"eyes"}
    assert said(app, pull, "Given up") == []


@pytest.mark.usefixtures("quick")
def test_a_command_that_is_refused_for_good_is_told(app: Story) -> None:
    pull = planned(app)
    for status in (403, 404, 422):
        app.world.fail_next("get_pull", status, times=100)
        before = len(said(app, pull, "Given up"))
        comment = pull.comment(by="bo", body="prbot plan -d net\nprbot version")
        until(partial(given_up_since, app, pull, before))
        app.world.hub.faults = Faults()
        app.settle()
        assert "confused" in reactions(pull, comment)
        told = said(app, pull, "Given up")[-1].split("-->\n", 1)[1]
        assert re.sub(r"\n> .*", "\n> …", told.strip()) == TOLD
        assert f"GitHub answered {status} to GET /repos/acme/infra/pulls/1" in told
    assert {entry["outcome"] for entry in app.audit("command.refused")} == {"failed"}
    pull.comment(by="bo", body="prbot plan -d net")
    app.settle()
    assert len(app.runs(pull)) == 2


@pytest.mark.usefixtures("quick")
def test_of_several_commands_only_what_is_left_is_tried_again(app: Story) -> None:
    pull = planned(app)
    app.world.fail_next("git", 404, times=2)
    pull.comment(by="al", body="prbot unlock\nprbot plan")
    app.settle()
    assert len(said(app, pull, "Unlocked")) == 1
    assert said(app, pull, "Nothing to unlock") == []
    assert len(app.runs(pull)) == 2


@pytest.mark.usefixtures("quick")
def test_a_pull_request_that_cannot_be_read_for_long_is_told_and_found_again(app: Story) -> None:
    infra = app.repo()
    app.settle()
    app.world.fail_next("get_pull", 404, times=100)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    until(lambda: said(app, pull, "This pull request was opened. prbot tried for two minutes"))
    app.world.hub.faults = Faults()
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert [run.status for run in app.runs(pull)] == ["planned"]


def test_a_pull_request_that_cannot_be_read_yet_is_planned_within_seconds(app: Story) -> None:
    infra = app.repo()
    app.settle()
    app.world.fail_next("get_pull", 404, times=3)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle(15)
    assert [run.status for run in app.runs(pull)] == ["planned"]
    assert pull.status("prbot/plan")["state"] == "success"


# -- what goes out ----------------------------------------------------------------------------------------------------
def test_nothing_is_green_before_the_comment_that_shows_it_is_there(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    (shown,) = [each.id for each in pull.comments() if "## Plan" in each.body]
    (applied,) = [each.id for each in pull.comments() if "## Applied" in each.body]
    statuses = [each for commit in infra.data.statuses.values() for each in commit]
    greens: dict[str, list[int]] = {
        context: [] for context in ("prbot/plan", "prbot/plan: net", "prbot/gate", "prbot/apply")
    }
    for each in statuses:  # ids are given in the order in which things are made
        greens[each.context] += [each.id] if each.state == "success" else []
    assert all(greens.values())
    assert min(greens["prbot/plan"] + greens["prbot/plan: net"] + greens["prbot/gate"]) > shown
    assert min(greens["prbot/apply"]) > applied
    assert min(each.id for each in statuses) < shown  # what is under way is told at once


@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_comment_that_is_refused_is_written_later_and_nothing_is_green_before(app: Story, status: int) -> None:
    infra = app.repo()
    app.world.fail_next("create_comment", status, times=2)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    until(lambda: "comment is not there" in str(pull.status("prbot/plan")))
    told = pull.status("prbot/plan")
    assert told["state"] == "pending"
    assert told["description"].startswith(
        f"its comment is not there: GitHub answered {status} to POST /repos/acme/infr"
    )
    app.settle()
    assert len(said(app, pull, "## Plan")) == 1
    assert set(pull.status_history("prbot/plan")[:-1]) == {"pending"}
    assert pull.status("prbot/plan")["state"] == "success"
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"


@pytest.mark.usefixtures("quick")
def test_one_refused_post_does_not_keep_the_others(app: Story) -> None:
    pull = planned(app)
    app.world.fail_next("set_status", 422, times=1000)
    app.world.fail_next("create_reaction", 404, times=1000)
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=2)})
    pull.comment(by="al", body="prbot version")
    until(lambda: len(said(app, pull, "## Plan")) == 2 and said(app, pull, "Versions"))
    assert pull.statuses() == {}
    app.world.hub.faults = Faults()
    until(lambda: pull.status("prbot/gate"))
    app.settle()
    assert pull.status("prbot/plan")["state"] == "success"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [403, 502])
def test_the_gate_that_cannot_be_read_keeps_no_answer_back_and_is_read_again(app: Story, status: int) -> None:
    pull = planned(app)
    app.world.fail_next("list_reviews", status, times=1000)
    pull.comment(by="al", body="prbot version")
    until(lambda: said(app, pull, "Versions"))
    app.world.hub.faults = Faults()
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("really", [False, True], ids=["not found once", "deleted"])
def test_a_comment_that_is_not_found_is_written_again_only_if_it_is_gone(app: Story, really: bool) -> None:
    infra = app.repo()
    code = tf(infra.backend("net"), v=1)
    pull = infra.open_pull(by="al", files={"net/main.tf": code})
    app.settle()
    (before,) = pull.comments()
    if really:
        pull.delete_comment(before.id, by="al")
    else:
        app.world.fail_next("edit_comment", 404)
    pull.push(by="al", files={"net/main.tf": code + "\n"})
    app.settle()
    assert app.world.pending_faults == []
    (after,) = pull.comments()
    assert (after.id != before.id) is really
    assert pull.head_sha[:7] in after.body


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [403, 404, 422, 502])
def test_an_old_comment_that_could_not_be_hidden_for_a_moment_is_hidden(app: Story, status: int) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    app.world.fail_next("graphql", status)
    pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    assert app.world.pending_faults == []
    old, new = pull.comments()
    assert old.minimized
    assert not new.minimized
    assert "Earlier approvals" not in new.body


@pytest.mark.usefixtures("quick")
def test_what_another_version_left_and_nobody_can_read_keeps_nothing_back(app: Story) -> None:
    pull = planned(app)
    with app.services.db.write() as tx:
        key = PullKey("acme/infra", pull.number)
        event = QueueEvent(Repo("acme/infra", "https://github.example/acme/infra.git"), key, "al", pull.head_sha)
        inbox.put_event(tx, event, event_id="left", delivery=None, now=app.services.clock.now())
        tx.flush()
        row = tx.get_one(InboxEvent, "left")
        row.data = {**row.data, "of_another_version": 1}
        tx.add(row)
    pull.comment(by="al", body="prbot plan")
    until(lambda: len(said(app, pull, "Given up")) == 1)
    app.settle()
    assert len(app.runs(pull)) == 2
    [told] = said(app, pull, "Given up")
    assert "This pull request was told of in words that prbot does not know." in told
