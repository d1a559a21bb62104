from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prbot.core.ids import Repo
from prbot.git import GitMirrors
from prbot.git.failures import Damaged, failure, masked
from prbot.git.places import Places
from prbot.ports import Conflict, Denied, NotFound, Outage, Transient, Unavailable
from tests.adapters.git.conftest import TOKEN, Origin, Server

Recorded = tuple[str, Callable[[], list[str]]]


def test_one_fetch_brings_all_that_is_asked_for(mirrors: GitMirrors, origin: Origin, server: Server) -> None:
    main = origin.commit({"a": "1"})
    head = origin.commit({"b": "1"}, on="topic")
    mirrors.fetch(origin.repo, shas=[head, main, head], refs=["refs/heads/main"], token=TOKEN)
    assert mirrors.resolve(origin.repo, "refs/heads/main") == main
    assert mirrors.resolve(origin.repo, head) == head
    assert len([request for request in server.requests if "info/refs" in request]) == 1


def test_nothing_is_asked_of_the_server_when_all_is_here(
    root: Path, origin: Origin, server: Server, recorded: Recorded
) -> None:
    binary, calls = recorded
    mirrors = GitMirrors(root, binary=binary)
    first = origin.commit({"a": "1"})
    second = origin.commit({"a": "2"})
    mirrors.fetch(origin.repo, shas=[second], token=TOKEN)
    server.requests.clear()
    before = len(calls())
    mirrors.fetch(origin.repo, shas=[second])
    assert len(calls()) - before == 1
    mirrors.fetch(origin.repo, shas=[first, second])
    mirrors.fetch(origin.repo)
    assert server.requests == []


def test_a_ref_is_asked_for_each_time_and_may_move_anywhere(mirrors: GitMirrors, origin: Origin) -> None:
    origin.commit({"a": "1"})
    other = origin.commit({"a": "2"}, on="fresh", start="")
    mirrors.fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)
    origin.git("push", "-q", "--force", "origin", "fresh:main")
    mirrors.fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)
    assert mirrors.resolve(origin.repo, "refs/heads/main") == other


def test_branches_that_became_directories_of_branches_are_fetched(mirrors: GitMirrors, origin: Origin) -> None:
    origin.commit({"a": "1"})
    origin.commit({"a": "2"}, on="topic")
    mirrors.fetch(origin.repo, refs=["refs/heads/topic"], token=TOKEN)
    origin.git("push", "-q", "origin", ":topic")
    sha = origin.commit({"a": "3"}, on="topics")
    origin.git("push", "-q", "origin", f"{sha}:refs/heads/topic/x")
    mirrors.fetch(origin.repo, refs=["refs/heads/topic/x"], token=TOKEN)
    assert mirrors.resolve(origin.repo, "refs/heads/topic/x") == sha


def test_what_was_fetched_outlives_its_branch_and_a_collection(mirrors: GitMirrors, origin: Origin, root: Path) -> None:
    origin.commit({"a": "1"})
    parent = origin.commit({"a": "2"}, on="topic")
    head = origin.commit({"a": "3"}, on="topic")
    mirrors.fetch(origin.repo, shas=[head], token=TOKEN)
    mirrors.fetch(origin.repo, shas=[parent])
    origin.git("push", "-q", "origin", ":topic")
    subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=root / "mirrors/acme/infra.git", check=True)
    assert mirrors.tree(origin.repo, head).keys() == {"a"}
    assert mirrors.tree(origin.repo, parent).keys() == {"a"}


def test_a_commit_on_no_branch_any_more_can_be_fetched(mirrors: GitMirrors, origin: Origin) -> None:
    old = origin.commit({"a": "1"})
    origin.git("commit", "-q", "--amend", "-m", "other")
    origin.git("push", "-q", "--force", "origin", "main")
    mirrors.fetch(origin.repo, shas=[old], token=TOKEN)
    assert mirrors.resolve(origin.repo, old) == old


# -- failures ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token", ["", "wrong-token"])
def test_without_the_right_token_it_is_denied(mirrors: GitMirrors, origin: Origin, token: str) -> None:
    sha = origin.commit({"a": "1"})
    with pytest.raises(Denied) as denied:
        mirrors.fetch(origin.repo, shas=[sha], token=token)
    assert not token or token not in str(denied.value)


def test_what_the_server_does_not_have_is_not_found(mirrors: GitMirrors, origin: Origin, server: Server) -> None:
    origin.commit({"a": "1"})
    with pytest.raises(NotFound):
        mirrors.fetch(origin.repo, refs=["refs/heads/gone"], token=TOKEN)
    with pytest.raises(NotFound):
        mirrors.fetch(origin.repo, shas=["1" * 40], token=TOKEN)
    with pytest.raises(NotFound):
        mirrors.fetch(Repo("acme/none", f"{server.url}/acme/none.git"), refs=["refs/heads/main"], token=TOKEN)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Denied), (404, NotFound), (429, Transient), (500, Outage), (503, Outage)]
)
def test_answers_of_the_server_have_their_kinds(
    mirrors: GitMirrors, origin: Origin, server: Server, status: int, kind: type[Unavailable]
) -> None:
    server.answer = (status, {})
    with pytest.raises(kind) as raised:
        mirrors.fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)
    assert type(raised.value) is kind


def test_a_redirect_is_not_followed_so_that_no_other_host_sees_the_token(
    mirrors: GitMirrors, origin: Origin, server: Server
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        server.answer = (302, {"Location": f"http://127.0.0.1:{other.getsockname()[1]}/x/info/refs"})
        with pytest.raises(NotFound):
            mirrors.fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_an_unreachable_server_is_transient(mirrors: GitMirrors) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Transient):
        mirrors.fetch(Repo("acme/infra", f"http://127.0.0.1:{port}/acme/infra.git"), refs=["refs/heads/main"])


def test_a_server_that_does_not_answer_is_given_up_with_all_processes_gone(
    root: Path, origin: Origin, server: Server
) -> None:
    server.hang = threading.Event()
    began = time.monotonic()
    with pytest.raises(Transient, match=r"did not end within 0\.5 s"):
        GitMirrors(root, timeout=0.5).fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)
    assert time.monotonic() - began < 10
    while time.monotonic() < began + 10 and any(origin.repo.clone_url in line for line in command_lines()):
        time.sleep(0.01)
    assert [line for line in command_lines() if origin.repo.clone_url in line] == []


def command_lines() -> list[str]:
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def test_a_git_that_is_missing_is_named(root: Path, origin: Origin) -> None:
    with pytest.raises(Conflict, match="install git"):
        GitMirrors(root, binary="/nonexistent/git").fetch(origin.repo, refs=["refs/heads/main"])


@pytest.mark.parametrize("url", ["file:///etc", "ext::sh -c id", "/etc", "ssh://x/y", "https://u:p@x/y", "http://", ""])
def test_only_plain_http_addresses_are_read(mirrors: GitMirrors, url: str) -> None:
    with pytest.raises(Conflict):
        mirrors.fetch(Repo("acme/infra", url), refs=["refs/heads/main"])


def test_a_local_repository_is_read_only_where_allowed(root: Path, origin: Origin, server: Server) -> None:
    sha = origin.commit({"a": "1"})
    local = replace(origin.repo, clone_url=f"file://{server.root}/acme/infra.git")
    GitMirrors(root, local=True).fetch(local, shas=[sha])
    assert server.requests == []


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/..", "a", "/a/b", "a//b", "a/b/", "a/./b", "-a\n/b", "a/b c", "", "a/" + "b" * 200]
)
def test_names_that_would_leave_the_directory_are_not_found(mirrors: GitMirrors, origin: Origin, name: str) -> None:
    with pytest.raises(NotFound):
        mirrors.fetch(replace(origin.repo, name=name), refs=["refs/heads/main"])


@pytest.mark.parametrize(
    "ref",
    ["main", "--upload-pack=x", "refs/heads/..", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a:b", "refs/heads/*",
     "refs/heads/a.lock", "refs/heads/", "refs/heads/a^", "refs/heads/@{1}", "refs//x", "refs/heads/.x", "refs/a\n"],
)  # fmt: skip
def test_odd_refs_are_not_found_and_never_reach_git(root: Path, origin: Origin, recorded: Recorded, ref: str) -> None:
    binary, calls = recorded
    with pytest.raises(NotFound):
        GitMirrors(root, binary=binary).fetch(origin.repo, refs=[ref])
    assert calls() == []


@pytest.mark.parametrize("sha", ["abc", "HEAD", "-x", "A" * 40, "1" * 41, "1" * 40 + "\n"])
def test_odd_ids_are_not_found(mirrors: GitMirrors, origin: Origin, sha: str) -> None:
    with pytest.raises(NotFound):
        mirrors.fetch(origin.repo, shas=[sha])


# -- secrets ----------------------------------------------------------------------------------------------------------
def test_the_token_is_on_no_command_line_and_on_no_disk(
    root: Path, origin: Origin, server: Server, recorded: Recorded
) -> None:
    binary, calls = recorded
    sha = origin.commit({"a": "1"})
    mirrors = GitMirrors(root, binary=binary)
    mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
    secrets = [TOKEN, *(given.removeprefix("Basic ") for given in server.authorizations if given)]
    assert len(secrets) > 1
    with mirrors.checkout(origin.repo, sha, owner="run"):
        on_disk = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert calls()
    assert not [secret for secret in secrets for line in calls() if secret in line]
    assert not [secret for secret in secrets if secret.encode() in on_disk]


def test_no_child_has_the_token_on_its_command_line(root: Path, origin: Origin, server: Server) -> None:
    server.hang = threading.Event()
    seen: list[str] = []

    def fetch() -> None:
        with pytest.raises(Transient):
            GitMirrors(root, timeout=2).fetch(origin.repo, refs=["refs/heads/main"], token=TOKEN)

    thread = threading.Thread(target=fetch)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    seen = [line for line in command_lines() if origin.repo.clone_url in line]
    server.hang.set()
    thread.join()
    assert seen
    assert not [line for line in seen if TOKEN in line]


def test_the_operators_git_configuration_has_no_say(
    root: Path, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[url "http://127.0.0.1:1/"]\n  insteadOf = http://\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    sha = origin.commit({"a": "1"})
    GitMirrors(root).fetch(origin.repo, shas=[sha], token=TOKEN)


def test_messages_are_masked() -> None:
    assert masked("fatal: https://u:pw@x/y and s3cret", ["s3cret"]) == "fatal: https://***@x/y and ***"
    assert str(failure("git fetch", "noise\nfatal: it broke\n")) == "git fetch failed: fatal: it broke"


def test_a_server_cannot_have_a_mirror_thrown_away() -> None:
    assert isinstance(failure("git fetch", "fatal: not a git repository: 'x'"), Damaged)
    for said in ("remote: fatal: not a git repository", "fatal: remote error: not a git repository"):
        assert not isinstance(failure("git fetch", said), Damaged)


# -- sharing, and broken mirrors --------------------------------------------------------------------------------------
def test_processes_that_fetch_at_once_all_succeed(root: Path, origin: Origin) -> None:
    shas = [origin.commit({"a": str(n)}, on=f"b{n}") if n else origin.commit({"a": "0"}) for n in range(4)]
    script = (
        "import sys, pathlib; from prbot.git import GitMirrors; from prbot.core.ids import Repo;"
        "m = GitMirrors(pathlib.Path(sys.argv[1])); r = Repo('acme/infra', sys.argv[2]);"
        "[m.fetch(r, shas=[s], refs=['refs/heads/main'], token=sys.argv[3]) for s in sys.argv[4:]]"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(root), origin.repo.clone_url, TOKEN, *order], env=environment
        )
        for order in (shas, shas[::-1])
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    assert [GitMirrors(root).resolve(origin.repo, sha) for sha in shas] == shas


def test_threads_that_fetch_the_same_ask_once(mirrors: GitMirrors, origin: Origin, server: Server) -> None:
    sha = origin.commit({"a": "1"})
    threads = [
        threading.Thread(target=mirrors.fetch, args=(origin.repo,), kwargs={"shas": [sha], "token": TOKEN})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mirrors.resolve(origin.repo, sha) == sha
    assert len([request for request in server.requests if "info/refs" in request]) == 1


def test_a_mirror_that_is_busy_for_too_long_is_transient(root: Path, origin: Origin) -> None:
    sha = origin.commit({"a": "1"})
    places = Places(root)
    with places.locked(places.mirror(origin.repo), 5), pytest.raises(Transient, match="busy"):
        GitMirrors(root, timeout=0.2).fetch(origin.repo, shas=[sha], token=TOKEN)


def empty(mirror: Path) -> None:
    for path in mirror.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_config(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


def leave_half_made(mirror: Path) -> None:
    mirror.rename(mirror.with_suffix(".git.new"))


def garble(mirror: Path) -> None:
    for pack in (mirror / "objects/pack").glob("*"):
        pack.chmod(0o644)
        pack.write_bytes(b"garbage")


@pytest.mark.parametrize("damage", [empty, lose_config, leave_half_made, garble])
def test_a_broken_mirror_is_made_anew(
    mirrors: GitMirrors, origin: Origin, root: Path, damage: Callable[[Path], None]
) -> None:
    sha = origin.commit({"a": "1"})
    mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
    damage(root / "mirrors/acme/infra.git")
    mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
    assert mirrors.tree(origin.repo, sha).keys() == {"a"}
    assert sorted(path.name for path in (root / "mirrors/acme").iterdir()) == ["infra.git"]


def test_damage_found_while_reading_is_repaired_by_the_next_fetch(
    mirrors: GitMirrors, origin: Origin, root: Path
) -> None:
    sha = origin.commit({"a": "1"})
    mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
    mirror = root / "mirrors/acme/infra.git"
    (mirror / "config").write_text("[broken")
    with pytest.raises(Transient):
        mirrors.tree(origin.repo, sha)
    mirrors.fetch(origin.repo, shas=[sha], token=TOKEN)
    assert mirrors.tree(origin.repo, sha).keys() == {"a"}
