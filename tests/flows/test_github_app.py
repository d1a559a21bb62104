"""prbot as a GitHub App: check runs with the plan as their page, buttons that work, and tokens that end meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, app_story, tf
from tests.flows.conftest import check_afterwards

PLAN = "prbot/plan"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Story]:
    with app_story(tmp_path) as it:
        yield it
        check_afterwards(it)


def changed(app: Story, by: str = "al", fork: str | None = None) -> tuple[SandboxRepo, SandboxPull]:
    """A repository with one project, and a pull request that changes it."""
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
    return infra, infra.open_pull(by=by, files={"net/main.tf": tf(infra.backend("net"), v=2)}, fork=fork)


def test_the_main_story_by_an_app_whose_tokens_end_on_the_way(app: Story) -> None:
    infra, pull = changed(app)
    app.settle()
    assert "`net`" in pull.next_comment()
    check = pull.check(PLAN)
    assert (check.status, check.conclusion) == ("completed", "success")
    assert check.output["title"].startswith("1 to add")
    assert "| `net` |" in check.output["summary"]
    assert "terraform_data.v" in check.output["text"]
    assert pull.status(PLAN) is None, "the check stands in place of the status"
    assert pull.status("prbot/gate")["state"] == "pending"

    first = len(app.runs(pull))
    app.github_app.expire_tokens()
    pull.rerun(by="bo", name=PLAN)
    assert pull.check(PLAN).status == "queued"
    app.settle()
    assert len(app.runs(pull)) == first + 1
    assert pull.check(PLAN).id == check.id
    assert pull.check(PLAN).conclusion == "success"

    pull.approve(by="bo")
    app.settle()
    app.github_app.expire_tokens()
    pull.merge(by="al")
    app.settle()
    assert "Applied" in pull.next_comment()
    assert infra.state("net") == {"v": "2"}
    kept = app.everything_kept()
    assert not any(token in kept for token in app.github_app.tokens())


def test_all_checks_are_run_again_by_their_button_too(app: Story) -> None:
    _, pull = changed(app)
    app.settle()
    pull.next_comment()
    pull.rerun_all(by="bo", name=PLAN)
    app.settle()
    assert len(app.runs(pull)) == 2
    accepted = app.audit("command.accepted")
    assert [(each["actor"]["name"], each["facts"]["command"]) for each in accepted] == [("bo", "prbot plan")]


def test_who_may_not_plan_cannot_by_a_button_either_and_the_check_is_closed_again(app: Story) -> None:
    _, pull = changed(app)
    app.settle()
    pull.next_comment()
    pull.rerun(by="ro", name=PLAN)
    app.settle()
    assert "needs write access" in pull.next_comment()
    assert len(app.runs(pull)) == 1
    assert pull.check(PLAN).conclusion == "success"


def test_an_older_heads_button_plans_nothing(app: Story) -> None:
    infra, pull = changed(app)
    app.settle()
    old = pull.head_sha
    pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=3)})
    app.settle()
    before = len(app.runs(pull))
    pull.rerun(by="bo", name=PLAN, sha=old)
    app.settle()
    assert len(app.runs(pull)) == before
    assert pull.check(PLAN, old).status == "completed"


def test_a_strangers_head_is_allowed_by_the_button_of_its_check(app: Story) -> None:
    _, pull = changed(app, by="stranger", fork="stranger/infra")
    app.settle()
    assert "Not planned yet" in pull.next_comment()
    assert pull.check(PLAN).conclusion == "action_required"
    assert app.runs(pull) == []
    pull.press(by="bo", name=PLAN, identifier="plan")
    app.settle()
    assert pull.check(PLAN).conclusion == "success"
    (allowed,) = app.audit("head.allowed")
    assert allowed["actor"]["name"] == "bo"


def test_a_plan_that_failed_fails_its_check(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v="${nothing.here}")})
    app.settle()
    pull.next_comment()
    check = pull.check(PLAN)
    assert check.conclusion == "failure"
    assert "nothing" in check.output["text"]


def test_an_app_without_checks_sets_statuses(tmp_path: Path) -> None:
    with app_story(tmp_path, lacking=("checks",)) as app:
        _, pull = changed(app)
        app.settle()
        pull.next_comment()
        assert pull.check(PLAN) is None
        assert pull.status(PLAN)["state"] == "success"
        check_afterwards(app)


def test_an_apply_is_a_deployment_of_its_project_where_the_rules_say_so(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  deployments: true\n  approvals: 0\n")
    with app_story(tmp_path, rules=rules) as app:
        infra, pull = changed(app)
        app.settle()
        pull.next_comment()
        pull.merge(by="al")
        app.settle()
        (deployment,) = infra.data.deployments.values()
        assert (deployment.environment, deployment.sha) == ("net", pull.merge_sha)
        assert [status.state for status in deployment.statuses][-1] == "success"
        check_afterwards(app)


def test_where_deployments_are_not_granted_applies_go_on_without(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  deployments: true\n  approvals: 0\n")
    with app_story(tmp_path, lacking=("deployments",), rules=rules) as app:
        infra, pull = changed(app)
        app.settle()
        pull.next_comment()
        pull.merge(by="al")
        app.settle()
        assert "Applied" in pull.next_comment()
        assert not infra.data.deployments
        check_afterwards(app)
