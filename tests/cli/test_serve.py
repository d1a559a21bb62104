from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prbot.rules_file import RulesFile
from prbot.sandbox.world import World
from tests.cli.conftest import Prbot, environment


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github") as world:
        yield world


@pytest.fixture
def served(settings: dict[str, str], world: World) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **settings, "PRBOT_BIND": f"127.0.0.1:{port}", "PRBOT_GITHUB_API_URL": world.api_url,
        "PRBOT_GITHUB_TOKEN": world.token,
    }  # fmt: skip


@contextmanager
def serving(settings: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "prbot", "serve", *arguments], env=environment(settings), stderr=subprocess.PIPE
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(40)


def ready(settings: dict[str, str], wanted: int) -> dict[str, Any]:
    """What /readyz says, once it answers with that status."""
    deadline = time.monotonic() + 40
    said: Any = None
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{settings['PRBOT_BIND']}/readyz", timeout=10) as answer:
                status, said = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                status, said = error.code, json.load(error)
        except OSError:
            status = 0
        if status == wanted:
            return dict(said)
        time.sleep(0.05)
    raise AssertionError(f"not {wanted} in time: {said}")


def test_serve_becomes_ready_and_ends_well_when_it_is_told_to(served: dict[str, str], prbot: Prbot) -> None:
    with serving(served) as process:
        ready(served, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        log = process.stderr.read().decode()
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert events.index("worker.started") < events.index("worker.draining") < events.index("worker.stopped")
    assert served["PRBOT_GITHUB_TOKEN"] not in log
    found = prbot(served, "audit", "query", "--json")
    actions = [json.loads(line)["entry"]["action"] for line in found.stdout.splitlines()]
    assert {"server.started", "rules.loaded"} <= set(actions)
    assert prbot(served, "audit", "verify").returncode == 0


def test_without_a_worker_serve_says_that_it_is_not_ready(served: dict[str, str]) -> None:
    with serving(served, "--no-worker") as process:
        said = ready(served, 503)
        assert [name for name, part in said.items() if name != "ok" and not part["ok"]] == ["worker"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_serve_ends_with_1_when_its_web_process_cannot_listen(served: dict[str, str]) -> None:
    host, port = served["PRBOT_BIND"].split(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()
        with serving(served) as process:
            assert process.wait(40) == 1


def test_serve_reads_the_file_that_config_names_in_all_its_processes(served: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "prbot.yaml"
    file.write_text("".join(f"{name.removeprefix('PRBOT_').lower()}: {value!r}\n" for name, value in served.items()))
    with serving({}, "--config", str(file)) as process:
        ready(served, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def entries(prbot: Prbot, settings: dict[str, str], action: str) -> list[dict[str, Any]]:
    """The audit entries of an action, oldest first."""
    found = prbot(settings, "audit", "query", "--action", action, "--json")
    return [json.loads(line)["entry"] for line in reversed(found.stdout.splitlines())]


def until_entries(prbot: Prbot, settings: dict[str, str], action: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while len(found := entries(prbot, settings, action)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} {action}"
    return found


def test_on_sighup_serve_loads_the_rules_anew_and_a_wrong_file_changes_nothing(
    served: dict[str, str], prbot: Prbot, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {approvals: 1}\n")
    with serving({**served, "PRBOT_RULES": str(rules)}) as process:
        ready(served, 200)
        rules.write_text("defaults: {aprovals: 2}\n")
        process.send_signal(signal.SIGHUP)
        (refused,) = until_entries(prbot, served, "rules.refused", 1)
        rules.write_text("defaults: {approvals: 2}\n")
        process.send_signal(signal.SIGHUP)
        before, after = until_entries(prbot, served, "rules.loaded", 2)
        ready(served, 200)
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr is not None
        log = process.stderr.read().decode()
    assert refused["outcome"] == "refused"
    assert refused["facts"]["in_force"] == before["facts"]["digest"] == after["facts"]["before"]
    (problem,) = refused["facts"]["problems"]
    assert problem.startswith(f"{rules}:1: defaults.aprovals: there is no such key; did you mean approvals?")
    assert after["facts"]["digest"] == RulesFile(rules).digest
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert events.index("rules.refused") < events.index("rules.loaded")


def test_a_sighup_that_comes_while_serve_starts_ends_nothing(served: dict[str, str]) -> None:
    with serving(served) as process:
        assert process.stderr is not None
        assert b"prbot listens" in process.stderr.readline()
        for _ in range(20):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        ready(served, 200)
        process.terminate()
        assert process.wait(30) == 0


def test_migrate_makes_the_database_that_other_commands_ask_for(prbot: Prbot, settings: dict[str, str]) -> None:
    missing = prbot(settings, "lock", "list")
    assert (missing.returncode, "prbot migrate" in missing.stderr) == (2, True)
    assert prbot(settings, "migrate").returncode == 0
    found = prbot(settings, "lock", "list", "--json")
    assert (found.returncode, found.stdout) == (0, "")
