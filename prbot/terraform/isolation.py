"""What an engine process sees of the machine: all of it, or a room of its own made by bubblewrap.

In the room there are the system's programs (read-only), the engine, the checkout at `/checkout`, the data directory at
`/data`, the temporary directory at `/tmp`, the provider cache at `/providers`, and what the operator adds. User, PID,
IPC, UTS and mount namespaces are its own, and its network unless the operator says otherwise; it has no capability and
can get none. The paths are the same in each run, so that what depends on them (`path.cwd`) does not change a plan.

Bubblewrap: https://github.com/containers/bubblewrap. With `--as-pid-1` the engine is the first process of its PID
namespace: when it ends, the kernel ends all others, also those that made a session of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from prbot.ports import Allowance, Conflict, Limits, Site
from prbot.terraform.launcher import what_it_reads
from prbot.terraform.network import PrivateNetwork
from prbot.terraform.rooms import OPEN, Room, limited

CHECKOUT, DATA, TEMPORARY, PROVIDERS = Path("/checkout"), Path("/data"), Path("/tmp"), Path("/providers")  # noqa: S108
SHARED_MEMORY = 64 << 20
_ID = 1000
_TIMEOUT = 30.0
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/run/current-system")
_ETC = ("ssl", "pki", "ca-certificates", "ca-certificates.conf", "crypto-policies", "alternatives", "localtime")
"""What programs need of `/etc`, and nobody minds: certificates, the choice among alternatives, the time zone."""
_NEVER_IN_SIGHT = ("/proc", "/dev", "/sys")


class Isolation(Protocol):
    """Where engine processes run. `inside` says by which path a process knows one of its site's. `check` names what
    keeps them apart, and raises Conflict, with what to do, if that does not work here. `host` is the name of the host
    that a site's processes, and no others, take themselves to be on; empty where there is no such name."""

    def inside(self, path: Path, site: Site) -> Path: ...

    def room(self, engine: Path, step: str, site: Site, limits: Limits) -> Room: ...

    def host(self, site: Site) -> str: ...

    def check(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Unconfined:
    """No isolation: an engine process sees and may do whatever the server may."""

    def inside(self, path: Path, site: Site) -> Path:
        return path

    def room(self, engine: Path, step: str, site: Site, limits: Limits) -> Room:
        return OPEN

    def host(self, site: Site) -> str:
        return ""

    def check(self) -> str:
        return "off"


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """A room for each engine process.

    `etc` is a directory of ours for a made-up `/etc`. `hidden` are the server's own places: they are out of sight even
    where they lie within something that is not. `readable` and `writable` are the operator's additions.
    """

    etc: Path
    hidden: tuple[Path, ...] = ()
    network: PrivateNetwork | None = field(default_factory=PrivateNetwork)
    provider_cache: Path | None = None
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()

    def inside(self, path: Path, site: Site) -> Path:
        """ValueError for a path that is in none of the site's directories."""
        places = {site.tmp_dir: TEMPORARY, site.data_dir: DATA, site.checkout: CHECKOUT}
        if self.provider_cache is not None:
            places[self.provider_cache] = PROVIDERS
        for outside, within in places.items():
            if path.is_relative_to(outside):
                return within / path.relative_to(outside)
        raise ValueError(f"{path} is in no directory that an engine sees")

    def room(self, engine: Path, step: str, site: Site, limits: Limits) -> Room:
        if self.provider_cache is not None:
            self.provider_cache.mkdir(parents=True, exist_ok=True)
        network = None if step == "show" else self.network
        argv = [
            *self._walls(shared_network=self.network is None),
            *("--hostname", self.host(site) or "prbot"),
            *self._system(),
            *_bind("--bind", site.tmp_dir, TEMPORARY),
            *_bind("--bind", site.data_dir, DATA),
            *_bind("--bind", site.checkout, CHECKOUT),
            *self._providers(step),
            *_engine(engine),
            *self._own(),
            "--remount-ro", "/", "--chdir", str(self.inside(site.dir, site)),
        ]  # fmt: skip
        return Room(tuple(argv), network, limits.allowance, (site.tmp_dir, site.data_dir, site.checkout))

    def host(self, site: Site) -> str:
        return f"prbot-{site.name}"[:64] if site.name else ""

    def check(self) -> str:
        """What isolates, and how. Conflict, with what to do, if it does not work on this machine."""
        program = shutil.which("bwrap")
        if program is None:
            raise Conflict(f"bubblewrap (the program `bwrap`) was not found on PATH. {_INSTALL}")
        nothing = str(Path(shutil.which("true") or "/bin/true").resolve())
        command = [*limited(Allowance()), nothing]
        argv = [*self._walls(shared_network=self.network is None), *self._system(), "--", *command]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Conflict(f"bubblewrap could not be started ({error}). {_INSTALL}") from error
        if done.returncode:
            said = " ".join(done.stderr.split())[-300:]
            raise Conflict(f"bubblewrap does not work here: {said}. {_PERMIT}")
        network = self.network.check() if self.network is not None else "the server's own network"
        return f"{_version(program)}, {network}"

    # -- parts of the command line ------------------------------------------------------------------------------------
    def _walls(self, *, shared_network: bool) -> list[str]:
        return [
            shutil.which("bwrap") or "bwrap", "--unshare-user", *_no_more_namespaces(), "--unshare-pid",
            "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            *(() if shared_network else ("--unshare-net",)), "--as-pid-1", "--cap-drop", "ALL",
            "--uid", str(_ID), "--gid", str(_ID),
        ]  # fmt: skip

    def _system(self) -> list[str]:
        argv: list[str] = []
        for place in map(Path, _SYSTEM):
            if place.is_symlink():
                argv += ["--symlink", os.readlink(place), str(place)]
            elif place.is_dir():
                argv += _bind("--ro-bind", place, place)
        argv += _bind("--ro-bind", self.etc, Path("/etc"))
        for name in _ETC:
            if Path("/etc", name).exists():
                argv += _bind("--ro-bind", Path("/etc", name).resolve(), Path("/etc", name))
        return [
            *argv, "--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm",  # noqa: S108
            "--remount-ro", "/dev",
        ]  # fmt: skip

    def _providers(self, step: str) -> list[str]:
        """Written to by `init` alone, which runs nothing of the pull request's."""
        if self.provider_cache is None:
            return []
        return _bind("--bind" if step == "init" else "--ro-bind", self.provider_cache, PROVIDERS)

    def _own(self) -> list[str]:
        argv: list[str] = []
        for path in self.readable:
            argv += _bind("--ro-bind", path, path)
        for path in self.writable:
            argv += _bind("--bind", path, path)
        for path in self.hidden:
            # what lies under nothing that is bound is not there at all
            if any(path.is_relative_to(seen) for seen in (*map(Path, _SYSTEM), *self.readable, *self.writable)):
                argv += ["--tmpfs", str(path)] if path.is_dir() else _bind("--ro-bind", Path("/dev/null"), path)
        return argv


_INSTALL = (
    "Install it (Debian and others: `apt-get install bubblewrap slirp4netns iproute2`), or say PRBOT_ISOLATION=off"
)
_PERMIT = (
    "Let this user make user namespaces (sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces, an "
    "AppArmor profile; in a container, a seccomp profile that permits them), or say PRBOT_ISOLATION=off"
)


def made_up_etc(directory: Path, *, private_network: bool) -> Path:
    """Fill `directory` with the `/etc` that engines see: two users, this host's name, and mount points for the rest."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = {
        "passwd": f"root:x:0:0::/nonexistent:/bin/false\nprbot:x:{_ID}:{_ID}::/tmp:/bin/sh\n",
        "group": f"root:x:0:\nprbot:x:{_ID}:\n",
        "hosts": "127.0.0.1 localhost prbot\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": PrivateNetwork.resolver() if private_network else _text_of(Path("/etc/resolv.conf")),
    }
    for name, text in files.items():
        if _text_of(directory / name) != text:  # engines of another process may be looking at it
            (directory / name).write_text(text, encoding="utf-8")
    for name in _ETC:
        place = Path("/etc", name)
        if place.is_dir():
            (directory / name).mkdir(exist_ok=True)
        elif place.exists():
            (directory / name).touch()
    return directory


def too_much_in_sight(paths: tuple[Path, ...], hidden: tuple[Path, ...]) -> str:
    """What is wrong with directories that an operator wants engines to see; empty if nothing is."""
    for path in paths:
        if not path.is_absolute() or not path.exists():
            return f"{path}: expected the absolute path of something that is there"
        if path == Path("/") or any(path.is_relative_to(never) for never in _NEVER_IN_SIGHT):
            return f"{path}: engines may not see that"
        for own in hidden:
            if own.is_relative_to(path) or path.is_relative_to(own):
                return f"{path}: prbot's own {own} is there, which engines may not see"
    return ""


def _bind(how: str, outside: Path, within: Path) -> list[str]:
    return [how, str(outside), str(within)]


def _engine(program: Path) -> list[str]:
    """The engine, and what it needs itself, where that is not among the system's directories."""
    argv: list[str] = []
    for path in dict.fromkeys((program, program.resolve(), *what_it_reads(program))):
        if not any(path.is_relative_to(place) for place in _SYSTEM):
            argv += _bind("--ro-bind", path, path)
    return argv


@cache
def _no_more_namespaces() -> tuple[str, ...]:
    """Since bubblewrap 0.8: nobody in the room makes user namespaces of their own, and with them attack surface."""
    shown = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    return ("--disable-userns",) if "--disable-userns" in shown.stdout + shown.stderr else ()


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    return done.stdout.strip()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
