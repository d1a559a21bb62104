"""`prbot github-app create`, as somebody with a browser walks it."""

from __future__ import annotations

import html
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from prbot.github.app import AppKey
from prbot.sandbox.world import World
from tests.cli.conftest import Prbot, environment

WAY = ("github-app", "create", "--public-url", "https://prbot.acme.example", "--org", "acme")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github") as world:
        yield world


@contextmanager
def creating(world: World, place: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address of its page."""
    command = [sys.executable, "-m", "prbot", *WAY, "--dir", str(place), "--api-url", world.api_url]
    with subprocess.Popen(
        command, env=environment({}), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Open this page in a browser on this machine:\n"
        yield process, process.stderr.readline().strip()
        process.kill()


def press(page: str) -> tuple[str, str]:
    """Where the page's button leads, and the manifest that it takes there."""
    action, manifest = (re.search(f'{name}="([^"]*)"', page) for name in ("action", "value"))
    assert action is not None
    assert manifest is not None
    return html.unescape(action[1]), html.unescape(manifest[1])


def test_an_app_is_made_and_its_secrets_go_into_files_and_nowhere_else(world: World, tmp_path: Path) -> None:
    with creating(world, tmp_path) as (process, address):
        page = requests.get(address, timeout=10).text
        assert "pull requests: write" in page
        action, manifest = press(page)
        assert action.startswith(f"{world.url}/organizations/acme/settings/apps/new?state=")
        done = requests.post(action, data={"manifest": manifest}, timeout=10)
        assert (done.status_code, "prbot-acme is made" in done.text) == (200, True)
        said, warned = process.communicate(timeout=30)
    (app,) = world.hub.state.apps.known.values()
    key, secret = tmp_path / "github-app.pem", tmp_path / "github-app-webhook-secret"
    assert process.returncode == 0
    assert f"PRBOT_GITHUB_APP_ID={app.id}\nPRBOT_GITHUB_APP_KEY_FILE={key}" in said
    assert "/apps/prbot-acme/installations/new" in said
    assert secret.read_text().strip() == app.webhook_secret
    assert app.webhook_secret not in said + warned + done.text
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key, secret)] == [0o600, 0o600]
    assert AppKey(str(app.id), key).token("")
    assert app.permissions["contents"] == "read"


@pytest.mark.parametrize("path", ["", "?secret=guessed", "created?code=x", "created?code=x&state=guessed"])
def test_without_the_secret_of_this_start_there_is_no_page(world: World, tmp_path: Path, path: str) -> None:
    with creating(world, tmp_path) as (_, address):
        assert requests.get(address.partition("?")[0] + path, timeout=10).status_code == 403


def test_when_github_refuses_the_code_nothing_is_left_behind(world: World, tmp_path: Path) -> None:
    with creating(world, tmp_path) as (process, address):
        action, manifest = press(requests.get(address, timeout=10).text)
        world.fail_next("convert_manifest", 404)
        assert requests.post(action, data={"manifest": manifest}, timeout=10).status_code == 502
        _, warned = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "No App was made: GitHub answered 404" in warned
    assert list(tmp_path.glob("github-app*")) == []


def test_nothing_is_overwritten(prbot: Prbot, tmp_path: Path) -> None:
    (tmp_path / "github-app-webhook-secret").write_text("mine")
    done = prbot({}, *WAY, "--dir", str(tmp_path))
    assert (done.returncode, "nothing is overwritten" in done.stderr) == (2, True)
    assert (tmp_path / "github-app-webhook-secret").read_text() == "mine"
    assert not (tmp_path / "github-app.pem").exists()
