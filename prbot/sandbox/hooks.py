"""Webhooks: signed POSTs over real HTTP, in order, one at a time, from a thread; and the ways they go wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

import requests

from prbot.sandbox.clock import Clock
from prbot.sandbox.state import Hook

Order = Literal["as sent", "reversed"] | Sequence[int]
_UNREACHABLE = 502
_ANSWER_LIMIT = 10.0


@dataclass
class Delivery:
    """One delivery of one event to one webhook. `guid` is what `X-GitHub-Delivery` says; a redelivery repeats it."""

    id: int
    guid: str
    hook: Hook
    event: str
    payload: dict[str, Any]
    repository_id: int
    delivered_at: datetime
    redelivery: bool = False
    status: str = "pending"
    """GitHub's words: `OK`, `failed to connect to host`, or `Invalid HTTP Response: 503`."""
    status_code: int = 0
    duration: float = 0.0
    response: str = ""
    response_headers: dict[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str | None:
        action: str | None = self.payload.get("action")
        return action

    def body(self) -> bytes:
        """The bytes on the wire."""
        text = json.dumps(self.payload, separators=(",", ":"))
        return urlencode({"payload": text}).encode() if self.hook.form else text.encode()

    def headers(self, body: bytes) -> dict[str, str]:
        """GitHub's headers, signed with the webhook's secret over `body`."""
        secret = self.hook.secret.encode()
        return {
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded" if self.hook.form else "application/json",
            "User-Agent": "GitHub-Hookshot/5a4d1e0",
            "X-GitHub-Delivery": self.guid,
            "X-GitHub-Event": self.event,
            "X-GitHub-Hook-ID": str(self.hook.id),
            "X-GitHub-Hook-Installation-Target-ID": str(self.hook.app.id if self.hook.app else self.repository_id),
            "X-GitHub-Hook-Installation-Target-Type": "integration" if self.hook.app else "repository",
            "X-Hub-Signature": "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
        }


class Hooks:
    """The outbox. Everything is kept in `deliveries`, also what was lost: GitHub lists failures as well."""

    def __init__(self, clock: Clock, new_id: Callable[[], int]) -> None:
        self.deliveries: list[Delivery] = []
        self._clock = clock
        self._new_id = new_id
        self._changed = threading.Condition()
        self._outbox: deque[Delivery] = deque()
        self._held: list[Delivery] | None = None
        self._sending = 0
        self._to_lose = 0
        self._to_double = 0
        self._latency = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- on demand ----------------------------------------------------------------------------------------------------
    def lose_next(self, n: int = 1) -> None:
        """Let the next `n` deliveries fail before they reach the server. They can be redelivered."""
        self._to_lose += n

    def double_next(self, n: int = 1) -> None:
        """Let the next `n` deliveries arrive twice, with the same delivery id."""
        self._to_double += n

    def slow(self, seconds: float) -> None:
        """Let each delivery take so much longer from now on."""
        self._latency = seconds

    def hold(self) -> None:
        """Keep deliveries back from now on, until `release`."""
        with self._changed:
            self._held = self._held if self._held is not None else []

    def release(self, order: Order = "as sent") -> None:
        """Send what was held back: as it came, reversed, or by its positions in a sequence (others are lost)."""
        with self._changed:
            held, self._held = self._held or [], None
            if order == "reversed":
                held.reverse()
            elif order != "as sent":
                held = [held[int(position)] for position in order]
            self._outbox.extend(held)
            self._changed.notify_all()

    def redeliver(self, delivery_id: int) -> Delivery:
        """Send a delivery once more, as the button in GitHub's settings does. KeyError if there is none."""
        original = next((one for one in self.deliveries if one.id == delivery_id), None)
        if original is None:
            raise KeyError(delivery_id)
        again = self._delivery(original.hook, original.event, original.payload, original.repository_id)
        again.guid, again.redelivery = original.guid, True
        self._queue(again)
        return again

    # -- sending ------------------------------------------------------------------------------------------------------
    def send(self, hook: Hook, event: str, payload: dict[str, Any], repository_id: int) -> None:
        """Queue an event for a webhook."""
        delivery = self._delivery(hook, event, payload, repository_id)
        if self._to_lose:
            self._to_lose -= 1
            delivery.status, delivery.status_code = "failed to connect to host", _UNREACHABLE
            self.deliveries.append(delivery)
            return
        self._queue(delivery)
        if self._to_double:
            self._to_double -= 1
            twin = self._delivery(hook, event, payload, repository_id)
            twin.guid = delivery.guid
            self._queue(twin)

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until everything that is not held back was sent and answered. TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._outbox and not self._sending, timeout):
                raise TimeoutError(f"{len(self._outbox) + self._sending} deliveries are still on their way")

    def start(self) -> None:
        """Begin to send, or go on to."""
        self._stopping = False
        self._thread = threading.Thread(target=self._send_all, name="sandbox-hooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_ANSWER_LIMIT + 1)

    def _delivery(self, hook: Hook, event: str, payload: dict[str, Any], repository_id: int) -> Delivery:
        guid = str(uuid.uuid4())
        return Delivery(self._new_id(), guid, hook, event, payload, repository_id, self._clock.now())

    def _queue(self, delivery: Delivery) -> None:
        with self._changed:
            self.deliveries.append(delivery)
            (self._outbox if self._held is None else self._held).append(delivery)
            self._changed.notify_all()

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._outbox or self._stopping)
                    if self._stopping:
                        return
                    delivery = self._outbox.popleft()
                    self._sending += 1
                time.sleep(self._latency)
                _post(session, delivery)
                with self._changed:
                    self._sending -= 1
                    self._changed.notify_all()


def _post(session: requests.Session, delivery: Delivery) -> None:
    body = delivery.body()
    began = time.monotonic()
    try:
        with session.post(
            delivery.hook.url,
            data=body,
            headers=delivery.headers(body),
            timeout=_ANSWER_LIMIT,
            allow_redirects=False,
        ) as answer:
            delivery.status_code = answer.status_code
            delivery.status = "OK" if answer.ok else f"Invalid HTTP Response: {answer.status_code}"
            delivery.response = answer.text
            delivery.response_headers = dict(answer.headers)
    except requests.RequestException:
        delivery.status, delivery.status_code = "failed to connect to host", _UNREACHABLE
    delivery.duration = round(time.monotonic() - began, 3)
