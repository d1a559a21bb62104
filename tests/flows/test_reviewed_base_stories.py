"""Only what was reviewed runs: what the base branch brought besides, and what a merge itself holds, are looked at."""

from __future__ import annotations

from typing import Any

import pytest

from prbot.core.runs import RunStatus
from prbot.sandbox.acts import pulls as acts
from prbot.sandbox.acts.pushes import RefChange, move_branch
from prbot.sandbox.gitrepos import Files, NewCommit
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf

STEPS = "net/steps.sh"


def scripted(backend: str, name: str) -> str:
    """A root module with one resource, whose making runs a script of the directory."""
    made = f'resource "terraform_data" "{name}" {{\n  provisioner "local-exec" {{\n    command = "sh ./steps.sh"\n'
    return f"{backend}\n{made}  }}\n}}\n" + f'output "{name}" {{\n  value = "made"\n}}\n'


def with_script(app: Story) -> SandboxRepo:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": infra.backend("net"), STEPS: "exit 0\n"}, by="root")
    return infra


def opened(app: Story, infra: SandboxRepo, name: str, by: str, **files: str) -> SandboxPull:
    content = {f"net/{name}.tf": scripted("", name), **files}
    pull = infra.open_pull(by=by, files=content)
    app.settle()
    return pull


def merged_once(make: Any, evil: Any) -> Any:
    """The stand-in's way to make a merge commit, once with other content in it."""

    def made(hub: Any, repo: Any, pull: Any, base: str, by: str, method: str) -> str:
        return str(evil(repo, pull, base, make(hub, repo, pull, base, by, method)))

    return made


def other_content(files: Files) -> Any:
    """Put other files into the very commit that a merge makes."""

    def evil(repo: Any, pull: Any, base: str, merged: str) -> str:
        made = repo.git.info(merged)
        changed = repo.git.commit("refs/heads/aside", files, NewCommit("x", made.author, made.author), merged)
        tree = repo.git.info(changed).tree
        return str(repo.git.commit_tree(tree, made.parents, NewCommit("Merge", made.author, made.author)))

    return evil


def newest(app: Story, pull: SandboxPull) -> Any:
    return app.runs(pull, "apply")[-1]


def ends(app: Story, pull: SandboxPull) -> dict[str, RunStatus]:
    return {run.dir: run.status for run in app.runs(pull, "apply")}


def test_a_direct_push_stays_unreviewed_however_often_one_plans(app: Story) -> None:
    infra = with_script(app)
    pull = opened(app, infra, "one", "al")
    pull.approve(by="bo")
    app.settle()
    pushed = infra.commit("main", {STEPS: "exit 0 # as root likes it\n"}, by="root")
    for _ in range(2):
        pull.comment(by="al", body="prbot plan")
        app.settle()
    first, *_, last = app.runs(pull, "plan")
    assert last.carries
    assert first.base_sha != last.base_sha == pushed
    merge = pull.merge(by="al")
    app.settle()
    run = newest(app, pull)
    assert run.status == RunStatus.HELD
    assert run.error == (
        "The plan lies within what was approved. Since the approved plan was made, main changed what this project "
        f"reads, without a review: {pushed[:7]} by root."
    )
    assert run.error in pull.comments()[-1].body
    assert infra.state("net") == {}
    pull.comment(by="bo", body="prbot approve")  # of the plan that was made in the merge commit
    app.settle()
    assert infra.state("net") == {"one": "made"}
    assert newest(app, pull).commit == merge


def test_who_approves_again_after_the_push_has_seen_the_plan_on_it(app: Story) -> None:
    infra = with_script(app)
    pull = opened(app, infra, "one", "al")
    pull.approve(by="bo")
    app.settle()
    infra.commit("main", {STEPS: "exit 0 # as root likes it\n"}, by="root")
    pull.comment(by="al", body="prbot plan")
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"one": "made"}


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_what_a_merge_holds_besides_is_held(app: Story, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    infra = with_script(app)
    pull = opened(app, infra, "one", "al")
    pull.approve(by="bo")
    app.settle()
    evil = other_content({STEPS: "exit 0 # sneaked in\n"})
    monkeypatch.setattr(acts, "_merged_commit", merged_once(acts._merged_commit, evil))
    merge = pull.merge(by="mo", method=method)
    app.settle()
    run = newest(app, pull)
    assert run.status == RunStatus.HELD
    assert run.error.startswith(f"The plan lies within what was approved. The merge {merge[:7]} by ")
    assert run.error.endswith(
        f" holds other content than {pull.head_sha[:7]} merged into main gives, and nobody reviewed that."
    )
    assert infra.state("net") == {}


def test_a_change_that_was_given_up_reviewed_nothing(app: Story) -> None:
    infra = with_script(app)
    first = opened(app, infra, "one", "al")
    first.approve(by="bo")
    app.settle()
    other = infra.open_pull(
        by="bo", files={STEPS: "exit 0 # as bo likes it\n", "db/main.tf": tf(infra.backend("db"), v=1)}
    )
    app.settle()
    merge = other.merge(by="bo")
    app.settle()
    assert ends(app, other) == {"db": RunStatus.AWAITING_APPROVAL, "net": RunStatus.NO_CHANGES}
    infra.grant("mo", "maintain")
    other.comment(by="mo", body="prbot unlock")
    app.settle()
    assert ends(app, other) == {"db": RunStatus.DISCARDED, "net": RunStatus.NO_CHANGES}
    first.merge(by="al")
    app.settle()
    run = newest(app, first)
    assert run.status == RunStatus.HELD
    assert f"{merge[:7]} by bo, of #{other.number}, which is discarded" in run.error
    assert infra.state("net") == {}


def test_what_others_had_reviewed_and_applied_or_had_nothing_to_apply_for_asks_nobody(app: Story) -> None:
    infra = with_script(app)
    first = opened(app, infra, "one", "al")
    first.approve(by="bo")
    app.settle()
    other = opened(app, infra, "two", "bo", **{STEPS: "exit 0 # as bo likes it\n"})
    other.approve(by="al")
    app.settle()
    other.merge(by="bo")
    app.settle()
    assert infra.state("net") == {"two": "made"}
    idle = infra.open_pull(by="bo", files={STEPS: "exit 0 # as bo likes it still\n"})
    app.settle()
    assert app.runs(idle)[-1].status == RunStatus.NO_CHANGES
    idle.approve(by="al")
    app.settle()
    idle.merge(by="bo")
    app.settle()
    assert ends(app, idle) == {"net": RunStatus.NO_CHANGES}
    first.merge(by="al")
    app.settle()
    assert infra.state("net") == {"one": "made", "two": "made"}


@pytest.mark.parametrize("by_merge", [False, True], ids=["unapproved", "in the merge commit"])
def test_what_nobody_approved_reviewed_nothing_also_where_it_had_nothing_to_apply(
    app: Story, monkeypatch: pytest.MonkeyPatch, by_merge: bool
) -> None:
    """A script alone plans without changes, or belongs to no project yet: no apply of it ever asks for an approval."""
    infra = with_script(app)
    infra.commit("main", {"scripts/a.sh": "exit 0\n"}, by="root")
    first = opened(app, infra, "one", "al", **{"net/two.tf": scripted("", "two").replace("./steps", "../scripts/a")})
    first.approve(by="bo")
    app.settle()
    brought = []
    for path in (STEPS, "scripts/a.sh"):
        evil = {path: "exit 0 # as al likes it\n"}
        idle = infra.open_pull(by="al", files={f"{path}.txt": "words\n"} if by_merge else evil)
        app.settle()
        with monkeypatch.context() as patched:
            if by_merge:
                idle.approve(by="bo")
                app.settle()
                patched.setattr(acts, "_merged_commit", merged_once(acts._merged_commit, other_content(evil)))
            brought.append(f"{idle.merge(by='al')[:7]} by al, of #{idle.number}, which nobody had approved")
            app.settle()
        assert [run.status for run in app.runs(idle, "apply")] in ([], [RunStatus.NO_CHANGES])
    first.merge(by="al")
    app.settle()
    run = newest(app, first)
    assert run.status == RunStatus.HELD
    assert run.error.endswith(f" without a review: {'; '.join(brought)}.")
    assert infra.state("net") == {}


def test_a_base_that_is_set_back_after_the_review_is_held(app: Story) -> None:
    infra = with_script(app)
    before = infra.head()
    pull = infra.open_pull(by="al", files={"net/one.tf": scripted("", "one")})
    infra.commit("main", {STEPS: "exit 0 # mended\n"}, by="root")
    app.settle()
    pull.comment(by="al", body="prbot plan")
    app.settle()
    pull.approve(by="bo")
    app.settle()
    move_branch(infra.world.hub, infra.data, RefChange("main", infra.head(), before, "force_push"), "al")
    pull.merge(by="al")
    app.settle()
    run = newest(app, pull)
    assert run.status == RunStatus.HELD
    assert run.error.endswith(
        " Since the approved plan was made, main was set back or rewritten, which changed what this project reads."
    )
    assert infra.state("net") == {}


def test_every_project_of_a_merge_that_was_never_planned_gets_a_run(
    app: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the kind of merge; the last of several commits gives the same tree from the one before it, too."""
    infra = app.repo()
    app.settle()
    for method in ("merge", "squash", "rebase", "forward"):
        dirs = [f"{method}-{each}" for each in ("net", "app", "db")]
        if method == "forward":
            monkeypatch.setattr(acts, "_merged_commit", lambda hub, repo, pull, *_: pull.head_sha)
        else:
            infra.commit("main", {f"docs/{method}.md": "unrelated\n"}, by="root")
        app.world.hooks.hold()
        pull = infra.open_pull(by="al", files={f"{dirs[0]}/main.tf": tf(infra.backend(dirs[0]), v=1)})
        for each in dirs[1:]:
            pull.push(by="al", files={f"{each}/main.tf": tf(infra.backend(each), v=1)})
        if method != "forward":
            infra.commit("main", {f"docs/{method}-2.md": "unrelated\n"}, by="root")
        pull.merge(by="al", method=method)
        app.world.hooks.release()
        app.settle()
        found = [(run.dir, run.status) for run in app.runs(pull, "apply")]
        assert found == [(each, RunStatus.AWAITING_APPROVAL) for each in sorted(dirs)], method
