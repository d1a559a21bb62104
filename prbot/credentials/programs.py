"""What an operator's program prints. It gets no environment but a PATH, and what it complains of stays unseen."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, cast

from prbot.ports import Conflict, Transient

SECONDS = 30.0
MOST_BYTES = 64 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def printed_by(command: Sequence[str]) -> str:
    """The standard output of a program, given with its arguments. Conflict or Transient, which show none of it."""
    program, deadline = command[0], time.monotonic() + SECONDS
    with _started(command) as process:
        try:
            output = _read(cast(IO[bytes], process.stdout), deadline)
            exit_code = process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise Transient(f"`{program}` took longer than {SECONDS:.0f} s") from None
        except OverflowError:
            problem = f"`{program}` printed more than {MOST_BYTES} bytes; it should print NAME=value lines"
            raise Conflict(problem) from None
        finally:
            if process.returncode is None:  # not reaped, so that nobody else can have its group's id
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if exit_code:
        raise Conflict(f"`{program}` ended with exit code {exit_code}; run it by hand to see why")
    try:
        return output.decode()
    except UnicodeDecodeError:
        raise Conflict(f"`{program}` printed something that is not UTF-8 text") from None


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": PATH}, cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Conflict(f"`{command[0]}` could not be started: {error.strerror}") from None


def _read(stream: IO[bytes], deadline: float) -> bytes:
    """All that is written until nobody can write any more. TimeoutError, or OverflowError when it is too much."""
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(output) <= MOST_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(stream.fileno(), MOST_BYTES)
            if not chunk:
                return output
            output += chunk
    raise OverflowError
