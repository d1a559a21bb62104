"""Keys in their text forms, and the file that holds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prbot.audit.keys import AuditKeys, BadKey, SigningKey, VerifierKey
from prbot.ports import Conflict, NotFound

# The example of Go's golang.org/x/mod/sumdb/note, which C2SP signed-note was written down from.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_both_forms_are_those_of_the_reference_implementation() -> None:
    key = SigningKey.parse(PRIVATE)
    assert (key.name, str(key.verifier), key.secret_text()) == ("PeterNeumann", PUBLIC, PRIVATE)
    assert VerifierKey.parse(PUBLIC) == key.verifier
    assert key.verifier.key_id.hex() == "c74f20a3"


@pytest.mark.parametrize("whole", [PUBLIC, PRIVATE])
def test_a_mangled_key_is_refused_without_showing_it(whole: str) -> None:
    parse = SigningKey.parse if whole == PRIVATE else VerifierKey.parse
    mangled = [whole[:i] + chr(ord(each) + 1) + whole[i + 1 :] for i, each in enumerate(whole)]
    mangled += [whole[start:end] for start in range(0, len(whole), 3) for end in range(start, len(whole), 3)]
    for text in mangled:
        with pytest.raises(BadKey) as refusal:
            parse(text)
        assert whole[-40:] not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "",
        "++",
    ],
)
def test_only_ed25519_keys_of_their_length_are_taken(text: str) -> None:
    with pytest.raises(BadKey):
        VerifierKey.parse(text)


def test_a_signature_is_verified_by_its_own_key_only() -> None:
    key, other = SigningKey.generate("one.example"), SigningKey.generate("one.example")
    signature = key.sign(b"text")
    assert key.verifier.verifies(signature, b"text")
    assert not key.verifier.verifies(signature, b"texts")
    assert not key.verifier.verifies(signature[:-1], b"text")
    assert not other.verifier.verifies(signature, b"text")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\x00b"])
def test_a_name_that_no_note_can_hold_is_refused(name: str) -> None:
    with pytest.raises(BadKey, match="cannot name a log"):
        SigningKey.generate(name)


def test_a_key_does_not_show_its_secret_by_accident() -> None:
    key = SigningKey.parse(PRIVATE)
    assert "PeterNeumann" in repr(key)
    assert repr(key.seed) not in repr(key)
    assert "AYEKFALVFGy" not in repr(key) + str(key)


def test_a_key_file_is_made_once_and_only_its_owner_can_use_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.key"
    previous = os.umask(0)
    try:
        keys = AuditKeys.create(path, "prbot.example/audit")
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o600
    assert AuditKeys.create(path, "another.example") == keys == AuditKeys.load(path)
    assert [each.name for each in path.parent.iterdir()] == ["audit.key"]
    assert keys.signer.name == "prbot.example/audit"
    assert keys.verifiers == (keys.signer.verifier,)


def test_earlier_keys_below_the_one_that_signs_still_verify(tmp_path: Path) -> None:
    new = SigningKey.generate("PeterNeumann")
    older = SigningKey.generate("PeterNeumann")
    text = f"# since 2026\n{new.secret_text()}\n\n{older.secret_text()}\n{PUBLIC}\n"
    keys = AuditKeys.load(write(tmp_path / "audit.key", text))
    assert keys.signer == new
    assert keys.verifiers == (new.verifier, older.verifier, VerifierKey.parse(PUBLIC))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the first key of an audit key file is the private one"),
        ("# nothing\n", "the first key of an audit key file is the private one"),
        (f"{PUBLIC}\n{PRIVATE}\n", "the first key of an audit key file is the private one"),
        (f"{PRIVATE}\nnonsense\n", ":2: a key is written as"),
        (PRIVATE.replace("c74f20a3", "c74f20a4"), ":1: the private key of PeterNeumann is damaged"),
    ],
)
def test_a_wrong_key_file_is_refused_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(Conflict, match=problem) as refusal:
        AuditKeys.load(write(tmp_path / "audit.key", text))
    assert "AYEKFALVFGy" not in str(refusal.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="chmod 600"):
        AuditKeys.load(write(tmp_path / "audit.key", PRIVATE, 0o644))


def test_a_missing_or_unreadable_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="PRBOT_AUDIT_KEY_FILE"):
        AuditKeys.load(tmp_path / "audit.key")
    with pytest.raises(Conflict, match=r"can't be read|others can use"):
        AuditKeys.load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(Conflict, match="lines of text"):
        AuditKeys.load(tmp_path / "binary")
