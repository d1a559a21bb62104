"""What the processes of a room use together, looked at while they run.

The kernel's own limits (prlimit) hold each process at once; these hold all of them, and hold them also where the kernel
makes exceptions, as it does for root's processes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from prbot.disk import used
from prbot.ports import Allowance

LOOK = 0.25
"""Seconds between two looks at processes and memory."""
LOOK_AT_DISK = 2.0
RESERVE = 256 << 20
"""Bytes that must stay free on the disk for the server itself."""
FAR = 2
"""Over by this factor, what the engine started is killed at once."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 1 << 20


class Supervisor:
    """Looks at the processes below `pid`, the first of a PID namespace, and at what they write to `trees`."""

    def __init__(self, pid: int, allowance: Allowance, trees: Sequence[Path]) -> None:
        self._pid = pid
        self._allowance = allowance
        self._trees = trees
        self._next = self._next_disk = 0.0
        self._disk_at_start: int | None = None
        self._disk = self._memory = self._processes = 0

    def excess(self, now: float) -> str:
        """What is used beyond the allowance, in a sentence for people; empty while all is well."""
        self._look(now)
        may = self._allowance
        if self._processes > may.processes:
            return f"it ran more than {may.processes} processes (rule `limits.processes`)."
        if may.memory is not None and self._memory > may.memory * _MIB:
            return f"it used more than {may.memory} MiB of memory (rule `limits.memory`)."
        if self._disk > may.disk * _MIB:
            return f"it wrote more than {may.disk} MiB (rule `limits.disk`)."
        if self._full():
            return f"less than {RESERVE // _MIB} MiB are free on the disk."
        return ""

    def is_far_over(self, now: float) -> bool:
        """Whether there is no time to let it end by itself."""
        self._look(now)
        may = self._allowance
        return (
            self._processes > FAR * may.processes
            or (may.memory is not None and self._memory > FAR * may.memory * _MIB)
            or self._disk > FAR * may.disk * _MIB
            or self._full()
        )

    def end_the_rest(self) -> None:
        """Kill all but the first process: an engine that is left alone unlocks its state before it ends."""
        for pid in reversed(list(self._below())[1:]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _look(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + LOOK
        self._processes = self._memory = 0
        for pid in self._below():
            self._processes += 1
            self._memory += _memory_of(pid)
            if self._processes > FAR * self._allowance.processes:
                break
        if now >= self._next_disk:
            self._next_disk = now + LOOK_AT_DISK
            total = used(self._trees)
            if self._disk_at_start is None:
                self._disk_at_start = total
            self._disk = total - self._disk_at_start

    def _below(self) -> Iterator[int]:
        """The process and all that descend from it: orphans become its own children."""
        todo = [self._pid]
        while todo:
            pid = todo.pop()
            yield pid
            todo += _children(pid)

    def _full(self) -> bool:
        for tree in self._trees:
            try:
                disk = os.statvfs(tree)
            except OSError:
                continue
            if disk.f_bavail * disk.f_frsize < RESERVE:
                return True
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii").split())
    except OSError:
        return found  # it went while we looked
    return found


def _memory_of(pid: int) -> int:
    """Bytes that are its own: resident, not shared with a file or another process (proc(5), statm)."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE
