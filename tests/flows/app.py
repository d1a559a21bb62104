"""The whole app for story tests: the stand-in, the web server and a worker in this process, real git and Terraform."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import requests
from sqlmodel import col, select
from werkzeug.serving import make_server

from prbot.cli.demo_server import isolation_here
from prbot.core import locks
from prbot.core.ids import PullKey
from prbot.core.runs import LIVE
from prbot.flows.services import Services
from prbot.sandbox.app import SandboxApp
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from prbot.settings import Settings
from prbot.store import inbox, posts, runs
from prbot.store.audit_log import AuditEntry
from prbot.store.tables import Claim, JobRow, Run, Slot, Worker
from prbot.wiring import build, create_app, run_worker

TOKEN_SAMPLE = "planted-secret-of-the-plan-environment"
SETTLE_SECONDS = 60.0
SOON = timedelta(seconds=10)
"""What was refused again and again, and is tried once more only after that, is not waited for."""


class Story:
    """The stand-in's world with prbot connected to it."""

    def __init__(self, root: Path, world: World, github_app: SandboxApp | None = None, **settings: Any) -> None:
        self.root = root
        self.world = world
        self.github_app = github_app
        if github_app is not None:
            settings = {**by_app(root, github_app), **settings}
        self.settings = story_settings(root, world, **settings)
        self.services: Services = build(self.settings)
        self._server = make_server("127.0.0.1", 0, create_app(self.services), threaded=True)
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self.hook_url = f"http://127.0.0.1:{self._server.server_port}/webhooks/github"

    def start(self) -> None:
        self._run(lambda: run_worker(self.services, self._stop))
        self.start_web()

    def start_web(self) -> None:
        """Only what takes deliveries; somebody else works."""
        self._run(self._server.serve_forever)
        if self.github_app is not None:
            self.github_app.connect(self.hook_url, self.world.webhook_secret)
        else:
            self.world.connect(self.hook_url)

    def _run(self, what: Callable[[], object]) -> None:
        thread = threading.Thread(target=what, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        self.services.jobs.stop()
        close = getattr(self.services.forge, "close", None)
        if close is not None:
            close()
        self.services.db.close()

    # -- what tests ask -----------------------------------------------------------------------------------------------
    def repo(self, name: str = "acme/infra", files: dict[str, str] | None = None, **more: Any) -> SandboxRepo:
        return self.world.repo(name, files or {"README.md": "infrastructure\n"}, **more)

    def settle(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until every webhook is answered and nothing is left to do, nor anything told of what was done last:
        what prbot writes comes back to it as deliveries."""
        deadline = time.monotonic() + timeout
        while True:
            made = len(self.world.deliveries)
            self.world.settle_hooks(timeout)
            left = self.left_to_do()
            if not left and len(self.world.deliveries) == made:
                return
            assert time.monotonic() < deadline, f"still to do after {timeout} s: {left}"
            time.sleep(0.02)

    def left_to_do(self) -> list[str]:
        with self.services.db.read() as tx:
            now = self.services.db.now(tx)
            soon = now + SOON
            due = [job for job in tx.exec(select(JobRow)) if job.due_at <= (now if job.kind == "reconcile" else soon)]
            jobs = [f"{job.kind} {job.args} {job.state} {job.error}" for job in due]
            live = [f"run {run.id} {run.status}" for run in runs.with_status(tx, LIVE)]
            return [*jobs, *live, *map(str, inbox.pulls_waiting(tx, soon)), *map(str, posts.pulls_unsent(tx, soon))]

    def runs(self, pull: SandboxPull, goal: str | None = None) -> list[Run]:
        with self.services.db.read() as tx:
            every = runs.of_pull(tx, PullKey(pull.repo_name, pull.number))
        return [run for run in every if goal is None or run.goal == goal]

    def every_run(self) -> list[Run]:
        with self.services.db.read() as tx:
            return list(tx.exec(select(Run)))

    def holder(self, directory: str, repo: str = "acme/infra") -> int | None:
        with self.services.db.read() as tx:
            claims = list(tx.exec(select(Claim).where(Claim.repo == repo, Claim.dir == directory)))
        first = locks.holder([locks.Claim(row.pull, row.since, row.merged_position) for row in claims])
        return first.pull if first else None

    def audit(self, action: str | None = None) -> list[dict[str, Any]]:
        with self.services.db.read() as tx:
            rows = list(tx.exec(select(AuditEntry).order_by(col(AuditEntry.seq))))
        found = [json.loads(row.body) for row in rows]
        return [each for each in found if action is None or each["action"] == action]

    def workers(self) -> int:
        """How many worker processes are on the list."""
        with self.services.db.read() as tx:
            return len(tx.exec(select(Worker)).all())

    def slots_taken(self) -> list[str]:
        with self.services.db.read() as tx:
            return [slot.key for slot in tx.exec(select(Slot).where(col(Slot.owner).is_not(None)))]

    def page(self, path: str) -> str:
        """One of the server's pages, as a browser on this machine gets it."""
        answer = requests.get(self.hook_url.replace("/webhooks/github", path), timeout=10)
        answer.raise_for_status()
        return answer.text

    def everything_kept(self) -> str:
        """All that the database holds, as text: nothing secret may be in there."""
        with sqlite3.connect(str(self.settings.database).removeprefix("sqlite:///")) as connection:
            return "\n".join(connection.iterdump())


def shared_with_engines(root: Path) -> Path:
    """A directory that engine processes of a story may write to, isolated or not."""
    return root / "shared"


@cache
def isolated() -> bool:
    """Whether engines can be isolated on this machine."""
    with tempfile.TemporaryDirectory() as root:
        return isolation_here(Path(root)) != "off"


def story_settings(root: Path, world: World, **more: Any) -> Settings:
    shared_with_engines(root).mkdir(exist_ok=True)
    environment = root / "plan.env"
    if not environment.exists():
        environment.write_text(f"PLANTED={TOKEN_SAMPLE}\n")
        environment.chmod(0o600)
    values: dict[str, Any] = {
        "data_dir": root / "data", "github_api_url": world.api_url, "github_token": world.token,
        "github_webhook_secret": world.webhook_secret, "repo_allowlist": "acme/*", "plan_env_file": environment,
        "parallel": 2, "log_level": "error", "isolation": "required" if isolated() else "off",
        "isolation_network": "host",  # the stand-in keeps the states, on loopback
        "isolation_write": str(shared_with_engines(root)),
    }  # fmt: skip
    return Settings(**{**values, **more})


def by_app(root: Path, github_app: SandboxApp) -> dict[str, Any]:
    """The settings by which prbot is this App."""
    key_file = root / "app.pem"
    key_file.write_text(github_app.private_key)
    key_file.chmod(0o600)
    return {"github_token": None, "github_app_id": str(github_app.id), "github_app_key_file": key_file}


@contextmanager
def app_story(root: Path, lacking: tuple[str, ...] = (), **settings: Any) -> Iterator[Story]:
    """A story in which prbot is a GitHub App on `acme`, that was not granted what is `lacking`."""
    root.mkdir(exist_ok=True)
    with World(root / "github", bot="prbot[bot]") as world:
        it = Story(root, world, world.app("acme", lacking=lacking), **settings)
        it.start()
        try:
            yield it
        finally:
            it.stop()


@contextmanager
def story(root: Path, **settings: Any) -> Iterator[Story]:
    root.mkdir(exist_ok=True)
    with World(root / "github") as world:
        it = Story(root, world, **settings)
        it.start()
        try:
            yield it
        finally:
            it.stop()


def tf(backend: str, **outputs: object) -> str:
    """A root module with one `terraform_data` and one output for each keyword."""
    blocks = [backend]
    for name, value in outputs.items():
        blocks.append(f'resource "terraform_data" "{name}" {{\n  input = "{value}"\n}}\n')
        blocks.append(f'output "{name}" {{\n  value = terraform_data.{name}.output\n}}\n')
    return "\n".join(blocks)


def planned(app: Story) -> SandboxPull:
    """A pull request of one project, with its plan shown."""
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    return pull


def said(app: Story, pull: SandboxPull, what: str) -> list[str]:
    """prbot's comments that say this."""
    return [each.body for each in pull.comments() if each.user == app.world.bot and what in each.body]
