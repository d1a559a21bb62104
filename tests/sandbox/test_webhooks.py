"""Webhooks: signed, in order, and wrong on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qs

from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.sandbox.conftest import Api, Receiver


def events(receiver: Receiver) -> list[str]:
    """What arrived: `pull_request.opened`, `push`, …"""
    told = []
    for one in receiver.received:
        action = json.loads(one.body).get("action")
        told.append(one.headers["X-GitHub-Event"] + (f".{action}" if action else ""))
    return told


def test_a_webhook_is_signed_over_its_bytes(world: World, receiver: Receiver) -> None:
    world.connect(receiver.url)
    world.repo("acme/infra", {"a": "1\n"}).open_pull(by="al", files={"b": "2\n"})
    world.settle_hooks(10)
    assert events(receiver) == ["ping", "push", "pull_request.opened"]
    for one in receiver.received:
        digest = hmac.new(world.webhook_secret.encode(), one.body, hashlib.sha256).hexdigest()
        assert one.headers["X-Hub-Signature-256"] == f"sha256={digest}"
        assert one.headers["Content-Type"] == "application/json"
    assert len({one.headers["X-GitHub-Delivery"] for one in receiver.received}) == 3


def test_a_form_carries_the_same_json(world: World, receiver: Receiver) -> None:
    world.connect(receiver.url, secret="other", form=True)
    world.repo("acme/infra", {"a": "1\n"})
    world.settle_hooks(10)
    (ping,) = receiver.received
    assert ping.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(ping.body.decode())["payload"][0])["zen"]
    assert ping.headers["X-Hub-Signature-256"].endswith(hmac.new(b"other", ping.body, hashlib.sha256).hexdigest())


def test_a_push_tells_before_and_after(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    before = pull.head_sha
    world.connect(receiver.url)
    after = pull.push(by="bo", files={"y.tf": "#\n"}, author="al")
    world.settle_hooks(10)
    assert events(receiver) == ["ping", "push", "pull_request.synchronize"]
    told = json.loads(receiver.received[-1].body)
    assert (told["before"], told["after"], told["sender"]["login"]) == (before, after, "bo")
    assert told["pull_request"]["head"]["sha"] == after


def test_a_merge_is_told_as_closed_with_its_commit(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    world.connect(receiver.url)
    sha = pull.merge(by="bo", method="squash")
    world.settle_hooks(10)
    told = json.loads(receiver.received[-1].body)
    assert (told["action"], told["pull_request"]["merged"]) == ("closed", True)
    assert told["pull_request"]["merge_commit_sha"] == sha


def test_a_changed_base_is_told_with_the_old_one(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    infra.branch("release")
    world.connect(receiver.url)
    pull.retarget(by="al", base="release")
    world.settle_hooks(10)
    assert json.loads(receiver.received[-1].body)["changes"]["base"]["ref"] == {"from": "main"}


def test_a_lost_delivery_is_listed_and_comes_when_it_is_sent_again(
    world: World, infra: SandboxRepo, receiver: Receiver, api: Api
) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    world.connect(receiver.url)
    world.hooks.lose_next()
    pull.comment(by="bo", body="prbot plan")
    world.settle_hooks(10)
    assert events(receiver) == ["ping"]
    hook = f"/repos/acme/infra/hooks/{infra.data.hooks[0].id}/deliveries"
    lost = api("GET", hook).json()[0]
    assert (lost["status"], lost["event"]) == ("failed to connect to host", "issue_comment")
    assert api("POST", f"{hook}/{lost['id']}/attempts").status_code == 202
    world.settle_hooks(10)
    assert events(receiver) == ["ping", "issue_comment.created"]
    assert receiver.received[-1].headers["X-GitHub-Delivery"] == lost["guid"]
    assert world.deliveries[-1].redelivery


def test_a_doubled_delivery_has_one_id(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    world.connect(receiver.url)
    world.hooks.double_next()
    pull.comment(by="bo", body="prbot plan")
    world.settle_hooks(10)
    first, second = receiver.received[1:]
    assert first.headers["X-GitHub-Delivery"] == second.headers["X-GitHub-Delivery"]
    assert first.body == second.body


def test_held_deliveries_come_late_and_in_another_order(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    world.connect(receiver.url)
    world.hooks.hold()
    pull.comment(by="bo", body="prbot plan")
    pull.close(by="al")
    world.settle_hooks(10)
    assert events(receiver) == ["ping"]
    world.hooks.release(order="reversed")
    world.settle_hooks(10)
    assert events(receiver) == ["ping", "pull_request.closed", "issue_comment.created"]


def test_an_answer_and_an_absent_server_are_on_record(world: World, infra: SandboxRepo, receiver: Receiver) -> None:
    receiver.status = 503
    world.connect(receiver.url)
    world.settle_hooks(10)
    world.connect("http://127.0.0.1:9/nobody")
    world.settle_hooks(10)
    assert [(one.event, one.status, one.status_code) for one in world.deliveries] == [
        ("ping", "Invalid HTTP Response: 503", 503),
        ("ping", "failed to connect to host", 502),
    ]
