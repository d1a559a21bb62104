"""`prbot doctor` as whoever sets prbot up meets it: each failure, and what it tells them to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.cli.conftest import Prbot, environment
from tests.cli.test_serve import ready, serving

Findings = dict[str, dict[str, str]]
GATE = {"required_status_checks": {"contexts": ["prbot/gate"], "checks": [{"context": "prbot/gate", "app_id": None}]}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github") as world:
        yield world


@pytest.fixture
def infra(world: World) -> SandboxRepo:
    infra = world.repo("acme/infra", {"net/main.tf": "# one\n"})
    infra.protect("main", GATE)
    return infra


@pytest.fixture
def installed(settings: dict[str, str], world: World, infra: SandboxRepo, free_port: int) -> dict[str, str]:
    """Settings of an installation that is right, but that it does not run yet."""
    bind = f"127.0.0.1:{free_port}"
    world.connect(f"http://{bind}/webhooks/github", secret=settings["PRBOT_GITHUB_WEBHOOK_SECRET"])
    return {
        **settings, "PRBOT_GITHUB_API_URL": world.api_url, "PRBOT_GITHUB_TOKEN": world.token,
        "PRBOT_REPO_ALLOWLIST": infra.name, "PRBOT_BIND": bind, "PRBOT_PUBLIC_URL": f"http://{bind}",
    }  # fmt: skip


def examined(prbot: Prbot, settings: dict[str, str], wanted: int) -> Findings:
    """The last finding of each check."""
    done = prbot(settings, "doctor", "--json")
    assert done.returncode == wanted, done.stdout + done.stderr
    assert settings["PRBOT_GITHUB_TOKEN"] not in done.stdout
    assert settings.get("PRBOT_GITHUB_WEBHOOK_SECRET", "?" * 9) not in done.stdout
    return {finding["check"]: finding for finding in map(json.loads, done.stdout.splitlines())}


def verdicts(found: Findings) -> dict[str, str]:
    """Of what is not ok."""
    return {name: finding["verdict"] for name, finding in found.items() if finding["verdict"] != "ok"}


def test_before_the_first_start_nothing_fails_and_what_needs_a_server_is_put_off(
    prbot: Prbot, installed: dict[str, str]
) -> None:
    found = examined(prbot, installed, 0)
    assert verdicts(found) == {
        "acme/infra webhook": "warning", "public URL": "skipped",
    }  # fmt: skip
    assert "prbot serve" in found["public URL"]["advice"]
    assert not Path(installed["PRBOT_DATA_DIR"]).exists()


def test_a_running_server_gets_a_signed_ping_by_its_public_url(
    prbot: Prbot, installed: dict[str, str], world: World, infra: SandboxRepo
) -> None:
    with serving(installed):
        ready(installed, 200)
        world.connect(infra.data.hooks[0].url, secret=installed["PRBOT_GITHUB_WEBHOOK_SECRET"])
        world.settle_hooks()
        found = examined(prbot, installed, 0)
        assert verdicts(found) == {}
        assert "taken" in found["webhook secret"]["said"]

        other = examined(prbot, {**installed, "PRBOT_GITHUB_WEBHOOK_SECRET": "another-secret"}, 1)
        assert verdicts(other)["webhook secret"] == "failed"
        assert "restart it" in other["webhook secret"]["advice"]

        closed = examined(prbot, {**installed, "PRBOT_PUBLIC_URL": "http://127.0.0.1:9"}, 1)
        assert verdicts(closed)["public URL"] == "failed"
        assert "Connection refused" in closed["public URL"]["said"]

        elsewhere = examined(prbot, {**installed, "PRBOT_PUBLIC_URL": world.url}, 1)
        assert "answers 501" in elsewhere["public URL"]["said"]
        assert "proxy" in elsewhere["public URL"]["advice"]


def test_a_wrong_token_is_told_from_a_github_that_does_not_answer(prbot: Prbot, installed: dict[str, str]) -> None:
    wrong = examined(prbot, {**installed, "PRBOT_GITHUB_TOKEN": "ghp_wrong"}, 1)
    assert "Bad credentials" in wrong["token"]["said"]
    assert "Make a new token" in wrong["token"]["advice"]
    silent = examined(prbot, {**installed, "PRBOT_GITHUB_API_URL": "http://127.0.0.1:9"}, 1)
    assert "PRBOT_GITHUB_API_URL" in silent["GitHub"]["advice"]


def test_an_empty_token_file_is_named(prbot: Prbot, installed: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    given = {name: value for name, value in installed.items() if name != "PRBOT_GITHUB_TOKEN"}
    done = prbot({**given, "PRBOT_GITHUB_TOKEN_FILE": str(file)}, "doctor")
    assert done.returncode == 1
    assert f"{file} is of no use" in done.stdout


def test_a_classic_token_without_the_scope_fails(prbot: Prbot, installed: dict[str, str], world: World) -> None:
    token = world.token_for("root", ("gist",))
    found = examined(prbot, {**installed, "PRBOT_GITHUB_TOKEN": token}, 1)
    assert "scopes: gist" in found["token"]["said"]
    assert "`repo`" in found["token"]["advice"]


def test_a_token_that_may_only_read_fails_and_what_it_may_not_see_is_skipped(
    prbot: Prbot, installed: dict[str, str], world: World
) -> None:
    found = examined(prbot, {**installed, "PRBOT_GITHUB_TOKEN": world.token_for("ro")}, 1)
    assert found["acme/infra"]["verdict"] == "failed"
    assert "Write" in found["acme/infra"]["advice"]
    assert found["acme/infra webhook"]["verdict"] == "skipped"


def test_each_missing_permission_is_named(prbot: Prbot, installed: dict[str, str], world: World) -> None:
    for route in ("list_pulls", "branch", "list_hooks", "branch_rules"):
        world.fail_next(route, 403)
    found = examined(prbot, installed, 1)
    assert "contents: read, pull requests: read" in found["acme/infra"]["said"]
    assert found["acme/infra webhook"]["verdict"] == "skipped"
    assert found["acme/infra branch rules"]["verdict"] == "skipped"


def test_a_repository_that_is_not_there_and_a_glob_that_nothing_fits_fail(
    prbot: Prbot, installed: dict[str, str]
) -> None:
    found = examined(prbot, {**installed, "PRBOT_REPO_ALLOWLIST": "acme/infar,other/*"}, 1)
    assert found["acme/infar"]["verdict"] == "failed"
    assert found["allow-list"]["verdict"] == "failed"
    glob = examined(prbot, {**installed, "PRBOT_REPO_ALLOWLIST": "acme/*"}, 0)
    assert glob["acme/infra"]["verdict"] == "ok"


def test_a_required_apply_status_would_deadlock_and_fails(
    prbot: Prbot, installed: dict[str, str], infra: SandboxRepo
) -> None:
    checks = [{"context": "prbot/apply"}, {"context": "prbot/gate"}]
    rule = {"type": "required_status_checks", "parameters": {"required_status_checks": checks}}
    infra.protect("main", None, [rule])
    found = examined(prbot, installed, 1)["acme/infra branch rules"]
    assert "only after the merge" in found["said"]
    assert found["advice"] == "Take prbot/apply off the required statuses."


def test_a_clock_that_is_off_fails(prbot: Prbot, installed: dict[str, str], world: World) -> None:
    world.tick(600)
    assert "NTP" in examined(prbot, installed, 1)["clock"]["advice"]


def test_a_webhook_without_an_event_that_is_needed_fails(
    prbot: Prbot, installed: dict[str, str], infra: SandboxRepo
) -> None:
    infra.protect("main", GATE, [{"type": "merge_queue"}])
    infra.data.hooks[0].events = ("pull_request", "push")
    found = examined(prbot, installed, 1)["acme/infra webhook"]
    assert "issue_comment, merge_group, pull_request_review" in found["said"]


def test_a_missing_engine_git_and_key_each_say_what_to_do(
    prbot: Prbot, installed: dict[str, str], tmp_path: Path
) -> None:
    only_python = tmp_path / "bin"
    only_python.mkdir()
    (only_python / "python").symlink_to(sys.executable)
    found = examined(
        prbot, {**installed, "PATH": str(only_python), "PRBOT_SECRET_KEY_FILE": str(tmp_path / "none.key")}, 1
    )
    assert {name for name, verdict in verdicts(found).items() if verdict == "failed"} == {
        "engine", "git", "isolation", "secret key",
    }  # fmt: skip
    assert "Terraform" in found["engine"]["advice"]
    assert "git" in found["git"]["advice"]
    assert "bubblewrap" in found["isolation"]["said"]


def test_isolation_that_is_switched_off_is_warned_of(prbot: Prbot, installed: dict[str, str]) -> None:
    found = examined(prbot, {**installed, "PRBOT_ISOLATION": "off"}, 0)
    assert found["isolation"]["verdict"] == "warning"


def test_keys_that_others_can_read_and_a_rules_file_with_a_typo_fail(
    prbot: Prbot, installed: dict[str, str], tmp_path: Path
) -> None:
    assert prbot(installed, "migrate").returncode == 0
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  aprovals: 2\n")
    secret = Path(installed["PRBOT_DATA_DIR"]) / "secret.key"
    secret.write_text("x")
    secret.chmod(0o644)
    found = examined(prbot, {**installed, "PRBOT_RULES": str(rules)}, 1)
    assert "chmod 600" in found["secret key"]["said"]
    assert "aprovals" in found["rules"]["said"]
    assert found["database"]["verdict"] == "ok"


def test_a_secret_inside_a_git_checkout_fails(prbot: Prbot, installed: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "clone"], check=True)
    found = examined(prbot, {**installed, "PRBOT_DATA_DIR": str(tmp_path / "clone" / "prbot-data")}, 1)
    assert "git add" in found["secret key"]["said"]


def test_a_damaged_database_fails(prbot: Prbot, installed: dict[str, str]) -> None:
    data = Path(installed["PRBOT_DATA_DIR"])
    data.mkdir(mode=0o700)
    (data / "prbot.db").write_text("this is no database, " * 100)
    found = examined(prbot, installed, 1)["database"]
    assert "not a database" in found["said"]
    assert "backup" in found["advice"]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap, which makes the small disk, is not installed")
def test_a_full_disk_and_one_that_cannot_be_written_fail(installed: dict[str, str], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    inside = ["bwrap", "--dev-bind", "/", "/", "--size", str(1 << 20), "--perms", "0700", "--tmpfs", str(small)]
    settings = {**installed, "PRBOT_DATA_DIR": str(small)}
    for more, check, advice in (
        ([], "disk", "Free some space"),
        (["--remount-ro", str(small)], "data directory", "uid"),
    ):
        done = subprocess.run(
            [*inside, *more, sys.executable, "-m", "prbot", "doctor", "--json"],
            env=environment(settings), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        found = {each["check"]: each for each in map(json.loads, done.stdout.splitlines())}
        assert (done.returncode, found[check]["verdict"]) == (1, "failed"), done.stderr
        assert advice in found[check]["advice"]


def test_unusable_settings_are_explained_line_by_line_with_exit_code_2(prbot: Prbot, settings: dict[str, str]) -> None:
    done = prbot({**settings, "PRBOT_BIND": "x", "PRBOT_LOG_LEVEL": "loud"}, "doctor")
    assert done.returncode == 2
    assert done.stdout.count("failed   settings: PRBOT_") == 2
    assert "docs/settings.md" in done.stdout


def test_without_any_settings_doctor_leads_to_init(prbot: Prbot) -> None:
    done = prbot({}, "doctor")
    assert (done.returncode, "prbot init" in done.stdout) == (2, True)


def test_what_is_printed_for_people_ends_with_a_count(prbot: Prbot, installed: dict[str, str]) -> None:
    done = prbot(installed, "doctor")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == f"1 warning, 1 skipped, {sum(line.startswith('ok ') for line in lines)} ok"
    assert all(line.startswith(("ok ", "warning ", "failed ", "skipped ", " ")) for line in lines[:-2])


def test_an_app_is_looked_at_by_what_it_was_granted(
    prbot: Prbot, installed: dict[str, str], tmp_path: Path, infra: SandboxRepo, world: World
) -> None:
    poor = world.app("acme", lacking=("pull_requests",))
    poor.connect(f"{installed['PRBOT_PUBLIC_URL']}/webhooks/github", installed["PRBOT_GITHUB_WEBHOOK_SECRET"])
    key = tmp_path / "app.pem"
    key.touch(0o600)
    key.write_text(poor.private_key)
    by_app = {**installed, "PRBOT_GITHUB_APP_ID": str(poor.id), "PRBOT_GITHUB_APP_KEY_FILE": str(key)}
    by_app["PRBOT_REPO_ALLOWLIST"] = "acme/*"
    token = by_app.pop("PRBOT_GITHUB_TOKEN")
    done = prbot(by_app, "doctor", "--json")
    found = {finding["check"]: finding for finding in map(json.loads, done.stdout.splitlines())}
    assert token not in done.stdout
    assert found["token"]["said"] == "speaks as prbot[bot]"
    assert "lacks pull requests: write" in found["acme/infra"]["said"]
    assert found["acme/infra webhook"]["verdict"] == "ok"
    assert found["App key file"]["verdict"] == "ok"
