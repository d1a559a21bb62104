"""A whole project's directory is removed: nobody is left in the dark about what it made."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event
from typer.testing import CliRunner

from prbot.cli.app import app as cli
from prbot.git.process import GitProgram
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf


def merged(app: Story, infra: SandboxRepo, files: dict[str, str | None]) -> SandboxPull:
    """A pull request that is approved, merged, and applied where there is something to apply."""
    pull = opened(app, infra, files)
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    return pull


def opened(app: Story, infra: SandboxRepo, files: dict[str, str | None]) -> SandboxPull:
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    return pull


@pytest.fixture
def infra(app: Story) -> SandboxRepo:
    repo = app.repo()
    merged(app, repo, {"net/main.tf": tf(repo.backend("net"), v=1), "net/README.md": "our network\n"})
    assert repo.state("net") == {"v": "1"}
    return repo


def locks(app: Story, *flags: str) -> str:
    settings = {
        "PRBOT_DATA_DIR": str(app.settings.data_dir),
        "PRBOT_REPO_ALLOWLIST": "acme/*",
        "PRBOT_GITHUB_TOKEN": app.world.token,
        "PRBOT_GITHUB_WEBHOOK_SECRET": app.world.webhook_secret,
    }
    result = CliRunner().invoke(cli, ["lock", "list", *flags], env=settings)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_needs_an_approval_and_stays_listed_until_it_is_forgotten(app: Story, infra: SandboxRepo) -> None:
    pull = opened(app, infra, {"net/main.tf": None})  # a README is no project
    gate = pull.status("prbot/gate")
    plan = pull.status("prbot/plan")
    assert gate is not None
    assert plan is not None
    assert (gate["state"], gate["description"]) == ("pending", "not met: approved; see `prbot apply`")
    assert (plan["state"], plan["description"]) == ("success", "leaves behind what is made of net; see the comment")
    told = pull.next_comment()
    assert "## Plan: `net` removed\n" in told
    assert (
        "- 🗂️ `net` is gone, and what it made is left as it is: a merge does not destroy it. After the merge nothing "
        "manages it, and `net` is listed as orphaned until it is brought back, or forgotten by command. That needs an "
        "approval, whatever the rules say.\n"
    ) in told
    assert (
        "### What to do next\n\n"
        "- To destroy what `net` made: do not merge this. Remove the resources in a pull request that keeps the "
        "directory and its backend; once that is applied, remove the directory.\n"
        "- To leave what `net` made behind: approve this pull request by a review, and merge.\n"
    ) in told

    pull.approve(by="bo")
    app.settle()
    assert pull.status_history("prbot/gate")[-1] == "success"
    pull.comment(by="al", body="prbot plan")  # planned again, the same is shown: the approval stands
    app.settle()
    assert pull.status_history("prbot/gate")[-1] == "success"
    before = infra.head("main")
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"v": "1"}
    assert pull.comments()[-1].body.partition("\n")[2] == (
        "## 1 project orphaned\n\n"
        f"Merged as `{str(pull.merge_sha)[:7]}` on `main`, which removed what is listed here.\n\n"
        "| Project | What became of it |\n| :-- | :-- |\n| `net` | 🗂️ orphaned |\n\n"
        "What `net` made still exists, and nothing manages it any more.\n\n### What to do next\n\n"
        f"- To manage it again, or to destroy it: bring the directory back in a new pull request, as it is in "
        f"`{before[:7]}`, with the backend that it has there; and without its resources, to destroy them.\n"
        "- To leave it as it is, for good: somebody with maintain access types `prbot forget -d net`."
    )
    assert "orphaned by #2 since" in locks(app)
    assert '"dir": "net", "workspace": "default", "orphaned_by": 2' in locks(app, "--json")
    assert "Orphaned projects" in app.page("/")
    assert [entry["project"]["dir"] for entry in app.audit("orphan.left")] == ["net"]

    pull.comment(by="bo", body="prbot forget -d net")
    app.settle()
    assert "`forget` needs maintain access to this repository, and you have write access." in pull.comments()[-1].body
    other = opened(app, infra, {"docs/notes.md": "unrelated\n"})
    other.comment(by="mo", body="prbot forget\nprbot forget -d nosuch\nprbot forget -d net")
    app.settle()
    answers = [each.body for each in other.comments()]
    assert "Say which orphaned project is to be forgotten: `prbot forget -d net`." in answers[-3]
    assert "nosuch" in answers[-2]
    assert "There is: `net`." in answers[-2]
    assert "`net`: listed no more. What was made stays as it is." in answers[-1]
    assert "| `net` | forgotten by `@mo` |" in next(
        each.body for each in pull.comments() if "No project is orphaned any more" in each.body
    )
    assert "orphaned" not in locks(app)
    assert [entry["actor"]["name"] for entry in app.audit("orphan.forgotten")] == ["mo"]


def test_it_is_orphaned_until_the_directory_is_back_with_its_state_and_applied(app: Story, infra: SandboxRepo) -> None:
    merged(app, infra, {"net/main.tf": None, "net/README.md": None})
    assert "orphaned by #2" in locks(app)
    elsewhere = merged(app, infra, {"net/main.tf": tf(infra.backend("network"), v=1)})
    assert "This pull request changes where the state is kept" in elsewhere.comments()[0].body
    assert "orphaned by #2" in locks(app)
    back = merged(app, infra, {"net/main.tf": infra.backend("net")})  # its resources are to be destroyed
    assert infra.state("net") == {}
    assert app.runs(back, "apply")[-1].status == "applied"
    assert "orphaned" not in locks(app)
    gone = opened(app, infra, {"net/main.tf": None})  # nothing is left of it: neither an approval nor a list is needed
    assert "- 🗂️ `net` is gone, and nothing is left in its state.\n" in gone.comments()[-1].body
    assert gone.status_history("prbot/gate")[-1] == "success"
    gone.merge(by="al")
    app.settle()
    assert "orphaned" not in locks(app)


def test_what_moved_or_never_was_is_no_orphan_and_what_is_not_known_is_one(app: Story, infra: SandboxRepo) -> None:
    renamed = merged(app, infra, {"net/main.tf": None, "network/main.tf": tf(infra.backend("net"), v=1)})
    assert "`net` is gone; its state now belongs to `network`, and nothing is destroyed." in renamed.comments()[0].body
    infra.commit("main", {"new/main.tf": tf(infra.backend("new"), v=1)}, by="root")
    seen = opened(app, infra, {"new/more.tf": tf("", w=1)})  # planned, and there is no state
    seen.close(by="al")
    app.settle()
    never = opened(app, infra, {"new/main.tf": None})
    assert "- 🗂️ `new` is gone, and nothing is left in its state.\n" in never.comments()[-1].body
    assert "orphaned" not in locks(app)
    infra.commit("main", {"old/main.tf": tf(infra.backend("old"), v=1)}, by="root")  # prbot never saw it
    unknown = opened(app, infra, {"old/main.tf": None})
    assert unknown.status_history("prbot/gate")[-1] == "pending"
    unknown.merge(by="al")  # past the gate
    app.settle()
    assert f"old  orphaned by #{unknown.number}" in locks(app)
    again = merged(app, infra, {"old/main.tf": tf(infra.backend("old"), v=1)})
    assert app.runs(again, "apply")[-1].status == "applied"
    assert "orphaned" not in locks(app)


def test_what_a_push_removed_is_listed_and_what_another_directory_takes_over_is_not(
    app: Story, infra: SandboxRepo
) -> None:
    gone = infra.commit("main", {"net/main.tf": None}, by="root")  # no pull request, nobody asked
    opened(app, infra, {"docs/notes.md": "unrelated\n"})
    assert "net  orphaned by a push since" in locks(app)
    assert '"dir": "net", "workspace": "default", "orphaned_by": null' in locks(app, "--json")
    assert "a push" in app.page("/")
    assert [(entry["pull"], entry["commits"]["merge"]) for entry in app.audit("orphan.left")] == [(None, gone)]
    opened(app, infra, {"docs/more.md": "unrelated\n"})
    assert len(app.audit("orphan.left")) == 1
    merged(app, infra, {"network/main.tf": tf(infra.backend("net"), v=1)})
    assert "orphaned" not in locks(app)
    assert [entry["facts"]["how"] for entry in app.audit("orphan.returned")] == [
        "taken over: its state belongs to `network` now"
    ]
    opened(app, infra, {"docs/even.md": "unrelated\n"})
    assert "orphaned" not in locks(app)
    infra.commit("main", {"network/main.tf": None}, by="root")
    other = opened(app, infra, {"docs/last.md": "unrelated\n"})
    other.comment(by="mo", body="prbot forget -d network")
    app.settle()
    opened(app, infra, {"docs/over.md": "unrelated\n"})
    assert "orphaned" not in locks(app)


def test_what_a_push_removed_is_listed_by_a_merge_and_git_is_not_asked_while_others_wait_to_write(
    app: Story, infra: SandboxRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, runs_git = threading.local(), GitProgram.run
    asked: list[tuple[bool, list[str]]] = []
    event.listen(app.services.db.engine, "begin", lambda _: setattr(writer, "writes", True))
    for end in ("commit", "rollback"):
        event.listen(app.services.db.engine, end, lambda _: setattr(writer, "writes", False))

    def watched(self: GitProgram, args: list[str], *rest: Any, **more: Any) -> Any:
        asked.append((getattr(writer, "writes", False), args))
        return runs_git(self, args, *rest, **more)

    pull = opened(app, infra, {"docs/notes.md": "unrelated\n"})
    infra.commit("main", {"net/main.tf": None}, by="root")
    app.settle()
    assert not app.audit("orphan.left")
    monkeypatch.setattr(GitProgram, "run", watched)
    merge = pull.merge(by="al")
    app.settle()
    assert [entry["commits"]["merge"] for entry in app.audit("orphan.left")] == [merge]
    opened(app, infra, {"docs/more.md": "unrelated\n"})
    assert any("--is-ancestor" in args for _, args in asked)
    assert not [args for writes, args in asked if writes]


def test_a_removal_is_approved_by_a_review_of_each_head_and_the_command_says_so(app: Story, infra: SandboxRepo) -> None:
    pull = opened(app, infra, {"net/main.tf": None})
    for typed in ("prbot approve", "prbot approve -d net", "prbot approve 1234"):
        pull.comment(by="bo", body=typed)
        app.settle()
        assert (
            "There is no plan of `net`, which this pull request removes: approve that by a review of "
            f"`{pull.head_sha[:7]}`."
        ) in pull.comments()[-1].body
    pull.approve(by="bo")
    app.settle()
    assert pull.status_history("prbot/gate")[-1] == "success"
    infra.commit("main", {"docs/x.md": "x\n"}, by="root")
    pull.update_branch(by="al")
    app.settle()
    assert pull.status_history("prbot/gate")[-1] == "pending"
    pull.comment(by="al", body="prbot apply")
    app.settle()
    assert f"can approve {pull.head_sha[:7]} by a review, after the plan's comment" in pull.comments()[-1].body
    pull.approve(by="bo")
    app.settle()
    assert pull.status_history("prbot/gate")[-1] == "success"
    pull.push(by="al", files={"app/main.tf": tf(infra.backend("app"), v=1)})  # a plan besides: the command is for that
    app.settle()
    pull.comment(by="bo", body="prbot approve -d net\nprbot approve")
    app.settle()
    assert "approve that by a review" in pull.comments()[-1].body
    assert [entry["project"]["dir"] for entry in app.audit("approval.counted")] == ["app"]
