"""A plan is read to the last digit, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prbot.core.runs import RunStatus
from tests.flows.app import Story, shared_with_engines, story, tf


def with_number(backend: str, number: str) -> str:
    return f'{backend}\nresource "terraform_data" "n" {{\n  input = {number}\n}}\n'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.100000000000000001", "0.100000000000000002"),  # one float
        ("9007199254740993.5", "9007199254740993.25"),
        ("1e400", "1e401"),  # no float at all
    ],
)
def test_plans_that_differ_in_the_last_digit_differ(app: Story, one: str, other: str) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": with_number(infra.backend("net"), one)})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.push(by="al", files={"net/main.tf": with_number(infra.backend("net"), other)})
    app.settle()
    first, second = app.runs(pull)
    assert second.status == RunStatus.PLANNED, second.error
    assert first.fingerprint != second.fingerprint


EXPLODES = (
    '{"format_version": "1.2", "planned_values": {}, "resource_changes": [{"address": "a.b", "type": "a", "name": "b", '
    '"mode": "managed", "provider_name": "p", "change": {"actions": ["explode"]}}]}'
)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ('{"format_version": "2.0", "planned_values": {}}', "its format_version is '2.0'; prbot reads 1.x"),
        ("{}", "it has no format_version"),
        (EXPLODES, "a.b has actions that prbot does not know: explode"),
    ],
)
def test_a_plan_of_a_shape_that_prbot_does_not_know_is_refused_by_name(tmp_path: Path, shown: str, why: str) -> None:
    with story(tmp_path, engine=str(speaking(tmp_path, shown))) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        run = app.runs(pull)[-1]
        assert (run.status, run.fingerprint) == (RunStatus.ERRORED, "")
        assert run.error == (
            "The engine made a plan that prbot cannot read, so that nobody can approve it and nothing of it is "
            f"applied. It takes an engine that prbot knows, or a newer prbot. What is wrong with it: {why}."
        )
        assert run.error in pull.comments()[-1].body
        assert pull.status("prbot/plan")["state"] == "failure"


def test_an_answer_that_is_no_document_is_refused(tmp_path: Path) -> None:
    with story(tmp_path, engine=str(speaking(tmp_path, "Segmentation fault"))) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        run = app.runs(pull)[-1]
        assert (run.status, run.error) == (
            RunStatus.ERRORED,
            "what the engine's `show` gave cannot be read: it is not JSON as the engine writes it",
        )


def speaking(root: Path, shown: str) -> Path:
    """Terraform, but for what it shows of a plan."""
    shared = shared_with_engines(root)
    shared.mkdir()
    answer, program = shared / "shown.json", shared / "terraform"
    answer.write_text(shown)
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = show ]; then exec cat {answer}; fi\nexec {shutil.which("terraform")} "$@"\n'
    )
    program.chmod(0o755)
    return program
