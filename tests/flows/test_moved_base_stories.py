"""What a merge changes for the open pull requests beside it, and for those that come after it."""

from __future__ import annotations

from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, tf


def told(pull: SandboxPull, context: str) -> tuple[str | None, str | None]:
    found = pull.status(context) or {}
    return found.get("state"), found.get("description")


def test_what_takes_back_an_unapplied_merge_has_nothing_to_do_only_until_that_one_is_applied(app: Story) -> None:
    infra = app.repo()
    before = tf(infra.backend("net"), v=1)
    first = infra.open_pull(by="al", files={"net/main.tf": before})
    app.settle()
    first.approve(by="bo")
    app.settle()
    first.merge(by="al")
    app.settle()
    more = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1, x=1)})
    app.settle()
    more.merge(by="al")  # not approved, so that it waits
    app.settle()

    back = infra.open_pull(by="al", files={"net/main.tf": before})
    app.settle()
    assert told(back, "prbot/plan") == ("success", "no changes")
    back.approve(by="bo")
    app.settle()
    back.merge(by="al")
    app.settle()
    assert told(back, "prbot/apply") == ("pending", "waits for its turn: net")

    more.comment(by="bo", body="prbot approve")
    app.settle()
    assert infra.state("net") == {"v": "1", "x": "1"}
    assert told(back, "prbot/apply") == ("failure", "held until somebody approves; see the comment: net")
    back.comment(by="bo", body="prbot approve")
    app.settle()
    assert infra.state("net") == {"v": "1"}
    assert told(back, "prbot/apply")[0] == "success"


def test_a_change_to_a_module_that_another_merge_began_to_call_is_planned_and_not_green_any_more(app: Story) -> None:
    infra = app.repo(files={"modules/x/main.tf": 'resource "terraform_data" "m" {\n  input = "1"\n}\n'})
    call = infra.backend("net") + 'module "x" {\n  source = "../modules/x"\n}\n'
    caller = infra.open_pull(by="al", files={"net/main.tf": call})
    change = infra.open_pull(
        by="al", files={"modules/x/main.tf": 'resource "terraform_data" "m" {\n  input = "2"\n}\n'}
    )
    words = infra.open_pull(by="al", files={"modules/x/README.md": "x\n"})
    app.settle()
    assert told(change, "prbot/plan") == ("success", "no project is affected")
    caller.approve(by="bo")
    app.settle()
    caller.merge(by="al")
    app.settle()
    assert told(change, "prbot/plan") == ("success", "1 to change")
    assert told(change, "prbot/gate") == ("pending", "not met: approved; see `prbot apply`")
    assert told(words, "prbot/gate")[0] == "success"
    assert app.runs(words) == []
