"""What `prbot init` writes: from a few answers, the files of an installation. Pure.

All of them lie in one directory, and name each other by absolute paths, so that commands work from anywhere. Under
Compose the container sees that directory at the same path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from string import Template
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

RunBy = Literal["systemd", "compose"]
PORT = 4242
SETTINGS, RULES, WEBHOOK_SECRET, DATA = "prbot.yaml", "rules.yaml", "webhook-secret", "data"
UNITS: Mapping[RunBy, str] = {"systemd": "prbot.service", "compose": "compose.yaml"}


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App, by its id, the file of its private key, and that of its webhook's secret where there is one."""

    id: str
    key_file: PurePath
    webhook_secret_file: PurePath | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What only the operator knows."""

    repositories: tuple[str, ...]
    public_url: str
    github: PurePath | App
    """The file that holds a token, or an App."""
    run_by: RunBy
    plan_env_file: PurePath | None = None
    apply_env_file: PurePath | None = None

    @property
    def known_secret(self) -> PurePath | None:
        """The file of a webhook secret that GitHub knows already."""
        return self.github.webhook_secret_file if isinstance(self.github, App) else None


@dataclass(frozen=True, slots=True)
class Host:
    """What shows of the machine, and of who runs prbot on it."""

    program: tuple[str, ...]
    """The words that start prbot."""
    user: str
    uid: int
    gid: int
    version: str
    engine: str = ""
    """The engine's full path, as services have a PATH of their own; empty where none was found."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written."""

    name: str
    text: str = field(repr=False)
    mode: int = 0o644


# -- answers ----------------------------------------------------------------------------------------------------------
def repositories(text: str) -> tuple[str, ...]:
    """`owner/name` globs, with commas or spaces between. ValueError says what is wrong with which."""
    globs = tuple(text.replace(",", " ").split())
    if not globs:
        raise ValueError("name at least one, such as acme/infra, or acme/* for all of an owner's")
    for glob in globs:
        if "://" in glob:
            path = urlsplit(glob).path.strip("/").removesuffix(".git")
            raise ValueError(f"{glob} is an address; write the name alone: {path or 'acme/infra'}")
        if glob.count("/") != 1 or not all(glob.split("/")):
            raise ValueError(f"{glob!r} is not owner/name: write it like acme/infra, or acme/* for all of an owner's")
    return globs


def public_url(text: str) -> str:
    """An https URL, or one of this machine itself for a trial, without a slash at its end. ValueError says why not."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError(f"{text!r} is not a URL: write it like https://prbot.example.org") from None
    if not parts.scheme or not host:
        hint = f"https://{text}" if text and "/" not in text and ":" not in text else "https://prbot.example.org"
        raise ValueError(f"{text!r} is not a URL with its scheme and host: write it like {hint}")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")):
        raise ValueError(
            "GitHub must reach it by https (a proxy with a certificate in front); http is for this host alone"
        )
    if parts.query or parts.fragment or parts.username:
        raise ValueError("a scheme, a host and perhaps a path, without a login, ? or #")
    return text.rstrip("/")


def run_by(text: str) -> RunBy:
    """How it is run. ValueError for anything else."""
    match text.lower():
        case "systemd":
            return "systemd"
        case "compose":
            return "compose"
    raise ValueError(f"{text!r} is not one of systemd, compose")


# -- files ------------------------------------------------------------------------------------------------------------
def files(place: PurePath, answers: Answers, host: Host, webhook_secret: str) -> list[NewFile]:
    """Everything that is written into the directory `place`, an absolute path."""
    unit = _systemd(place, host) if answers.run_by == "systemd" else _compose(place, answers, host)
    secret = [] if answers.known_secret else [NewFile(WEBHOOK_SECRET, webhook_secret + "\n", 0o600)]
    return [
        *secret,
        NewFile(SETTINGS, _settings(place, answers, host)),
        NewFile(RULES, _RULES),
        NewFile(UNITS[answers.run_by], unit),
    ]


def _settings(place: PurePath, answers: Answers, host: Host) -> str:
    values: dict[str, Any] = {
        "repo_allowlist": list(answers.repositories),
        "public_url": answers.public_url,
        "bind": f"127.0.0.1:{PORT}",
        "data_dir": str(place / DATA),
        "rules": str(place / RULES),
        "github_webhook_secret_file": str(answers.known_secret or place / WEBHOOK_SECRET),
    }
    if isinstance(answers.github, App):
        values |= {"github_app_id": answers.github.id, "github_app_key_file": str(answers.github.key_file)}
    else:
        values["github_token_file"] = str(answers.github)
    for name, path in (("plan_env_file", answers.plan_env_file), ("apply_env_file", answers.apply_env_file)):
        if path is not None:
            values[name] = str(path)
    if host.engine and answers.run_by == "systemd":
        values["engine"] = host.engine
    return _SETTINGS_HEAD + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _systemd(place: PurePath, host: Host) -> str:
    arguments = (*host.program[1:], "serve", "--config", str(place / SETTINGS))
    # in arguments, and there alone, a $ begins a variable
    command = " ".join([_quoted(host.program[0]), *(_quoted(word).replace("$", "$$") for word in arguments)])
    # Mapping uid 0 into a user namespace takes a capability; everybody else's uid does not.
    capabilities = "" if host.uid == 0 else "CapabilityBoundingSet=\n"
    return _SYSTEMD.substitute(
        user=host.user,
        command=command,
        place=str(place).replace("%", "%%"),
        data=_quoted(str(place / DATA)),
        capabilities=capabilities,
    )


def _quoted(word: str) -> str:
    """A word of a list in a unit; see systemd.syntax(7) and systemd.service(5)."""
    escaped = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(" \t\"'\\;") & set(word) else escaped


def _compose(place: PurePath, answers: Answers, host: Host) -> str:
    service = {
        "image": f"prbot:{host.version}",
        "command": ["serve", "--config", str(place / SETTINGS)],
        "user": f"{host.uid}:{host.gid}",
        "environment": {"PRBOT_BIND": f"0.0.0.0:{PORT}"},
        "ports": [f"127.0.0.1:{PORT}:{PORT}"],
        "volumes": [_bind(place), _bind(place / DATA, read_only=False), *map(_bind, _outside(place, answers))],
        **({} if host.uid == 0 else {"cap_drop": ["ALL"]}),
        "devices": ["/dev/net/tun"],
        "security_opt": [
            "no-new-privileges:true",
            "seccomp:unconfined",
            "apparmor:unconfined",
            "systempaths=unconfined",
        ],
        "restart": "unless-stopped",
        "stop_grace_period": "3h",
    }
    text = yaml.safe_dump({"services": {"prbot": service}}, sort_keys=False, allow_unicode=True)
    return _COMPOSE_HEAD.format(version=host.version) + text.replace("$", "$$")


def _outside(place: PurePath, answers: Answers) -> list[PurePath]:
    """The files that the settings name and that do not lie in the directory."""
    github = answers.github.key_file if isinstance(answers.github, App) else answers.github
    named = (github, answers.known_secret, answers.plan_env_file, answers.apply_env_file)
    return list(dict.fromkeys(each for each in named if each is not None and not each.is_relative_to(place)))


def _bind(path: PurePath, *, read_only: bool = True) -> dict[str, Any]:
    return {"type": "bind", "source": str(path), "target": str(path), "read_only": read_only}


# -- words ------------------------------------------------------------------------------------------------------------
def next_steps(place: PurePath, answers: Answers, host: Host) -> str:
    """What is left to do: at GitHub, and here, the two next commands last."""
    settings = place / SETTINGS
    parts = {
        "github": _credential_steps(answers.github),
        "url": f"{answers.public_url}/webhooks/github",
        "secret": answers.known_secret or place / WEBHOOK_SECRET,
        "doctor": f"prbot doctor --config {settings}",
        "start": f"sudo systemctl enable --now {place / UNITS['systemd']}",
        "trial": f"     (or, to try it here first: prbot serve --config {settings})\n",
    }
    if answers.run_by == "compose":
        compose = f"docker compose -f {place / UNITS['compose']}"
        parts |= {"doctor": f"{compose} run --rm prbot doctor --config {settings}", "start": f"{compose} up -d"}
        parts["trial"] = f"     (the image: docker build -t prbot:{host.version} . in a clone; see the Dockerfile)\n"
    return _NEXT.substitute(parts)


def _credential_steps(github: PurePath | App) -> str:
    if isinstance(github, App):
        return "install the App on the repositories."
    return f"""\
put a token into {github}.
     Fine-grained, for these repositories alone: Contents read; Pull requests, Issues and Commit statuses read and
     write; Webhooks read (so that prbot doctor can look at them). Or a classic one with the scope `repo`.
     Its owner needs the role Write."""


_SETTINGS_HEAD = """\
# prbot's settings. A variable PRBOT_… of the environment wins over a line here. Paths are absolute on purpose.
# After a change: prbot doctor --config THIS-FILE, then restart prbot.
"""

_RULES = """\
# The rules of each repository. A pull request cannot change them; whoever can write this file can.
# Every entry whose `match` fits counts, key by key, and the last one wins. docs/settings.md lists all keys.
defaults:
  approvals: 1
repos: []
#  - match: acme/infra
#    approvals: 2
"""

_SYSTEMD = Template("""\
[Unit]
Description=prbot: infrastructure changes through pull requests
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User=$user
ExecStart=$command
WorkingDirectory=$place
Restart=on-failure
RestartSec=5
# 2: the settings are wrong. To start again would not mend them.
RestartPreventExitStatus=2
# SIGTERM goes to prbot, which takes nothing new and lets an apply finish.
KillMode=mixed
TimeoutStopSec=3h
UMask=0077

# Left out, as bubblewrap and slirp4netns, which keep plans apart, need them: RestrictNamespaces, PrivateDevices, a
# SystemCallFilter without @mount, and what covers parts of /proc (ProtectKernelTunables, ProtectKernelLogs, …).
NoNewPrivileges=yes
${capabilities}ProtectSystem=strict
ReadWritePaths=$data
ProtectHome=read-only
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
ProtectClock=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
""")

_COMPOSE_HEAD = """\
# The image: docker build -t prbot:{version} --build-arg TERRAFORM_SHA256=… . in a clone of prbot (see its Dockerfile).
# Everything has the same path inside as outside. To keep plans apart, bubblewrap needs namespaces and an unmasked /proc
# (so seccomp, apparmor and systempaths are unconfined), and slirp4netns /dev/net/tun. A TLS proxy belongs in front.
"""

_NEXT = Template("""\

At GitHub
  1. Let prbot in: $github
  2. Add a webhook (the repository's or organisation's settings, Webhooks):
     URL $url
     content type application/json; its secret is the one line of $secret
     events: Pull requests, Pull request reviews, Issue comments, and Merge groups where you use a merge queue
  3. Make prbot/gate a required status of the default branch, and never prbot/apply, which comes after the merge.

Keep a copy of the keys that the first start makes (secret.key, audit.key in the data directory) somewhere else.

Next
  1. $doctor
  2. $start
$trial""")
