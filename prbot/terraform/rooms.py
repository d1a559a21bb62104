"""A room around an engine process: how it is entered, who is inside, and what ends with it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prbot.ports import Allowance, Conflict, Transient
from prbot.terraform.network import PrivateNetwork
from prbot.terraform.supervision import Supervisor

_ENTER_SECONDS = 10.0
_THREADS = 4
"""For RLIMIT_NPROC, which counts threads: engines and providers have several each."""


@dataclass(frozen=True, slots=True)
class Room:
    """`wrapper` is the bubblewrap command line that makes the room, without the command; empty for none at all.

    `network` connects it. `trees` are the directories that may be written to, within the allowance.
    """

    wrapper: tuple[str, ...] = ()
    network: PrivateNetwork | None = None
    allowance: Allowance = field(default_factory=Allowance)
    trees: tuple[Path, ...] = ()

    @contextmanager
    def door(self) -> Iterator[Door]:
        """For one process. When the block ends, what connected the room goes as well."""
        with ExitStack() as stack:
            yield Door(self, stack) if self.wrapper else Door(None, stack)


OPEN = Room()
"""No room: the process sees what we see."""


class Door:
    """What goes before the command, which descriptors it inherits, and the way in once it is started."""

    def __init__(self, room: Room | None, stack: ExitStack) -> None:
        self._room, self._stack = room, stack
        self._theirs = stack.enter_context(ExitStack())
        self.argv: Sequence[str] = ()
        self.descriptors: Sequence[int] = ()
        if room is None:
            return
        self._info, tell = self._pipe(theirs=1)
        wait, self._go = self._pipe(theirs=0)
        # The other end of what it keeps open tells that the room is gone, also when we are gone before it.
        self._gone, keep = self._pipe(theirs=1)
        self.descriptors = (tell, wait, keep)
        channels = ["--info-fd", str(tell), "--block-fd", str(wait), "--sync-fd", str(keep)]
        self.argv = [*room.wrapper, *channels, "--", *limited(room.allowance)]

    def enter(self) -> Inside | None:
        """Connect the room and let the engine begin. None without a room, or when it could not be made.

        Transient if it could not be connected: nothing of the engine has begun then.
        """
        if self._room is None:
            return None
        self._theirs.close()
        pid = self._who()
        if pid is None:  # bubblewrap has said why, and ended
            return None
        if self._room.network is not None:
            self._stack.enter_context(self._room.network.of(pid, self._gone))
        with suppress(BrokenPipeError):  # the room broke down meanwhile: its end and its words tell
            os.write(self._go, b"go")
        return Inside(pid, Supervisor(pid, self._room.allowance, self._room.trees))

    def _who(self) -> int | None:
        said = b""
        while not said.rstrip().endswith(b"}"):
            readable, _, _ = select.select([self._info], [], [], _ENTER_SECONDS)
            if not readable:
                raise Transient("bubblewrap did not make a room in time")
            data = os.read(self._info, 4096)
            if not data:
                return None
            said += data
        return int(json.loads(said)["child-pid"])

    def _pipe(self, *, theirs: int) -> tuple[int, int]:
        """A pipe, one end of which is for the room and closed on our side once that is made."""
        ends = os.pipe()
        self._theirs.callback(os.close, ends[theirs])
        self._stack.callback(os.close, ends[1 - theirs])
        return ends


class Inside:
    """The engine in its room, known by its process id on this machine."""

    def __init__(self, pid: int, supervisor: Supervisor) -> None:
        self._pid = pid
        self.supervisor = supervisor

    def interrupt(self) -> bool:
        """Send SIGINT, unless it would be lost: the first process of a PID namespace gets only what it handles."""
        try:
            pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return True
        try:
            if not _handles(self._pid, signal.SIGINT):
                return False
            signal.pidfd_send_signal(pidfd, signal.SIGINT)
            return True
        except ProcessLookupError:
            return True
        finally:
            os.close(pidfd)

    @staticmethod
    def exit_code(code: int) -> int:
        """Of what bubblewrap exits with, which is 128 and more for a signal: negative then, as for any process."""
        return 128 - code if code > 128 else code


def _handles(pid: int, number: signal.Signals) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1)


def limited(allowance: Allowance) -> list[str]:
    """What goes before a command so that the kernel holds each of its processes to the allowance (prlimit(1))."""
    program = shutil.which("prlimit")
    if program is None:
        raise Conflict("`prlimit` was not found on PATH: install the package util-linux")
    megabyte = 1 << 20
    memory = [] if allowance.memory is None else [f"--data={allowance.memory * megabyte}"]
    return [
        os.path.realpath(program), *memory, f"--nproc={allowance.processes * _THREADS}",
        f"--nofile={allowance.open_files}", f"--fsize={allowance.disk * megabyte}", "--core=0", "--",
    ]  # fmt: skip
