"""Asking and telling GitHub: routes, pages, second attempts, and one budget for all that is sent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from requests.utils import parse_header_links

from prbot.github.auth import TokenSource
from prbot.github.budget import Budgets, RateLimit, concerns_rest, rate_limit
from prbot.github.connections import Connections
from prbot.github.failures import Reply, details, failure, wait_asked_for
from prbot.github.fields import Kind, WrongField, required
from prbot.ports import Conflict, NotFound, Outage, Transient, Unavailable

T = TypeVar("T")

OnRequest = Callable[[str, str, int, float], None]
"""Told of each request once it is over: its method, its route as a template (`/repos/{repo}/pulls/{number}`), the
reply's status (0 if there was none), and the seconds that it took. Called from many threads."""

PAGE_SIZE = 100
MOST_PAGES = 100
_PAUSES = (0.5, 2.0)
"""Seconds before the second and the third attempt of a question."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the route is what metrics know it by, the URL what is asked."""

    method: str
    route: str
    repo: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    etag: str = ""
    """What we know already: an answer of 304, which costs nothing of the allowance, says that it is still so."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, the name that GitHub has for this very content, and the address of the next one."""

    items: list[Any]
    etag: str
    following: str | None


class Transport:
    """Sends requests and raises Unavailable's kinds. Safe to use from many threads.

    Questions (GET) get up to two more attempts when GitHub does not answer or answers 5xx; writes get one. What is
    refused with 401 was not done, and is sent once more if there is another token.
    """

    def __init__(
        self,
        connections: Connections,
        tokens: TokenSource,
        on_request: OnRequest | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = connections
        self._tokens = tokens
        self._on_request = on_request
        self._sleep = sleep
        self._budgets = Budgets(clock)

    def allowance(self, repo: str) -> RateLimit | None:
        """What GitHub said last of the hourly allowance that requests about `repo` are at the cost of."""
        return self._budgets.of(self._tokens.payer(repo)).allowance

    def get(self, route: str, repo: str = "", query: Mapping[str, str] | None = None, **parts: str | int) -> Any:
        """The document at `route`, whose `{…}` are filled with `repo` and `parts`."""
        return self._ask(Request("GET", route, repo, _url(route, repo, parts), query or {})).data

    def headers(self, route: str) -> Mapping[str, str]:
        """What the reply for `route` says of itself; names in lower case."""
        return self._ask(Request("GET", route, "", route)).headers

    def get_all(
        self, route: str, repo: str, query: Mapping[str, str] | None = None, *, inside: str = "", **parts: str | int
    ) -> list[Any]:
        """All items of a list, or of the one that is `inside` of a document, in GitHub's order: one request for each
        hundred. Conflict beyond 10,000 of them."""
        url = _url(route, repo, parts)
        request = Request("GET", route, repo, url, {"per_page": str(PAGE_SIZE), **(query or {})})
        items: list[Any] = []
        for _ in range(MOST_PAGES):
            page = _page(self._ask(request), route, inside)
            items += page.items
            if page.following is None:
                return items
            # GitHub's own address for it, not a page number: after a redirect the two differ
            request = Request("GET", route, repo, page.following)
        raise Conflict(f"GitHub lists more than {PAGE_SIZE * MOST_PAGES} items at {url}")

    def page(self, route: str, repo: str, address: str, query: Mapping[str, str], etag: str) -> Page | None:
        """The page of a list that is at `address`, or at the route itself without one; None while it is what `etag`
        names."""
        reply = self._ask(Request("GET", route, repo, address or _url(route, repo, {}), query, etag=etag))
        return None if etag and reply.status == 304 else _page(reply, route)

    def write(self, method: str, route: str, repo: str, body: Mapping[str, Any], **parts: str | int) -> Any:
        """Send a change, once, and give the document that came back."""
        return self._send(Request(method, route, repo, _url(route, repo, parts), body=body)).data

    def mutate(self, repo: str, query: str, variables: Mapping[str, Any]) -> None:
        """Send a GraphQL mutation, once. Conflict if the reply lists errors."""
        body = {"query": query, "variables": variables}
        data = self._send(Request("POST", "/graphql", repo, self._connections.graphql_url, body=body)).data
        if not isinstance(data, dict) or data.get("errors"):
            raise Conflict(f"GitHub refused POST /graphql: {details(data)}")

    def _ask(self, request: Request) -> Reply:
        for pause in _PAUSES:
            try:
                return self._send(request)
            except Outage as outage:  # asking again at once may help, and harms nothing, as it is a question
                if outage.retry_after is not None:
                    raise
                self._sleep(pause)
        return self._send(request)

    def _send(self, request: Request) -> Reply:
        token = self._tokens.token(request.repo)
        budget = self._budgets.of(self._tokens.payer(request.repo))
        budget.spend(write=request.method != "GET" and bool(request.repo))  # else it creates no content
        reply = self._timed(request, token)
        if reply.status == 401 and self._tokens.drop(request.repo, token):
            token = self._tokens.token(request.repo)
            reply = self._timed(request, token)
        budget.allowance = rate_limit(reply.headers) or budget.allowance
        wait = wait_asked_for(reply)
        if wait is not None and concerns_rest(reply.headers):
            budget.hold(wait)
        failed = failure(reply, f"{request.method} {request.url}")
        if failed is not None:
            raise _without(token, failed)
        return reply

    def _timed(self, request: Request, token: str) -> Reply:
        started, status = time.monotonic(), 0
        try:
            reply = self._connections.exchange(
                request.method, request.url, token, request.query, request.body, request.etag
            )
            status = reply.status
            return reply
        finally:
            if self._on_request is not None:
                self._on_request(request.method, request.route, status, time.monotonic() - started)


def documented(document: object, path: str, kind: Kind[T]) -> T:
    """The value at `path` of a reply. Transient if it is not as documented: a broken server or proxy more likely."""
    try:
        return required(document, path, kind)
    except WrongField as wrong:
        raise Transient(f"GitHub's reply is not as documented: {wrong}") from None


def _url(route: str, repo: str, parts: Mapping[str, str | int]) -> str:
    """The path of a route. NotFound if a part would lead somewhere else: nothing is called `..`."""
    values = {"repo": quote(repo, safe="/"), **{name: quote(str(value), safe="") for name, value in parts.items()}}
    url = route.format(**values)
    if re.search(r"/\.{0,2}(?:/|$)", url):
        raise NotFound(f"GitHub has no such address: {url}")
    return url


def _page(reply: Reply, route: str, inside: str = "") -> Page:
    items = reply.data.get(inside) if inside and isinstance(reply.data, dict) else reply.data
    if not isinstance(items, list):
        raise Transient(f"GitHub's reply to GET {route} {f'holds no {inside}' if inside else 'is not a list'}")
    links = parse_header_links(reply.headers.get("link", ""))
    following = next((link["url"] for link in links if link.get("rel") == "next"), None)
    return Page(items, reply.headers.get("etag", ""), following)


def _without(token: str, failed: Unavailable) -> Unavailable:
    """The failure, with our token struck out should GitHub have repeated it."""
    failed.args = tuple(str(arg).replace(token, "***") for arg in failed.args)
    return failed
