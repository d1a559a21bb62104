"""Checkpoints: signed heads of the log, by c2sp.org/tlog-checkpoint in the form of c2sp.org/signed-note, with Ed25519.

<origin>
<size, in decimal>
<root hash, in base64>

— <key name> <base64 of the key's id, 4 bytes, and the signature, 64 bytes>
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prbot.audit.keys import SigningKey, VerifierKey
from prbot.audit.merkle import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MAX_NOTE = 1_000_000


class BadCheckpoint(ValueError):
    """Not a checkpoint of this log, or not signed by a key that we trust. The message says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How large the log is, and the root hash of that many entries."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The signed note. The origin is the key's name."""
    if checkpoint.origin != key.name:
        raise ValueError(f"the key of {key.name} does not sign for {checkpoint.origin}")
    signature = key.verifier.key_id + key.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n— {key.name} {base64.b64encode(signature).decode()}\n"


def parse(note: str) -> Checkpoint:
    """What a signed note says, without asking who signed it. Raises BadCheckpoint."""
    return _parse_text(_split(note)[0])


def verify(note: str, verifiers: Iterable[VerifierKey]) -> Checkpoint:
    """What a signed note says, if one of these keys signed it for the log that it names. Raises BadCheckpoint.

    Signatures by other keys are ignored; a wrong one by one of these spoils the note.
    """
    text, signatures = _split(note)
    checkpoint = _parse_text(text)
    known = {(key.name, key.key_id): key for key in verifiers}
    signed = False
    for name, signature in signatures:
        key = known.get((name, signature[:4]))
        if key is None:
            continue
        if not key.verifies(signature[4:], text.encode()):
            raise BadCheckpoint(f"the signature of {name} does not fit")
        signed = signed or name == checkpoint.origin
    if not signed:
        raise BadCheckpoint(f"no key that is trusted for {checkpoint.origin} signed it")
    return checkpoint


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > _MAX_NOTE or _CONTROL.search(note):
        raise BadCheckpoint("it is too long, or holds control characters")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise BadCheckpoint("it is not a signed note: a text, an empty line, and signatures")
    return text + "\n", list(_signatures(signatures[:-1].split("\n")))


def _signatures(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        match line.split(" "):
            case ["—", name, encoded] if name:
                try:
                    signature = base64.b64decode(encoded, validate=True)
                except ValueError:
                    raise BadCheckpoint(f"the signature of {name} is not base64") from None
                if len(signature) < 5:
                    raise BadCheckpoint(f"the signature of {name} is cut short")
                yield name, signature
            case _:
                raise BadCheckpoint("a signature's line is `— name base64`")


def _parse_text(text: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise BadCheckpoint("a checkpoint has an origin, a size and a root hash, each on its line")
    origin, size, encoded = lines[:3]
    if not _SIZE.fullmatch(size):
        raise BadCheckpoint("its size is not a decimal number")
    try:
        root = base64.b64decode(encoded, validate=True)
    except ValueError:
        root = b""
    if len(root) != HASH_BYTES:
        raise BadCheckpoint("its root hash is not the base64 of 32 bytes")
    return Checkpoint(origin, int(size), root)
