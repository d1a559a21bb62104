"""Which workspaces of a directory are planned without being asked for."""

from __future__ import annotations

import json

from prbot.sandbox.pullrequest import SandboxPull
from tests.flows.app import Story, shared_with_engines, tf

SLIP = (
    "- `net (prdo)`: Nothing was applied in the workspace `prdo` yet, and there is no `env/prdo.tfvars`. If the name "
    "is a slip, a `plan` command that names nothing leaves it out again."
)


def backend_with_workspaces(app: Story) -> str:
    """A backend whose states engines may write, in every workspace."""
    place = shared_with_engines(app.root)
    settings = f'path = "{place}/net.tfstate"\n    workspace_dir = "{place}/workspaces"'
    return f'terraform {{\n  backend "local" {{\n    {settings}\n  }}\n}}\n'


def planned(app: Story, pull: SandboxPull) -> list[str]:
    """The projects of the pull request's newest plan of the whole."""
    every = app.runs(pull, "plan")
    return sorted(run.project.label for run in every if run.operation == every[-1].operation)


def test_a_mistyped_workspace_is_forgotten_with_its_head(app: Story) -> None:
    infra = app.repo()
    backend = backend_with_workspaces(app)
    infra.commit("main", {"net/main.tf": tf(backend, v=1), "net/env/stage.tfvars": ""}, by="root")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(backend, v=2)})
    app.settle()
    assert planned(app, pull) == ["net"]
    for workspace in ("prdo", "stage"):
        pull.comment(by="al", body=f"prbot plan -w {workspace}")
        app.settle()
    assert SLIP in pull.comments()[-3].body
    assert "is a slip" not in pull.comments()[-1].body
    # its own instruction is a way on: what was named is left out, what has variables stays
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert planned(app, pull) == ["net", "net (stage)"]
    left = pull.status("prbot/plan: net (prdo)")
    assert (left["state"], left["description"]) == ("error", "the newest plan leaves it out")
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    # named again, it stays for as long as the head does
    pull.comment(by="al", body="prbot plan -d net -w prdo")
    app.settle()
    infra.commit("main", {"net/x.tf": "# moved\n"}, by="root")
    pull.comment(by="al", body="prbot plan -d net")
    app.settle()
    assert planned(app, pull) == ["net", "net (prdo)", "net (stage)"]
    pull.push(by="al", files={"net/main.tf": tf(backend, v=3)})
    app.settle()
    assert planned(app, pull) == ["net", "net (stage)"]
    # nor do other pull requests know it
    other = infra.open_pull(by="bo", files={"net/y.tf": "# other\n"})
    app.settle()
    assert planned(app, other) == ["net", "net (stage)"]
    assert app.runs(pull, "apply") == []


def test_a_workspace_that_was_applied_once_is_planned_from_then_on(app: Story) -> None:
    infra = app.repo()
    backend = backend_with_workspaces(app)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(backend, v=1)})
    app.settle()
    pull.comment(by="al", body="prbot plan -d net -w prod")
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    state = shared_with_engines(app.root) / "workspaces" / "prod" / "terraform.tfstate"
    assert json.loads(state.read_text())["outputs"]["v"]["value"] == "1"
    later = infra.open_pull(by="al", files={"net/main.tf": tf(backend, v=2)})
    app.settle()
    assert planned(app, later) == ["net", "net (prod)"]
    assert "is a slip" not in later.next_comment()
