from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import text

from prbot.flows.services import Services
from prbot.sandbox.world import World
from prbot.store.tables import Worker
from prbot.web.health import Kept, Verdict
from tests.web.conftest import comment, send


def a_worker_beats(services: Services) -> None:
    with services.db.write() as tx:
        now = services.db.now(tx)
        tx.add(Worker(id="w", host="here", pid=1, started_at=now, beat_at=now))


def test_healthz_answers_with_the_version(web: FlaskClient, services: Services) -> None:
    answer = web.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"ok": True, "version": services.identity.version}


def test_readyz_is_good_when_every_part_is(web: FlaskClient, services: Services, world: World) -> None:
    a_worker_beats(services)
    answer = web.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert {name: part["ok"] for name, part in answer.get_json().items() if name != "ok"} == {
        "database": True, "worker": True, "engine": True, "forge": True,
    }  # fmt: skip
    assert world.bot in answer.get_json()["forge"]["detail"]


def test_readyz_says_that_no_worker_has_started(web: FlaskClient) -> None:
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["worker"] == {"ok": False, "detail": "no worker has started"}


def test_readyz_sees_a_worker_whose_beats_have_stopped(web: FlaskClient, services: Services) -> None:
    a_worker_beats(services)
    with services.db.write() as tx:
        tx.execute(text("UPDATE prbot_worker SET beat_at = '2026-01-01 00:00:00.000000'"))
    assert web.get("/readyz").get_json()["worker"]["ok"] is False


def test_readyz_says_that_the_forge_refuses_the_token(web: FlaskClient, services: Services, world: World) -> None:
    world.revoke(world.token)
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["forge"]["ok"] is False
    assert world.token not in answer.text


def test_the_forge_is_asked_once_however_often_readiness_is(web: FlaskClient, world: World) -> None:
    for _ in range(3):
        web.get("/readyz")
    assert len([each for each in world.requests if each.path.endswith("/user")]) == 1


def test_a_kept_verdict_is_asked_for_again_after_its_time() -> None:
    now, asked = [0.0], []

    def ask() -> Verdict:
        asked.append(now[0])
        return Verdict(True, "")

    kept = Kept(ask, 30.0, lambda: now[0])
    for at in (0.0, 29.9, 30.0, 59.0, 61.0):
        now[0] = at
        kept()
    assert asked == [0.0, 30.0, 61.0]


def test_metrics_count_what_the_database_holds(web: FlaskClient, services: Services) -> None:
    send(web, comment())
    send(web, comment("evil/infra"))
    a_worker_beats(services)
    text = web.get("/metrics").text
    for line in (
        'prbot_deliveries{outcome="ignored"} 1.0', 'prbot_deliveries{outcome="stored"} 1.0',
        'prbot_jobs{state="queued"} 1.0', "prbot_inbox_waiting 1.0", "prbot_worker_up 1.0", "prbot_projects_locked 0.0",
    ):  # fmt: skip
        assert line in text.splitlines()
