"""What was held stays told until it is approved, and each way on that a person is shown leads somewhere."""

from __future__ import annotations

from prbot.core.runs import RunStatus
from tests.flows.app import Story, tf
from tests.flows.test_reviewed_base_stories import STEPS, newest, opened, with_script


def test_whoever_plans_again_hides_nothing_of_why_it_was_held(app: Story) -> None:
    infra = with_script(app)
    pull = opened(app, infra, "one", "al")
    pull.approve(by="bo")
    app.settle()
    pushed = infra.commit("main", {STEPS: "exit 0 # as al likes it\n", "net/two.tf": tf("", two=2)}, by="al")
    pull.merge(by="al")
    app.settle()
    held = newest(app, pull)
    assert held.status == RunStatus.HELD
    assert f"without a review: {pushed[:7]} by al." in held.error
    for command in ("prbot plan", "prbot apply", "prbot approve", "prbot plan -d net"):
        pull.comment(by="al", body=command)
        app.settle()
        assert infra.state("net") == {}, command
    run = newest(app, pull)
    assert (run.status, run.attempt) == (RunStatus.AWAITING_APPROVAL, 3)
    assert run.error == f"It is not approved: no approval counts, and 1 is needed. It was held before: {held.error}"
    told = pull.comments()[-1].body
    assert held.error in told
    assert "| `terraform_data.two` | nothing | **create** |" in told
    pull.comment(by="bo", body="prbot approve")
    app.settle()
    assert infra.state("net") == {"one": "made", "two": "2"}


def test_commands_are_answered_where_the_base_branch_is_gone(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    merge = pull.merge(by="al")
    app.settle()
    infra.branch("trunk", "main")
    infra.delete_branch("main", by="root")
    pull.comment(by="bo", body="prbot apply")
    app.settle()
    said = pull.comments()[-1].body
    assert "## Not applied" in said
    assert f"its merge commit {merge[:7]} is not on main | bring {merge[:7]} back to main, or" in said
    for command in ("prbot plan", "prbot approve"):
        pull.comment(by="bo", body=command)
        app.settle()
        assert infra.state("net") == {}, command
    assert newest(app, pull).status == RunStatus.ERRORED
    assert f"To go on: bring {merge[:7]} back to main" in newest(app, pull).error
    infra.branch("main", merge)
    pull.comment(by="bo", body="prbot apply")
    app.settle()
    run = newest(app, pull)
    if run.status == RunStatus.AWAITING_APPROVAL:
        pull.comment(by="bo", body="prbot approve")
        app.settle()
    assert infra.state("net") == {"v": "1"}
