from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import structlog

from prbot.core.ids import ProjectKey
from prbot.flows.services import Services
from prbot.logs import configure_logging
from prbot.machine import SortableIds
from prbot.ports import Purpose
from prbot.wiring import build, read_settings, run_worker


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path) -> Iterator[Services]:
    plan = tmp_path / "plan.env"
    plan.write_text("CLOUD_TOKEN=what-plans-hold\nCLOUD_REGION=eu-north-1\n")
    plan.chmod(0o600)
    for name, value in {**settings, "PRBOT_PLAN_ENV_FILE": str(plan)}.items():
        monkeypatch.setenv(name, value)
    built = build(read_settings())
    yield built
    built.jobs.stop()
    built.db.close()


def test_the_first_start_makes_a_private_directory_and_private_keys(services: Services, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for name in ("secret.key", "audit.key"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600


def test_a_later_start_uses_the_same_keys(services: Services) -> None:
    again = build(read_settings())
    assert again.fingerprint_key(None) == services.fingerprint_key(None)
    again.jobs.stop()
    again.db.close()


def test_each_phase_gets_its_own_environment_and_nothing_else(services: Services) -> None:
    plan, apply = (
        services.credentials.read(Purpose(phase, ProjectKey("acme/infra", "net", "default"), 1, "run", ""), ())
        for phase in ("plan", "apply")
    )
    assert plan.environment == {"CLOUD_TOKEN": "what-plans-hold", "CLOUD_REGION": "eu-north-1"}
    assert apply.environment == {}


def test_every_secret_that_prbot_holds_is_masked(services: Services, settings: dict[str, str]) -> None:
    held = (settings["PRBOT_GITHUB_TOKEN"], settings["PRBOT_GITHUB_WEBHOOK_SECRET"], "what-plans-hold")
    shown = services.secrets().redact(" ".join(held) + " eu-north-1")
    assert shown == "*** *** *** eu-north-1"


def test_a_rotated_credential_is_masked_at_once_and_the_old_one_still(services: Services, tmp_path: Path) -> None:
    services.secrets()
    (tmp_path / "plan.env").write_text("CLOUD_TOKEN=what-comes-after\n")
    assert services.secrets().redact("what-comes-after what-plans-hold") == "*** ***"


def test_logs_are_json_lines_without_secrets(
    services: Services, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    token = settings["PRBOT_GITHUB_TOKEN"]
    before = structlog.get_config()
    try:
        configure_logging("json", "info", services.secrets)
        log = structlog.get_logger()
        log.debug("not shown")
        try:
            raise ValueError(f"bad {token}")
        except ValueError:
            log.exception("it broke", facts={"list": [token]}, repository="acme/infra")
    finally:
        structlog.configure(**before)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["repository"]) == ("it broke", "error", "acme/infra")
    assert "ValueError: bad ***" in said["exception"]
    assert token not in line


def test_ids_sort_by_the_time_they_were_made_also_within_a_millisecond_or_when_the_clock_goes_back() -> None:
    times = iter([5, 5, 5, 4, 6])
    new_id = SortableIds(lambda: next(times))
    made = [new_id() for _ in range(5)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


def test_a_data_directory_with_a_long_path_works(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / ("d" * 120)
    for name, value in {**settings, "PRBOT_DATA_DIR": str(data)}.items():
        monkeypatch.setenv(name, value)
    built = build(read_settings())
    stop = threading.Event()
    stop.set()
    assert run_worker(built, stop, drain_seconds=10)
    built.db.close()
    (Path("/tmp") / f"prbot-{os.getuid()}-{sha256(os.fsencode(data)).hexdigest()[:16]}").rmdir()
