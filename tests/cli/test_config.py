"""`prbot config` as an operator meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Prbot

RULES = r"""credentials:
  prod:
    plan: {files: [/secret/place/plan.env]}
    apply:
      commands: [[vault, read, s3cr3t-path]]
      aws: {role: 'arn:aws:iam::123456789012:role/s3cr3t-role', region: eu-north-1, external_id: s3cr3t-id}
defaults:
  approvals: 2
repos:
  - match: acme/*
    locks: off
  - match: [acme/net, '/^acme\/infra$/']
    who: {approve: {users: [bo, cy]}}
    credentials: [{name: prod, dirs: [prod/*]}]
"""


@pytest.fixture
def with_rules(settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "rules.yaml").write_text(RULES)
    return {**settings, "PRBOT_RULES": str(tmp_path / "rules.yaml")}


def test_show_prints_each_rule_in_force_and_where_it_comes_from(
    prbot: Prbot, with_rules: dict[str, str], tmp_path: Path
) -> None:
    done = prbot(with_rules, "config", "show", "acme/infra")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "rules.yaml"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "acme/infra: on the allow-list, by acme/*"
    assert {
        f"approvals 2 {file}:8 defaults",
        f"locks off {file}:11 acme/*",
        f"who.approve.users [bo, cy] {file}:13 acme/net, /^acme\\/infra$/",
        "who.approve.role write default",
        f"credentials [prod] {file}:14 acme/net, /^acme\\/infra$/",
        "parallel null default",
        "drafts true default",
    } <= set(lines)
    assert lines[-3:] == ["credential prod: dirs prod/*; workspaces *", "plan: files", "apply: commands, aws"]


def test_show_as_json_has_the_same_and_neither_shows_what_a_credential_holds(
    prbot: Prbot, with_rules: dict[str, str]
) -> None:
    spoken = prbot(with_rules, "config", "show", "acme/infra")
    shown = prbot(with_rules, "config", "show", "acme/infra", "--json")
    for done in (spoken, shown):
        assert "s3cr3t" not in done.stdout
        assert "/secret/place" not in done.stdout
    said = json.loads(shown.stdout)
    assert (said["repo"], said["allowed"], said["allowed_by"]) == ("acme/infra", True, "acme/*")
    assert said["digest"].startswith("sha256:")
    assert said["rules"]["approvals"] == {"value": 2, "line": 8, "match": "defaults"}
    assert said["rules"]["limits.memory"] == {"value": 4096, "default": True}
    assert said["credentials"] == [
        {"name": "prod", "dirs": ["prod/*"], "workspaces": ["*"], "plan": ["files"], "apply": ["commands", "aws"]}
    ]


def test_show_says_of_a_repository_that_is_not_allowed_that_prbot_ignores_it(
    prbot: Prbot, settings: dict[str, str]
) -> None:
    done = prbot(settings, "config", "show", "other/infra")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "other/infra: not on the allow-list: prbot ignores it"
    assert "no file; all are defaults" in done.stdout
    assert json.loads(prbot(settings, "config", "show", "other/infra", "--json").stdout)["allowed"] is False


@pytest.mark.parametrize("name", ["infra", "acme/", "a/b/c"])
def test_show_wants_a_repositorys_whole_name(prbot: Prbot, settings: dict[str, str], name: str) -> None:
    done = prbot(settings, "config", "show", name)
    assert (done.returncode, done.stderr) == (2, f"{name}: expected OWNER/NAME, such as acme/infra\n")


def test_check_finds_every_mistake_in_the_rules(prbot: Prbot, with_rules: dict[str, str], tmp_path: Path) -> None:
    assert prbot(with_rules, "config", "check").returncode == 0
    file = tmp_path / "rules.yaml"
    file.write_text(RULES.replace("approvals: 2", "aprovals: 2").replace("name: prod", "name: prd"))
    done = prbot(with_rules, "config", "check")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{file}:8: defaults.aprovals: there is no such key; did you mean approvals?")
    assert second.startswith(f"{file}:14: repos[1].credentials[0]: there is no such credential; did you mean prod?")
