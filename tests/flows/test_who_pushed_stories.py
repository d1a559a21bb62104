"""Four eyes: who opened a pull request did not for that push what is in it, and who pushed it cannot approve it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.hooks import Order
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards


def pushed_by_another(app: Story) -> tuple[SandboxRepo, SandboxPull]:
    """cy pushed a branch with al's commit, and al opened the pull request."""
    infra = app.repo()
    for login in ("bo", "cy"):
        infra.grant(login, "write")
    infra.branch("topic", by="cy")
    infra.commit("topic", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="cy", author="al")
    app.settle()
    pull = infra.open_pull(by="al", branch="topic")
    app.settle()
    return infra, pull


def gates(app: Story, pull: SandboxPull) -> str:
    """What `prbot apply` answers."""
    pull.comment(by="al", body="prbot apply")
    app.settle()
    return pull.comments()[-1].body


def state(pull: SandboxPull) -> str | None:
    return pull.status("prbot/gate")["state"]


def test_the_branchs_pusher_cannot_approve_what_somebody_else_opened(app: Story) -> None:
    _, pull = pushed_by_another(app)
    pull.approve(by="cy")
    app.settle()
    assert state(pull) == "pending"
    assert "cy's approval does not count: cy pushed last." in gates(app, pull)
    pull.approve(by="bo")
    app.settle()
    assert state(pull) == "success"


def test_the_pusher_stays_the_pusher_when_others_only_merged_the_base_since(app: Story) -> None:
    infra, pull = pushed_by_another(app)
    for number in (1, 2):
        infra.commit("main", {f"notes{number}.md": "more\n"}, by="root")
        pull.update_branch(by="bo")
        app.settle()
    pull.approve(by="cy")
    app.settle()
    assert state(pull) == "pending"
    assert "cy's approval does not count: cy pushed last." in gates(app, pull)
    pull.approve(by="bo")
    app.settle()
    assert state(pull) == "success"


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[Story]:
    """The whole app, where the rules leave it to people when to apply."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {apply: manual}\n")
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def test_where_applies_are_asked_for_an_approval_alone_applies_nothing(manual: Story) -> None:
    infra = manual.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    manual.settle()
    pull.merge(by="al")
    manual.settle()
    pull.comment(by="bo", body="prbot approve")
    manual.settle()
    assert infra.state("net") == {}
    assert manual.runs(pull, "apply")[-1].status == "planned"
    told = pull.status("prbot/apply")
    assert told is not None
    assert (told["state"], told["description"]) == ("pending", "waits for `prbot apply`: net")
    pull.comment(by="al", body="prbot apply")
    manual.settle()
    assert infra.state("net") == {"v": "1"}
    assert pull.status("prbot/apply")["state"] == "success"


@pytest.mark.parametrize("order", ["reversed", [6]])
def test_the_pusher_stays_the_pusher_also_where_his_push_is_told_after_the_merge_of_the_base_or_never(
    app: Story, order: Order
) -> None:
    infra = app.repo()
    for login in ("bo", "cy"):
        infra.grant(login, "write")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    infra.commit("main", {"notes.md": "more\n"}, by="root")
    app.settle()
    app.world.hooks.hold()
    pull.push(by="cy", author="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    pull.update_branch(by="bo")
    infra.commit("main", {"notes.md": "even more\n"}, by="root")
    pull.update_branch(by="bo")
    app.world.hooks.release(order)
    app.settle()
    pull.approve(by="cy")
    app.settle()
    assert state(pull) == "pending"
    assert "cy's approval does not count: cy pushed last." in gates(app, pull)


def test_the_pusher_of_a_branch_stays_the_pusher_when_the_base_was_merged_into_it_before_it_was_opened(
    app: Story,
) -> None:
    infra, before = pushed_by_another(app)
    infra.commit("main", {"notes.md": "more\n"}, by="root")
    before.update_branch(by="bo")
    before.close(by="al")
    app.settle()
    pull = infra.open_pull(by="al", branch="topic")
    app.settle()
    pull.approve(by="cy")
    app.settle()
    assert state(pull) == "pending"
    assert "cy's approval does not count: cy pushed last." in gates(app, pull)
