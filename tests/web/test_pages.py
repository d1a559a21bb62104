from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from prbot.core.runs import Goal, RunStatus
from prbot.flows.services import Services
from prbot.store.tables import Operation, PullRow, Run, RunOutput


@pytest.fixture
def run(services: Services) -> str:
    now = services.clock.now()
    with services.db.write() as tx:
        tx.add(
            PullRow(
                repo="acme/infra", number=7, clone_url="https://github.example/acme/infra.git", author="al",
                title="<script>alert(1)</script>", url="javascript:alert(1)", read_at=now,
            )
        )  # fmt: skip
        common: dict[str, Any] = {
            "repo": "acme/infra",
            "pull": 7,
            "goal": Goal.PLAN,
            "head_sha": "a" * 40,
            "base_sha": "b" * 40,
        }
        tx.add(Operation(id="o1", trigger="autoplan", actor="al", created_at=now, **common))
        tx.flush()
        tx.add(
            Run(
                id="r1", operation="o1", dir="net", status=RunStatus.PLANNED, commit="c" * 40, created_at=now,
                diff="+ resource <b>net</b>", **common,
            )
        )  # fmt: skip
        token = services.forge.clone_token("acme/infra")
        tx.add(RunOutput(run="r1", number=1, step="init", body=f"Initializing & <i>{token}</i>", at=now))
    return "r1"


def test_the_first_page_lists_pull_requests_and_runs(web: FlaskClient, run: str) -> None:
    page = web.get("/")
    assert page.status_code == 200
    assert "acme/infra#7" in page.text
    assert f"/runs/{run}" in page.text


def test_an_empty_server_says_what_to_do(web: FlaskClient) -> None:
    assert "/webhooks/github" in web.get("/").text


def test_what_people_wrote_is_never_markup(web: FlaskClient, run: str) -> None:
    for path in ("/", "/pulls/acme/infra/7", f"/runs/{run}"):
        page = web.get(path).text
        assert "<script>" not in page
        assert "<i>" not in page
        assert "<b>net" not in page
        assert 'href="javascript:' not in page


def test_a_runs_page_shows_its_changes_and_masked_output(web: FlaskClient, services: Services, run: str) -> None:
    page = web.get(f"/runs/{run}").text
    assert "+ resource &lt;b&gt;net&lt;/b&gt;" in page
    assert "Initializing &amp; &lt;i&gt;***&lt;/i&gt;" in page
    assert services.forge.clone_token("acme/infra") not in page


@pytest.mark.parametrize("path", ["/runs/none", "/pulls/acme/infra/8", "/nowhere"])
def test_what_is_not_there_is_404(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({"REMOTE_ADDR": "192.0.2.7"}, {}),
        ({}, {"X-Forwarded-For": "192.0.2.7"}),
        ({}, {"Host": "rebound.example:4242"}),
    ],
    ids=["from elsewhere", "through a proxy", "by a foreign name"],
)
def test_pages_are_refused_to_everybody_else(
    web: FlaskClient, run: str, environ: dict[str, str], headers: dict[str, str]
) -> None:
    for path in ("/", "/pulls/acme/infra/7", f"/runs/{run}"):
        answer = web.get(path, environ_overrides=environ, headers=headers)
        assert answer.status_code == 403
        assert "no login yet" in answer.get_json()["detail"]


def test_every_answer_carries_the_security_headers(web: FlaskClient) -> None:
    for path in ("/", "/healthz", "/nowhere", "/static/prbot.css"):
        with web.get(path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
