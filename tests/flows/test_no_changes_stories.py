"""Pull requests whose plans have no changes: whoever did what the gate asks for gets it green."""

from __future__ import annotations

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf


def applied(app: Story, *directories: str) -> SandboxRepo:
    """A repository whose projects are all applied."""
    infra = app.repo()
    pull = infra.open_pull(by="al", files={f"{name}/main.tf": tf(infra.backend(name), v=1) for name in directories})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert pull.status("prbot/apply")["state"] == "success"
    return infra


def commented(infra: SandboxRepo, name: str) -> str:
    """The project's code with a comment more: nothing to do."""
    return tf(infra.backend(name), v=1) + "\n# explained\n"


def gate(pull: SandboxPull) -> str | None:
    return pull.status("prbot/gate")["state"]


def test_on_the_first_day_a_change_that_changes_nothing_is_planned_approved_and_merged(app: Story) -> None:
    infra = applied(app, "net")
    pull = infra.open_pull(by="al", files={"net/main.tf": commented(infra, "net")})
    app.settle()
    assert pull.status("prbot/plan")["description"] == "no changes"
    pull.comment(by="al", body="prbot apply")
    app.settle()
    said = pull.comments()[-1].body
    assert "| `unlocked` | ✅ | nobody else holds a project | – |" in said
    assert "2 requirements are not met yet." in said  # approved and merged
    pull.approve(by="bo")
    app.settle()
    assert gate(pull) == "success"
    pull.merge(by="al")
    app.settle()
    assert app.runs(pull, "apply") == []
    assert app.holder("net") is None
    pull.comment(by="al", body="prbot apply")
    app.settle()
    assert "does not hold" not in pull.comments()[-1].body


def test_beside_a_project_that_really_changes_it_does_not_stand_in_the_way(app: Story) -> None:
    infra = applied(app, "net", "db")
    files = {"net/main.tf": commented(infra, "net"), "db/main.tf": tf(infra.backend("db"), v=2)}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    assert (app.holder("net"), app.holder("db")) == (None, pull.number)
    pull.approve(by="bo")
    app.settle()
    assert gate(pull) == "success"
    pull.merge(by="al")
    app.settle()
    assert infra.state("db") == {"v": "2"}
    assert [run.dir for run in app.runs(pull, "apply")] == ["db"]


def test_it_needs_no_lock_though_somebody_else_holds_the_project_and_is_planned_anew_when_that_is_applied(
    app: Story,
) -> None:
    infra = applied(app, "net")
    holder = infra.open_pull(by="al", files={"net/more.tf": tf("", more=1)})
    app.settle()
    pull = infra.open_pull(by="bo", files={"net/notes.tf": "# explained\n"})
    app.settle()
    assert app.holder("net") == holder.number
    pull.approve(by="al")
    app.settle()
    assert gate(pull) == "success"
    holder.approve(by="bo")
    app.settle()
    holder.merge(by="al")
    app.settle()
    assert not app.runs(pull)[-1].speculative
    assert gate(pull) == "success"  # planned anew on what the other one left, and approved as before
    pull.merge(by="bo")
    app.settle()
    assert infra.state("net") == {"v": "1", "more": "1"}
