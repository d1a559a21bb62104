"""A world at rest, from which tries begin: each in a process of its own, on a fresh copy of the directory."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from prbot.core import retries
from prbot.github import transport
from prbot.jobs import embedded
from prbot.jobs.embedded import EmbeddedJobs
from prbot.logs import configure_logging
from prbot.sandbox.world import World
from prbot.terraform.engine import TerraformEngine
from prbot.wiring import build, run_worker
from tests.faults.sweep.points import Watch
from tests.faults.sweep.scenarios import Scenario
from tests.flows.app import Story, story_settings

T = TypeVar("T")
SETTINGS: dict[str, Any] = {"isolation": "off", "parallel": 1, "log_level": "warning", "log_format": "text"}


HASTE = 0.02
"""Seconds: the first pause of a hasty worker."""


class Broken(Exception):
    """A process of the sweep's own came to no good end."""


def in_fork(work: Callable[[], T]) -> T:
    """What `work` gives, done in a process of its own."""
    _be_alone()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            try:
                answer = pickle.dumps(work())
                os.write(theirs, struct.pack("!Q", len(answer)))
                with open(theirs, "wb", closefd=False) as pipe:
                    pipe.write(answer)
                status = 0
            except BaseException:
                traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        head = pipe.read(8)
        answer = pipe.read(struct.unpack("!Q", head)[0]) if len(head) == 8 else b""
    _, status = os.waitpid(child, 0)
    if status or not answer:
        raise Broken(f"the process that did it ended with {os.waitstatus_to_exitcode(status)}")
    result: T = pickle.loads(answer)
    return result


def _be_alone() -> None:
    """A process is forked without its other threads, which would leave their locks held for ever."""
    deadline = time.monotonic() + 10
    while (left := threading.active_count()) > 1:
        if time.monotonic() > deadline:
            raise Broken(f"{left} threads run where one may: {threading.enumerate()}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario made ready. `world` is at rest; `kept` is the directory as it was then, and `root` its copy."""

    scenario: Scenario
    world: World
    root: Path

    @property
    def kept(self) -> Path:
        return self.root.with_name("kept")

    def restore(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.kept, self.root, symlinks=True)


def made_ready(scenario: Scenario, place: Path) -> Stage:
    """A stage in an empty directory. The processes of its tries are forked from the one that calls this."""
    root = place / "now"
    root.mkdir(parents=True)
    with World(root / "github") as world:
        story = Story(root, world, **SETTINGS)
        story.start()
        try:
            scenario.prepare(story)
            story.settle()
        finally:
            story.stop()
    stage = Stage(scenario, world, root)
    shutil.copytree(root, stage.kept, symlinks=True)
    return stage


class Worker:
    """A worker process, forked before anything else of a try began, that waits until it is told to go."""

    def __init__(self, stage: Stage, name: str, watch: Watch | None = None, *, hasty: bool = False) -> None:
        """With `hasty`, what it tries again it tries again soon: what lasts minutes then lasts seconds."""
        _be_alone()
        self.log = stage.root / f"{name}.log"
        self._begin, begin = os.pipe()
        self._go = begin
        self.pid = os.fork()
        self._ended: int | None = None
        self._told = False
        if self.pid == 0:
            os.close(begin)
            if hasty:
                retries.FIRST_PAUSE = EmbeddedJobs.first_pause = HASTE
                retries.MOST_UNANSWERED = embedded.MOST_TRANSIENT = retries.MOST_TRIES
                transport._PAUSES = (HASTE, HASTE)
            _be_worker(stage, self.log, self._begin, watch)

    def go(self) -> None:
        os.write(self._go, b"!")
        self._told = True

    def ended(self) -> bool:
        if self._ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended = os.waitstatus_to_exitcode(status)
        return self._ended is not None

    def end(self, seconds: float = 30.0) -> int | None:
        """SIGTERM, and its exit code; None if it had to be killed."""
        deadline = time.monotonic() + seconds
        if not self._told:
            os.close(self._go)  # it reads its end, and goes
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        while not self.ended():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return None
            time.sleep(0.01)
        return self._ended

    def trouble(self) -> list[str]:
        """What it logged as an error, and the exceptions that nobody expected."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[:300] for line in lines if "[error" in line or (line and line[0].isalpha() and "Error: " in line)]


@cache
def _engine() -> TerraformEngine:
    """The engine, which keeps what it was told of the program's version: asked once for all tries."""
    engine = TerraformEngine(str(shutil.which("terraform")))
    engine.version()
    return engine


def preload() -> None:
    """Have in memory what every try needs."""
    _engine()


def _be_worker(stage: Stage, log: Path, begin: int, watch: Watch | None) -> None:
    status = 1
    try:
        stop = threading.Event()

        def told(number: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, told)
        if os.read(begin, 1):
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            settings = story_settings(stage.root, stage.world, **SETTINGS)
            services = build(settings, engine=_engine())
            configure_logging(settings.log_format, settings.log_level, services.secrets)
            if watch is not None:
                services = watch.around(services)
            status = 0 if run_worker(services, stop, drain_seconds=20.0) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


@contextmanager
def everybody_gone(root: Path) -> Iterator[None]:
    """Afterwards no process is left that a try in `root` began: engines outlive their workers on purpose."""
    try:
        yield
    finally:
        for pid in _at_work_in(root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _at_work_in(root: Path) -> list[int]:
    wanted = f"TF_DATA_DIR={root}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found
