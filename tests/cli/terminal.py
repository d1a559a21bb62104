"""A person at a terminal, who reads what a command says before they answer."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self


class Terminal:
    """Runs a command on a pseudo-terminal of its own."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: str) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(env), cwd=cwd, start_new_session=True
        )
        os.close(theirs)
        self.said = ""
        """Everything so far."""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def answer(self, prompt: str, text: str) -> str:
        """Wait until `prompt` is there, type a line, and give what was said before the prompt."""
        deadline = time.monotonic() + 30
        while prompt not in self.said[self._read :]:
            if not self._more(deadline):
                raise AssertionError(f"no {prompt!r} in: {self.said}")
        begin, self._read = self._read, self.said.index(prompt, self._read) + len(prompt)
        os.write(self._ours, f"{text}\n".encode())
        return self.said[begin : self._read]

    def end(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + 30
        while self._more(deadline):
            pass
        return self._process.wait(5)

    def _more(self, deadline: float) -> bool:
        """Read some. False at the end, and when time is up."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._ours, 65536) if ready else b""
        except OSError:  # how the end of a pseudo-terminal shows on Linux
            data = b""
        self.said += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
