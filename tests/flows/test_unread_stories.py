"""Files that prbot cannot read yet are never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.gitrepos import Files
from prbot.sandbox.pullrequest import SandboxPull
from prbot.wiring import reload_rules
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards

ATLANTIS = """
version: 3
projects:
- &app
  dir: ./app
  workspace: staging
- <<: *app
  workspace: prod
- dir: net
"""
UNIT = 'terraform {\n  source = "../../modules/vpc"\n}\n'
NOTE_RULE = (
    "have whoever runs prbot set `unread: note` for this repository in the rules: then it is told here and does not "
    "block."
)


@pytest.fixture
def noting(tmp_path: Path) -> Iterator[Story]:
    """The whole app by rules that let what is unread be."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {unread: note, approvals: 0}\n")
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def states(pull: SandboxPull) -> tuple[str | None, str | None]:
    return pull.status("prbot/plan")["state"], pull.status("prbot/gate")["state"]


def test_a_change_of_terragrunt_or_stacks_alone_is_not_green_and_says_why(app: Story) -> None:
    infra = app.repo(files={"modules/vpc/main.tf": tf("", v=1), "live/net/terragrunt.hcl": UNIT})
    changes: dict[str, tuple[str, Files]] = {
        "`live/net` holds `terragrunt.hcl`, which is Terragrunt's; prbot does not read that yet, and plans nothing of "
        "it.": ("live/net", {"live/net/terragrunt.hcl": UNIT + "inputs = {}\n"}),
        "`live` holds `env.hcl`, which is Terragrunt's; prbot does not read that yet, and plans nothing of it.": (
            "live",
            {"live/env.hcl": "locals {}\n"},
        ),
        "`live/net/policy.json` changed, in `live/net`, which holds `terragrunt.hcl`, which is Terragrunt's; prbot "
        "does not read that yet, and plans nothing of it.": ("live/net", {"live/net/policy.json": "{}\n"}),
        "`modules/vpc` changed, which no root module calls and Terragrunt's or Stacks' files may; prbot does not read "
        "those yet, and plans nothing of it.": ("modules/vpc", {"modules/vpc/main.tf": tf("", v=2)}),
        "`stack` holds `prod.tfdeploy.hcl`, which is Terraform Stacks'; prbot does not read that yet, and plans "
        "nothing of it.": ("stack", {"stack/prod.tfdeploy.hcl": 'deployment "prod" {}\n'}),
        "`comp` holds `main.tfcomponent.hcl`, which is Terraform Stacks'; prbot does not read that yet, and plans "
        "nothing of it.": ("comp", {"comp/main.tfcomponent.hcl": 'component "x" {}\n'}),
    }
    for reason, (directory, files) in changes.items():
        pull = infra.open_pull(by="al", files=files)
        app.settle()
        comment = pull.next_comment()
        assert f"⛔ {reason} Leave it out of this pull request, or {NOTE_RULE}" in comment, comment
        assert f"| `{directory}` |" in comment
        assert states(pull) == ("failure", "failure"), reason
    removed = infra.open_pull(by="al", deletes=["live/net/terragrunt.hcl"])
    app.settle()
    assert "`live/net` held `terragrunt.hcl`" in removed.next_comment()
    assert states(removed) == ("failure", "failure")


def test_what_is_planned_beside_it_is_planned_and_the_rule_lets_the_rest_pass(noting: Story) -> None:
    infra = noting.repo(files={"live/net/terragrunt.hcl": UNIT})
    files = {"live/net/terragrunt.hcl": UNIT + "inputs = {}\n", "app/main.tf": tf(infra.backend("app"), v=1)}
    pull = infra.open_pull(by="al", files=files)
    noting.settle()
    comment = pull.next_comment()
    assert [run.dir for run in noting.runs(pull)] == ["app"]
    assert "- `live/net` holds `terragrunt.hcl`, which is Terragrunt's; prbot does not read that yet" in comment
    assert states(pull) == ("success", "success")
    alone = infra.open_pull(by="al", files={"live/net/terragrunt.hcl": UNIT + "# more\n"})
    noting.settle()
    comment = alone.next_comment()
    assert "- `live/net` holds `terragrunt.hcl`, which is Terragrunt's; prbot does not read that yet" in comment
    assert "- Nothing is planned, and so nothing will be applied." in comment
    assert states(alone) == ("success", "success")


def test_a_root_module_that_terragrunt_has_a_hand_in_is_not_planned_as_if_it_had_not(app: Story) -> None:
    infra = app.repo()
    files = {"net/main.tf": tf(infra.backend("net"), v=1), "net/terragrunt.hcl": UNIT}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    assert "`net` holds `terragrunt.hcl`, which is Terragrunt's" in pull.next_comment()
    pull.comment(by="bo", body="prbot plan -d net")
    app.settle()
    assert "`net` holds `terragrunt.hcl`, which is Terragrunt's" in pull.next_comment()
    assert app.runs(pull) == []


@pytest.mark.parametrize("name", ["atlantis.yaml", "prbot.yaml"])
def test_a_file_that_declares_projects_is_not_passed_over(app: Story, name: str) -> None:
    infra = app.repo()
    infra.commit("main", {name: ATLANTIS}, by="root")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    comment = pull.next_comment()
    assert (
        f"⛔ `{name}` says which projects and workspaces there are; prbot does not read it yet, and plans nothing in "
        "this repository. Remove the file, or have whoever runs prbot set `unread: note` for this repository in the "
        "rules: then the root modules are planned that prbot finds, but for those that the file names for other "
        "workspaces than `default` only." in comment
    )
    assert states(pull) == ("failure", "failure")
    pull.comment(by="bo", body="prbot plan -d net")
    app.settle()
    assert f"`{name}` says which projects and workspaces there are" in pull.next_comment()
    assert app.runs(pull) == []
    words = infra.open_pull(by="al", files={"docs/notes.md": "words\n", ".github/workflows/ci.yml": "on: push\n"})
    app.settle()
    assert states(words) == ("success", "success")
    unknown = infra.open_pull(by="al", files={"config/x.json": "{}\n"})
    app.settle()
    assert states(unknown) == ("failure", "failure")
    # the way on: without the file, it is planned
    pull.push(by="al", files={name: None})
    app.settle()
    assert [run.dir for run in app.runs(pull)] == ["net"]
    assert (
        f"- This pull request removes `{name}`, which names `app` for the workspaces `prod` and `staging` only. From "
        "then on, changes to it are planned in `default` as well." in pull.comments()[-1].body
    )
    assert pull.status("prbot/plan")["state"] == "success"


def test_what_it_names_for_other_workspaces_is_not_planned_in_the_default_one(noting: Story) -> None:
    infra = noting.repo()
    infra.commit("main", {"atlantis.yaml": ATLANTIS}, by="root")
    files = {"net/main.tf": tf(infra.backend("net"), v=1), "app/main.tf": tf(infra.backend("app", "local"), v=1)}
    pull = infra.open_pull(by="al", files=files)
    noting.settle()
    assert [run.project.label for run in noting.runs(pull)] == ["net"]
    comment = pull.next_comment()
    assert "- `atlantis.yaml` is not read yet: what it says of workspaces, workflows and more is not done." in comment
    assert (
        "- `app` is not planned in `default`: `atlantis.yaml` names it for the workspaces `prod` and `staging` only. "
        "A command with `-w` plans it in one of them." in comment
    )
    pull.comment(by="bo", body="prbot plan -d app")
    noting.settle()
    assert "`app` is not planned in `default`" in pull.next_comment()
    pull.comment(by="bo", body="prbot plan -d app -w prod")
    noting.settle()
    assert noting.runs(pull)[-1].project.label == "app (prod)"
    broken = infra.open_pull(by="al", files={"atlantis.yaml": "projects: [", "net/x.tf": "# x\n"})
    noting.settle()
    assert "⛔ `atlantis.yaml` cannot be read: it is not YAML. Correct it, or remove it." in broken.next_comment()
    assert states(broken) == ("failure", "failure")


def test_what_is_merged_though_it_was_refused_is_told_and_not_called_applied(app: Story) -> None:
    infra = app.repo()
    files = {"net/main.tf": tf("", v=1), "db/main.tf": tf(infra.backend("db"), v=1)}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    pull.approve(by="bo")
    pull.merge(by="root")  # by somebody who may pass over the gate
    app.settle()
    assert [(run.dir, run.status) for run in app.runs(pull, "apply")] == [("db", "applied")]
    told = [comment.body for comment in pull.comments() if "## Merged, and not applied" in comment.body]
    assert len(told) == 1
    assert (
        "- Refused, so that nothing of it is applied: `net` has no backend, so that its state would be lost with the "
        "checkout.\n- What is refused is applied by a new pull request that changes it and in which it is planned."
        in told[0]
    )
    for sha in (pull.head_sha, pull.merge_sha):
        status = pull.status("prbot/apply", sha)
        assert (status["state"], status["description"]) == ("failure", "1 refused and not applied; see the comment")
    again = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    again.approve(by="bo")
    again.merge(by="al")
    app.settle()
    assert infra.state("net") == {"v": "1"}


def test_what_comes_to_be_unreadable_before_the_merge_is_not_applied_as_if_it_were_not(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {approvals: 0}\n")
    with story(tmp_path / "app", rules=rules) as app:
        infra = app.repo()
        early = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        assert states(early) == ("success", "success")
        infra.commit("main", {"atlantis.yaml": ATLANTIS}, by="root")
        early.merge(by="al")
        app.settle()
        assert app.runs(early, "apply") == []
        assert "## Merged, and not applied" in early.comments()[-1].body
        assert early.status("prbot/apply")["state"] == "failure"
        # the other way on: the operator lets it pass
        late = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
        app.settle()
        assert states(late) == ("failure", "failure")
        rules.write_text("defaults: {approvals: 0, unread: note}\n")
        assert reload_rules(app.services)
        late.comment(by="al", body="prbot plan")
        app.settle()
        assert states(late) == ("success", "success")
        late.merge(by="al")
        app.settle()
        assert infra.state("net") == {"v": "2"}
        check_afterwards(app)
