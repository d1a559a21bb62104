"""One git process: an environment of its own, no configuration but ours, no prompt, a time limit."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from prbot.git.failures import failure, masked
from prbot.ports import Conflict, Transient

_PASSED_ON = (
    "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
"""What git may know of our own environment: where programs are, and how to reach the network."""

_CONFIG: Mapping[str, str] = {
    "advice.detachedHead": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "credential.helper": "",
    "fetch.unpackLimit": "1",  # a pack is whole or absent; loose objects of a killed fetch lack what they point to
    "gc.autoDetach": "false",
    "http.followRedirects": "false",  # another host must not get the Authorization header
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}

_ENVIRONMENT: Mapping[str, str] = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "@946684800 +0000",
    "GIT_AUTHOR_EMAIL": "prbot@localhost",
    "GIT_AUTHOR_NAME": "prbot",
    "GIT_COMMITTER_DATE": "@946684800 +0000",
    "GIT_COMMITTER_EMAIL": "prbot@localhost",
    "GIT_COMMITTER_NAME": "prbot",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
}
"""Identity and date are fixed, so that the commit of a merge result depends on its parents and its tree alone."""


@dataclass(frozen=True, slots=True)
class Login:
    """A token for the server of `url`, and for no other; empty for none."""

    url: str
    token: str = field(repr=False)

    @property
    def basic(self) -> str:
        return base64.b64encode(f"x-access-token:{self.token}".encode()).decode()

    @property
    def config(self) -> dict[str, str]:
        if not self.token:
            return {}
        server = urlsplit(self.url)
        return {f"http.{server.scheme}://{server.netloc}/.extraHeader": f"Authorization: Basic {self.basic}"}


@dataclass(frozen=True, slots=True)
class Finished:
    """How a git process ended, with what it wrote to stdout."""

    exit_code: int
    out: bytes

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").strip()


@dataclass(frozen=True, slots=True)
class GitProgram:
    """Starts git. `protocols` are those that it may fetch by; `timeout` is in seconds, for any one process.

    `ca_file` holds the certificates that servers are verified by; None for the system's.
    """

    binary: str = "git"
    timeout: float = 300.0
    protocols: tuple[str, ...] = ("http", "https")
    ca_file: Path | None = None

    def run(
        self,
        args: Sequence[str],
        repository: Path | None = None,
        *,
        stdin: bytes = b"",
        login: Login | None = None,
        expect: tuple[int, ...] = (0,),
        index: Path | None = None,
    ) -> Finished:
        """Run `git <args>` on a repository (its GIT_DIR) to its end, with an index of its own if one is named.

        Raises one of Unavailable's kinds when it ends otherwise than with an exit code in `expect`, and Transient when
        it takes longer than `timeout`; the process and its children have been killed by then.
        """
        doing = f"git {next(each for each in args if not each.startswith('-'))}"
        try:
            process = subprocess.Popen(
                [self.binary, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=repository,
                env=self._environment(repository, login) | ({"GIT_INDEX_FILE": str(index)} if index else {}),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if repository is not None and not repository.is_dir():
                raise Transient(f"{doing} failed: its mirror is gone") from error
            raise Conflict(f"`{self.binary}` cannot be started; install git 2.39 or later") from error
        with process:
            try:
                out, err = process.communicate(stdin, timeout=self.timeout)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Transient(f"{doing} did not end within {self.timeout:g} s") from error
                raise
        if process.returncode in expect:
            return Finished(process.returncode, out)
        secrets = (login.token, login.basic) if login and login.token else ()
        raise failure(doing, masked(err.decode(errors="replace"), secrets))

    def _environment(self, repository: Path | None, login: Login | None) -> dict[str, str]:
        verified_by = {"http.sslCAInfo": str(self.ca_file)} if self.ca_file is not None else {}
        config = {**_CONFIG, **verified_by, **(login.config if login else {})}
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= _ENVIRONMENT
        environment["GIT_ALLOW_PROTOCOL"] = ":".join(self.protocols)
        environment["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        if repository is not None:
            environment["GIT_DIR"] = str(repository)
        return environment
