"""Workers as processes of their own, to be killed and stopped, and an engine that can be made to wait."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prbot.sandbox.world import World
from tests.flows.app import Story, shared_with_engines


class Engine:
    """Terraform behind a script that counts its calls and waits while `hold(step)` is in force."""

    def __init__(self, root: Path) -> None:
        self.calls_file = root / "calls"
        self.gate = root / "hold"
        self.path = root / "terraform"
        real = shutil.which("terraform")
        self.path.write_text(
            "#!/bin/sh\n"
            f'echo "$1" >> {self.calls_file}\n'
            f'while [ -e "{self.gate}-$1" ]; do sleep 0.1; done\n'
            f'exec {real} "$@"\n'
        )
        self.path.chmod(0o755)

    def hold(self, step: str) -> None:
        Path(f"{self.gate}-{step}").touch()

    def release(self, step: str = "*") -> None:
        for flag in self.gate.parent.glob(f"{self.gate.name}-{step}"):
            flag.unlink()

    def calls(self, step: str) -> int:
        return self.calls_file.read_text().split().count(step) if self.calls_file.exists() else 0


class WorkerProcess:
    """`prbot worker` as it runs in production."""

    def __init__(self, story: Story) -> None:
        settings = story.settings
        token = settings.github_token
        assert token is not None
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PRBOT_DATA_DIR": str(settings.data_dir),
            "PRBOT_GITHUB_API_URL": settings.github_api_url,
            "PRBOT_GITHUB_TOKEN": token.get_secret_value(),
            "PRBOT_GITHUB_WEBHOOK_SECRET": settings.github_webhook_secret.get_secret_value(),
            "PRBOT_REPO_ALLOWLIST": "acme/*",
            "PRBOT_ENGINE": settings.engine,
            "PRBOT_PLAN_ENV_FILE": str(settings.plan_env_file),
            "PRBOT_PARALLEL": "2",
            "PRBOT_LOG_FORMAT": "text",
            "PRBOT_LOG_LEVEL": "debug",
            **{
                f"PRBOT_{name.upper()}": str(path)
                for name in ("apply_env_file", "module_token_file", "rules")
                if (path := getattr(settings, name)) is not None
            },
            "PRBOT_ISOLATION": settings.isolation,
            "PRBOT_ISOLATION_NETWORK": settings.isolation_network,
            "PRBOT_ISOLATION_WRITE": ",".join(map(str, settings.isolation_write)),
        }
        self.log = story.root / "worker.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prbot", "worker"], env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        return self.process.wait(60)


@contextmanager
def stage(root: Path, **settings: Any) -> Iterator[tuple[Story, Engine]]:
    """The stand-in and the web server, and no worker yet."""
    with World(root / "github") as world:
        shared = shared_with_engines(root)
        shared.mkdir()
        engine = Engine(shared)
        story = Story(root, world, engine=str(engine.path), **settings)
        story.start_web()
        try:
            yield story, engine
        finally:
            engine.release()
            story.stop()


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)
