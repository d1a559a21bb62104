from __future__ import annotations

from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from prbot.flows.services import Services
from prbot.store.tables import Delivery, InboxEvent, JobRow
from tests.web.conftest import EARLIER, comment, send


def kept(services: Services) -> tuple[int, int, int]:
    with services.db.read() as tx:
        return tuple(len(tx.exec(select(table)).all()) for table in (Delivery, InboxEvent, JobRow))  # type: ignore[return-value]


@pytest.mark.parametrize("path", ["/webhooks/github", "/events"])
def test_a_good_delivery_is_stored_with_its_job_before_it_is_answered(
    web: FlaskClient, services: Services, path: str
) -> None:
    answer = send(web, comment(), path=path, X_GitHub_Delivery="d-1")
    assert answer.status_code == 202
    assert answer.json == {"delivery": "d-1", "outcome": "stored", "reason": ""}
    assert kept(services) == (1, 1, 1)


def test_a_form_encoded_delivery_is_as_good(web: FlaskClient, services: Services) -> None:
    import json

    body = urlencode({"payload": json.dumps(comment())}).encode()
    answer = send(web, body, Content_Type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "stored")


def test_a_delivery_seen_twice_is_stored_once(web: FlaskClient, services: Services) -> None:
    send(web, comment(), X_GitHub_Delivery="d-1")
    answer = send(web, comment(), X_GitHub_Delivery="d-1")
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "duplicate")
    assert kept(services) == (1, 1, 1)


def test_either_secret_signs_while_they_are_rotated(web: FlaskClient) -> None:
    assert send(web, comment(), secret=EARLIER).status_code == 202


def test_a_delivery_for_another_repository_is_ignored_and_on_record(web: FlaskClient, services: Services) -> None:
    answer = send(web, comment("evil/infra"))
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "ignored")
    assert "allow-list" in answer.get_json()["reason"]
    assert kept(services) == (1, 0, 0)


def test_the_allow_list_does_not_care_about_case(web: FlaskClient) -> None:
    assert send(web, comment("ACME/Infra")).get_json()["outcome"] == "stored"


def test_a_ping_is_ignored_and_says_that_the_webhook_works(web: FlaskClient) -> None:
    answer = send(web, {"zen": "…", "hook_id": 1}, X_GitHub_Event="ping")
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "ignored")
    assert "works" in answer.get_json()["reason"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (comment(), {"X_Hub_Signature_256": None}, 401, "is missing"),
        (comment(), {"X_Hub_Signature_256": "sha256=" + "0" * 64}, 401, "does not fit"),
        (comment(), {"secret": "somebody-elses"}, 401, "does not fit"),
        (comment(), {"X_GitHub_Delivery": None}, 400, "X-GitHub-Delivery"),
        (comment(), {"X_GitHub_Delivery": "a b"}, 400, "X-GitHub-Delivery"),
        (comment(), {"X_GitHub_Event": None}, 400, "X-GitHub-Event"),
        (b"{", {}, 400, "not a JSON document"),
        (b"[]", {}, 400, "expected an object"),
        ({**comment(), "repository": {}}, {}, 400, "repository.full_name"),
        (comment(), {"Content_Type": "text/plain"}, 415, "application/json"),
        (comment(), {"Content_Type": None}, 415, "application/json"),
    ],
)
def test_what_is_wrong_with_a_delivery_is_named_and_nothing_is_stored(
    web: FlaskClient, services: Services, body: bytes, headers: dict[str, str | None], status: int, said: str
) -> None:
    answer = send(web, body, **headers)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["status"] == status
    assert said in problem["detail"]
    assert kept(services) == (0, 0, 0)


def test_a_body_past_the_cap_is_refused(web: FlaskClient, services: Services) -> None:
    answer = send(web, b" " * (25 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.get_json()["status"] == 413
    assert kept(services) == (0, 0, 0)


def test_only_post_delivers(web: FlaskClient) -> None:
    answer = web.get("/webhooks/github")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_a_database_that_fails_gives_503_so_that_the_forge_delivers_again(web: FlaskClient, services: Services) -> None:
    with services.db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE prbot_delivery")
    answer = send(web, comment())
    assert answer.status_code == 503
    assert "nothing was stored" in answer.get_json()["detail"]
