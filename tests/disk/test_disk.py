from __future__ import annotations

import os
from pathlib import Path

import pytest

from prbot.disk import Unreadable, read_regular, remove, used


def test_what_a_stranger_left_is_not_followed_waited_for_or_believed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    for name, why in (("link", "a link"), ("pipe", "not a regular"), ("dir", "not a regular"), ("huge", "larger than")):
        with pytest.raises(Unreadable, match=why):
            read_regular(tmp_path / name, 1 << 20)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 1 << 20)
    assert read_regular(secret, 1 << 20) == b"secret"


def test_a_tree_without_permissions_is_removed_and_what_its_links_lead_to_is_not(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "file").touch()
    (tree / "link").symlink_to(outside)
    (tree / "closed").chmod(0)
    remove(tree)
    assert not tree.exists()
    assert outside.stat().st_mode & 0o777 == 0o500
    remove(tree)


def test_what_trees_take_up_is_counted_without_following_links(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(1 << 20))
    tree = tmp_path / "tree" / "below"
    tree.mkdir(parents=True)
    (tree / "link").symlink_to(big)
    (tree / "small").write_bytes(bytes(8192))
    assert 8192 <= used([tmp_path / "tree"]) < 1 << 20
    assert used([tmp_path / "none"]) == 0
