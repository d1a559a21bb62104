from __future__ import annotations

from pathlib import Path

import pytest

from prbot.core.ids import Repo
from prbot.core.trees import LINK, TreeEntry
from prbot.git import GitMirrors
from prbot.ports import Conflict, Git, MergeConflict, Merged, NotFound
from tests.adapters.git.conftest import TOKEN, Origin


def fetched(mirrors: Git, origin: Origin, *shas: str) -> Repo:
    mirrors.fetch(origin.repo, shas=shas, token=TOKEN)
    return origin.repo


# -- merge results ----------------------------------------------------------------------------------------------------
def test_a_merge_result_has_both_sides_and_both_parents(mirrors: GitMirrors, origin: Origin) -> None:
    origin.commit({"a": "1", "b": "1"})
    head = origin.commit({"b": "2"}, on="topic")
    base = origin.commit({"a": "2"})
    repo = fetched(mirrors, origin, base, head)
    merged = mirrors.merge(repo, base, head)
    assert isinstance(merged, Merged)
    assert mirrors.tree_id(repo, merged.commit) == merged.tree
    contents = mirrors.blobs(repo, [entry.blob for entry in mirrors.tree(repo, merged.commit).values()])
    assert list(contents.values()) == [b"2"]
    assert mirrors.is_ancestor(repo, base, merged.commit)
    assert mirrors.is_ancestor(repo, head, merged.commit)
    assert mirrors.first_parents(repo, base, merged.commit) == [merged.commit]


def test_the_same_merge_has_the_same_commit_wherever_it_is_made(tmp_path: Path, origin: Origin) -> None:
    start = origin.commit({"a": "1"})
    head = origin.commit({"b": "1"}, on="topic")
    base = origin.commit({"c": "1"})
    results = []
    for name in ("one", "two", "two"):
        mirrors = GitMirrors(tmp_path / name)
        results.append(mirrors.merge(fetched(mirrors, origin, start, base, head), base, head))
    assert results[0] == results[1] == results[2]


def test_a_head_that_contains_its_base_is_merged_all_the_same(mirrors: GitMirrors, origin: Origin) -> None:
    base = origin.commit({"a": "1"})
    head = origin.commit({"b": "1"}, on="topic")
    repo = fetched(mirrors, origin, base, head)
    merged = mirrors.merge(repo, base, head)
    assert isinstance(merged, Merged)
    assert merged.tree == mirrors.tree_id(repo, head)
    assert merged.commit not in (base, head)
    assert isinstance(mirrors.merge(repo, head, head), Merged)


def test_conflicts_are_listed(mirrors: GitMirrors, origin: Origin) -> None:
    origin.commit({"net/a b.tf": "1\n", "b": "1\n", "c": "1\n"})
    head = origin.commit({"net/a b.tf": "2\n", "b": "2\n", "c": "2\n"}, on="topic")
    base = origin.commit({"net/a b.tf": "3\n", "b": None})
    repo = fetched(mirrors, origin, base, head)
    assert mirrors.merge(repo, base, head) == MergeConflict(("b", "net/a b.tf"))


def test_histories_without_a_common_commit_do_not_merge(mirrors: GitMirrors, origin: Origin) -> None:
    base = origin.commit({"a": "1"})
    head = origin.commit({"a": "2"}, on="fresh", start="")
    repo = fetched(mirrors, origin, base, head)
    assert mirrors.merge_base(repo, base, head) is None
    with pytest.raises(Conflict, match="unrelated"):
        mirrors.merge(repo, base, head)


# -- trees ------------------------------------------------------------------------------------------------------------
def test_a_tree_has_every_file_with_its_mode(mirrors: GitMirrors, origin: Origin) -> None:
    (origin.work / "link").symlink_to("dir/ü\n.tf")
    (origin.work / "run.sh").write_text("#!/bin/sh\n")
    (origin.work / "run.sh").chmod(0o755)
    sha = origin.commit({"dir/ü\n.tf": "x", "-odd": "y"})
    repo = fetched(mirrors, origin, sha)
    tree = mirrors.tree(repo, sha)
    assert {path: entry.mode for path, entry in tree.items()} == {
        "dir/ü\n.tf": "100644",
        "-odd": "100644",
        "link": LINK,
        "run.sh": "100755",
    }
    assert mirrors.blobs(repo, [tree["link"].blob]) == {tree["link"].blob: "dir/ü\n.tf".encode()}


def test_contents_come_back_byte_for_byte(mirrors: GitMirrors, origin: Origin) -> None:
    contents = [b"", b"\n", b"a\nb", bytes(range(256)) * 100, b"\xef\xbb\xbf\r\n"]
    for number, content in enumerate(contents):
        (origin.work / f"f{number}").write_bytes(content)
    sha = origin.commit({})
    repo = fetched(mirrors, origin, sha)
    tree = mirrors.tree(repo, sha)
    ids = [tree[f"f{number}"].blob for number in range(len(contents))]
    found = mirrors.blobs(repo, [*ids, ids[0]])
    assert [found[blob] for blob in ids] == contents
    assert mirrors.blobs(repo, []) == {}


def test_changed_paths_have_both_ends_of_a_rename_and_changed_modes(mirrors: GitMirrors, origin: Origin) -> None:
    old = origin.commit({"net/main.tf": "x" * 100, "same": "1", "run.sh": "1", "gone": "1"})
    (origin.work / "run.sh").chmod(0o755)
    new = origin.commit({"net/main.tf": None, "gone": None, "network/main.tf": "x" * 100, "ä\t": "1"})
    repo = fetched(mirrors, origin, old, new)
    assert mirrors.changed_paths(repo, old, new) == {"net/main.tf", "network/main.tf", "run.sh", "gone", "ä\t"}
    assert mirrors.changed_paths(repo, old, old) == frozenset()
    assert mirrors.tree(repo, new)["same"] == TreeEntry("100644", mirrors.tree(repo, old)["same"].blob)


# -- history ----------------------------------------------------------------------------------------------------------
def test_first_parents_order_the_merges_of_a_branch(mirrors: GitMirrors, origin: Origin) -> None:
    one = origin.commit({"a": "1"})
    topic = origin.commit({"b": "1"}, on="topic")
    topic2 = origin.commit({"b": "2"}, on="topic")
    two = origin.commit({"a": "2"})
    origin.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    origin.git("push", "-q", "origin", "main")
    three = origin.git("rev-parse", "HEAD")
    repo = fetched(mirrors, origin, three)
    assert mirrors.first_parents(repo, one, three) == [two, three]
    assert mirrors.first_parents(repo, three, three) == []
    assert [mirrors.first_parent_position(repo, sha) for sha in (one, two, three)] == [1, 2, 3]
    assert mirrors.merge_base(repo, two, topic2) == one
    assert mirrors.is_ancestor(repo, topic, three)
    assert not mirrors.is_ancestor(repo, three, topic)


# -- what is not there ------------------------------------------------------------------------------------------------
def test_a_repository_that_was_never_fetched_is_not_found(mirrors: GitMirrors, origin: Origin) -> None:
    with pytest.raises(NotFound, match="nothing has been fetched from acme/infra"):
        mirrors.tree(origin.repo, "1" * 40)


def test_what_the_mirror_lacks_is_not_found(mirrors: GitMirrors, origin: Origin) -> None:
    sha = origin.commit({"a": "1"})
    repo = fetched(mirrors, origin, sha)
    absent = "1" * 40
    for asking in (
        lambda: mirrors.resolve(repo, "refs/heads/other"),
        lambda: mirrors.resolve(repo, absent),
        lambda: mirrors.resolve(repo, "main"),
        lambda: mirrors.tree(repo, absent),
        lambda: mirrors.tree_id(repo, absent),
        lambda: mirrors.blobs(repo, [absent]),
        lambda: mirrors.blobs(repo, [sha]),
        lambda: mirrors.changed_paths(repo, sha, absent),
        lambda: mirrors.merge(repo, sha, absent),
        lambda: mirrors.merge_base(repo, sha, absent),
        lambda: mirrors.is_ancestor(repo, absent, sha),
        lambda: mirrors.first_parent_position(repo, absent),
        lambda: mirrors.first_parents(repo, absent, sha),
        lambda: mirrors.checkout(repo, absent, owner="x").__enter__(),
    ):
        with pytest.raises(NotFound):
            asking()
    assert mirrors.resolve(repo, sha) == sha


def test_only_small_contents_are_read_when_asked_so(mirrors: GitMirrors, origin: Origin) -> None:
    sha = origin.commit({"small": "x", "large": "y" * 2000})
    repo = fetched(mirrors, origin, sha)
    tree = mirrors.tree(repo, sha)
    ids = [tree["small"].blob, tree["large"].blob]
    assert mirrors.blobs(repo, ids, largest=1024).keys() == {ids[0]}
    assert mirrors.blobs(repo, ids).keys() == set(ids)
    assert mirrors.blobs(repo, ids[1:], largest=1024) == {}


def test_filters_are_those_that_git_itself_finds(mirrors: GitMirrors, origin: Origin) -> None:
    files = {
        ".gitattributes": "[attr]hidden filter=crypt\n*.bin filter=lfs\nsecret/** hidden\nsecret/open -filter\n",
        "net/.gitattributes": "*.bin -filter\n*.key hidden\n",
        "a.bin": "x",
    }
    sha = origin.commit(files)
    plain = origin.commit({".gitattributes": None, "net/.gitattributes": None}, on="plain")
    repo = fetched(mirrors, origin, sha, plain)
    asked = ["a.bin", "net/a.bin", "net/é.key", "secret/x/y", "secret/open", "main.tf"]
    found = mirrors.filters(repo, mirrors.tree(repo, sha), asked)
    assert found == {"a.bin": "lfs", "net/é.key": "crypt", "secret/x/y": "crypt"}
    assert mirrors.filters(repo, mirrors.tree(repo, plain), asked) == {}
