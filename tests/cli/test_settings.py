from __future__ import annotations

import json
from pathlib import Path

import pytest

from prbot.settings import WrongSettings
from prbot.wiring import build, read_settings
from tests.cli.conftest import Prbot


def put(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], changes: dict[str, str | None]) -> None:
    for name, value in {**settings, **changes}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"PRBOT_BIND": "4242"}, "PRBOT_BIND", "host:port"),
        ({"PRBOT_REPO_ALLOWLIST": None}, "PRBOT_REPO_ALLOWLIST", "is missing"),
        ({"PRBOT_REPO_ALLOWLIST": ""}, "PRBOT_REPO_ALLOWLIST", "at least one"),
        ({"PRBOT_REPO_ALLOWLIST": "acme"}, "PRBOT_REPO_ALLOWLIST", "'acme' is not owner/name"),
        ({"PRBOT_GITHUB_TOKEN": None}, "PRBOT_GITHUB_TOKEN", "exactly one"),
        ({"PRBOT_GITHUB_TOKEN": "two words"}, "PRBOT_GITHUB_TOKEN", "one word"),
        ({"PRBOT_GITHUB_TOKEN_FILE": "/nowhere"}, "PRBOT_GITHUB_TOKEN_FILE", "not a file"),
        ({"PRBOT_GITHUB_APP_ID": "7"}, "PRBOT_GITHUB_APP_ID", "exactly one"),
        ({"PRBOT_GITHUB_TOKEN": None, "PRBOT_GITHUB_APP_ID": "7"}, "PRBOT_GITHUB_APP_KEY_FILE", "together"),
        (
            {"PRBOT_GITHUB_TOKEN": None, "PRBOT_GITHUB_APP_ID": "7", "PRBOT_GITHUB_APP_KEY_FILE": __file__},
            "PRBOT_GITHUB_APP_KEY_FILE",
            "holds no RSA private key",
        ),
        ({"PRBOT_CA_FILE": __file__}, "PRBOT_CA_FILE", "certificates in PEM form"),
        ({"PRBOT_GITHUB_WEBHOOK_SECRET": None}, "PRBOT_GITHUB_WEBHOOK_SECRET", "exactly one"),
        ({"PRBOT_GITHUB_WEBHOOK_SECRET": "short"}, "PRBOT_GITHUB_WEBHOOK_SECRET", "8 characters"),
        ({"PRBOT_GITHUB_API_URL": "http://github.example"}, "PRBOT_GITHUB_API_URL", "https"),
        ({"PRBOT_DATABASE_URL": "mysql://x"}, "PRBOT_DATABASE_URL", "sqlite:///"),
        ({"PRBOT_DATABASE_URL": "sqlite:////nowhere/at/all.db"}, "PRBOT_DATABASE_URL", "cannot be used"),
        ({"PRBOT_PLAN_STORE": "s3://bucket"}, "PRBOT_PLAN_STORE", "file:PATH"),
        ({"PRBOT_PARALLEL": "none"}, "PRBOT_PARALLEL", "integer"),
        ({"PRBOT_PARALLEL": "0"}, "PRBOT_PARALLEL", "greater"),
        ({"PRBOT_COMMAND_PREFIX": "a b"}, "PRBOT_COMMAND_PREFIX", "letters"),
        ({"PRBOT_ISOLATION": "perhaps"}, "PRBOT_ISOLATION", "off"),
        ({"PRBOT_LOG_FORMAT": "xml"}, "PRBOT_LOG_FORMAT", "json or text"),
        ({"PRBOT_LOG_LEVEL": "loud"}, "PRBOT_LOG_LEVEL", "debug, info"),
        ({"PRBOT_RULES": "/nowhere"}, "PRBOT_RULES", "not a file"),
        ({"PRBOT_PLAN_ENV_FILE": "/nowhere"}, "PRBOT_PLAN_ENV_FILE", "not a file"),
        ({"PRBOT_SECRET_KEY_FILE": "/nowhere"}, "PRBOT_SECRET_KEY_FILE", "no such"),
        ({"PRBOT_AUDIT_KEY_FILE": "/nowhere"}, "PRBOT_AUDIT_KEY_FILE", "no such"),
        ({"PRBOT_DATA_DIR": "/dev/null/data"}, "PRBOT_DATA_DIR", "/dev/null/data"),
        ({"PRBOT_BIMD": "x"}, "PRBOT_BIMD", "did you mean"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], changes: dict[str, str | None], name: str, expected: str
) -> None:
    put(monkeypatch, settings, changes)
    with pytest.raises(WrongSettings) as wrong:
        build(read_settings())
    (line,) = str(wrong.value).splitlines()
    assert name in line
    assert expected in line
    assert settings["PRBOT_GITHUB_TOKEN"] not in line


@pytest.mark.parametrize(
    ("text", "said"), [(None, "not a text file that can be read"), ("short", "8 characters"), ("", "8 characters")]
)
def test_a_webhook_secret_file_that_is_of_no_use_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    changes = {"PRBOT_GITHUB_WEBHOOK_SECRET": None, "PRBOT_GITHUB_WEBHOOK_SECRET_FILE": str(file)}
    put(monkeypatch, settings, changes)
    with pytest.raises(WrongSettings, match=said) as wrong:
        read_settings()
    assert str(wrong.value).startswith(f"PRBOT_GITHUB_WEBHOOK_SECRET_FILE: {file}")
    assert "short" not in str(wrong.value)


def test_the_webhooks_secrets_may_lie_in_a_file_of_their_own(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "webhook-secrets"
    file.write_text("the-new-secret the-old-secret\n")
    changes = {"PRBOT_GITHUB_WEBHOOK_SECRET": None, "PRBOT_GITHUB_WEBHOOK_SECRET_FILE": str(file)}
    put(monkeypatch, settings, changes)
    assert read_settings().webhook_secrets == ("the-new-secret", "the-old-secret")
    put(monkeypatch, settings, {"PRBOT_GITHUB_WEBHOOK_SECRET_FILE": str(file)})
    with pytest.raises(WrongSettings, match="exactly one of PRBOT_GITHUB_WEBHOOK_SECRET and"):
        read_settings()


def test_several_problems_are_a_line_each_and_exit_code_2_without_a_traceback(
    prbot: Prbot, settings: dict[str, str]
) -> None:
    done = prbot({**settings, "PRBOT_BIND": "x", "PRBOT_LOG_LEVEL": "loud"}, "config", "check")
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["PRBOT_BIND", "PRBOT_LOG_LEVEL"]


def test_config_check_shows_what_is_in_effect_and_no_secret(
    prbot: Prbot, settings: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "prbot.yaml"
    file.write_text("parallel: 3\nbind: 127.0.0.1:1\n")
    done = prbot({**settings, "PRBOT_BIND": "127.0.0.1:5000"}, "config", "check", "--config", str(file), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["parallel"], shown["bind"]) == (3, "127.0.0.1:5000")
    assert settings["PRBOT_GITHUB_TOKEN"] not in done.stdout
    assert settings["PRBOT_GITHUB_WEBHOOK_SECRET"] not in done.stdout


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("engine", "said"),
    [("/nowhere/terraform", "not an executable"), ("old", "is too old"), ("true", "does not answer")],
)
def test_an_engine_that_is_missing_old_or_none_stops_the_start_with_one_line(
    prbot: Prbot, settings: dict[str, str], tmp_path: Path, command: str, engine: str, said: str
) -> None:
    if engine == "old":
        old = tmp_path / "terraform"
        old.write_text("#!/bin/sh\necho Terraform v1.3.0\n")
        old.chmod(0o755)
        engine = str(old)
    done = prbot({**settings, "PRBOT_ENGINE": engine}, command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("PRBOT_ENGINE")
    assert said in line


def test_bad_usage_is_exit_code_2(prbot: Prbot, settings: dict[str, str]) -> None:
    assert prbot(settings, "srve").returncode == 2
    assert prbot(settings, "serve", "--nope").returncode == 2


def test_version_needs_no_settings(prbot: Prbot) -> None:
    done = prbot({}, "version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "prbot")
