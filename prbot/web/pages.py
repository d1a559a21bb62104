"""The pages: pull requests, runs, and what the engine said. For people on this machine: there is no login yet."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, render_template, request

from prbot.core.ids import PullKey
from prbot.flows.services import Services
from prbot.store import orphans, overview
from prbot.store.tables import PullRow, Run
from prbot.web.problems import problem

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


def blueprint(services: Services) -> Blueprint:
    """The pages, which refuse everybody who does not ask from this machine, by its own name, without a proxy."""
    web = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

    @web.before_request
    def only_here() -> Response | None:
        if _from_here():
            return None
        return problem(403, "pages are shown to this machine only (http://127.0.0.1): there is no login yet")

    @web.get("/")
    def index() -> str:
        with services.db.read() as tx:
            pulls, runs, locks = overview.recent_pulls(tx), overview.recent_runs(tx), overview.locks(tx)
            left = [(row, row.project.label) for row in orphans.every(tx)]
        return render_template("index.html", pulls=pulls, runs=runs, locks=locks, orphans=left)

    @web.get("/pulls/<owner>/<repo>/<int:number>")
    def pull(owner: str, repo: str, number: int) -> str:
        with services.db.read() as tx:
            row = tx.get(PullRow, (f"{owner}/{repo}", number))
            runs = overview.recent_runs(tx, PullKey(f"{owner}/{repo}", number))
        if row is None:
            abort(404, "prbot knows no such pull request")
        return render_template("pull.html", pull=row, runs=runs)

    @web.get("/runs/<run_id>")
    def run(run_id: str) -> str:
        with services.db.read() as tx:
            row = tx.get(Run, run_id)
            output = overview.output_of(tx, run_id)
        if row is None:
            abort(404, "prbot knows no such run")
        masks = services.secrets()
        chunks = [(each.step, masks.redact(each.body)) for each in output]
        shown = {name: masks.redact(getattr(row, name)) for name in ("diff", "error", "reason")}
        return render_template("run.html", run=row, chunks=chunks, **shown)

    return web


def _from_here() -> bool:
    # The Host header too: a page elsewhere could let its own name point here (DNS rebinding).
    host = urlsplit(f"//{request.host}").hostname or ""
    loopback = host == "localhost" or _is_loopback(host)
    direct = not any(name in request.headers for name in _FORWARDED)
    return loopback and direct and _is_loopback(request.remote_addr or "")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
