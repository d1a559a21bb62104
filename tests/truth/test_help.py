"""What `help` offers is what there is: every command, with every flag, does something that people can see."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prbot.core.command_help import help_text
from prbot.core.commands import SPECS, Args
from prbot.core.permissions import FREES_ANY_LOCK, NEEDS, Allowed, Who, WhoMay, may, narrowed, who_may
from prbot.core.pulls import Role
from prbot.flows.commands import ACTS
from prbot.sandbox.pullrequest import SandboxPull
from prbot.store.tables import OrphanRow
from tests.flows.app import Story, story, tf

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROLES: tuple[Role, ...] = ("none", "read", "write", "maintain", "admin")
Check = Callable[[Story, SandboxPull, str], object]


def test_every_command_has_code_and_all_code_is_in_the_help() -> None:
    named = re.findall(r"^\| `prbot ([a-z ]+?)(?: \[[A-Z]+\])?` \|", help_text(), re.MULTILINE)
    assert named == [spec.name for spec in SPECS]
    assert set(named) == set(ACTS) == set(NEEDS)


def test_every_command_that_a_comment_or_status_of_ours_names_is_in_the_help() -> None:
    named = set()
    for source in [*(ROOT / "prbot/core").rglob("*.py"), *(ROOT / "prbot/flows").rglob("*.py")]:
        named |= set(re.findall(r"`\{(?:view\.|facts\.)?(?:prefix|word)\} ([a-z_]+)", source.read_text()))
    assert {"plan", "apply", "unlock", "cancel"} <= named
    assert named <= {spec.name for spec in SPECS}


def test_who_may_is_said_as_it_is_checked() -> None:
    for command, needs in NEEDS.items():
        allowed = [role for role in ROLES if may(command, role, is_holder_author=True) == Allowed()]
        assert allowed[0] == needs.role
        assert who_may(command, Who()).startswith(f"{allowed[0]} access")
    of_others = [role for role in ROLES if may("unlock", role) == Allowed()]
    discarding = [role for role in ROLES if may("unlock", role, is_holder_author=True, discards=True) == Allowed()]
    assert of_others[0] == discarding[0] == FREES_ANY_LOCK
    assert who_may("unlock", Who()) == (
        "write access for the locks of one's own open pull request; maintain access for another's, and for what is "
        "merged and not applied"
    )
    assert who_may("approve", Who()) == (
        "write access, but nobody who opened the pull request, wrote a commit of it or pushed last"
    )


def test_where_the_rules_say_who_may_the_help_says_so_too() -> None:
    who = Who(apply=WhoMay(role="maintain"), approve=WhoMay(users=("bo", "cy")))
    assert narrowed("apply", "al", "write", who) != Allowed()
    assert "| maintain access |" in next(line for line in help_text(who=who).split("\n") if "`prbot apply`" in line)
    assert who_may("approve", who).startswith("bo or cy, but nobody who opened")
    assert who_may("plan", who) == "write access"


# -- every flag, typed ------------------------------------------------------------------------------------------------
def said(app: Story, pull: SandboxPull, line: str) -> str:
    while pull.unread_comments():
        pull.next_comment()
    pull.comment(by="root" if line.startswith("prbot forget") else "mo", body=line)
    app.settle()
    return "\n".join(pull.next_comment() for _ in pull.unread_comments())


def names_no_project(app: Story, pull: SandboxPull, line: str) -> None:
    named = " ".join(line.split()[-2:])
    assert f"No project matches `{named}`." in said(app, pull, line)


def shows_all_output(app: Story, pull: SandboxPull, line: str) -> None:
    said(app, pull, line)
    assert any("all that the engine printed" in comment.body for comment in pull.comments())


def reaches_the_engine(app: Story, pull: SandboxPull, line: str) -> None:
    said(app, pull, line)
    assert app.runs(pull)[-1].extra_args == ["-parallelism=3"]


def names_no_plan(app: Story, pull: SandboxPull, line: str) -> None:
    assert "names no plan that waits for approval" in said(app, pull, line)


def plans_there(app: Story, pull: SandboxPull, line: str) -> None:
    said(app, pull, line)
    assert app.runs(pull)[-1].workspace == "fresh"


SEEN_BY: dict[str, tuple[str, Check]] = {
    "-d": ("-d nosuch", names_no_project),
    "-w": ("-w nosuch", names_no_project),
    "-p": ("-p nosuch", names_no_project),
    "--verbose": ("--verbose", shows_all_output),
    "--": ("-- -parallelism=3", reaches_the_engine),
    "[FINGERPRINT]": ("0000", names_no_plan),
}


def test_every_flag_of_every_command_does_something(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  extra_args: [-parallelism]\n")
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        with app.services.db.write() as tx:
            tx.add(
                OrphanRow(
                    repo="acme/infra", dir="old", workspace="default", pull=99, merge_sha="", before_sha="", since=NOW
                )
            )
        for spec in SPECS:
            takes = [flag.names[0] for flag in spec.flags] + ["--"] * spec.extra_args
            for word in takes + [spec.args.shown] * (spec.args != Args()):
                typed, check = SEEN_BY[word]
                app.world.tick(60)
                if (spec.name, word) == ("plan", "-w"):
                    typed, check = "-w fresh", plans_there  # a plan may begin a workspace
                if (spec.name, word) == ("forget", "-w"):
                    typed = "-d old -w nosuch"  # it forgets nothing that is not named
                check(app, pull, f"prbot {spec.name} {typed}")
