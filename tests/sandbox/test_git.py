"""Git over the stand-in's HTTP, and what the three kinds of merge leave behind."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from prbot.sandbox.acts import Refused
from prbot.sandbox.gitrepos import git_environment
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World


def git(*arguments: str, token: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    header = b64encode(f"x-access-token:{token}".encode()).decode()
    config = ["-c", f"http.extraHeader=Authorization: Basic {header}"] if token else []
    who = {f"GIT_{role}_{what}": "al@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *config, *arguments],
        cwd=cwd,
        env={**git_environment(), **who},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_private_repository_is_cloned_with_a_token(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    assert git("clone", "-q", infra.clone_url, str(tmp_path / "c"), token=world.token).returncode == 0
    assert (tmp_path / "c/net/main.tf").read_text() == "# one\n"


@pytest.mark.parametrize("token", ["", "ghp_wrong"])
def test_a_private_repository_is_refused_without_a_good_token(infra: SandboxRepo, tmp_path: Path, token: str) -> None:
    done = git("clone", "-q", infra.clone_url, str(tmp_path / "c"), token=token)
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr


def test_a_private_repository_does_not_exist_for_a_stranger(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    done = git("clone", "-q", infra.clone_url, str(tmp_path / "c"), token=world.token_for("stranger"))
    assert "not found" in done.stderr


def test_a_public_repository_is_cloned_by_everybody(world: World, tmp_path: Path) -> None:
    public = world.repo("acme/public", {"a": "1\n"}, private=False)
    assert git("clone", "-q", public.clone_url, str(tmp_path / "c")).returncode == 0


def test_the_head_of_a_pull_request_from_a_fork_is_fetched_from_the_base(world: World, infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="stranger", files={"x.tf": "#\n"}, fork="stranger/infra")
    done = git("ls-remote", infra.clone_url, "refs/pull/1/head", token=world.token)
    assert done.stdout.split()[0] == pull.head_sha
    assert infra.head("main") != pull.head_sha


def test_a_push_over_http_is_a_push(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"}, branch="topic")
    clone, token = tmp_path / "c", world.token_for("bo")
    git("clone", "-q", "-b", "topic", infra.clone_url, str(clone), token=token)
    git("commit", "-q", "--allow-empty", "-m", "Nothing", cwd=clone)
    assert git("push", "-q", token=token, cwd=clone).returncode == 0
    assert pull.head_sha == git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    assert [(entry.actor, entry.after) for entry in infra.data.activity][-1] == ("bo", pull.head_sha)


def test_a_push_needs_write_access(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    token = world.token_for("ro")
    git("clone", "-q", infra.clone_url, str(tmp_path / "c"), token=token)
    git("commit", "-q", "--allow-empty", "-m", "Nothing", cwd=tmp_path / "c")
    assert git("push", "-q", token=token, cwd=tmp_path / "c").returncode != 0


def test_a_merge_commit_has_base_and_head_as_parents(infra: SandboxRepo) -> None:
    base = infra.commit("main", {"other": "1\n"}, by="bo")
    pull = infra.open_pull(by="al", files={"net/main.tf": "# two\n"}, title="Two")
    merged = infra.data.git.info(pull.merge(by="mo"))
    assert merged.parents == (base, pull.head_sha)
    assert (merged.author.name, merged.committer.name) == ("mo", "GitHub")
    assert merged.message == "Merge pull request #1 from acme/al-1\n\nTwo"
    assert infra.head("main") == merged.sha == pull.merge_sha


def test_a_squash_is_one_commit_on_the_base(infra: SandboxRepo) -> None:
    base = infra.head("main")
    pull = infra.open_pull(by="al", files={"net/main.tf": "# two\n"}, title="Two")
    pull.push(by="bo", files={"net/other.tf": "#\n"})
    merged = infra.data.git.info(pull.merge(by="mo", method="squash"))
    assert merged.parents == (base,)
    assert (merged.author.name, merged.message) == ("al", "Two (#1)")
    assert infra.read("net/other.tf") == "#\n"


def test_a_rebase_makes_new_commits_by_the_same_authors(infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="al", files={"net/main.tf": "# two\n"}, title="Two")
    pull.push(by="bo", files={"net/other.tf": "#\n"}, message="Other")
    base = infra.commit("main", {"README.md": "read me now\n"}, by="mo")
    infra.data.git.log(base, pull.merge(by="mo", method="rebase"))
    commits = infra.data.git.log(base, infra.head("main"))
    assert [(one.message, one.author.name, one.committer.name) for one in commits] == [
        ("Two", "al", "mo"),
        ("Other", "bo", "mo"),
    ]
    assert commits[0].parents == (base,)
    assert pull.head_sha not in {one.sha for one in commits}
    assert (infra.read("README.md"), infra.read("net/main.tf")) == ("read me now\n", "# two\n")


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_conflict_is_never_merged(infra: SandboxRepo, method: str) -> None:
    pull = infra.open_pull(by="al", files={"net/main.tf": "# two\n"})
    head = infra.commit("main", {"net/main.tf": "# three\n"}, by="bo")
    with pytest.raises(Refused, match="not mergeable"):
        pull.merge(by="mo", method=method)
    assert (infra.head("main"), pull.state) == (head, "open")


def test_updating_a_branch_merges_the_base_into_it(infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    before, base = pull.head_sha, infra.commit("main", {"y.tf": "#\n"}, by="bo")
    assert infra.data.git.info(pull.update_branch(by="bo")).parents == (before, base)
    assert pull.head_sha == infra.head("al-1") != before


def test_updating_a_branch_of_a_fork_moves_the_fork(infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="stranger", files={"x.tf": "#\n"}, fork="stranger/infra")
    infra.commit("main", {"y.tf": "#\n"}, by="bo")
    assert pull.update_branch(by="bo") == infra.data.git.resolve("refs/pull/1/head") == pull.head_sha


def test_rebasing_a_branch_is_a_force_push(infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    base = infra.commit("main", {"y.tf": "#\n"}, by="bo")
    assert infra.data.git.info(pull.rebase(by="bo")).parents == (base,)
    assert infra.data.activity[-1].kind == "force_push"


def test_a_force_push_replaces_what_was_pushed(infra: SandboxRepo) -> None:
    base = infra.head("main")
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    pull.push(by="al", files={"y.tf": "#\n"})
    commit = infra.data.git.info(pull.force_push(by="bo", files={"z.tf": "#\n"}, author="mo"))
    assert (commit.parents, commit.author.name) == ((base,), "mo")
    assert [change.path for change in infra.data.git.changes(base, pull.head_sha)] == ["z.tf"]


def test_a_file_is_deleted_by_none(infra: SandboxRepo) -> None:
    infra.commit("main", {"README.md": None}, by="al")
    assert infra.data.git.files(infra.head("main")) == ["net/main.tf"]
