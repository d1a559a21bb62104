"""Two pull requests of one head: the forge keeps statuses by commit, so that the worse one shows, and says whose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, app_story, story, tf
from tests.flows.conftest import check_afterwards

RULES = 'defaults: {branches: [release], locks: "off"}\n'


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[Story]:
    """The whole app, with two branches that are planned for."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def two_of_one_head(app: Story) -> tuple[SandboxPull, SandboxPull]:
    """The first is approved, the second is not."""
    infra = app.repo()
    infra.branch("release", by="root")
    first = infra.open_pull(by="al", branch="topic", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    first.approve(by="bo")
    app.settle()
    second = infra.open_pull(by="al", branch="topic", base="release")
    app.settle()
    assert first.head_sha == second.head_sha
    return first, second


def told(pull: SandboxPull, context: str) -> tuple[str | None, str | None]:
    found = pull.status(context)
    assert found is not None
    return found["state"], found["description"]


def test_the_worse_status_of_two_pull_requests_shows_and_says_whose_it_is(ruled: Story) -> None:
    first, second = two_of_one_head(ruled)
    assert told(first, "prbot/gate") == ("pending", "#2: not met: approved; see `prbot apply`")
    assert told(first, "prbot/plan") == ("success", "#1: 1 to add, 1 output to change")
    first.comment(by="al", body="prbot plan")  # and not the one that was reported last
    ruled.settle()
    assert told(first, "prbot/gate") == ("pending", "#2: not met: approved; see `prbot apply`")

    second.approve(by="bo")
    ruled.settle()
    assert told(first, "prbot/gate") == ("success", "#1: all requirements but the merge are met")
    second.review(by="bo", state="CHANGES_REQUESTED")
    ruled.settle()
    assert told(first, "prbot/gate")[0] == "pending"
    second.close(by="al")
    ruled.settle()
    assert told(first, "prbot/gate") == ("success", "all requirements but the merge are met")
    second.reopen(by="al")
    ruled.settle()
    assert told(first, "prbot/gate") == ("pending", "#2: not met: approved; see `prbot apply`")

    first.merge(by="al")
    ruled.settle()
    assert told(second, "prbot/gate") == ("pending", "not met: approved; see `prbot apply`")
    assert told(second, "prbot/apply") == ("success", "applied: 1 to add, 1 output to change")


def test_a_push_to_the_branch_moves_both(ruled: Story) -> None:
    first, second = two_of_one_head(ruled)
    first.push(by="al", files={"net/more.tf": 'output "x" {\n  value = terraform_data.missing.output\n}\n'})
    ruled.settle()
    assert first.head_sha == second.head_sha
    assert told(first, "prbot/plan") == ("failure", "#1: 1 not planned; see the comment")
    assert told(first, "prbot/gate")[0] == "pending"


def test_the_check_that_stands_in_place_of_a_status_is_shared_as_well(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with app_story(tmp_path / "app", rules=rules) as app:
        infra = app.repo()
        infra.branch("release", by="root")
        infra.commit("release", {"net/broken.tf": 'output "x" {\n  value = nothing.at.all\n}\n'}, by="root")
        first = infra.open_pull(by="al", branch="topic", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        second = infra.open_pull(by="al", branch="topic", base="release")
        app.settle()
        first.comment(by="al", body="prbot plan")
        app.settle()
        check = first.check("prbot/plan")
        assert check is not None
        assert (check.conclusion, check.output["title"]) == ("failure", "#2: 1 not planned; see the comment")
        second.close(by="al")
        app.settle()
        check = first.check("prbot/plan")
        assert check is not None
        assert (check.conclusion, check.output["title"]) == ("success", "#1: 1 to add, 1 output to change")
