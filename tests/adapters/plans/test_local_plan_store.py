"""Plans in a directory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from prbot.plans.local import LocalPlanStore
from prbot.ports import NotFound, Transient


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "plans"


@pytest.fixture
def store(root: Path) -> LocalPlanStore:
    return LocalPlanStore(root)


def test_what_was_put_is_what_is_got(store: LocalPlanStore) -> None:
    store.put("runs/01h/plan", b"one")
    store.put("runs/01h/plan.json", b"")
    store.put("runs/01h/plan", b"two")
    assert (store.get("runs/01h/plan"), store.get("runs/01h/plan.json")) == (b"two", b"")


def test_what_is_not_there_is_not_found(store: LocalPlanStore) -> None:
    store.put("runs/a", b"x")
    for key in ("runs/b", "runs", "runs/a/b"):
        with pytest.raises(NotFound, match=f"nothing under {key}"):
            store.get(key)


def test_a_deleted_entry_is_gone_with_the_directories_that_it_leaves_empty(store: LocalPlanStore, root: Path) -> None:
    store.put("runs/a/plan", b"x")
    store.put("runs/b/plan", b"x")
    store.delete("runs/a/plan")
    store.delete("runs/a/plan")
    store.delete("never/there")
    assert list(store.keys("")) == ["runs/b/plan"]
    assert [path.name for path in (root / "runs").iterdir()] == ["b"]
    store.delete("runs/b/plan")
    assert list(root.iterdir()) == []


def test_keys_are_listed_in_order_by_prefix(store: LocalPlanStore) -> None:
    assert list(store.keys("")) == []
    for key in ("runs/b/plan", "runs/a/plan", "runs/ab/plan", "other"):
        store.put(key, b"x")
    assert list(store.keys("runs/a")) == ["runs/a/plan", "runs/ab/plan"]
    assert list(store.keys("runs/a/")) == ["runs/a/plan"]


def test_only_the_owner_can_read_anything(store: LocalPlanStore, root: Path) -> None:
    previous = os.umask(0)
    try:
        store.put("runs/a/plan", b"x")
    finally:
        os.umask(previous)
    modes = {path.relative_to(root).as_posix(): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {".": 0o700, "runs": 0o700, "runs/a": 0o700, "runs/a/plan": 0o600}


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a/.b", "A", "a b", "a\0", "a\n", "ä"]
)
def test_a_key_that_could_lead_elsewhere_is_refused(store: LocalPlanStore, root: Path, key: str) -> None:
    for use in (lambda: store.put(key, b"x"), lambda: store.get(key), lambda: store.delete(key)):
        with pytest.raises(ValueError, match="is not a key of the plan store"):
            use()
    assert not root.exists()


def test_a_write_that_fails_leaves_the_old_entry_and_no_trace(store: LocalPlanStore, root: Path) -> None:
    store.put("a/plan", b"old")
    store.put("a/dir/entry", b"x")
    with pytest.raises(Transient, match="the plan store failed at a/dir: Is a directory"):
        store.put("a/dir", b"new")
    with pytest.raises(Transient, match="the plan store failed at a/plan/x"):
        store.put("a/plan/x", b"new")
    assert store.get("a/plan") == b"old"
    assert sorted(path.name for path in (root / "a").iterdir()) == ["dir", "plan"]


def test_an_entry_being_written_is_never_seen_by_halves(store: LocalPlanStore) -> None:
    store.put("a/plan", b"0" * 100_000)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            data = store.get("a/plan")
            assert len(data) == 100_000
            seen.update({data[:1], data[-1:]})
            assert len(set(data)) == 1
            assert list(store.keys("")) == ["a/plan"]

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            read()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=guarded)
    thread.start()
    for digit in range(30):
        store.put("a/plan", str(digit % 10).encode() * 100_000)
    stop.set()
    thread.join(20)
    assert failures == []
    assert seen
