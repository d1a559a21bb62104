from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from prbot.git import GitMirrors
from prbot.ports import NotFound
from tests.adapters.git.conftest import TOKEN, Origin, Server


@pytest.fixture
def sha(mirrors: GitMirrors, origin: Origin) -> str:
    made = origin.commit({"net/main.tf": "x", "a": "1"})
    mirrors.fetch(origin.repo, shas=[made], token=TOKEN)
    return made


def test_a_checkout_holds_the_commit_and_is_gone_afterwards(
    mirrors: GitMirrors, origin: Origin, root: Path, sha: str
) -> None:
    with mirrors.checkout(origin.repo, sha, owner="run-1") as path:
        assert path == root / "checkouts/run-1"
        assert (path / "net/main.tf").read_text() == "x"
        (path / "left.txt").write_text("by the run")
    assert not path.exists()


def test_a_checkout_is_gone_after_an_exception_too(mirrors: GitMirrors, origin: Origin, root: Path, sha: str) -> None:
    with pytest.raises(RuntimeError, match="boom"), mirrors.checkout(origin.repo, sha, owner="run-1") as path:
        raise RuntimeError("boom")
    assert not path.exists()


def test_a_checkout_is_gone_even_when_made_read_only(
    mirrors: GitMirrors, origin: Origin, tmp_path: Path, sha: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o555)
    with mirrors.checkout(origin.repo, sha, owner="run-1") as path:
        (path / "net/link").symlink_to(outside)
        (path / "net").chmod(0o555)
    assert not path.exists()
    assert outside.stat().st_mode & 0o777 == 0o555


def test_checkouts_of_one_commit_do_not_see_each_other(mirrors: GitMirrors, origin: Origin, sha: str) -> None:
    with (
        mirrors.checkout(origin.repo, sha, owner="one") as one,
        mirrors.checkout(origin.repo, sha, owner="two") as two,
    ):
        (one / "a").write_text("changed")
        assert (two / "a").read_text() == "1"


def test_checkouts_are_made_and_removed_at_the_same_time(
    mirrors: GitMirrors, origin: Origin, root: Path, sha: str
) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(3):
                with mirrors.checkout(origin.repo, sha, owner=f"run-{number}-{turn}") as path:
                    assert (path / "a").read_text() == "1"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list((root / "checkouts").iterdir()) == []


def test_what_a_dead_process_left_is_replaced(mirrors: GitMirrors, origin: Origin, sha: str) -> None:
    left = mirrors.checkout(origin.repo, sha, owner="run-1")
    path = left.__enter__()
    (path / "junk").write_text("x")
    with mirrors.checkout(origin.repo, sha, owner="run-1") as again:
        assert not (again / "junk").exists()
        assert (again / "a").read_text() == "1"


def test_prune_removes_what_nobody_alive_owns(mirrors: GitMirrors, origin: Origin, root: Path, sha: str) -> None:
    dead = mirrors.checkout(origin.repo, sha, owner="dead").__enter__()
    with mirrors.checkout(origin.repo, sha, owner="alive") as path:
        GitMirrors(root).prune({"alive"})
        assert not dead.exists()
        assert (path / "a").exists()
    assert mirrors.tree(origin.repo, sha).keys() == {"a", "net/main.tf"}


def test_prune_of_nothing_is_fine(root: Path) -> None:
    GitMirrors(root).prune(set())


def test_a_merge_result_can_be_checked_out(mirrors: GitMirrors, origin: Origin, sha: str) -> None:
    head = origin.commit({"b": "2"}, on="topic")
    mirrors.fetch(origin.repo, shas=[head], token=TOKEN)
    merged = mirrors.merge(origin.repo, sha, head)
    with mirrors.checkout(origin.repo, merged.commit, owner="x") as path:  # type: ignore[union-attr]
        assert sorted(entry.name for entry in path.iterdir() if entry.name != ".git") == ["a", "b", "net"]


@pytest.mark.parametrize("owner", ["", ".", "..", "../x", "a/b", "-x", ".x", "a\n", "x" * 129])
def test_an_owner_that_is_no_name_is_refused(mirrors: GitMirrors, origin: Origin, sha: str, owner: str) -> None:
    with pytest.raises(ValueError, match="cannot name a checkout"), mirrors.checkout(origin.repo, sha, owner=owner):
        pass


def test_nothing_in_the_repository_runs_on_checkout(
    mirrors: GitMirrors, origin: Origin, root: Path, tmp_path: Path, sha: str
) -> None:
    ran = tmp_path / "ran"
    hooks = root / "mirrors/acme/infra.git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "post-checkout").chmod(0o755)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    head = origin.commit({".gitattributes": attributes, "x.bin": pointer}, on="lfs")
    mirrors.fetch(origin.repo, shas=[head], token=TOKEN)
    with mirrors.checkout(origin.repo, head, owner="x") as path:
        assert (path / "x.bin").read_text() == pointer
    assert not ran.exists()


def test_a_checkout_of_one_repository_is_not_anothers(mirrors: GitMirrors, server: Server) -> None:
    paths = []
    for name in ("acme/one", "acme/two"):
        origin = server.origin(name)
        sha = origin.commit({"name": name})
        mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
        with mirrors.checkout(origin.repo, sha, owner=name.replace("/", ".")) as path:
            assert (path / "name").read_text() == name
            paths.append(os.fspath(path))
    assert len(set(paths)) == 2


def test_a_fetch_goes_on_while_checkouts_are_made(mirrors: GitMirrors, origin: Origin, sha: str) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def check_out(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            try:
                with mirrors.checkout(origin.repo, sha, owner=f"run-{number}-{turn}"):
                    pass
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=check_out, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(15):
            mirrors.fetch(origin.repo, shas=[origin.commit({"a": str(number)})], token=TOKEN)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_mirror_in_which_the_making_of_a_worktree_was_killed_is_mended_at_start(
    mirrors: GitMirrors, origin: Origin, root: Path, sha: str
) -> None:
    note = root / "mirrors/acme/infra.git/worktrees/run-1"
    note.mkdir(parents=True)
    (note / "HEAD").write_text("0" * 40 + "\n")
    (note / "commondir").write_text("../..\n")
    (note / "gitdir").write_text(f"{root}/checkouts/run-1/.git\n")
    (note / "locked").write_text("initializing\n")
    with pytest.raises(NotFound, match="bad object"):
        mirrors.fetch(origin.repo, shas=[origin.commit({"a": "2"})], token=TOKEN)
    mirrors.prune(set())
    mirrors.fetch(origin.repo, shas=[origin.commit({"a": "3"})], token=TOKEN)


def test_a_mirror_knows_nothing_of_its_checkouts(mirrors: GitMirrors, origin: Origin, root: Path, sha: str) -> None:
    mirror = root / "mirrors/acme/infra.git"
    before = sorted(mirror.rglob("*"))
    with mirrors.checkout(origin.repo, sha, owner="run-1") as path:
        assert sorted(mirror.rglob("*")) == before
        assert (path / ".git/HEAD").read_text() == f"{sha}\n"
