"""Failures on demand."""

from __future__ import annotations

import time

import pytest
import requests

from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.sandbox.conftest import Api

COMMENTS = "/repos/acme/infra/issues/1/comments"


@pytest.fixture(autouse=True)
def _pull(infra: SandboxRepo) -> None:
    infra.open_pull(by="al", files={"x.tf": "#\n"})


def test_the_next_requests_to_a_route_fail_and_then_no_more(world: World, infra: SandboxRepo, api: Api) -> None:
    world.fail_next("create_comment", 502, times=2)
    assert api("GET", COMMENTS).status_code == 200
    assert world.pending_faults == ["create_comment", "create_comment"]
    codes = [api("POST", COMMENTS, {"body": "hello"}).status_code for _ in range(3)]
    assert codes == [502, 502, 201]
    assert world.pending_faults == []
    assert infra.pull(1).next_comment() == "hello"
    assert world.unread_comments() == []


def test_a_request_can_fail_after_its_work_is_done(world: World, infra: SandboxRepo, api: Api) -> None:
    world.fail_next("create_comment", 500, after_effect=True)
    assert api("POST", COMMENTS, {"body": "hello"}).status_code == 500
    assert world.unread_comments() == [("acme/infra#1", "hello")]


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_connection_can_break_before_and_after_the_work(
    world: World, infra: SandboxRepo, api: Api, after_effect: bool
) -> None:
    world.drop_next("create_comment", after_effect=after_effect)
    with pytest.raises(requests.ConnectionError):
        api("POST", COMMENTS, {"body": "hello"})
    assert len(infra.pull(1).comments()) == int(after_effect)


def test_the_hourly_limit_is_told_as_github_tells_it(world: World, api: Api) -> None:
    world.rate_limit_next(retry_after=30)
    reply = api("GET", COMMENTS)
    assert (reply.status_code, reply.headers["x-ratelimit-remaining"]) == (403, "0")
    assert 0 < int(reply.headers["x-ratelimit-reset"]) - time.time() <= 30
    assert "rate limit exceeded" in reply.json()["message"]


def test_the_secondary_limit_says_how_long_to_wait(world: World, api: Api) -> None:
    world.rate_limit_next("list_comments", status=429, retry_after=7, secondary=True)
    reply = api("GET", COMMENTS)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert "secondary rate limit" in reply.json()["message"]


def test_an_answer_can_be_late(world: World, api: Api) -> None:
    world.slow_next("list_comments", 0.3)
    began = time.monotonic()
    assert api("GET", COMMENTS).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_git_can_fail_too(world: World, infra: SandboxRepo) -> None:
    world.fail_next("git", 503)
    address = f"{infra.clone_url}/info/refs?service=git-upload-pack"
    assert requests.get(address, auth=("x-access-token", world.token), timeout=10).status_code == 503
    assert requests.get(address, auth=("x-access-token", world.token), timeout=10).status_code == 200
