"""Every way on that a comment shows leads on: whoever does what it says never comes back to the same comment."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from prbot.core.commands import Command, parse
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.store.outputs import read as read_output
from tests.faults.workers import until
from tests.flows.app import Story, shared_with_engines, story, tf

MOST_STEPS = 8


def said_since(pull: SandboxPull) -> list[str]:
    """prbot's comments that nobody read yet, without their hidden marks."""
    return [pull.next_comment().split("\n", 1)[1] for _ in pull.unread_comments()]


def offered(comment: str) -> list[Command]:
    """The commands that a comment shows, but for those that every plan's comment ends with."""
    shown = MarkdownIt("commonmark").enable("table").render(comment.partition("\n`prbot plan` plans again")[0])
    found = [parse(unescape(code)) for code in re.findall("<code>(prbot .*?)</code>", shown, re.DOTALL)]
    return [command for [command] in found if isinstance(command, Command) and command.name != "help"]


def comparable(comment: str) -> str:
    """A comment without what differs from one time to the next."""
    return re.sub(r"\b[0-9a-f]{7,40}\b|[0-9]+ s\b|[0-9]{4}-[0-9-]+ [0-9:]+Z?|< 1 s", "…", comment)


def walk(app: Story, pull: SandboxPull, takes: str, before_each: Callable[[str], None]) -> list[str]:
    """Do what the newest comment says, until none says anything more. The titles of the comments on the way."""
    seen: list[str] = []
    titles = []
    for _ in range(MOST_STEPS):
        news = said_since(pull)
        assert news, "nothing was said to the last command"
        titles += [each.split("\n", 1)[0].removeprefix("## ") for each in news]
        for each in news:
            assert comparable(each) not in seen, f"led back to:\n{each}"
            seen.append(comparable(each))
        ways = [command for comment in news for command in offered(comment)]
        way = next((each for name in takes.split() for each in ways if each.name == name), None)
        if way is None:
            return titles
        before_each(news[-1])
        pull.comment(by="mo", body=way.to_line())
        app.settle()
    raise AssertionError(f"still told what to do: {titles}")


def failing(infra: SandboxRepo, gate: Path) -> str:
    """A module whose apply fails half-way as long as `gate` is not there."""
    return (
        infra.backend("net")
        + '\nresource "terraform_data" "one" {\n  input = "1"\n}\n'
        + 'resource "terraform_data" "two" {\n  input = "2"\n  depends_on = [terraform_data.one]\n'
        + f'  provisioner "local-exec" {{\n    command = "test -e {gate}"\n  }}\n}}\n'
        + 'output "two" {\n  value = terraform_data.two.output\n}\n'
    )


def reading(infra: SandboxRepo, file: Path) -> str:
    """A module that plans what is in `file` at that moment."""
    return (
        infra.backend("net")
        + f'\nresource "terraform_data" "x" {{\n  input = file("{file}")\n}}\n'
        + ('output "x" {\n  value = terraform_data.x.output\n}\n')
    )


def merged(app: Story, infra: SandboxRepo, main: str, *, approved: bool = True) -> SandboxPull:
    pull = infra.open_pull(by="al", files={"net/main.tf": main})
    app.settle()
    if approved:
        pull.approve(by="bo")
        app.settle()
    while pull.unread_comments():
        pull.next_comment()
    return pull


def test_a_failed_apply_is_retried_once_it_can_be(app: Story) -> None:
    gate = shared_with_engines(app.root) / "open-sesame"
    infra = app.repo()
    pull = merged(app, infra, failing(infra, gate))
    pull.merge(by="al")
    app.settle()

    def mend(comment: str) -> None:
        if comment.startswith("## Retry is ready"):
            assert "terraform_data.two is tainted, so must be replaced" in comment
            assert "| `net` | 🟢 ready to apply | 1 to replace, 1 output to change |" in comment
            gate.touch()

    titles = walk(app, pull, "apply", mend)
    assert titles == ["Apply failed", "Retry is ready", "Applied"]
    assert infra.state("net") == {"two": "2"}


def test_what_failed_is_given_up_by_name(app: Story) -> None:
    infra = app.repo()
    pull = merged(app, infra, failing(infra, shared_with_engines(app.root) / "never"))
    pull.merge(by="al")
    app.settle()
    titles = walk(app, pull, "unlock", lambda comment: None)
    assert titles[:2] == ["Apply failed", "Retry is ready"]
    assert sorted(titles[2:]) == ["Discarded", "Unlocked"]  # the answer and the end are told by two reports
    [said] = [each.body for each in pull.comments() if "## Discarded" in each.body]
    assert "`@mo` discarded it: what was merged and is not applied yet is not applied any more" in said
    assert "what went wrong" not in said
    assert app.holder("net") is None


@pytest.mark.parametrize("first", ["", "prbot approve"])
def test_a_change_that_was_merged_with_a_failed_plan_is_no_dead_end(app: Story, first: str) -> None:
    value = shared_with_engines(app.root) / "value"
    infra = app.repo()
    pull = merged(app, infra, reading(infra, value), approved=False)
    pull.merge(by="al")
    app.settle()
    if first:
        said_since(pull)
        pull.comment(by="mo", body=first)
        app.settle()
    titles = walk(app, pull, "apply plan approve", lambda comment: (value.write_text("there"), None)[1])
    begun = "Not approved" if first else "Plan before the apply failed"
    assert titles == [begun, "Apply awaits approval", "Applied"]
    assert infra.state("net") == {"x": "there"}


def test_a_value_that_differs_in_every_plan_is_named_with_the_rule_that_leaves_it_out(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {}\n")
    value = shared_with_engines(tmp_path) / "value"
    value.parent.mkdir(exist_ok=True)
    value.write_text("0")
    count = iter(range(1, 100))
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        pull = merged(app, infra, reading(infra, value))
        value.write_text(f"{next(count)}")
        pull.merge(by="al")
        app.settle()

        def time_goes_by(comment: str) -> None:
            value.write_text(f"{next(count)}")
            line = re.search(r"^```yaml\n(volatile: .*)\n```$", comment, re.MULTILINE)
            if line is not None:
                assert line[1] == 'volatile: ["terraform_data.x.input"]'
                rules.write_text(f"defaults:\n  {line[1]}\n")
                app.services.rules.put(app.services.rules.read())

        titles = walk(app, pull, "plan approve", time_goes_by)
        assert titles == ["Apply held", "Apply held", "Apply awaits approval", "Applied"]


def test_an_open_pull_request_is_led_to_its_merge(app: Story) -> None:
    value = shared_with_engines(app.root) / "value"
    infra = app.repo()
    main = reading(infra, value)
    same = main.replace(infra.backend("net"), infra.backend("dns"))
    pull = infra.open_pull(by="al", files={"net/main.tf": main, "dns/main.tf": same})
    app.settle()
    titles = walk(app, pull, "plan", lambda comment: (value.write_text("1"), None)[1])
    assert titles == ["Plan failed for 2 of 2 projects", "Plan: 2 to add, 2 outputs to change in 2 projects"]
    plan = pull.comments()[-1].body
    for command in offered(plan):  # the same change twice has one fingerprint: each line says which is meant
        pull.comment(by="mo", body=command.to_line())
        app.settle()
    assert [command.dirs for command in offered(plan)] == [("dns",), ("net",)]
    said_since(pull)
    pull.comment(by="al", body="prbot apply")
    app.settle()
    [ready] = said_since(pull)
    assert ready.startswith("## Ready to merge\n\nEverything that is required before the merge is met.")
    assert pull.status("prbot/gate")["state"] == "success"
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == infra.state("dns") == {"x": "1"}


def test_what_was_cancelled_while_it_was_applied_says_by_whom_and_is_taken_up_again(app: Story) -> None:
    gate = shared_with_engines(app.root) / "open-sesame"
    infra = app.repo()
    waits = failing(infra, gate).replace("test -e", "until test -e").replace('sesame"', 'sesame; do sleep 0.1; done"')
    pull = merged(app, infra, waits)
    pull.merge(by="al")
    until(lambda: any("Provisioning" in each for each in output(app, pull)))
    pull.comment(by="bo", body="prbot cancel")
    app.settle()
    failed, cancelling, ready = sorted(said_since(pull))  # the answer and the end are told by two reports
    assert cancelling == "## Cancelling\n\n> Stopping `net`."
    assert "`@bo` cancelled it. The lock is kept, so that no other pull request builds on it." in failed
    assert ready.startswith("## Retry is ready")
    gate.touch()
    pull.comment(by="bo", body="prbot apply -d net")
    app.settle()
    assert infra.state("net") == {"two": "2"}


def output(app: Story, pull: SandboxPull) -> list[str]:
    """What the engines have printed so far."""
    with app.services.db.read() as tx:
        return [chunk.body for run in app.runs(pull, "apply") for chunk in read_output(tx, run.id)]


def test_a_plan_that_leaves_something_out_leads_to_one_that_does_not(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  extra_args: [-target]\n")
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        pull = merged(app, infra, tf(infra.backend("net"), v=1, w=2), approved=False)
        pull.comment(by="mo", body="prbot plan -- -target=terraform_data.v")
        app.settle()
        (part,) = said_since(pull)
        assert "Made with `-target=terraform_data.v`, so that it cannot be applied." in part
        assert [way.to_line() for way in offered(part)] == ["prbot plan"]
        pull.comment(by="mo", body="prbot plan")
        app.settle()
        (whole,) = said_since(pull)
        [approve] = offered(whole)
        pull.comment(by="mo", body=approve.to_line())
        app.settle()
        assert pull.status("prbot/gate")["state"] == "success"


def test_a_plan_speaks_of_earlier_approvals_only_where_there_were_some(app: Story) -> None:
    infra = app.repo()
    files = {"net/main.tf": tf(infra.backend("net"), v=1)}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    pull.comment(by="al", body="prbot plan")
    app.settle()
    pull.push(by="al", files={"net/more.tf": tf("", w=1)})
    app.settle()
    assert not [each.body for each in pull.comments() if "arlier approvals" in each.body]
    pull.approve(by="bo")
    app.settle()
    pull.push(by="al", files={"net/more.tf": tf("", w=2)})
    app.settle()
    assert "Earlier approvals are void" in pull.comments()[-1].body


def test_an_ephemeral_variable_of_a_variable_file_reaches_the_apply(app: Story) -> None:
    infra = app.repo()
    main = infra.backend("net") + (
        'variable "token" {\n  ephemeral = true\n}\nvariable "v" {}\n'
        'resource "terraform_data" "v" {\n  input = var.v\n}\noutput "v" {\n  value = terraform_data.v.output\n}\n'
    )
    files = {"net/main.tf": main, "net/env/default.tfvars": 'token = "not-kept"\nv = "1"\n'}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"v": "1"}, pull.comments()[-1].body
    assert app.runs(pull, "apply")[-1].convergence == "clean"
