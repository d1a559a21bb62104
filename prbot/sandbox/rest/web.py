"""What all routes share: who asks, what they may see, how GitHub refuses, pages, and conditional requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, request

from prbot.sandbox.apps import App, Minted
from prbot.sandbox.current import current_hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.state import Comment, Pull, Repository, Role

DOCUMENTATION = "https://docs.github.com/rest"
_MOST_A_PAGE = 100


class ApiError(Exception):
    """GitHub's way to say no."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


def error_reply(status: int, message: str, errors: list[Any] | None = None) -> Response:
    """The body that GitHub sends with an error."""
    body: Json = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
    if errors is not None:
        body["errors"] = errors
    return reply(body, status)


def invalid(resource: str, field: str, code: str, message: str | None = None) -> ApiError:
    """422 for one field; `code` is GitHub's: missing_field, invalid, custom, …"""
    error = {"resource": resource, "field": field, "code": code}
    if message:
        error["message"] = message
    return ApiError(422, "Validation Failed", [error])


def login() -> str:
    """Whose token the request bears."""
    name: str = g.login
    return name


_OPEN = "convert_manifest"
"""The route that takes no token: its code is the secret."""
_AS_APP = frozenset({"get_app", "app_hook", "list_installations", "create_installation_token", "repo_installation"})


def authenticate() -> None:
    """Find out who asks; 401 without a token that we gave out, or the JWT of an App where one is wanted."""
    route = (request.endpoint or "").rsplit(".", 1)[-1]
    g.app = g.minted = None
    if route == _OPEN:
        return
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    sent = value.strip() if scheme.lower() in ("token", "bearer") else ""
    if not value:
        raise ApiError(401, "Requires authentication")
    state, now = current_hub().state, current_hub().clock.now()
    if route in _AS_APP:
        g.app = state.apps.of_jwt(sent)
        if g.app is None:
            raise ApiError(401, "A JSON web token could not be decoded")
        return
    g.minted = state.apps.of_token(sent, now)
    known = g.minted.installation.app.bot if g.minted is not None else state.tokens.get(sent)
    if known is None:
        raise ApiError(401, "Bad credentials")
    if g.minted is not None:
        _allow(g.minted, route)
    g.login = known
    g.scopes = state.scopes.get(sent)


def app_asking() -> App:
    """The App that asks as itself."""
    app: App = g.app
    return app


def minted() -> Minted:
    """The App's token that the request bears; 403 for any other."""
    token: Minted | None = g.minted
    if token is None:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    return token


_NEEDED = {
    "pull_requests": ("pull", "review", "branch_update"),
    "issues": ("comment", "reaction", "label", "issue"),
    "statuses": ("status",),
    "checks": ("check",),
    "deployments": ("deployment",),
    "repository_hooks": ("hook", "deliver"),
    "administration": ("protection",),
    "contents": ("branch", "commit", "activity"),
}
"""Permission → parts of the names of the routes that need it; the first that fits."""


def _allow(token: Minted, route: str) -> None:
    """403 for what the App was not granted. Its own repositories, and who may do what, take no more than metadata."""
    level = "read" if request.method == "GET" else "write"
    needed = next((name for name, parts in _NEEDED.items() if any(part in route for part in parts)), "metadata")
    either = ("issues", "pull_requests") if needed == "issues" else (needed,)
    if route != "graphql" and not any(token.allows(name, level) for name in either):
        raise ApiError(403, "Resource not accessible by integration")


def repo_for(owner: str, name: str, wanted: Role = "read") -> Repository:
    """The repository, if who asks may do this there: 404 when they may not see it, 403 when they may only read."""
    repo = current_hub().state.repos.get(f"{owner}/{name}")
    if repo is None:
        raise ApiError(404, "Not Found")
    if g.minted is not None:
        if not g.minted.has(repo.full_name):
            raise ApiError(404, "Not Found")
        return repo
    if not repo.allows(login(), "read"):
        raise ApiError(404, "Not Found")
    if not repo.allows(login(), wanted):
        if wanted == "admin":
            raise ApiError(404, "Not Found")
        raise ApiError(403, "Resource not accessible by personal access token")
    return repo


def pull_for(repo: Repository, number: int) -> Pull:
    """A pull request, or 404."""
    if number not in repo.pulls:
        raise ApiError(404, "Not Found")
    return repo.pulls[number]


def comment_for(repo: Repository, comment_id: int) -> Comment:
    """A comment, or 404."""
    if comment_id not in repo.comments:
        raise ApiError(404, "Not Found")
    return repo.comments[comment_id]


def body() -> Json:
    """The JSON object that was sent; {} when nothing was."""
    if not request.get_data():
        return {}
    sent = request.get_json(force=True, silent=True)
    if not isinstance(sent, dict):
        raise ApiError(400, "Problems parsing JSON")
    return sent


def text_field(sent: Json, resource: str, field: str, limit: int) -> str:
    """A text that must be there and within GitHub's limit, or 422."""
    value = sent.get(field)
    if not isinstance(value, str) or not value.strip():
        raise invalid(resource, field, "missing_field")
    if len(value) > limit:
        raise invalid(resource, field, "custom", f"{field} is too long (maximum is {limit} characters)")
    return value


def reply(data: object, status: int = 200) -> Response:
    """JSON, with an ETag where it was read: If-None-Match is answered 304."""
    response = Response(json.dumps(data), status=status, content_type="application/json; charset=utf-8")
    if status == 200 and request.method == "GET":
        response.add_etag(weak=True)
        response.make_conditional(request)
    return response


def page(items: Iterable[object], within: Callable[[list[object]], object] = list) -> Response:
    """One page of a list by `page` and `per_page` (30, at most 100), with GitHub's Link header; and what it is told
    `within`."""
    every = list(items)
    size = min(_positive("per_page", 30), _MOST_A_PAGE)
    number = _positive("page", 1)
    last = max(1, -(-len(every) // size))
    response = reply(within(every[(number - 1) * size : number * size]))
    wanted = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    shown = {name: to for name, to in wanted.items() if 1 <= to <= last and to != number}
    links = [f'<{_page_address(to)}>; rel="{name}"' for name, to in shown.items()]
    if links:
        response.headers["Link"] = ", ".join(links)
    return response


def _page_address(number: int) -> str:
    return f"{request.base_url}?{urlencode({**request.args.to_dict(), 'page': number})}"


def _positive(name: str, default: int) -> int:
    value = request.args.get(name, "")
    return max(1, int(value)) if value.isdigit() else default
