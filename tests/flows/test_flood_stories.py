"""Somebody writes faster than people do: what was refused, or only asked, is free, and what is dropped is told."""

from __future__ import annotations

import pytest

from prbot.flows import strangers
from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, tf

TOLD = """\
## Too many commands

`@{who}` gave more commands within 10 minutes than prbot follows.

Not followed: {dropped}. Write again what is still wanted, in a few minutes."""


def told(app: Story, pull: SandboxPull) -> list[str]:
    by_prbot = [each.body for each in pull.comments() if each.user == app.world.bot]
    return [body.partition("\n")[2] for body in by_prbot if "Too many commands" in body]


def planned(app: Story) -> SandboxPull:
    infra = app.repo(private=False)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    return pull


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that the story stays below what the forge lets prbot write in a minute."""
    monkeypatch.setattr(strangers, "MOST_COMMANDS", 4)
    monkeypatch.setattr(strangers, "MOST_COMMENTS", 8)


@pytest.mark.usefixtures("few")
def test_what_was_refused_or_only_asked_is_free_and_what_is_dropped_is_told_once(app: Story) -> None:
    pull = planned(app)
    for body in ("prbot apply", "prbot plan -d nosuch", "prbot plan -- -destroy", "prbot plann", "prbot version"):
        pull.comment(by="al", body=body)
    pull.comment(by="al", body="prbot cancel\nprbot unlock -d net\nprbot version")
    pull.comment(by="al", body="prbot cancel\nprbot cancel")
    pull.comment(by="al", body="prbot unlock")
    pull.comment(by="bo", body="prbot version")  # others are heard
    app.settle()
    assert told(app, pull) == [TOLD.format(who="al", dropped="`prbot unlock`")]
    pull.comment(by="al", body="prbot version")  # which does nothing, and is heard
    pull.comment(by="al", body="prbot plan -d net")
    app.settle()
    assert told(app, pull) == [TOLD.format(who="al", dropped="`prbot unlock` and `prbot plan -d net`")]
    assert len(app.runs(pull)) == 1
    assert len([each for each in pull.comments() if "## Versions" in each.body]) == 4
    assert len([each for each in app.audit("command.refused") if each["facts"].get("why") == "too many commands"]) == 1


@pytest.mark.usefixtures("few")
def test_nobody_makes_prbot_talk_without_end(app: Story) -> None:
    pull = planned(app)
    before = len(pull.comments())
    for number in range(20):
        pull.comment(by="stranger", body=("prbot version", "prbot plann", "prbot plan")[number % 3])
    app.settle()
    said = [each.body for each in pull.comments()[before:] if each.user == app.world.bot]
    named = ["prbot plan", *["prbot version", "prbot plann", "prbot plan"] * 3]
    dropped = ", ".join(f"`{each}`" for each in named[:9]) + f" and `{named[9]}`, nor was what came after them"
    assert told(app, pull) == [TOLD.format(who="stranger", dropped=dropped)]
    assert len(said) == 3 + 3 + 1 + 1  # versions, typos, one refusal, and that
    assert len(app.runs(pull)) == 1
    asked = len(app.world.requests)
    for _ in range(20):
        pull.comment(by="stranger", body="prbot version")
    app.settle()
    assert app.world.requests[asked:] == [], "what is dropped costs nothing"


def test_a_login_that_a_marker_could_not_hold_is_answered(app: Story) -> None:
    pull = planned(app)
    app.world.user("some-body")
    app.world.user("renovate[bot]")
    for login in ("some-body", "renovate[bot]"):
        pull.comment(by=login, body="prbot plan")
    app.settle()
    refused = [each.body for each in pull.comments() if "Not allowed" in each.body]
    assert len(refused) == 2
    assert any("`@some-body` asked for `plan`" in each for each in refused)
