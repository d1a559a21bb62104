"""A pull request that is given another base: what was known for the one before says nothing about it."""

from __future__ import annotations

from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, tf


def answer(app: Story, pull: SandboxPull, body: str) -> str:
    """prbot's newest comment after this one."""
    pull.comment(by="al", body=body)
    app.settle()
    return pull.comments()[-1].body


def test_retargeted_to_a_branch_that_is_not_planned_for_the_gate_says_so_and_commands_are_answered(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    infra.branch("topic", by="root")
    pull.retarget(by="al", base="topic")
    app.settle()
    gate = pull.status("prbot/gate")
    assert (gate["state"], gate["description"]) == ("pending", "topic is not planned for")
    assert pull.status("prbot/plan")["state"] == "pending"
    assert app.holder("net") is None
    refused = answer(app, pull, "prbot plan")
    assert "`topic` is not a branch that prbot plans for: the default branch is, and those in the rules." in refused
    assert (
        "| `planned` | ❌ | topic is not a branch that prbot plans for "
        "| change the base to main, or have topic listed in the rules |"
    ) in answer(app, pull, "prbot apply")

    pull.retarget(by="al", base="main")
    app.settle()
    assert pull.status("prbot/plan")["state"] == "success"
    assert pull.status("prbot/gate")["state"] == "success"  # as approved: the same plan of the same head, for main


def test_retargeted_to_a_branch_that_is_gone_by_now_the_gate_is_not_left_green(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"README.md": "more words\n"})
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    infra.branch("topic", by="root")
    app.world.hooks.hold()
    pull.retarget(by="al", base="topic")
    infra.delete_branch("topic", by="root")
    app.world.hooks.release()
    app.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    assert pull.status("prbot/plan")["state"] == "pending"


def test_merged_at_once_into_a_branch_that_is_not_planned_for_it_holds_nothing_any_more(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert app.holder("net") == pull.number
    other = infra.open_pull(by="bo", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    infra.branch("topic", by="root")
    app.settle()
    app.world.fail_next("get_pull", 404)  # so that its new base is read only once it is merged
    pull.retarget(by="al", base="topic")
    pull.merge(by="al")
    app.settle()
    assert app.world.pending_faults == []
    assert app.runs(pull, "apply") == []
    assert app.holder("net") == other.number
    assert infra.state("net") == {}
