"""One engine process, from start to the last of its children.

The process gets the environment that it is given and nothing else, no stdin, no terminal that controls it, and its own
session. `run` returns when the process and its whole process group have gone, so that nothing of one run can still
write when the next one starts. (A child that makes a session of its own leaves the group; only isolation can hold it.)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import selectors
import signal
import struct
import subprocess
import termios
import time
import tty
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from prbot.ports import Conflict, Limits, OnLine, Transient
from prbot.terraform.lines import LineSplitter, Tail
from prbot.terraform.rooms import OPEN, Inside, Room
from prbot.terraform.supervision import Supervisor

CHUNK = 64 * 1024
TICK = 0.05
"""Seconds between two looks at the cancel event, which cannot wake a selector. Output and exits do so at once."""
DRAIN = 32
"""Chunks read after the end: more than any pipe holds, and an end to what an escaped child may still write."""
BURIAL = 10.0
HASTE = 2.0
"""Seconds that an engine has to unlock its state once all that it started was killed for taking far too much."""
COLUMNS = 78
"""How wide the engine takes its terminal to be: what it assumes where there is none."""

_EXHAUSTED = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


Interrupted = Literal["cancelled", "timeout", "limit"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `exit_code` is negative for a signal; `interrupted` says why we stopped it, if we did."""

    exit_code: int
    interrupted: Interrupted | None
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: `argv` with the program's full path first, where, and with which environment, complete.

    In a `room` the working directory is the room's own, and `cwd` of no account.
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    room: Room = OPEN


def run(command: Command, limits: Limits, on_line: OnLine, *, stdout: IO[bytes] | None = None) -> Ended:
    """Run `command` to its end and hand its lines to `on_line` as they come, both streams in their order.

    With `stdout`, that stream goes to the file instead and only stderr makes lines and output. An exception of
    `on_line` does not stop the process (it may be in the middle of an apply): it gets no more lines, and the exception
    is raised at the end. A cancel from before the start starts nothing. Conflict if the program cannot be started,
    Transient if the machine has run out of something.
    """
    if limits.cancel.is_set():
        return Ended(-signal.SIGINT, "cancelled", "", 0.0)
    started = time.monotonic()
    with command.room.door() as door:
        process, pipe = _start(command, door.argv, door.descriptors, stdout)
        watch = _Watch(process, pipe, limits, _Lines(on_line))
        try:
            watch.inside = door.enter()
            interrupted = watch.until_exit(started + limits.timeout)
        finally:
            exit_code = watch.bury()
    watch.lines.finish()
    return Ended(exit_code, interrupted, watch.lines.tail.text(), time.monotonic() - started)


def _start(
    command: Command, wrapper: Sequence[str], descriptors: Sequence[int], stdout: IO[bytes] | None
) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the end to read of what it writes.

    It writes to a raw pseudo-terminal that controls nothing, not to a pipe: should we be killed, an engine that goes on
    gets an error for what it prints, and finishes. A broken pipe would end it by SIGPIPE in the middle of an apply,
    with its state unsaved and locked.
    """
    pipe, theirs = os.openpty()
    tty.setraw(theirs)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 0, COLUMNS, 0, 0))
    argv = [*wrapper, *command.argv]
    try:
        process = subprocess.Popen(
            argv,
            cwd="/" if wrapper else command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            start_new_session=True,
            pass_fds=descriptors,
        )
    except OSError as error:
        os.close(pipe)
        message = f"{argv[0]} could not be started: {error.strerror}"
        raise (Transient if error.errno in _EXHAUSTED else Conflict)(message) from error
    finally:
        os.close(theirs)
    return process, pipe


class _Lines:
    """Feeds the callback, and remembers the first thing that it raised."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._failure: Exception | None = None
        self.tail = Tail()

    def feed(self, data: bytes) -> None:
        self.tail.add(data)
        self._deliver(self._splitter.feed(data))

    def finish(self) -> None:
        self._deliver(self._splitter.finish())
        if self._failure is not None:
            raise self._failure

    def _deliver(self, lines: list[str]) -> None:
        if self._failure is not None:
            return
        try:
            for line in lines:
                self._on_line(line)
        except Exception as failure:
            self._failure = failure


class _Watch:
    """Waits for output, for the end, for the cancel event and for the deadline, all at once.

    Everything goes through a pidfd and the unreaped process, so that no signal can ever reach a stranger that was
    given the same id: a process group's id stays taken for as long as its leader has not been reaped.
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, limits: Limits, lines: _Lines) -> None:
        self.lines = lines
        self.inside: Inside | None = None
        """The engine itself, where what was started is the room around it."""
        self._process = process
        self._limits = limits
        self._pidfd = os.pidfd_open(process.pid)
        self._pipe = pipe
        os.set_blocking(pipe, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        self._selector.register(pipe, selectors.EVENT_READ)

    def until_exit(self, deadline: float) -> Interrupted | None:
        """Return once the process has exited (not yet reaped), and why we interrupted it if we did."""
        reason: Interrupted | None = None
        told = False
        supervisor = self.inside.supervisor if self.inside is not None else None
        while True:
            ready = {key.fd for key, _ in self._selector.select(TICK)}
            if self._pidfd in ready:
                return reason
            if ready and self._read() == b"":
                self._selector.unregister(self._pipe)  # closed, though the process goes on
            now = time.monotonic()
            if reason is None:
                reason = self._why_stop(now, deadline, supervisor)
                if reason is not None:
                    deadline = now + self._limits.grace
            elif now >= deadline:
                self._kill_group()
            elif supervisor is not None and supervisor.is_far_over(now):
                deadline = min(deadline, now + HASTE)
                supervisor.end_the_rest()
            if reason is not None and not told:
                told = self._tell()

    def bury(self) -> int:
        """Kill what is left of the group, reap, read what was still on its way. The exit code."""
        self._kill_group()
        exit_code = self._process.wait()
        gone = _wait_until_gone(self._process.pid)
        for _ in range(DRAIN):
            if not self._read():
                break
        if not gone:
            self.lines.feed(b"\nprbot: child processes of this command could not be stopped\n")
        self._selector.close()
        os.close(self._pidfd)
        os.close(self._pipe)
        return exit_code if self.inside is None else self.inside.exit_code(exit_code)

    def _why_stop(self, now: float, deadline: float, supervisor: Supervisor | None) -> Interrupted | None:
        if self._limits.cancel.is_set():
            return "cancelled"
        if now >= deadline:
            return "timeout"
        excess = supervisor.excess(now) if supervisor is not None else ""
        if excess:
            self.lines.feed(f"\nError: prbot stopped this command: {excess}\n".encode())
            return "limit"
        return None

    def _tell(self) -> bool:
        """Ask the engine to stop: once, since it takes a second time as "die now". False if it can't hear it yet."""
        if self.inside is not None:
            return self.inside.interrupt()
        signal.pidfd_send_signal(self._pidfd, signal.SIGINT)
        return True

    def _read(self) -> bytes | None:
        """Take one chunk. Empty when nobody can write any more, None when there is nothing now."""
        try:
            data = os.read(self._pipe, CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""  # nobody has the other end of a pseudo-terminal any more
        if data:
            self.lines.feed(data)
        return data

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left, or nobody that we may kill
            os.killpg(self._process.pid, signal.SIGKILL)


def _wait_until_gone(group: int) -> bool:
    """Wait until a killed group has no living member. Its zombies, which only their parents can bury, do not count.

    False if somebody outlives SIGKILL for BURIAL seconds: a process of another user, or one stuck in the kernel.
    """
    deadline = time.monotonic() + BURIAL
    while _alive(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return any(_is_living_member(entry, group) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _is_living_member(entry: Path, group: int) -> bool:
    try:
        # proc(5): "pid (comm) state ppid pgrp …"; comm may hold spaces and brackets
        state, _, process_group, *_ = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return False  # it went while we looked
    return int(process_group) == group and state not in {"Z", "X"}
