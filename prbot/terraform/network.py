"""A network of its own for an engine process: the way out, and none to this machine or the cloud's metadata.

slirp4netns (https://github.com/rootless-containers/slirp4netns) carries the packets of a network namespace to ordinary
sockets of this machine. Loopback stays inside; for the addresses at which clouds hand out credentials to whoever asks
there is no route. Both are set up before the engine begins, and the engine has no capability to change them.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prbot.ports import Conflict, Transient

UNREACHABLE = ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")
"""Link-local (AWS, Azure, GCP, Oracle and others; ECS and EKS credentials), Azure's wire server, Alibaba's metadata."""

_DNS = "10.0.2.3"
_READY_SECONDS = 10.0
_NS_GET_USERNS = 0xB701
"""ioctl_ns(2): the user namespace that owns a namespace."""


@dataclass(frozen=True, slots=True)
class PrivateNetwork:
    """Makes the network of one process at a time ready. Takes about 15 ms."""

    @staticmethod
    def resolver() -> str:
        """A `resolv.conf` for those inside: slirp4netns passes questions on to this machine's resolver."""
        return f"nameserver {_DNS}\n"

    def check(self) -> str:
        """What it is made with. Conflict, with what to do, if something is missing."""
        for program, package in (("slirp4netns", "slirp4netns"), ("nsenter", "util-linux"), ("ip", "iproute2")):
            if shutil.which(program) is None:
                raise Conflict(
                    f"`{program}` was not found on PATH: install the package {package}, or say "
                    "PRBOT_ISOLATION_NETWORK=host, with which engines reach this machine's loopback and the cloud's "
                    "metadata service"
                )
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Conflict(
                "/dev/net/tun cannot be opened (in a container: `--device /dev/net/tun`); without it say "
                "PRBOT_ISOLATION_NETWORK=host, with which engines reach this machine's loopback and the cloud's "
                "metadata service"
            )
        done = subprocess.run(["slirp4netns", "--version"], capture_output=True, text=True, timeout=30, check=False)
        return f"a network of its own by {(done.stdout.splitlines() or ['slirp4netns'])[0]}"

    @contextmanager
    def of(self, pid: int, ends_with: int) -> Iterator[None]:
        """Connect the network namespace of `pid`; the connection lasts until the other end of `ends_with` closes.

        Transient if it cannot be made ready in time.
        """
        _wait_for_its_user(pid)
        with _namespaces(pid) as (user, network):
            slirp = _connect(user, network, ends_with)
            try:
                _close_ways(user, network)
            except BaseException:
                _end(slirp)
                raise
        try:
            yield
        finally:
            _end(slirp)


def _wait_for_its_user(pid: int) -> None:
    """Until the room's user is mapped, whoever enters it is nobody there, and may do nothing."""
    deadline = time.monotonic() + _READY_SECONDS
    while not _uid_map(pid).strip():
        if time.monotonic() > deadline:
            raise Transient("bubblewrap did not make a room in time")
        time.sleep(0.001)


def _uid_map(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/uid_map").read_text(encoding="ascii")
    except OSError as error:
        raise Transient("the engine's room was gone before its network was ready") from error


@contextmanager
def _namespaces(pid: int) -> Iterator[tuple[str, str]]:
    """Paths of the user and network namespace of a process that lives."""
    try:
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Transient("the engine's room was gone before its network was ready") from error
    try:
        user = fcntl.ioctl(network, _NS_GET_USERNS)
        try:
            yield f"/proc/{os.getpid()}/fd/{user}", f"/proc/{os.getpid()}/fd/{network}"
        finally:
            os.close(user)
    finally:
        os.close(network)


def _connect(user: str, network: str, ends_with: int) -> subprocess.Popen[bytes]:
    ready, says_so = os.pipe()
    try:
        try:
            slirp = subprocess.Popen(
                [
                    "slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={says_so}",
                    f"--exit-fd={ends_with}", "--netns-type=path", f"--userns-path={user}", network, "tap0",
                ],
                pass_fds=(says_so, ends_with), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Transient(f"slirp4netns could not be started: {error.strerror}") from error
        finally:
            os.close(says_so)
        readable, _, _ = select.select([ready], [], [], _READY_SECONDS)
        if not readable or os.read(ready, 1) != b"1":
            _end(slirp)
            raise Transient("slirp4netns did not connect the engine's network")
        return slirp
    finally:
        os.close(ready)


def _close_ways(user: str, network: str) -> None:
    routes = "".join(f"route add unreachable {network}\n" for network in UNREACHABLE)
    enter = ["nsenter", f"--user={user}", f"--net={network}", "--preserve-credentials", "ip", "-batch", "-"]
    try:
        done = subprocess.run(enter, input=routes, capture_output=True, text=True, timeout=_READY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Transient("the engine's routes could not be set") from error
    if done.returncode:
        raise Transient(f"the engine's routes could not be set: {' '.join(done.stderr.split())[:200]}")


def _end(slirp: subprocess.Popen[bytes]) -> None:
    slirp.kill()
    slirp.wait()
