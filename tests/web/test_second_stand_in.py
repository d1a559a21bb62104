"""prbot as an App on a GitHub stand-in by others: what we took for granted on ours, somebody else read likewise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select
from werkzeug.serving import make_server

from prbot.core.ids import PullKey
from prbot.core.pulls import CheckRun, Deployment
from prbot.flows.services import Services
from prbot.ports import NotFound
from prbot.sandbox.app import APP_EVENTS
from prbot.sandbox.apps import new_key
from prbot.settings import Settings
from prbot.store.tables import Delivery
from prbot.wiring import build, create_app
from tests.sandbox.second import Emulated, emulate, needs_emulate

pytestmark = needs_emulate

KEY = PullKey("acme/infra", 1)
SECRET = "the-secret-of-the-webhook"
PERMISSIONS = {
    "metadata": "read", "contents": "read", "pull_requests": "write", "issues": "write", "checks": "write",
}  # fmt: skip


@dataclass
class Both:
    """prbot, and the GitHub that it is an App of. Nobody works: deliveries are taken and kept."""

    github: Emulated
    prbot: Services

    def deliveries(self, wanted: int) -> dict[str, str]:
        """What became of each kind of event, once there are as many as wanted."""
        deadline = time.monotonic() + 20
        found: list[Delivery] = []
        while len(found) < wanted and time.monotonic() < deadline:
            with self.prbot.db.read() as tx:
                found = list(tx.exec(select(Delivery)))
            time.sleep(0.02)
        return {each.event: each.outcome for each in found}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    key = tmp_path / "app.pem"
    key.write_text(new_key())
    web = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start), threaded=True)
    seeded = {
        "app_id": 7, "slug": "prbot", "name": "prbot", "private_key": key.read_text(), "permissions": PERMISSIONS,
        "events": list(APP_EVENTS), "webhook_url": f"http://127.0.0.1:{web.server_port}/webhooks/github",
        "webhook_secret": SECRET, "installations": [{"installation_id": 11, "account": "acme"}],
    }  # fmt: skip
    with emulate(tmp_path, seeded) as github:
        settings = Settings(
            data_dir=tmp_path / "data", github_api_url=github.url, github_app_id="7", github_app_key_file=key,
            github_webhook_secret=SECRET, repo_allowlist="acme/*", isolation="off",
        )  # fmt: skip
        services = build(settings)
        app = create_app(services)
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield Both(github, services)
        web.shutdown()
        thread.join(10)
        web.server_close()
        services.jobs.stop()
        services.forge.close()  # type: ignore[attr-defined]
        services.db.close()


def test_the_app_signs_gets_tokens_reads_and_writes(both: Both) -> None:
    head, forge = both.github.open_pull(), both.prbot.forge
    assert forge.check() == "prbot[bot]"
    assert forge.pull(KEY).head_sha == head
    assert forge.clone_token("acme/infra").startswith("ghs_")
    assert forge.role("acme/infra", "al") == "admin"
    posted = forge.create_comment(KEY, "planned")
    assert [(each.id, each.user) for each in forge.comments(KEY)] == [(posted.id, forge.me())]
    with pytest.raises(NotFound, match="not installed on acme/nothing"):
        forge.clone_token("acme/nothing")


def test_a_check_run_is_begun_completed_and_begun_again(both: Both) -> None:
    head, forge = both.github.open_pull(), both.prbot.forge
    assert forge.shows_checks("acme/infra")

    def shown() -> tuple[str, str | None]:
        (check,) = both.github("GET", f"/commits/{head}/check-runs")["check_runs"]
        return check["status"], check["conclusion"]

    number = forge.write_check(KEY, head, CheckRun("prbot/plan", None, "planning", "one project"))
    assert shown() == ("in_progress", None)
    forge.write_check(KEY, head, CheckRun("prbot/plan", "success", "1 to add", "table", "diff"), number)
    assert shown() == ("completed", "success")
    forge.write_check(KEY, head, CheckRun("prbot/plan", None, "planning", "again"), number)
    assert shown() == ("in_progress", None)


def test_what_it_does_not_have_degrades(both: Both) -> None:
    head = both.github.open_pull()
    assert both.prbot.forge.create_deployment("acme/infra", Deployment(head, "net", "in_progress", "net")) is None


def test_its_webhooks_are_taken(both: Both) -> None:
    both.github.open_pull()
    both.github("POST", "/issues/1/comments", body="prbot plan")
    # its comments do not say `issue.pull_request`, as GitHub's do: to prbot they are about an issue
    assert both.deliveries(2) == {"pull_request": "stored", "issue_comment": "ignored"}
