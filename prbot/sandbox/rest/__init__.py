"""GitHub's REST API, as far as prbot may ask it (see interfaces.md), and the one GraphQL mutation that it uses."""

from __future__ import annotations

from flask import Blueprint

from prbot.sandbox.rest import apps, checks, comments, commits, graphql, hooks, pulls, repos
from prbot.sandbox.rest.web import authenticate


def api() -> Blueprint:
    """All routes. The name of a route is what faults and recorded requests call it."""
    routes = Blueprint("rest", __name__)
    routes.before_request(authenticate)
    for part in (repos, commits, checks, pulls, comments, hooks, graphql, apps):
        part.add_to(routes)
    return routes


def graphql_beside_v3() -> Blueprint:
    """GraphQL alone, for where GitHub Enterprise Server has it: `/api/graphql`, next to `/api/v3`."""
    routes = Blueprint("enterprise_graphql", __name__)
    routes.before_request(authenticate)
    graphql.add_to(routes)
    return routes
