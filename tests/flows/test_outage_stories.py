"""GitHub is out for an hour, or denies for a moment what is there: what was asked for is done once it answers again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from prbot.core import retries
from prbot.github import transport
from prbot.sandbox.faults import Faults
from prbot.store.tables import InboxEvent
from tests.faults.workers import until
from tests.flows.app import Story, planned, said, tf

LONG = 100_000


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour takes less than two seconds."""
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(retries, "LONGEST_UNANSWERED", timedelta(seconds=0.02))
    monkeypatch.setattr(transport, "_PAUSES", (0.0, 0.0))


def tries(app: Story) -> int:
    """How often the event that waits was tried."""
    with app.services.db.read() as tx:
        row = tx.exec(select(InboxEvent).where(col(InboxEvent.handled_at).is_(None))).first()
    return row.unanswered if row is not None else 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("how", ["502", "no answer", "git 503"])
def test_what_was_asked_for_during_an_outage_of_an_hour_is_done(app: Story, how: str) -> None:
    pull = planned(app)
    if how == "no answer":
        app.world.drop_next("*", LONG)
    else:
        app.world.fail_next("git" if how.startswith("git") else "*", int(how[-3:]), times=LONG)
    pull.comment(by="bo", body="prbot version\nprbot plan")
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=2)})
    until(lambda: tries(app) >= 66)  # six within the first minute, and one in each of the hour
    app.world.hub.faults = Faults()
    app.settle()
    assert said(app, pull, "Given up") == []
    assert len(said(app, pull, "Versions")) == 1
    assert app.runs(pull)[-1].head_sha == pull.head_sha
    assert pull.status("prbot/plan")["state"] == "success"
    accepted = [each["facts"]["command"] for each in app.audit("command.accepted")]
    assert accepted == ["prbot version", "prbot plan"]


@pytest.mark.usefixtures("quick")
def test_what_nobody_answers_for_two_hours_is_given_up_and_told(app: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MOST_UNANSWERED", 12)
    pull = planned(app)
    app.world.fail_next("get_pull", 502, times=LONG)
    pull.comment(by="bo", body="prbot plan")
    until(lambda: said(app, pull, "Given up"))
    app.world.hub.faults = Faults()
    (told,) = said(app, pull, "Given up")
    assert "`@bo` asked for `prbot plan`. prbot tried for two hours to act on that in vain, the last time with:" in told
    app.settle()


@pytest.mark.usefixtures("quick")
def test_a_writer_whom_github_denies_for_a_moment_is_followed(app: Story) -> None:
    pull = planned(app)
    app.world.fail_next("permission", 404, times=2)
    pull.comment(by="bo", body="prbot plan")
    app.settle()
    assert said(app, pull, "Not allowed") == []
    assert len(app.runs(pull)) == 2
    app.world.fail_next("permission", 404, times=2)
    pull.approve(by="bo")
    app.settle()
    assert app.world.pending_faults == []
    assert pull.status("prbot/gate")["state"] == "success"
    app.world.fail_next("permission", 404, times=1)
    pull.push(by="al", files={"net/main.tf": tf(app.world.backend("acme/infra", "net"), v=2)})
    app.settle()
    assert app.runs(pull)[-1].head_sha == pull.head_sha
    assert said(app, pull, "Not planned yet") == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [404, 502])
def test_a_gate_that_cannot_be_read_any_more_is_not_green(app: Story, status: int) -> None:
    pull = planned(app)
    review = pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    app.world.fail_next("list_reviews", status, times=LONG)
    pull.dismiss(review, by="root")
    until(lambda: pull.status("prbot/gate")["state"] == "pending")
    assert pull.status("prbot/gate")["description"].startswith(f"not known, and asked again: GitHub answered {status}")
    app.world.hub.faults = Faults()
    app.settle()
    assert pull.status("prbot/gate")["description"].startswith("not met: approved")


@pytest.mark.usefixtures("quick")
def test_a_comment_that_asks_for_nothing_costs_nothing_and_a_command_is_on_record_once(app: Story) -> None:
    pull = planned(app)
    asked = len(app.world.requests)
    for number in range(30):
        pull.comment(by="al", body=f"Good morning {number}")
    app.settle()
    assert app.world.requests[asked:] == []
    app.world.fail_next("git", 404, times=3)
    pull.comment(by="al", body="prbot plann\nprbot plan")
    app.settle()
    assert len(app.audit("command.accepted")) == 1
    assert len(app.audit("command.refused")) == 1
