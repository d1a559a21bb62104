"""The page on this machine from which a GitHub App with the right permissions is made."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask, abort, render_template_string, request
from werkzeug.serving import WSGIRequestHandler, make_server

from prbot.github.manifest import EVENTS, PERMISSIONS, NewApp, convert, manifest
from prbot.ports import Unavailable
from prbot.settings import WrongSettings

KEY, SECRET = "github-app.pem", "github-app-webhook-secret"
WAIT_SECONDS = 3600.0
"""How long the page is there. GitHub's code is good for an hour, too."""

_PAGE = """\
<!doctype html><meta charset="utf-8"><title>Make prbot's GitHub App</title>
<style>body{font:16px/1.5 sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}</style>
<h1>Make prbot's GitHub App</h1>
<p>The button goes to {{ where }}, which asks for a name and makes a private App with these permissions and events, and
no others. Its key and its webhook's secret then come to this machine, into {{ place }}.</p>
<ul>{% for name, level in permissions.items() %}<li>{{ name.replace("_", " ") }}: {{ level }}</li>{% endfor %}</ul>
<p>Events: {{ events }}. They go to {{ told }}.</p>
<form method="post" action="{{ action }}"><input type="hidden" name="manifest" value="{{ manifest }}">
<button>Make it at GitHub</button></form>
"""
_DONE = """\
<!doctype html><meta charset="utf-8"><title>Made</title><style>body{font:16px/1.5 sans-serif;margin:3rem}</style>
<h1>{{ app.slug }} is made</h1>
<p>Its files are in {{ place }}; the terminal says what to set. Now
<a href="{{ app.url }}/installations/new">install it on your repositories</a>.</p>
"""


@dataclass
class Asked:
    """What shall be made, and what came of it."""

    org: str
    name: str
    public_url: str
    api_url: str
    place: Path
    ca_file: Path | None
    made: NewApp | None = None
    problem: str = ""
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def site(self) -> str:
        """Where GitHub's pages are."""
        parts = urlsplit(self.api_url)
        return "https://github.com" if parts.netloc == "api.github.com" else f"{parts.scheme}://{parts.netloc}"

    @property
    def form(self) -> str:
        """GitHub's page that takes a manifest."""
        owner = f"/organizations/{quote(self.org, safe='')}" if self.org else ""
        return f"{self.site}{owner}/settings/apps/new"


def make(asked: Asked, port: int) -> None:
    """Show the page, write what comes of it, and say what to set. WrongSettings if there is no App in the end."""
    with _reserved(asked.place / KEY, asked.place / SECRET) as (key, secret):
        app = _wait_for(asked, port)
        key.write_text(app.private_key, encoding="ascii")
        secret.write_text(app.webhook_secret + "\n", encoding="ascii")
    print(
        f"{app.slug} is made: {app.url}\n"
        f"Wrote {KEY} and {SECRET} in {asked.place}, for you alone. Settings:\n\n"
        f"PRBOT_GITHUB_APP_ID={app.id}\n"
        f"PRBOT_GITHUB_APP_KEY_FILE={asked.place / KEY}\n"
        f"PRBOT_GITHUB_WEBHOOK_SECRET_FILE={asked.place / SECRET}\n\n"
        f"They take the place of a token and of another webhook secret. Then install the App on your repositories:\n"
        f"{app.url}/installations/new"
    )


@contextmanager
def _reserved(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """New files for this user alone, so that what GitHub shows once has a place. Gone again if the block fails."""
    ours: list[Path] = []
    try:
        for path in paths:
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                raise WrongSettings(
                    f"{path} is there already, and nothing is overwritten: move it, or say --dir"
                ) from None
            except OSError as problem:
                raise WrongSettings(f"{path}: cannot be written: {problem.strerror}") from None
            ours.append(path)
        yield paths
    except BaseException:
        for path in ours:
            path.unlink(missing_ok=True)
        raise


def _wait_for(asked: Asked, port: int) -> NewApp:
    """Show the page until the App is made. WrongSettings, with GitHub's reason, if it was not."""
    entry, state = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    try:
        server = make_server("127.0.0.1", port, _pages(asked, entry, state), request_handler=_Quiet)
    except SystemExit:
        raise WrongSettings(f"--port: {port} is taken") from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}/?{urlencode({'secret': entry})}"
    print(f"Open this page in a browser on this machine:\n{here}", file=sys.stderr, flush=True)
    print(f"(From elsewhere: ssh -L {server.server_port}:127.0.0.1:{server.server_port} THIS-HOST)", file=sys.stderr)
    try:
        asked.finished.wait(WAIT_SECONDS)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    if asked.made is None:
        raise WrongSettings(f"No App was made: {asked.problem or 'nobody came back from GitHub within an hour'}")
    return asked.made


def _pages(asked: Asked, entry: str, state: str) -> Flask:
    pages = Flask("prbot.cli.github_app", static_folder=None)

    @pages.get("/")
    def form() -> str:
        if not secrets.compare_digest(request.args.get("secret", ""), entry):
            abort(403, "Open the address that the terminal shows, with its secret.")
        wanted = manifest(asked.name, asked.public_url, f"{request.host_url}created")
        return render_template_string(
            _PAGE, where=asked.site, place=asked.place, permissions=PERMISSIONS, events=", ".join(EVENTS),
            told=wanted["hook_attributes"]["url"], action=f"{asked.form}?{urlencode({'state': state})}",
            manifest=json.dumps(wanted),
        )  # fmt: skip

    @pages.get("/created")
    def created() -> tuple[str, int]:
        if not secrets.compare_digest(request.args.get("state", ""), state) or asked.finished.is_set():
            abort(403, "This page is for GitHub's answer to the button, once.")
        try:
            asked.made = convert(asked.api_url, request.args.get("code", ""), asked.ca_file)
        except Unavailable as problem:
            asked.problem = str(problem)
            return f"No App was made: {asked.problem}", 502
        finally:
            asked.finished.set()
        return render_template_string(_DONE, app=asked.made, place=asked.place), 200

    return pages


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Addresses here hold secrets."""
