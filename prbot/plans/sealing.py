"""Encryption of plans at rest, and the keys for it and for fingerprints. The exact format: docs/plan-store.md."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prbot.ports import Conflict, NotFound, PlanStore

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
MAGIC = b"PRB\x01"
"""Format and its version. Eight bytes of header: this, then the key id in binary."""
HEADER_BYTES = len(MAGIC) + 4


class Keyring:
    """The server's secret keys, by id. The first one makes new things; all of them can read what they once made."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self.current = next(iter(self._keys))

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read a key file. NotFound if there is none, Conflict (`file:line: what`, never a key) if it is wrong."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            lines = path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            raise NotFound(f"{path}: there is no such secret key file (PRBOT_SECRET_KEY_FILE)") from None
        except UnicodeDecodeError:
            raise Conflict(f"{path}: a secret key file holds lines of `key-id:base64`") from None
        except OSError as error:
            raise Conflict(f"{path}: the secret key file can't be read: {error.strerror}") from error
        if mode & 0o027:
            raise Conflict(f"{path}: others can use this secret key file (mode {mode:04o}); run chmod 600 on it")
        keys: dict[str, bytes] = {}
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.startswith("#"):
                key_id, key = _parse(line.strip(), f"{path}:{number}")
                keys[key_id] = key
        if not keys:
            raise Conflict(f"{path}: the secret key file holds no key")
        return cls(keys)

    @classmethod
    def create(cls, path: Path) -> Keyring:
        """Make a key file with one new key, unless there is one, and read it. Two may do it at once."""
        key = secrets.token_bytes(KEY_BYTES)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(f"{key_id_of(key)}:{base64.b64encode(key).decode()}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(new, path)  # unlike a rename, this never replaces a key file
        finally:
            new.unlink(missing_ok=True)
        return cls.load(path)

    def encryption_key(self, key_id: str) -> bytes:
        """The AES-256 key derived from a key of the ring. Conflict if the ring does not have it."""
        return self._derive(key_id, b"prbot/v1/encrypt")

    def fingerprint_key(self, key_id: str | None = None) -> tuple[str, bytes]:
        """Key id and HMAC key for fingerprints: of the current key, or of the one that made an earlier fingerprint."""
        chosen = key_id or self.current
        return chosen, self._derive(chosen, b"prbot/v1/fingerprint")

    def _derive(self, key_id: str, purpose: bytes) -> bytes:
        if key_id not in self._keys:
            raise Conflict(f"the secret key file lacks the key {key_id}, which this was made with: add it back")
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(self._keys[key_id])


class EncryptedPlanStore:
    """`prbot.ports.PlanStore` that encrypts everything on its way into another one.

    What comes out is what went in under the same key of the store, or a Conflict: changed, truncated, swapped with
    another entry, or made with a key that the ring lacks.
    """

    def __init__(self, inner: PlanStore, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, encrypted with the current key."""
        header = MAGIC + bytes.fromhex(self._keyring.current)
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(self._keyring.encryption_key(self._keyring.current))
        self._inner.put(key, header + nonce + cipher.encrypt(nonce, data, _bound_to(header, key)))

    def get(self, key: str) -> bytes:
        """What was put under `key`. NotFound when there is nothing, Conflict when it is not what was put there."""
        blob = self._inner.get(key)
        header, nonce = blob[:HEADER_BYTES], blob[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
        if len(blob) < HEADER_BYTES + NONCE_BYTES + TAG_BYTES or not header.startswith(MAGIC):
            raise Conflict(f"{key} in the plan store is damaged, or was not written by this version of prbot")
        cipher = AESGCM(self._keyring.encryption_key(header[len(MAGIC) :].hex()))
        try:
            return cipher.decrypt(nonce, blob[HEADER_BYTES + NONCE_BYTES :], _bound_to(header, key))
        except InvalidTag:
            raise Conflict(f"{key} in the plan store was changed since prbot wrote it: it is not used") from None

    def delete(self, key: str) -> None:
        """Forget `key`. Also fine when there is nothing."""
        self._inner.delete(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix`."""
        return self._inner.keys(prefix)


def key_id_of(key: bytes) -> str:
    """A key's id: the first eight hex digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:8]


def _bound_to(header: bytes, key: str) -> bytes:
    """The associated data: the header, which has a fixed length, and the place in the store."""
    return header + key.encode()


def _parse(line: str, where: str) -> tuple[str, bytes]:
    try:
        key_id, encoded = line.split(":")
        key = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii.Error is one
        raise Conflict(f"{where}: expected `key-id:base64`") from None
    if len(key) != KEY_BYTES:
        raise Conflict(f"{where}: a key has {KEY_BYTES} bytes, this one has {len(key)}")
    if key_id != key_id_of(key):
        raise Conflict(f"{where}: the key's id is {key_id_of(key)}, not what stands before the colon")
    return key_id, key
