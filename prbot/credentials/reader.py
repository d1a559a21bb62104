"""Credentials as the rules name them, read for one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from prbot.core.credentials import Credential, CredentialHalf, InitFiles, OidcToken
from prbot.credentials import aws
from prbot.credentials.env_file import EnvFile, check_name, parse
from prbot.credentials.programs import printed_by
from prbot.ports import Conflict, Given, NotFound, Purpose, Unavailable

MOST_BYTES = 64 * 1024
"""Of a token, a netrc or a CLI configuration."""
_WHO_AT_AWS = frozenset(
    {"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN"}
    | {"AWS_WEB_IDENTITY_TOKEN_FILE"}
)

Named = Sequence[tuple[str, Credential]]


class CredentialReader:
    """`prbot.ports.Credentials`. `plan` and `apply` are the phases' own environment files."""

    def __init__(self, plan: EnvFile | None = None, apply: EnvFile | None = None) -> None:
        self._own = {"plan": plan, "apply": apply}

    def named(self, purpose: Purpose, credentials: Named) -> bool:
        """Whether reading them for this purpose would read anything beyond the phase's own environment file."""
        return any(each.half(purpose.phase) != CredentialHalf() or each.init != InitFiles() for _, each in credentials)

    def read(self, purpose: Purpose, credentials: Named) -> Given:
        """See the port."""
        own = self._own[purpose.phase]
        environment = own.read() if own is not None else {}
        files: dict[str, bytes] = {}
        init_environment: dict[str, str] = {}
        init_files: dict[str, bytes] = {}
        for name, credential in credentials:
            try:
                half = credential.half(purpose.phase)
                for values in _values(half, purpose):
                    environment = _over(environment, values)
                files |= _tokens(half.oidc)
                init_environment |= _from_files(credential.init.files)
                init_files |= _for_init(credential.init)
            except Unavailable as problem:
                which = f"the credential `{name}` ({purpose.phase})"
                raise type(problem)(f"{which} cannot be had: {problem}") from problem
        return Given(environment, files, init_environment, init_files)


def _values(half: CredentialHalf, purpose: Purpose) -> Iterator[dict[str, str]]:
    """What each source gives, in their order."""
    for path in half.files:
        yield EnvFile(path).read()
    for command in half.commands:
        yield parse(printed_by(command), f"`{command[0]}`")
    if half.aws is not None:
        yield aws.assumed(half.aws, purpose)


def _over(environment: Mapping[str, str], later: Mapping[str, str]) -> dict[str, str]:
    """Both, and the later wins. AWS keys replace all that was said of who to be at AWS: another one's session token, or
    a profile that the engine's room does not have, would make them useless."""
    replaced = _WHO_AT_AWS if "AWS_ACCESS_KEY_ID" in later else frozenset()
    return {**{name: value for name, value in environment.items() if name not in replaced}, **later}


def _from_files(paths: Sequence[Path]) -> dict[str, str]:
    values: dict[str, str] = {}
    for path in paths:
        values |= EnvFile(path).read()
    return values


def _tokens(oidc: OidcToken | None) -> dict[str, bytes]:
    if oidc is None:
        return {}
    try:
        check_name(oidc.variable)
    except ValueError as mistake:
        raise Conflict(str(mistake)) from None
    content = _content(oidc.file)
    if not content.strip():
        raise Conflict(f"{oidc.file} is empty: whatever renews the token has not written one")
    return {oidc.variable: content}


def _for_init(init: InitFiles) -> dict[str, bytes]:
    wanted = {".netrc": init.netrc, ".terraformrc": init.cli_config}
    return {name: _content(path) for name, path in wanted.items() if path is not None}


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file") from None
    except OSError as error:
        raise Conflict(f"{path} can't be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise Conflict(f"{path} is larger than {MOST_BYTES} bytes")
    return content
