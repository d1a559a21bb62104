"""Keys that sign checkpoints, in the forms of C2SP signed-note and of Go's `sumdb/note`: Ed25519, type byte 1.

A public key is `name+hhhhhhhh+base64(0x01 ‖ public key)`, a private one
`PRIVATE+KEY+name+hhhhhhhh+base64(0x01 ‖ seed)`, where the h are the key's id in hex. The name is the log's origin.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from prbot.ports import Conflict, NotFound

ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_FORM = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+=*)")


class BadKey(ValueError):
    """Not a key in the form that this module defines. The message never holds the key."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key. `str()` is the form that auditors are given."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form. Raises BadKey."""
        name, key_id, public = _parse(text)
        key = cls(name, public)
        if key.key_id != key_id:
            raise BadKey(f"the public key of {name} is damaged: its id is not that of its bytes")
        return key

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before a signature."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the holder of the private key signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"


@dataclass(frozen=True)
class SigningKey:
    """A private key. Its `repr` does not show the secret; `secret_text()` does."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadKey(f"{self.name!r} cannot name a log: it needs characters, but no space and no +")

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """A new key for the log `name`. Raises BadKey when that is no name."""
        return cls(name, secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read the text form. Raises BadKey."""
        if not text.startswith(_PRIVATE):
            raise BadKey(f"a private key starts with {_PRIVATE}")
        name, key_id, seed = _parse(text.removeprefix(_PRIVATE))
        key = cls(name, seed)
        if key.verifier.key_id != key_id:
            raise BadKey(f"the private key of {name} is damaged: its id is not that of its bytes")
        return key

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""
        return self._private.sign(message)

    def secret_text(self) -> str:
        """The text form, secret and all."""
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{base64.b64encode(ED25519 + self.seed).decode()}"


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """What `PRBOT_AUDIT_KEY_FILE` holds: one key a line; a line that begins with `#` is a comment.

    The first one, a private key, signs. Those below it, private or public, did so before: what they signed counts.
    """

    signer: SigningKey
    earlier: tuple[VerifierKey, ...] = ()

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public keys of all of them."""
        return (self.signer.verifier, *self.earlier)

    @classmethod
    def load(cls, path: Path) -> AuditKeys:
        """Read a key file. NotFound if there is none, Conflict (`file:line: what`, never a key) if it is wrong."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise NotFound(f"{path}: there is no such audit key file (PRBOT_AUDIT_KEY_FILE)") from None
        except UnicodeDecodeError:
            raise Conflict(f"{path}: an audit key file holds lines of text") from None
        except OSError as error:
            raise Conflict(f"{path}: the audit key file can't be read: {error.strerror}") from error
        if mode & 0o027:
            raise Conflict(f"{path}: others can use this audit key file (mode {mode:04o}); run chmod 600 on it")
        keys = [
            _parse_line(line.strip(), f"{path}:{number}")
            for number, line in enumerate(lines, start=1)
            if line.strip() and not line.startswith("#")
        ]
        match keys:
            case [SigningKey() as signer, *earlier]:
                pass
            case _:
                raise Conflict(f"{path}: the first key of an audit key file is the private one that signs")
        return cls(signer, tuple(key.verifier if isinstance(key, SigningKey) else key for key in earlier))

    @classmethod
    def create(cls, path: Path, name: str) -> AuditKeys:
        """Make a key file, mode 0600, with a new key for the log `name`, unless there is one, and read it.

        Two may do it at once. Raises BadKey when `name` cannot name a log, and what `load` raises.
        """
        key = SigningKey.generate(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(f"{key.secret_text()}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(new, path)  # unlike a rename, this never replaces a key file
        finally:
            new.unlink(missing_ok=True)
        return cls.load(path)


def _parse(text: str) -> tuple[str, bytes, bytes]:
    match = _FORM.fullmatch(text)
    if match is None or not _NAME.fullmatch(match["name"]):
        raise BadKey("a key is written as name+id+base64, the id as eight hex digits")
    try:
        key = base64.b64decode(match["key"], validate=True)
    except ValueError as error:
        raise BadKey(f"the key of {match['name']} is not base64") from error
    if key[:1] != ED25519 or len(key) != 33 or base64.b64encode(key).decode() != match["key"]:
        raise BadKey(f"the key of {match['name']} is not an Ed25519 key (type 1 and 32 bytes)")
    return match["name"], bytes.fromhex(match["id"]), key[1:]


def _parse_line(line: str, where: str) -> SigningKey | VerifierKey:
    try:
        return SigningKey.parse(line) if line.startswith(_PRIVATE) else VerifierKey.parse(line)
    except BadKey as error:
        raise Conflict(f"{where}: {error}") from None
