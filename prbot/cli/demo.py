"""`prbot demo`: the whole job on this machine, against the stand-in for GitHub, with the real server and engine."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

from prbot.cli.demo_server import START_SECONDS, DemoFailed, DemoServer, engine_for, free_port, isolation_here
from prbot.cli.narrator import Narrator
from prbot.sandbox import samples
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World

REPO = "acme/infra"
PROJECT = "network"
STEP_SECONDS = 90.0
"""How long one step may take: an engine on a slow machine takes a while to start."""


def run_demo(*, as_json: bool, stay: bool, port: int) -> int:
    """Show it all, and return the exit code: 0 only if all held. Everything is made in a directory that goes again."""
    narrator = Narrator(sys.stdout, as_json=as_json)
    try:
        with tempfile.TemporaryDirectory(prefix="prbot-demo-", ignore_cleanup_errors=True) as directory:
            facts = _in(Path(directory), narrator, stay=stay, port=port)
    except DemoFailed as failure:
        narrator.end({"ok": False, "problem": str(failure)})
        return 1
    narrator.end(facts)
    return 0 if facts["ok"] else 1


def _in(root: Path, narrator: Narrator, *, stay: bool, port: int) -> dict[str, object]:
    engine, how = engine_for(root)
    isolation = isolation_here(root)
    narrator.say(
        "engine", f"Using {how}. Isolation of the engine's processes: {isolation}.", how=how, isolation=isolation
    )
    world = World(root / "github", port=port, webhook_secret=secrets.token_hex(16))
    with world, DemoServer(root, _settings(root, world, engine, isolation)) as server:
        narrator.say("github", f"A stand-in for GitHub is at {world.url}, with {REPO}.", url=world.url, repo=REPO)
        infra = world.repo(REPO, samples.acme(lambda directory: world.backend(REPO, directory)))
        server.wait_until("prbot to be ready", server.ready, START_SECONDS)
        world.connect(f"{server.url}/webhooks/github")
        narrator.say("server", f"prbot serve is at {server.url}, and all that it needs is there.", url=server.url)
        facts = Story(narrator, server, infra).tell()
        if stay:
            _stay(narrator, world, server)
        code = server.stop()
        narrator.say("stopped", f"prbot was told to stop, and ended with exit code {code}.", exit_code=code)
        return {**facts, "ok": facts["ok"] and code == 0, "seconds": narrator.seconds}


def _settings(root: Path, world: World, engine: str, isolation: str) -> dict[str, str]:
    return {
        "PRBOT_BIND": (bind := f"127.0.0.1:{free_port()}"),
        "PRBOT_PUBLIC_URL": f"http://{bind}",
        "PRBOT_DATA_DIR": str(root / "data"),
        "PRBOT_ENGINE": engine,
        "PRBOT_GITHUB_API_URL": world.api_url,
        "PRBOT_GITHUB_TOKEN": world.token,
        "PRBOT_GITHUB_WEBHOOK_SECRET": world.webhook_secret,
        "PRBOT_ISOLATION": "off" if isolation == "off" else "required",
        "PRBOT_ISOLATION_NETWORK": "host",  # the stand-in keeps the states, on loopback
        "PRBOT_LOG_FORMAT": "text",
        "PRBOT_REPO_ALLOWLIST": "acme/*",
    }


def _stay(narrator: Narrator, world: World, server: DemoServer) -> None:
    """Keep it all up until Ctrl-C."""
    narrator.say(
        "serving",
        f"Open {world.url}/{REPO} to comment, review and merge, and {server.url} to see prbot's side. Ctrl-C ends it.",
        github=f"{world.url}/{REPO}", prbot=server.url,
    )  # fmt: skip
    told = threading.Event()
    before = {number: signal.signal(number, lambda *_: told.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    told.wait()
    for number, handler in before.items():
        signal.signal(number, handler)


class Story:
    """One change, from its pull request to the record of it."""

    def __init__(self, narrator: Narrator, server: DemoServer, infra: SandboxRepo) -> None:
        self._narrator = narrator
        self._server = server
        self._infra = infra
        self._comments = 0

    def tell(self) -> dict[str, object]:
        """Every step in its turn. The facts of the last line; DemoFailed at the first thing that does not hold."""
        pull = self._plan()
        self._refuse(pull)
        self._approve(pull)
        self._apply(pull)
        applied = self._state()
        return {"comments": self._comments, "applied": applied, **self._record()}

    def _plan(self) -> SandboxPull:
        changed = samples.network(self._infra.backend(PROJECT), cidr="10.20.0.0/16")
        pull = self._infra.open_pull("al", {f"{PROJECT}/main.tf": changed}, title="A larger network")
        self._narrator.say("opened", f"al opened a pull request: {pull.url}", url=pull.url)
        self._status(pull, "prbot/plan", "success")
        self._read(pull, "planned", "prbot planned it and commented:")
        return pull

    def _refuse(self, pull: SandboxPull) -> None:
        pull.comment("al", "prbot apply")
        self._narrator.say("asked_early", "al writes `prbot apply`, before anybody approved.")
        self._read(pull, "refused", "prbot refuses, and says what is missing:")
        if self._infra.state(PROJECT):
            raise DemoFailed("something was applied before anybody approved")

    def _approve(self, pull: SandboxPull) -> None:
        pull.approve("bo")
        self._narrator.say("approved", "bo read the plan and approves.")
        self._status(pull, "prbot/gate", "success")
        self._narrator.say("gate", "The status prbot/gate turned green: it may be merged.")

    def _apply(self, pull: SandboxPull) -> None:
        sha = pull.merge("al")
        self._narrator.say("merged", f"al merged it, as {sha[:7]}.", commit=sha)
        self._status(pull, "prbot/apply", "success", sha)
        self._read(pull, "applied", "prbot planned the merge commit again, found what was approved, and applied it:")

    def _state(self) -> int:
        state = self._infra.state(PROJECT)
        if not state:
            raise DemoFailed("the project has no state: nothing was applied")
        self._narrator.quote("state", "What Terraform's state says now:", json.dumps(state, indent=2), state=state)
        return 1

    def _record(self) -> dict[str, object]:
        code, found = self._server.command("audit", "query", "--json", "--limit", "1000")
        entries = [_entry(each) for each in reversed(found)]
        said = "\n".join(f"{each['time']}  {each['action']:<20} {_actor(each)}" for each in entries)
        self._narrator.quote("audit", "The audit log:", said, entries=len(entries))
        verified, report = self._server.command("audit", "verify", "--json")
        verdict = "The audit log was verified from its first entry." if verified == 0 else "The audit log is WRONG."
        self._narrator.say("verified", verdict, verified=verified == 0, report=report[0] if report else {})
        done = {str(each["action"]) for each in entries}
        missing = sorted({"plan.finished", "apply.refused", "apply.authorized", "apply.finished"} - done)
        if missing:
            raise DemoFailed(f"the audit log lacks {', '.join(missing)}")
        return {"ok": code == 0 and verified == 0, "audit_entries": len(entries), "verified": verified == 0}

    # -- waiting ------------------------------------------------------------------------------------------------------
    def _status(self, pull: SandboxPull, context: str, wanted: str, sha: str | None = None) -> None:
        def settled() -> bool:
            found = pull.status(context, sha)
            if found is not None and found["state"] in ("failure", "error"):
                return context != "prbot/gate"
            return found is not None and found["state"] == wanted

        self._server.wait_until(f"the status {context}", settled, STEP_SECONDS)
        found = pull.status(context, sha)
        if found is None or found["state"] != wanted:
            said = "\n\n".join(each.body for each in pull.unread_comments())
            raise DemoFailed(f"{context} is not {wanted}: {found}\n{said}\n{self._server.log_end()}")

    def _read(self, pull: SandboxPull, step: str, text: str) -> None:
        self._server.wait_until("a comment", pull.unread_comments, STEP_SECONDS)
        self._narrator.quote(step, text, pull.next_comment())
        self._comments += 1


def _entry(found: dict[str, object]) -> dict[str, object]:
    entry = found["entry"]
    if not isinstance(entry, dict):
        raise DemoFailed(f"the audit log's entry {found['seq']} is damaged")
    return entry


def _actor(entry: dict[str, object]) -> str:
    actor = entry.get("actor")
    return str(actor.get("name", "")) if isinstance(actor, dict) else str(actor or "")
