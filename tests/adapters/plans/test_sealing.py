"""Encryption at rest, and the keys for it."""

from __future__ import annotations

import base64
import hashlib
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from prbot.plans.local import LocalPlanStore
from prbot.plans.sealing import EncryptedPlanStore, Keyring, key_id_of
from prbot.ports import Conflict, NotFound, PlanStore

OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring({key_id_of(OLD): OLD})
ROTATED = Keyring({key_id_of(NEW): NEW, key_id_of(OLD): OLD})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plain store below keeps what it gets."""
    return tmp_path_factory.mktemp("plans")


def line_of(key: bytes) -> str:
    return f"{key_id_of(key)}:{base64.b64encode(key).decode()}\n"


# -- entries ----------------------------------------------------------------------------------------------------------
@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_what_was_put_is_what_is_got_and_the_store_sees_none_of_it(root: Path, data: bytes) -> None:
    store = EncryptedPlanStore(LocalPlanStore(root), RING)
    store.put("runs/a/plan", data)
    assert store.get("runs/a/plan") == data
    kept = (root / "runs/a/plan").read_bytes()
    assert len(kept) == len(data) + 36
    assert len(data) < 8 or data not in kept[20:]


@settings(max_examples=50)
@given(st.binary(max_size=50), st.data())
def test_any_changed_or_missing_byte_is_noticed(root: Path, data: bytes, draw: st.DataObject) -> None:
    store = EncryptedPlanStore(LocalPlanStore(root), RING)
    store.put("a", data)
    blob = (root / "a").read_bytes()
    position = draw.draw(st.integers(0, len(blob) - 1))
    changed = bytearray(blob)
    changed[position] ^= draw.draw(st.integers(1, 255))
    for tampered in (bytes(changed), blob[:position], blob[position + 1 :], blob + b"\0"):
        (root / "a").write_bytes(tampered)
        with pytest.raises(Conflict):
            store.get("a")


def test_an_entry_moved_to_another_key_does_not_open(root: Path) -> None:
    store = EncryptedPlanStore(LocalPlanStore(root), RING)
    store.put("reviewed", b"reviewed")
    (root / "reviewed").rename(root / "other")
    with pytest.raises(Conflict, match="other in the plan store was changed since prbot wrote it: it is not used"):
        store.get("other")


def test_equal_data_never_looks_equal(root: Path) -> None:
    store = EncryptedPlanStore(LocalPlanStore(root), RING)
    blobs = set()
    for _ in range(20):
        store.put("a", b"same")
        blobs.add((root / "a").read_bytes())
    assert len(blobs) == 20


def test_after_a_rotation_old_entries_open_and_new_ones_are_made_with_the_new_key(root: Path) -> None:
    EncryptedPlanStore(LocalPlanStore(root), RING).put("old", b"1")
    rotated = EncryptedPlanStore(LocalPlanStore(root), ROTATED)
    rotated.put("new", b"2")
    assert (rotated.get("old"), rotated.get("new")) == (b"1", b"2")
    with pytest.raises(Conflict, match=f"lacks the key {key_id_of(NEW)}"):
        EncryptedPlanStore(LocalPlanStore(root), RING).get("new")


def test_the_format_is_the_one_that_the_document_describes(root: Path) -> None:
    EncryptedPlanStore(LocalPlanStore(root), RING).put("runs/a/plan", b"plain")
    blob = (root / "runs/a/plan").read_bytes()
    assert blob[:4] == b"PRB\x01"
    assert blob[4:8] == hashlib.sha256(OLD).digest()[:4]
    subkey = HKDF(SHA256(), 32, None, b"prbot/v1/encrypt").derive(OLD)
    assert AESGCM(subkey).decrypt(blob[8:20], blob[20:], blob[:8] + b"runs/a/plan") == b"plain"


def test_it_is_a_plan_store_on_a_plan_store(tmp_path: Path) -> None:
    store: PlanStore = EncryptedPlanStore(LocalPlanStore(tmp_path), RING)
    store.put("a/b", b"x")
    assert list(store.keys("a/")) == ["a/b"]
    store.delete("a/b")
    with pytest.raises(NotFound):
        store.get("a/b")


# -- keys -------------------------------------------------------------------------------------------------------------
def test_fingerprint_and_encryption_keys_differ_and_stay_the_same_for_a_key() -> None:
    key_id, key = RING.fingerprint_key()
    assert key_id == key_id_of(OLD)
    assert len(key) == 32
    assert key not in {OLD, RING.encryption_key(key_id)}
    assert ROTATED.fingerprint_key()[0] == key_id_of(NEW)
    assert ROTATED.fingerprint_key(key_id) == (key_id, key)
    with pytest.raises(Conflict, match="lacks the key 00000000"):
        RING.fingerprint_key("00000000")


def test_a_key_file_is_made_once_for_its_owner_alone_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    first = Keyring.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]
    assert Keyring.create(path).fingerprint_key() == first.fingerprint_key() == Keyring.load(path).fingerprint_key()


def test_processes_that_make_a_key_file_at_once_get_the_same_key(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(Keyring.create(tmp_path / "key").current)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_first_key_of_a_file_is_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"# rotated\n{line_of(NEW)}\n{line_of(OLD)}")
    path.chmod(0o600)
    ring = Keyring.load(path)
    assert ring.current == key_id_of(NEW)
    assert ring.fingerprint_key(key_id_of(OLD)) == RING.fingerprint_key()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "holds no key"),
        ("s3cr3t", "key:1: expected `key-id:base64`"),
        ("# c\nab:s3cr3t!", "key:2: expected `key-id:base64`"),
        ("ab:" + base64.b64encode(b"s3cr3t").decode(), "key:1: a key has 32 bytes, this one has 6"),
        ("00000000:" + base64.b64encode(OLD).decode(), f"key:1: the key's id is {key_id_of(OLD)}, not"),
        ("ä", "holds lines of `key-id:base64`"),
    ],
)
def test_a_wrong_key_file_is_told_without_its_content(tmp_path: Path, text: str, mistake: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Conflict) as error:
        Keyring.load(path)
    assert mistake in str(error.value)
    assert "s3cr3t" not in str(error.value)
    assert base64.b64encode(OLD).decode() not in str(error.value)


def test_a_key_file_that_others_can_use_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    Keyring.create(path)
    path.chmod(0o440)
    assert Keyring.load(path).current
    for mode in (0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(Conflict, match="others can use this secret key file"):
            Keyring.load(path)


def test_a_missing_key_file_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no such secret key file \(PRBOT_SECRET_KEY_FILE\)"):
        Keyring.load(tmp_path / "key")
