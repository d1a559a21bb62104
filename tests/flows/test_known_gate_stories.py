"""What is not known is never green: what was put aside, planned in part, discarded or failed is not taken for done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards


@pytest.fixture
def ruled(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    """The whole app by the rules that the test names."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(request.param)
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def opened(app: Story, *directories: str, draft: bool = False) -> tuple[SandboxRepo, SandboxPull]:
    infra = app.repo()
    files = {f"{name}/main.tf": tf(infra.backend(name), v=1) for name in directories}
    pull = infra.open_pull(by="al", files=files, draft=draft)
    app.settle()
    return infra, pull


def state(pull: SandboxPull, context: str) -> tuple[str | None, str | None]:
    found = pull.status(context) or {}
    return found.get("state"), found.get("description")


def answer(app: Story, pull: SandboxPull, by: str, body: str) -> str:
    """prbot's newest comment after this one."""
    pull.comment(by=by, body=body)
    app.settle()
    return pull.comments()[-1].body


def test_an_unlocked_pull_request_has_no_plan_and_its_gate_waits_until_it_has_one(app: Story) -> None:
    _, pull = opened(app, "net")
    pull.approve(by="bo")
    app.settle()
    assert state(pull, "prbot/gate")[0] == "success"
    answer(app, pull, "al", "prbot unlock")
    assert state(pull, "prbot/gate") == ("pending", "not met: planned, approved, unlocked; see `prbot apply`")
    assert state(pull, "prbot/plan") == ("pending", "type `prbot plan`: there is no plan of net")
    assert state(pull, "prbot/plan: net")[0] == "pending"
    said = answer(app, pull, "al", "prbot apply")
    assert "net has no plan since its last one was put aside | type `prbot plan`" in said
    assert "wait until the plan is shown" not in said
    answer(app, pull, "al", "prbot plan")
    assert state(pull, "prbot/plan")[0] == "success"
    assert state(pull, "prbot/gate")[0] == "success"  # the same plan of the same head: the approval carries over


def test_an_unlock_of_one_project_leaves_only_that_one_without_a_plan(app: Story) -> None:
    _, pull = opened(app, "net", "db")
    pull.approve(by="bo")
    app.settle()
    answer(app, pull, "al", "prbot unlock -d db")
    assert state(pull, "prbot/gate") == ("pending", "not met: planned, approved, unlocked; see `prbot apply`")
    assert state(pull, "prbot/plan: net")[0] == "success"
    assert state(pull, "prbot/plan: db")[0] == "pending"
    answer(app, pull, "al", "prbot plan -d db")
    assert state(pull, "prbot/gate")[0] == "success"


@pytest.mark.parametrize("ruled", ["defaults: {drafts: false}\n"], indirect=True)
def test_planned_in_part_only_the_rest_is_not_known(ruled: Story) -> None:
    _, pull = opened(ruled, "net", "db", draft=True)
    assert pull.statuses() == {}
    answer(ruled, pull, "al", "prbot plan -d net")
    assert state(pull, "prbot/plan") == ("pending", "not all of it was looked at; see `prbot apply`")
    assert state(pull, "prbot/gate")[0] == "pending"
    said = answer(ruled, pull, "al", "prbot apply")
    assert f"the whole of {pull.head_sha[:7]} was not looked at for main" in said
    answer(ruled, pull, "al", "prbot plan")
    assert state(pull, "prbot/plan")[0] == "success"
    assert "all projects are planned on this head" in answer(ruled, pull, "al", "prbot apply")


ALLOWED = "defaults: {extra_args: [-target, -replace, -destroy, -refresh, -refresh-only], approvals: 0}\n"


@pytest.mark.parametrize("ruled", [ALLOWED], indirect=True)
def test_a_plan_that_leaves_something_out_does_not_meet_the_gate(ruled: Story) -> None:
    _, pull = opened(ruled, "net")
    assert state(pull, "prbot/gate")[0] == "success"
    for args in (
        "-target=terraform_data.v", "-replace=terraform_data.v", "-refresh=false", "-refresh-only", "-destroy"
    ):  # fmt: skip
        answer(ruled, pull, "al", f"prbot plan -- {args}")
        told = f"Made with `{args}`, so that it cannot be applied. Plan again without that."
        assert any(told in comment.body for comment in pull.comments())
        assert state(pull, "prbot/gate") == ("pending", "not met: planned; see `prbot apply`"), args
        said = answer(ruled, pull, "al", "prbot apply")
        assert f"net was planned with `{args}`, and such a plan cannot be applied" in said
        assert "type `prbot plan` without arguments" in said
        if ruled.runs(pull, "plan")[-1].status == "planned":
            refusal = answer(ruled, pull, "bo", "prbot approve").partition("\n")[2]
            assert refusal == (
                f"## Not approved\n\n`@bo` asked for `approve`. `net` was planned with `{args}`, and such a "
                "plan cannot be applied. Type `prbot plan` without arguments."
            )
    assert not ruled.audit("approval.counted")
    answer(ruled, pull, "al", "prbot plan")
    assert state(pull, "prbot/gate")[0] == "success"


@pytest.mark.parametrize("ruled", [ALLOWED], indirect=True)
def test_merged_past_the_gate_with_a_plan_that_leaves_something_out_nothing_is_applied_by_it(ruled: Story) -> None:
    infra, pull = opened(ruled, "net")
    answer(ruled, pull, "al", "prbot plan -- -target=terraform_data.other")
    assert ruled.runs(pull, "plan")[-1].status == "no_changes"
    pull.merge(by="al")
    ruled.settle()
    (run,) = ruled.runs(pull, "apply")
    assert (run.status, run.extra_args) == ("awaiting_approval", [])
    answer(ruled, pull, "bo", "prbot approve")
    assert infra.state("net") == {"v": "1"}


def test_what_was_discarded_is_not_shown_as_applied(app: Story) -> None:
    _, pull = opened(app, "net")
    pull.merge(by="al")
    app.settle()
    assert state(pull, "prbot/apply") == ("failure", "held until somebody approves; see the comment: net")
    answer(app, pull, "mo", "prbot unlock")
    assert state(pull, "prbot/apply") == ("failure", "discarded, so merged and never applied: net")


def test_after_a_failed_apply_nothing_is_under_way(app: Story) -> None:
    infra = app.repo()
    failing = tf(infra.backend("net"), v=1) + (
        'resource "terraform_data" "late" {\n  provisioner "local-exec" {\n    command = "exit 3"\n  }\n}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": failing})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    for sha in (pull.head_sha, pull.merge_sha):
        told = pull.status("prbot/apply", sha)
        assert told is not None
        assert (told["state"], told["description"]) == ("failure", "the apply failed; `prbot apply` tries again: net")


def test_while_it_is_planned_anew_the_gate_of_the_same_head_is_not_green(app: Story) -> None:
    _, pull = opened(app, "net")
    pull.approve(by="bo")
    app.settle()
    answer(app, pull, "al", "prbot plan")
    assert pull.status_history("prbot/gate") == ["pending", "pending", "success", "pending", "success"]


def test_of_a_pull_request_that_is_merged_before_it_was_planned_no_plan_stays_pending(app: Story) -> None:
    infra = app.repo()
    app.settle()
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    pull.merge(by="al")
    app.world.hooks.release()
    app.settle()
    assert "pending" not in {one["state"] for name, one in pull.statuses().items() if name.startswith("prbot/plan")}
