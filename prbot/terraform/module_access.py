"""How `init` alone reads private modules: a git token for listed hosts, by git's configuration from the environment.

https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT. Nothing of it is written to disk, as it
would be with the token in a URL, and git sends the header to no other host, nor on redirects to one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

PROTOCOLS = "https:http:ssh:git"
"""What modules may come by. Not `file`, nor `ext`, which runs a program."""


@dataclass(frozen=True, slots=True)
class ModuleAccess:
    """`token` is asked anew for each init; empty for none. `hosts` are base URLs such as `https://github.com/`."""

    token: Callable[[], str] = str
    hosts: Sequence[str] = ()

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What `init` gets besides the `given` environment, whose own git configuration stays in force.

        Raises what `token` raises.
        """
        token = self.token()
        first = int(given.get("GIT_CONFIG_COUNT") or 0)
        settings = list(_settings(token, self.hosts)) if token else []
        ours = {"GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_TERMINAL_PROMPT": "0"}
        if settings:
            ours["GIT_CONFIG_COUNT"] = str(first + len(settings))
        for number, (key, value) in enumerate(settings, start=first):
            ours |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return ours


def base_url(host: str) -> str:
    """`https://host/` of a host or URL as settings name it. ValueError if it is neither."""
    parts = urlsplit(host if "://" in host else f"https://{host}")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{host!r} is not a host, such as github.com")
    return f"{parts.scheme}://{parts.netloc}/"


def _settings(token: str, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    for host in hosts:
        yield f"http.{host}.extraHeader", f"Authorization: Basic {credentials}"
        name = urlsplit(host).hostname
        for by_ssh in (f"git@{name}:", f"ssh://git@{name}/"):
            yield f"url.{host}.insteadOf", by_ssh
