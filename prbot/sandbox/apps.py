"""GitHub Apps of the stand-in: their keys, where they are installed, and the tokens that they get."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import InvalidTokenError, PyJWT

LIFETIME = timedelta(hours=1)
_LONGEST_JWT = timedelta(minutes=10)


@dataclass
class App:
    """A GitHub App. `permissions` are what it asks for, and each installation grants."""

    id: int
    slug: str
    owner: str
    private_key: str = field(repr=False)
    created_at: datetime
    permissions: dict[str, str]
    events: tuple[str, ...]
    webhook_secret: str = field(default="", repr=False)

    @property
    def bot(self) -> str:
        """The login that it acts by."""
        return f"{self.slug}[bot]"


@dataclass
class Installation:
    """An App on an account: on all its repositories, or on the chosen ones (`owner/name`)."""

    id: int
    app: App
    account: str
    created_at: datetime
    chosen: frozenset[str] | None = None

    def has(self, full_name: str) -> bool:
        """Whether the App may see a repository."""
        return full_name.split("/", maxsplit=1)[0] == self.account and (self.chosen is None or full_name in self.chosen)


@dataclass(frozen=True, slots=True)
class Minted:
    """What a token of an installation allows; `names` are the repositories that it was made for, None for all."""

    installation: Installation
    expires_at: datetime
    names: frozenset[str] | None
    permissions: Mapping[str, str]

    def has(self, full_name: str) -> bool:
        """Whether it is for a repository."""
        return self.installation.has(full_name) and (self.names is None or full_name.split("/")[1] in self.names)

    def allows(self, permission: str, level: str) -> bool:
        """Whether it may read, or write, what a permission is about."""
        granted = self.permissions.get(permission)
        return granted == "write" or (granted == "read" and level == "read")


@dataclass
class Apps:
    """All Apps, and their tokens. Whoever changes them holds the state's lock."""

    known: dict[int, App] = field(default_factory=dict)
    installations: dict[int, Installation] = field(default_factory=dict)
    minted: dict[str, Minted] = field(default_factory=dict)
    manifests: dict[str, dict[str, object]] = field(default_factory=dict)
    """Those that wait for their code to be exchanged, by code."""

    def of_jwt(self, sent: str) -> App | None:
        """The App that signed a JWT, if GitHub would take it now: by the machine's clock, which is the signer's too."""
        jwt = PyJWT()
        try:
            app = self.known[int(jwt.decode(sent, options={"verify_signature": False})["iss"])]
            public = serialization.load_pem_private_key(app.private_key.encode(), None).public_key()
            claims = jwt.decode(sent, public, ["RS256"])  # type: ignore[arg-type]  # its keys are RSA
            longest = float(claims["exp"]) - time.time()
        except (InvalidTokenError, KeyError, ValueError):
            return None
        return app if longest <= _LONGEST_JWT.total_seconds() else None

    def on(self, app: App, full_name: str) -> Installation | None:
        """The installation by which an App sees a repository."""
        return next((one for one in self.installations.values() if one.app is app and one.has(full_name)), None)

    def of_repository(self, full_name: str) -> list[Installation]:
        """The installations that see a repository."""
        return [one for one in self.installations.values() if one.has(full_name)]

    def mint(
        self, on: Installation, now: datetime, names: frozenset[str] | None, permissions: Mapping[str, str] | None
    ) -> str:
        """A new token."""
        token = "ghs_" + secrets.token_hex(18)
        self.minted[token] = Minted(on, now + LIFETIME, names, dict(permissions or on.app.permissions))
        return token

    def of_token(self, token: str, now: datetime) -> Minted | None:
        """What a token allows, while it does."""
        found = self.minted.get(token)
        return found if found is not None and now < found.expires_at else None


def new_key() -> str:
    """A private key as GitHub hands it out: RSA, 2048 bits, PEM (PKCS #1)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
