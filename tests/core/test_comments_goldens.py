"""Every kind of comment, as it is posted. `python -m tests.core.test_comments_goldens` writes the files anew; read what
changed before you keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prbot.core.commands import CommandError, parse
from prbot.core.comments import replies
from prbot.core.comments.apply import CLEAN, AppliedProject, ApplyView, apply_document
from prbot.core.comments.blocks import Document
from prbot.core.comments.diff import extract_changes
from prbot.core.comments.orphans import Left, orphans_document
from prbot.core.comments.plan import Lock, PlannedProject, PlanView, plan_document
from prbot.core.comments.split import split
from prbot.core.comparison import EntryDifference
from prbot.core.gates import Gate
from prbot.core.ids import ProjectKey
from prbot.core.plans import Counts
from prbot.core.projects import Orphan
from prbot.core.refusals import no_backend
from prbot.core.runs import RunStatus
from prbot.core.wanted import NoSuchProject

GOLDEN = Path(__file__).parent.parent / "golden"
HEAD, BASE, MERGE = "1a2b3c4d" * 5, "9f8e7d6c" * 5, "5e6f7a8b" * 5
PRINT = "k1:7f3a9c21" + "0" * 56


def key(directory: str, workspace: str = "default") -> ProjectKey:
    return ProjectKey("acme/infra", directory, workspace)


SMALL = """\
Terraform will perform the following actions:

  # terraform_data.a will be updated in-place
  ~ resource "terraform_data" "a" {
        id     = "ed05bd75"
      ~ input  = 1 -> 2
    }

Plan: 0 to add, 1 to change, 0 to destroy."""

ERROR = """\
Error: Reference to undeclared resource

  on main.tf line 35, in resource "terraform_data" "x":
  35: resource "terraform_data" "x" { input = nope.x }

A managed resource "nope" "x" has not been declared in the root module."""

LARGE = extract_changes((GOLDEN / "terraform_plan.txt").read_text())

ONE = PlanView(
    HEAD, "main", BASE, (PlannedProject(key("net"), RunStatus.PLANNED, Counts(change=1), PRINT, Lock(), changes=SMALL),)
)

MANY = PlanView(
    HEAD,
    "main",
    BASE,
    projects=(
        PlannedProject(
            key("app", "prod"), RunStatus.PLANNED, Counts(1, 2, 1, 1, 0, 1, 1, 3), "k1:0b5d17aa" + "e" * 56, Lock(),
            changes=LARGE, carry_note="Earlier approvals are void: this plan does something else than the one before.",
        ),
        PlannedProject(key("dns"), RunStatus.PLANNED, Counts(change=1), PRINT, Lock(12, 1), True, SMALL,
                       unapplied=(41, 44)),
        PlannedProject(key("iam"), RunStatus.ERRORED, lock=Lock(), error=ERROR),
        PlannedProject(key("logs"), RunStatus.NO_CHANGES, fingerprint="k1:55aa55aa", lock=Lock()),
        PlannedProject(key("mail"), RunStatus.CANCELLED, lock=Lock(), notes=("It was cancelled by @cy.",)),
    ),
    refusals=(no_backend("sandbox"),),
    orphans=(Orphan("old", None), Orphan("vpc", "net/vpc")),
    reviewers=("bo", "cy"),
)  # fmt: skip

APPLIED = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("app", "prod"), RunStatus.APPLIED, Counts(add=1), 64.2, "Apply complete! Resources: 1 added.",
            convergence="  ~ resource \"null_resource\" \"always\" {\n\nPlan: 0 to add, 1 to change, 0 to destroy.",
        ),
        AppliedProject(
            key("net"), RunStatus.APPLIED, Counts(change=1), 0.3,
            "terraform_data.a: Modifying...\n\nApply complete! Resources: 0 added, 1 changed, 0 destroyed.",
            convergence=CLEAN,
        ),
    ),
)  # fmt: skip

FAILED = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("net"), RunStatus.ERRORED, Counts(add=2), 5, f"terraform_data.a: Creating...\n\n{ERROR}",
            reason="The engine ended with exit code 1.",
        ),
    ),
)  # fmt: skip

HELD = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("net"), RunStatus.HELD, Counts(change=1, destroy=1),
            reason="The plan made after the merge does something else than what was approved.",
            difference=(
                EntryDifference("terraform_data.a", "update", "update", ("input", "tags[0]")),
                EntryDifference('terraform_data.b["x|y"]', None, "delete", ()),
                EntryDifference("terraform_data.c", "create", None, (), ("provider",)),
            ),
            fingerprint=PRINT, changes=SMALL,
        ),
        AppliedProject(key("dns"), RunStatus.APPLIED, Counts(add=1), 3.7, "Apply complete!", convergence=CLEAN),
    ),
)  # fmt: skip

UNKNOWN = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("net"), RunStatus.UNKNOWN, Counts(change=1),
            reason="The state was at serial 7 before, and is at serial 8 now, of the same lineage.",
        ),
    ),
)  # fmt: skip

HELD_AGAIN = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("-lead `ing`"), RunStatus.HELD, Counts(add=1),
            reason="The plan made after the merge does something else than what was approved. Since the approved plan "
            "was made, main changed what this project reads, without a review: 1111111 by Bo.",
            difference=(
                EntryDifference(
                    "terraform_data.a", "create", "create", ("input", "triggers_replace"),
                    again=("terraform_data.a.input",),
                ),
            ),
            fingerprint=PRINT, changes=SMALL,
        ),
    ),
)  # fmt: skip

RETRY = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(
            key("net"), RunStatus.PLANNED, Counts(replace=1), fingerprint=PRINT, changes=SMALL, is_retry=True
        ),
    ),
)

UNDONE = ApplyView(
    MERGE,
    "main",
    (
        AppliedProject(key("db"), RunStatus.CANCELLED, ended_by="cy"),
        AppliedProject(key("dns"), RunStatus.ERRORED, error=ERROR),
        AppliedProject(key("net"), RunStatus.DISCARDED, Counts(change=1), changes=SMALL, ended_by="bo"),
    ),
)

READY = (
    Gate("planned", True, "all projects are planned on this head"),
    Gate("approved", True, "1 approval counts, and 1 is needed", notes=(
        "bo approved by a review at 2026-11-20 12:00:03Z: it counts. Of bo's 2 approvals it is the newest that counts.",
    )),
    Gate("mergeable", True, "it merges into main"),
    Gate("unlocked", True, "nobody else holds a project"),
    Gate("merged", False, "it is not merged", "merge it once all else is met"),
)  # fmt: skip

GATES = (
    Gate("planned", True, "all projects are planned on this head"),
    Gate("approved", False, "no approval counts, and 1 is needed",
         "somebody with write access, and other than al, can approve 1a2b3c4 by a review, after the plan's comment",
         ("bo's approval came before the plan's comment at 2026-11-20 12:00:03Z; approve again.",
          "al's approval does not count: al is the author of the pull request.")),
    Gate("mergeable", True, "it merges into main"),
    Gate("unlocked", False, "dns is held by #12",
         "wait for #12, or have its author or somebody with maintain access type `prbot unlock -d dns` there"),
    Gate("merged", False, "it is not merged", "merge it once all else is met"),
)  # fmt: skip

MISTAKES = [
    each
    for each in parse("prbot pln\nprbot plan --vebose\nprbot plan -d ../x\n\nprbot approve @all")
    if isinstance(each, CommandError)
]

COMMENTS: dict[str, Document] = {
    "plan_one_change": plan_document(ONE),
    "plan_many_projects": plan_document(MANY),
    "plan_conflict": replies.conflict(HEAD, "main", ["net/main.tf", "net/vars.tf"]),
    "apply_done": apply_document(APPLIED),
    "apply_failed": apply_document(FAILED),
    "apply_held": apply_document(HELD),
    "apply_unknown": apply_document(UNKNOWN),
    "apply_held_again": apply_document(HELD_AGAIN),
    "apply_retry": apply_document(RETRY),
    "apply_undone": apply_document(UNDONE),
    "reply_ready_to_merge": replies.gates(READY),
    "reply_gates": replies.gates(GATES),
    "reply_refused": replies.refused("eve", "prbot apply", "`apply` needs write access, and you have read access."),
    "reply_command_errors": replies.command_errors(MISTAKES),
    "reply_no_such_project": replies.no_such_project(NoSuchProject("`-d nett` matches no project.", ("net", "dns"))),
    "reply_too_many": replies.too_many("al", [f"prbot plan -d net{n}" for n in range(12)], minutes=10),
    "reply_given_up": replies.given_up(
        "`@al` asked for `prbot plan`.",
        "GitHub answered 404 to GET /repos/acme/infra/pulls/1: Not Found",
        "Write that again",
    ),
    "reply_help": replies.help_reply(),
    "reply_version": replies.version_reply("0.1.0", "terraform 1.11.4"),
    "reply_unlocked": replies.unlocked([replies.Freed("net", 12), replies.Freed("dns")]),
    "reply_nothing_affected": replies.nothing_affected("main"),
    "orphans": orphans_document(
        [
            Left(ProjectKey("acme/infra", "net")),
            Left(ProjectKey("acme/infra", "net", "staging")),
            Left(ProjectKey("acme/infra", "old"), "forgotten by `@mo`"),
        ],
        "3" * 40,
        "4" * 40,
        "main",
    ),
    "notice": replies.notice("Plan approved", ["@bo approved `7f3a9c21` for net."]),
}


def posted(name: str) -> str:
    [body] = split(f"golden:{name}", COMMENTS[name])
    return body


@pytest.mark.parametrize("name", COMMENTS)
def test_a_comment_is_as_in_the_golden_file(name: str) -> None:
    assert posted(name) + "\n" == (GOLDEN / f"{name}.md").read_text()


@pytest.mark.parametrize("name", COMMENTS)
def test_no_comment_of_ours_is_a_command(name: str) -> None:
    for prefix in ("prbot", "terraform", "plan", "apply"):
        assert parse(posted(name), prefixes=(prefix,), bot="bo") == []


def test_a_plan_under_way_says_so() -> None:
    view = PlanView(HEAD, "main", BASE, (PlannedProject(key("net"), RunStatus.PLANNING),))
    [body] = split("k", plan_document(view))
    assert "## Planning 1 project\n" in body
    assert "| `net` | 🔄 planning | – |" in body
    assert "- Wait: " in body


def test_without_a_change_there_is_nothing_to_approve() -> None:
    view = PlanView(HEAD, "main", BASE, (PlannedProject(key("net"), RunStatus.NO_CHANGES, fingerprint=PRINT),))
    [body] = split("k", plan_document(view))
    assert "## Plan: no changes\n" in body
    assert "There is nothing to apply" in body
    assert "To approve" not in body


def test_an_empty_plan_needs_no_turn_and_one_that_leaves_something_out_is_not_offered_for_approval() -> None:
    empty = PlannedProject(key("net"), RunStatus.NO_CHANGES, fingerprint=PRINT, speculative=True)
    said = plan_document(PlanView(HEAD, "main", BASE, (empty,)))[-1]
    assert "- There is nothing to apply: review and merge as usual." in str(said)
    assert "speculative" not in str(said)
    for status in (RunStatus.PLANNED, RunStatus.NO_CHANGES):
        partial = PlannedProject(key("net"), status, fingerprint=PRINT, partial=True)
        said = plan_document(PlanView(HEAD, "main", BASE, (partial,)))[-1]
        assert "`prbot plan` alone plans all of it" in str(said)
        assert "To approve" not in str(said)
        assert "nothing to apply" not in str(said)


def test_a_repository_that_applies_by_hand_is_told_to() -> None:
    [body] = split("k", plan_document(PlanView(HEAD, "main", BASE, ONE.projects, applies_by_itself=False, prefix="tf")))
    assert "- To apply: merge, and type `tf apply`." in body
    assert "`tf approve 7f3a9c21`" in body
    assert "prbot" not in body.removeprefix("<!-- prbot:k")


def test_verbose_shows_all_that_the_engine_printed() -> None:
    project = PlannedProject(
        key("net"), RunStatus.PLANNED, Counts(change=1), PRINT, changes=SMALL, output="Refreshing…"
    )
    [body] = split("k", plan_document(PlanView(HEAD, "main", BASE, (project,))))
    assert "all that the engine printed</summary>\n\n```\nRefreshing…\n```" in body


def test_refusals_alone_are_a_plan_comment_too() -> None:
    [body] = split("k", plan_document(PlanView(HEAD, "main", BASE, refusals=(no_backend("a"), no_backend("b")))))
    assert "## Plan refused for `a` and `b`\n" in body
    assert "| `a` | ⛔ refused |" in body


if __name__ == "__main__":
    for each in COMMENTS:
        (GOLDEN / f"{each}.md").write_text(posted(each) + "\n")
