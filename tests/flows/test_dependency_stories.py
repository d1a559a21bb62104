"""A project that reads what the same merge changes is planned after it, whatever was found before the merge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, shared_with_engines, story, tf


def reader(infra: SandboxRepo, directory: str, of: str, address: str = "", more: str = "") -> str:
    """A root module that passes on the output `v` of another one's state."""
    place = address or re.findall(r'"(http:[^"]*)"', infra.backend(of))[0]
    return (
        infra.backend(directory)
        + '\ndata "terraform_remote_state" "it" {\n  backend = "http"\n'
        + f'  config = {{\n    address = "{place}"\n  }}\n}}\n'
        + 'resource "terraform_data" "copy" {\n  input = data.terraform_remote_state.it.outputs.v\n}\n'
        + 'output "copy" {\n  value = terraform_data.copy.output\n}\n'
        + more
    )


def applied(app: Story, infra: SandboxRepo, files: dict[str, str]) -> SandboxPull:
    """A pull request that is approved, merged and applied."""
    pull = approved(app, infra, files)
    pull.merge(by="al")
    app.settle()
    ends = [(run.dir, run.status, run.error) for run in app.runs(pull, "apply")]
    assert {status for _, status, _ in ends} == {"applied"}, ends
    return pull


def approved(app: Story, infra: SandboxRepo, files: dict[str, str]) -> SandboxPull:
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    pull.approve(by="bo")
    app.settle()
    return pull


def statuses(app: Story, pull: SandboxPull) -> dict[str, str]:
    return {run.dir: run.status.value for run in app.runs(pull, "apply")}


@pytest.fixture
def infra(app: Story) -> SandboxRepo:
    """`app` reads `net`, and `db` reads nothing. All of them are applied."""
    repo = app.repo()
    applied(app, repo, {"net/main.tf": tf(repo.backend("net"), v=1), "db/main.tf": tf(repo.backend("db"), v=1)})
    applied(app, repo, {"app/main.tf": reader(repo, "app", "net") + 'output "v" {\n  value = "9"\n}\n'})
    return repo


def test_what_was_empty_before_the_merge_is_planned_once_what_it_reads_is_applied(
    app: Story, infra: SandboxRepo
) -> None:
    applied(app, infra, {"edge/main.tf": reader(infra, "edge", "app")})
    note = "# only a comment\n"
    pull = approved(
        app,
        infra,
        {
            "net/main.tf": tf(infra.backend("net"), v=2),
            "app/note.tf": note,
            "edge/note.tf": note,
            "db/note.tf": note,
        },
    )
    plan = pull.comments()[-1].body
    assert {run.dir: run.status.value for run in app.runs(pull)} == {
        "net": "planned", "app": "no_changes", "edge": "no_changes", "db": "no_changes",
    }  # fmt: skip
    assert (
        "- `app`: It reads `net`, which this pull request changes as well: once that is applied, it is planned anew, "
        "applied if the plan is the same, and held for an approval if not.\n"
    ) in plan
    assert "- `db`" not in plan
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"v": "2"}
    assert statuses(app, pull) == {"net": "applied", "app": "held", "edge": "waiting"}  # `db` had nothing to apply
    told = pull.comments()[-1].body
    assert (
        "**Why:** It reads `app` of the same merge. It is planned anew once that is applied, or given up: until then "
        "nobody can say what it does with what comes out of it." in told
    )
    assert pull.status("prbot/apply", pull.merge_sha)["state"] == "failure"
    pull.comment(by="bo", body="prbot approve -d app")
    app.settle()
    assert infra.state("app")["copy"] == "2"
    assert statuses(app, pull) == {"net": "applied", "app": "applied", "edge": "no_changes"}
    assert "edge" not in {run.dir for run in app.runs(pull, "apply") if run.status == "waiting"}


def test_an_equal_plan_is_applied_after_what_it_reads_and_a_failure_there_keeps_only_readers_waiting(
    app: Story, infra: SandboxRepo
) -> None:
    gate = shared_with_engines(app.root) / "open-sesame"
    step = f'  provisioner "local-exec" {{\n    command = "test -e {gate}"\n  }}\n'
    failing = tf(infra.backend("net"), v=1) + f'resource "terraform_data" "more" {{\n{step}}}\n'
    added = 'resource "terraform_data" "added" {}\n'
    pull = approved(app, infra, {"net/main.tf": failing, "app/more.tf": added, "db/more.tf": added})
    pull.merge(by="al")
    app.settle()
    assert {run.dir: run.status.value for run in app.runs(pull, "apply") if run.dir != "net"} == {
        "app": "waiting", "db": "applied",
    }  # fmt: skip
    assert [run.status for run in app.runs(pull, "apply") if run.dir == "net"] == ["errored", "planned"]
    for typed in ("plan", "approve"):  # of what waits, the answer says for what
        pull.comment(by="bo", body=f"prbot {typed} -d app")
        app.settle()
        assert "`app` waits. It reads `net` of the same merge. It is planned anew once that" in pull.comments()[-1].body
    gate.touch()
    pull.comment(by="al", body="prbot apply")
    app.settle()
    net, reading = (app.runs(pull, "apply")[-1], next(r for r in app.runs(pull, "apply") if r.dir == "app"))
    assert (net.dir, net.status, reading.status) == ("net", "applied", "applied")
    assert str(reading.started_at) >= str(net.ended_at)


def test_one_command_is_for_what_waits_as_well(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  apply: manual\n")
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
        pull = approved(app, infra, {"net/more.tf": tf("", w=1), "app/main.tf": tf(infra.backend("app"), v=1)})
        pull.push(by="al", files={"app/reads.tf": 'locals {\n  net = file("../net/more.tf")\n}\n'})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        pull.merge(by="al")
        app.settle()
        assert statuses(app, pull) == {"net": "planned", "app": "waiting"}
        pull.comment(by="al", body="prbot apply")
        app.settle()
        assert statuses(app, pull) == {"net": "applied", "app": "applied"}


def test_those_that_read_each_other_go_by_name_and_the_comment_says_what_may_be_old(app: Story) -> None:
    infra = app.repo()
    files = {
        f"{one}/main.tf": tf(infra.backend(one), v=1) + f'locals {{\n  other = file("../{other}/main.tf")\n}}\n'
        for one, other in (("net", "app"), ("app", "net"))
    }
    pull = approved(app, infra, files)
    pull.merge(by="al")
    app.settle()
    runs = {run.dir: run for run in app.runs(pull, "apply")}
    assert statuses(app, pull) == {"app": "applied", "net": "applied"}
    assert str(runs["net"].started_at) >= str(runs["app"].ended_at)
    assert (
        "- `app` and `net` read each other, so that `app` was planned before `net` was applied, and may stay on old "
        "values: it is planned with its next pull request.\n"
    ) in pull.comments()[-1].body


def test_readers_go_on_when_what_they_read_is_given_up(app: Story, infra: SandboxRepo) -> None:
    added = 'resource "terraform_data" "added" {}\n'
    pull = approved(app, infra, {"net/main.tf": tf(infra.backend("net"), v=2), "app/more.tf": added})
    infra.commit("main", {"net/extra.tf": tf("", sneaked="in")}, by="root")  # so that `net` is held
    pull.merge(by="al")
    app.settle()
    assert statuses(app, pull) == {"net": "held", "app": "waiting"}
    pull.comment(by="mo", body="prbot unlock -d net")
    app.settle()
    assert statuses(app, pull) == {"net": "discarded", "app": "applied"}
    assert infra.state("app")["copy"] == "1"
