"""Whoever speaks to prbot is answered: with what they asked for, or with how to ask for it."""

from __future__ import annotations

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, tf

ODD = "-lead `ing`"


def answer_to(app: Story, pull: SandboxPull, body: str, by: str = "bo") -> str:
    """What prbot says to a comment, without its hidden mark; empty for nothing."""
    while pull.unread_comments():
        pull.next_comment()
    pull.comment(by=by, body=body)
    app.settle()
    return "\n".join(pull.next_comment().split("\n", 1)[1] for _ in pull.unread_comments())


@pytest.fixture
def pull(app: Story) -> SandboxPull:
    infra = app.repo()
    files = {f"{name}/main.tf": tf(infra.backend(f"p{n}"), v=1) for n, name in enumerate(("net", ODD))}
    opened = infra.open_pull(by="al", files=files)
    app.settle()
    return opened


def test_prbot_hears_its_login_and_its_name_however_they_are_written(app: Story, pull: SandboxPull) -> None:
    ways = [f"@{app.world.bot} plan -d net", "**prbot plan -d net**", "/prbot plan -d net", "prbot: plan -d net"]
    for number, way in enumerate(ways, start=1):
        answer_to(app, pull, way)
        assert len([run for run in app.runs(pull) if run.dir == "net"]) == 1 + number, way
    assert answer_to(app, pull, "> prbot plan -d net\n\nI see.") == ""
    assert answer_to(app, pull, "- prbot plan -d net") == (
        "## Not understood\n\n- `prbot plan -d net`: This stands in a list: it may be an example, and is not "
        "followed. Write it after an empty line, and without any marks: `prbot plan -d net`."
    )
    assert answer_to(app, pull, "prbot approve_policies") == (
        "## Not understood\n\n- `prbot approve_policies`: `approve_policies` overrides failed policy checks in "
        "Atlantis. prbot checks no policies yet, so that none can have failed and nothing is to be overridden."
    )
    assert len([run for run in app.runs(pull) if run.dir == "net"]) == 1 + len(ways)


def test_a_project_of_any_name_can_be_named_by_pasting_what_prbot_wrote(app: Story, pull: SandboxPull) -> None:
    plans = len(app.runs(pull))
    assert answer_to(app, pull, f"prbot plan '-d={ODD}'").startswith("## Plan: 1 to add")
    assert [run.dir for run in app.runs(pull)[plans:]] == [ODD]
    for command in ("plan", "apply", "approve", "unlock", "cancel"):
        assert answer_to(app, pull, f"prbot {command} -d nosuch", by="al") == (
            "## No such project\n\n> No project matches `-d nosuch`.\n\n"
            "There is: <code>&#45;lead &#96;ing&#96;</code>, `net`."
        )
    assert answer_to(app, pull, "prbot unlock -d nett -w prod", by="al") == (
        "## No such project\n\n> No project matches `-w prod`.\n\nThere is: `default`."
    )
    assert app.holder("net") == app.holder(ODD) == pull.number
