"""`prbot init`, and the way from an empty directory to a server that runs."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from prbot.core import installation
from prbot.core.installation import Answers, App, Host, files
from prbot.sandbox.world import World
from prbot.settings import PREFIX, Settings, load
from tests.cli.conftest import Prbot, environment
from tests.cli.terminal import Terminal
from tests.cli.test_doctor import GATE
from tests.cli.test_serve import ready, serving

HOST = Host(("/opt/prbot/bin/prbot",), "prbot", 1000, 1000, "0.1.0", "/usr/bin/terraform")
PLACE = PurePosixPath("/srv/prbot")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github") as world:
        yield world


def written(answers: Answers, host: Host = HOST, place: PurePosixPath = PLACE) -> dict[str, str]:
    """Name → text."""
    return {each.name: each.text for each in files(place, answers, host, "the-secret")}


def answers(**over: Any) -> Answers:
    facts = {"repositories": ("acme/*",), "public_url": "https://p.example", "github": PLACE / "github-token"}
    return Answers(**{**facts, "run_by": "systemd", **over})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- from an empty directory to a running server ----------------------------------------------------------------------
def test_a_new_user_gets_from_an_empty_directory_to_a_running_server(
    prbot: Prbot, world: World, tmp_path: Path, free_port: int
) -> None:
    world.repo("acme/infra", {"net/main.tf": "# one\n"}).protect("main", GATE)
    bind = f"127.0.0.1:{free_port}"
    # what only a trial against the stand-in needs to say
    trial = {"PRBOT_GITHUB_API_URL": world.api_url, "PRBOT_BIND": bind}
    place = tmp_path / "here"
    place.mkdir()

    lost = subprocess.run(
        [sys.executable, "-m", "prbot", "doctor"], env=environment({}), cwd=place, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (lost.returncode, "prbot init" in lost.stdout) == (2, True)

    with Terminal([sys.executable, "-m", "prbot", "init"], environment({}), str(place)) as person:
        person.answer("1/5 Repositories (owner/name, globs, commas between): ", "https://github.com/acme/infra")
        said = person.answer("1/5 Repositories (owner/name, globs, commas between): ", "acme/infra")
        assert "write the name alone: acme/infra" in said
        person.answer("2/5 Public URL, by which GitHub reaches this server: ", "prbot.example.org")
        said = person.answer("reaches this server: ", "http://prbot.example.org")
        assert "write it like https://prbot.example.org" in said
        said = person.answer("reaches this server: ", f"http://{bind}/")
        assert "by https" in said
        person.answer("3/5 Speak to GitHub by token or app [token]: ", "password")
        assert "not one of token, app" in person.answer("token or app [token]: ", "")
        person.answer(f"    File for the token [{place}/github-token]: ", "/nowhere/at/all")
        assert "its directory is not there" in person.answer("/github-token]: ", "")
        person.answer("4/5 Credentials of plans: a file of NAME=value lines, or none [none]: ", "/nowhere")
        assert "is not a file that is there" in person.answer("or none [none]: ", "")
        person.answer("    Credentials of applies [none]: ", "")
        person.answer("5/5 Run by systemd or compose [systemd]: ", "cron")
        assert "not one of systemd, compose" in person.answer("systemd or compose [systemd]: ", "")
        assert person.end() == 0
    assert person.said.split("Next\n")[1].split("\n")[0] == f"  1. prbot doctor --config {place}/prbot.yaml"
    assert f"serve --config {place}/prbot.yaml" in person.said
    config = ["--config", str(place / "prbot.yaml")]

    first = prbot(trial, "doctor", *config)
    assert first.returncode == 1
    assert f"{place}/github-token is of no use" in first.stdout
    assert "Make a new token" in first.stdout

    (place / "github-token").write_text(world.token)
    second = prbot(trial, "doctor", *config)
    assert second.returncode == 0, second.stdout
    assert "prbot is not running" in second.stdout

    with serving(trial, *config):
        ready(trial, 200)
        world.connect(f"http://{bind}/webhooks/github", secret=(place / "webhook-secret").read_text().strip())
        world.settle_hooks()
        third = prbot(trial, "doctor", *config, "--json")
    assert third.returncode == 0, third.stdout
    found = {each["check"]: each["verdict"] for each in map(json.loads, third.stdout.splitlines())}
    assert set(found.values()) == {"ok"}


# -- what is written --------------------------------------------------------------------------------------------------
def test_secrets_are_made_for_the_owner_alone_and_nothing_is_overwritten(prbot: Prbot, tmp_path: Path) -> None:
    options = ["--yes", "--repos", "acme/infra", "--public-url", "https://p.example"]
    place = tmp_path / "new"
    done = prbot({}, "init", str(place), *options)
    assert done.returncode == 0, done.stderr
    assert {mode(place), mode(place / "data")} == {0o700}
    assert {mode(place / "webhook-secret"), mode(place / "github-token")} == {0o600}
    secret = (place / "webhook-secret").read_text()
    assert len(secret.strip()) == 64
    assert secret.strip() not in done.stdout
    assert secret.strip() not in (place / "prbot.yaml").read_text()
    again = prbot({}, "init", str(place), *options)
    assert again.returncode == 2
    assert "overwrites nothing" in again.stderr
    assert (place / "webhook-secret").read_text() == secret


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--repos: name at least one"),
        (["--repos", "acme"], "--repos: 'acme' is not owner/name"),
        (["--repos", "acme/infra"], "--public-url: '' is not a URL"),
        (["--repos", "a/b", "--public-url", "ftp://x"], "--public-url: GitHub must reach it by https"),
        (["--repos", "a/b", "--public-url", "https://x?y"], "--public-url: a scheme, a host"),
        (["--repos", "a/b", "--public-url", "https://x", "--run-by", "cron"], "--run-by: 'cron' is not one of"),
        (["--repos", "a/b", "--public-url", "https://x", "--github-app-id", "me"], "--github-app-id: 'me' is not"),
        (["--repos", "a/b", "--public-url", "https://x", "--github-app-id", "7"], "--github-app-key-file: nothing is"),
        (["--repos", "a/b", "--public-url", "https://x", "--plan-env-file", "/no"], "--plan-env-file: /no is not"),
        (["--repos", "a/b", "--public-url", "https://x", "--github-token-file", "ghp_abc"], "is a token, not a file"),
    ],
)
def test_a_wrong_or_missing_option_is_one_line_and_nothing_is_written(
    prbot: Prbot, tmp_path: Path, options: list[str], said: str
) -> None:
    done = prbot({}, "init", str(tmp_path / "new"), "--yes", *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert "ghp_abc" not in line
    assert not (tmp_path / "new").exists()


def test_no_secret_is_written_into_a_git_checkout(prbot: Prbot, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = prbot({}, "init", str(tmp_path / "new"), "--yes")
    assert (done.returncode, "git add" in done.stderr) == (2, True)


def test_without_a_terminal_init_names_the_way_that_needs_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prbot", "init", str(tmp_path / "new")], env=environment({}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "--yes" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


def test_the_settings_that_are_written_are_settings_that_load(tmp_path: Path) -> None:
    plan, apply = tmp_path / "plan.env", tmp_path / "apply.env"
    for file in (plan, apply, tmp_path / "github-token"):
        file.write_text("")
    given = answers(github=tmp_path / "github-token", plan_env_file=plan, apply_env_file=apply)
    for name, text in written(given, place=PurePosixPath(tmp_path)).items():
        (tmp_path / name).write_text(text)
    settings = load(tmp_path / "prbot.yaml", {})
    assert settings.repo_allowlist == ("acme/*",)
    assert settings.webhook_secrets == ("the-secret",)
    assert settings.engine_environment_files() == (plan, apply)
    assert settings.engine == "/usr/bin/terraform"
    assert settings.rules is not None


def test_an_app_is_named_by_its_id_and_key_file() -> None:
    values = yaml.safe_load(written(answers(github=App("7", PurePosixPath("/k.pem"))))["prbot.yaml"])
    assert (values["github_app_id"], values["github_app_key_file"]) == ("7", "/k.pem")
    assert "github_token_file" not in values
    assert values["github_webhook_secret_file"].endswith("/webhook-secret")


def test_the_webhook_secret_that_an_app_was_made_with_is_used_and_no_other_is_made() -> None:
    files = written(answers(github=App("7", PurePosixPath("/k.pem"), PurePosixPath("/k.secret"))))
    assert yaml.safe_load(files["prbot.yaml"])["github_webhook_secret_file"] == "/k.secret"
    assert "webhook-secret" not in files


# -- how it is run ----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["plain", "with space", '100% $HOME "quoted"'])
def test_systemd_takes_the_unit(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    program = tmp_path / "prbot"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    host = Host((str(program),), "root", 1000, 1000, "0.1.0")
    unit = place / "prbot.service"
    unit.write_text(written(answers(), host, PurePosixPath(place))["prbot.service"])
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_bubblewrap_what_it_needs() -> None:
    unit = written(answers())["prbot.service"]
    lines = [line.partition("=")[0] for line in unit.splitlines() if not line.startswith("#")]
    spoils = {
        "RestrictNamespaces",
        "SystemCallFilter",
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectProc",
        "PrivateDevices",
    }
    assert not spoils & set(lines)
    assert {"NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem"} <= set(lines)
    assert "CapabilityBoundingSet" not in written(answers(), Host(("prbot",), "root", 0, 0, "1"))["prbot.service"]


@pytest.mark.skipif(
    shutil.which("bwrap") is None or shutil.which("setpriv") is None or os.getuid() != 0,
    reason="needs bubblewrap and setpriv, and to be root to become somebody else",
)
def test_bubblewrap_works_without_any_privilege_as_in_the_unit() -> None:
    inside = ["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    bare = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    done = subprocess.run([*bare, *inside, "true"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_sees_every_file_that_the_settings_name() -> None:
    given = answers(run_by="compose", github=PurePosixPath("/etc/prbot/token"), plan_env_file=PLACE / "plan.env")
    texts = written(given)
    service = yaml.safe_load(texts["compose.yaml"])["services"]["prbot"]
    mounts = {PurePosixPath(each["target"]): each for each in service["volumes"]}
    assert all(each["source"] == each["target"] for each in service["volumes"])
    assert [str(target) for target, each in mounts.items() if not each["read_only"]] == [f"{PLACE}/data"]
    values = yaml.safe_load(texts["prbot.yaml"])
    paths = [PurePosixPath(value) for value in values.values() if isinstance(value, str) and value.startswith("/")]
    assert paths
    assert all(any(path.is_relative_to(target) for target in mounts) for path in paths)
    assert {name.removeprefix(PREFIX).lower() for name in service["environment"]} <= set(Settings.model_fields)
    assert service["command"] == ["serve", "--config", f"{PLACE}/prbot.yaml"]
    assert service["user"] == "1000:1000"
    assert service["devices"] == ["/dev/net/tun"]
    assert "engine" not in values


def test_what_is_left_to_do_names_the_webhook_and_the_two_next_commands() -> None:
    systemd = installation.next_steps(PLACE, answers(), HOST)
    compose = installation.next_steps(PLACE, answers(run_by="compose"), HOST)
    for text in (systemd, compose):
        assert "https://p.example/webhooks/github" in text
        assert "/srv/prbot/webhook-secret" in text
        assert "prbot/gate" in text
    assert "1. prbot doctor --config /srv/prbot/prbot.yaml" in systemd
    assert "2. sudo systemctl enable --now /srv/prbot/prbot.service" in systemd
    assert "2. docker compose -f /srv/prbot/compose.yaml up -d" in compose
