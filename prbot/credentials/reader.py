"""Credentials as the rules name them, read for one run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from prbot.core.credentials import Credential, CredentialHalf, InitFiles, OidcToken
from prbot.credentials import aws
from prbot.credentials.env_file import EnvFile, parse
from prbot.ports import Conflict, Given, NotFound, Purpose, Transient, Unavailable

COMMAND_SECONDS = 30.0
MOST_BYTES = 64 * 1024
"""Of a command's output, a token, a netrc or a CLI configuration."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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
                environment |= _values(credential.half(purpose.phase), purpose)
                files |= _tokens(credential.half(purpose.phase).oidc)
                init_environment |= _from_files(credential.init.files)
                init_files |= _for_init(credential.init)
            except Unavailable as problem:
                which = f"the credential `{name}` ({purpose.phase})"
                raise type(problem)(f"{which} cannot be had: {problem}") from problem
        return Given(environment, files, init_environment, init_files)


def _values(half: CredentialHalf, purpose: Purpose) -> dict[str, str]:
    values = _from_files(half.files)
    for command in half.commands:
        values |= _printed_by(command)
    if half.aws is not None:
        values |= aws.assumed(half.aws, purpose)
    return values


def _from_files(paths: Sequence[Path]) -> dict[str, str]:
    values: dict[str, str] = {}
    for path in paths:
        values |= EnvFile(path).read()
    return values


def _printed_by(command: Sequence[str]) -> dict[str, str]:
    """What an operator's program prints. It gets no environment but a PATH, and what it complains of stays unseen."""
    program = command[0]
    try:
        done = subprocess.run(
            list(command), capture_output=True, stdin=subprocess.DEVNULL, env={"PATH": PATH}, cwd="/",
            timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Transient(f"`{program}` took longer than {COMMAND_SECONDS:.0f} s") from None
    except OSError as error:
        raise Conflict(f"`{program}` could not be started: {error.strerror}") from None
    if done.returncode:
        raise Conflict(f"`{program}` ended with exit code {done.returncode}; run it by hand to see why")
    if len(done.stdout) > MOST_BYTES:
        raise Conflict(f"`{program}` printed more than {MOST_BYTES} bytes; it should print NAME=value lines")
    try:
        return parse(done.stdout.decode(), f"`{program}`")
    except UnicodeDecodeError:
        raise Conflict(f"`{program}` printed something that is not UTF-8 text") from None


def _tokens(oidc: OidcToken | None) -> dict[str, bytes]:
    return {} if oidc is None else {oidc.variable: _content(oidc.file)}


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
