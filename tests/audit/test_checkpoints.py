"""Checkpoints as signed notes, against published examples and against everything that is almost one."""

from __future__ import annotations

import base64

import pytest

from prbot.audit import checkpoints
from prbot.audit.checkpoints import BadCheckpoint, Checkpoint
from prbot.audit.keys import SigningKey, VerifierKey
from prbot.audit.merkle import EMPTY_ROOT

KEY = SigningKey("prbot.example/audit", bytes(range(32)))
WITNESS = SigningKey("witness.example", bytes(32))
CHECKPOINT = Checkpoint(KEY.name, 12, bytes(range(32)))
NOTE = checkpoints.sign(CHECKPOINT, KEY)


def line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"— {name} {base64.b64encode(key_id + signature).decode()}\n"


def signed(text: str, key: SigningKey = KEY) -> str:
    return f"{text}\n{line(key.name, key.verifier.key_id, key.sign(text.encode()))}"


def test_a_signed_note_has_the_form_of_the_specification() -> None:
    origin, size, root, blank, signature, end = NOTE.split("\n")
    assert (origin, size, blank, end) == ("prbot.example/audit", "12", "", "")
    assert base64.b64decode(root) == CHECKPOINT.root
    assert signature.startswith("— prbot.example/audit ")
    raw = base64.b64decode(signature.split(" ")[2])
    assert raw[:4] == KEY.verifier.key_id
    assert KEY.verifier.verifies(raw[4:], NOTE.split("\n\n")[0].encode() + b"\n")


def test_signatures_are_those_of_the_reference_implementation() -> None:
    peter = SigningKey.parse("PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    assert line(peter.name, peter.verifier.key_id, peter.sign(text.encode())) == (
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )


def test_the_example_of_the_checkpoint_specification_is_read() -> None:
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— "
        "example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    checkpoint = checkpoints.parse(note)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert note.startswith(checkpoint.text)


def test_a_checkpoint_is_read_back_and_verified() -> None:
    assert checkpoints.parse(NOTE) == CHECKPOINT
    assert checkpoints.verify(NOTE, [WITNESS.verifier, KEY.verifier]) == CHECKPOINT
    empty = Checkpoint(KEY.name, 0, EMPTY_ROOT)
    assert checkpoints.verify(checkpoints.sign(empty, KEY), [KEY.verifier]) == empty


def test_signatures_of_unknown_keys_are_ignored() -> None:
    unknown = line("witness.example", b"\x01\x02\x03\x04", b"whatever")
    assert checkpoints.verify(NOTE + unknown, [KEY.verifier]) == CHECKPOINT
    other_key_of_that_name = line(KEY.name, b"\x01\x02\x03\x04", b"whatever")
    assert checkpoints.verify(NOTE + other_key_of_that_name, [KEY.verifier]) == CHECKPOINT


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    wrong = line(WITNESS.name, WITNESS.verifier.key_id, bytes(64))
    with pytest.raises(BadCheckpoint, match=r"the signature of witness\.example does not fit"):
        checkpoints.verify(NOTE + wrong, [KEY.verifier, WITNESS.verifier])


@pytest.mark.parametrize("verifiers", [[], [WITNESS.verifier], [SigningKey.generate(KEY.name).verifier]])
def test_a_checkpoint_that_nobody_trusted_signed_is_refused(verifiers: list[VerifierKey]) -> None:
    with pytest.raises(BadCheckpoint, match="no key that is trusted"):
        checkpoints.verify(NOTE, verifiers)


def test_a_trusted_key_counts_only_for_the_log_that_it_is_named_after() -> None:
    with pytest.raises(BadCheckpoint, match=r"trusted for prbot\.example/audit"):
        checkpoints.verify(signed(CHECKPOINT.text, WITNESS), [KEY.verifier, WITNESS.verifier])
    with pytest.raises(ValueError, match="does not sign for"):
        checkpoints.sign(CHECKPOINT, WITNESS)


def test_a_changed_note_is_refused() -> None:
    for index in range(len(NOTE)):
        changed = NOTE[:index] + ("A" if NOTE[index] != "A" else "B") + NOTE[index + 1 :]
        with pytest.raises(BadCheckpoint):
            checkpoints.verify(changed, [KEY.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prbot.example/audit\n12\n",
        f"prbot.example/audit\n012\n{'A' * 43}=\n",
        f"prbot.example/audit\n-1\n{'A' * 43}=\n",
        f"prbot.example/audit\n١٢\n{'A' * 43}=\n",
        f"prbot.example/audit\n12\n{'A' * 44}\n",
        f"prbot.example/audit\n12\n{'!' * 43}=\n",
        f"\n12\n{'A' * 43}=\n",
        f"prbot.example/audit\n12\n{'A' * 43}=\n\nmore\n",
        f"prbot.example/audit\r\n12\r\n{'A' * 43}=\r\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        checkpoints.verify(signed(text), [KEY.verifier])


@pytest.mark.parametrize(
    "note",
    ["", "text", CHECKPOINT.text, NOTE[:-1], f"{CHECKPOINT.text}\n", f"{CHECKPOINT.text}\n— x\n", NOTE + "— x !!\n",
     NOTE + "— x AAAA\n", NOTE + "- x AAAAAAAA\n", NOTE + "—  AAAAAAAA\n", "x" * 2_000_000],
)  # fmt: skip
def test_what_is_no_signed_note_is_refused(note: str) -> None:
    with pytest.raises(BadCheckpoint):
        checkpoints.verify(note, [KEY.verifier])


def test_lines_after_the_root_are_extensions_and_signed_too() -> None:
    note = signed(CHECKPOINT.text + "extension\n")
    assert checkpoints.verify(note, [KEY.verifier]) == CHECKPOINT
    with pytest.raises(BadCheckpoint):
        checkpoints.verify(note.replace("extension", "extensions"), [KEY.verifier])
