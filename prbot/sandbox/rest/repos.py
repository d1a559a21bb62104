"""The user, the rate limit, repositories, collaborators, branches and their rules, activity."""

from __future__ import annotations

import time

from flask import Blueprint, Response, request

from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import ApiError, login, page, reply, repo_for
from prbot.sandbox.shapes import commits as commit_shapes
from prbot.sandbox.shapes import people, repos


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    for rule, view in (
        ("/user", user),
        ("/user/repos", user_repos),
        ("/rate_limit", rate_limit),
        ("/repos/<owner>/<name>", repository),
        ("/repos/<owner>/<name>/collaborators/<who>/permission", permission),
        ("/repos/<owner>/<name>/branches/<path:branch_name>/protection", protection),
        ("/repos/<owner>/<name>/branches/<path:branch_name>", branch),
        ("/repos/<owner>/<name>/rules/branches/<path:branch_name>", branch_rules),
        ("/repos/<owner>/<name>/activity", activity),
    ):
        routes.add_url_rule(rule, view.__name__, view)


def user() -> Response:
    if current_hub().state.users[login()].kind == "Bot":
        raise ApiError(403, "Resource not accessible by integration")
    return reply(people.own_user(current_hub(), login()))


def user_repos() -> Response:
    """What the token's owner has a role in."""
    mine = [repo for repo in current_hub().state.repos.values() if repo.grants.get(login(), "none") != "none"]
    return page(repos.repository(current_hub(), repo) for repo in mine)


def rate_limit() -> Response:
    budget = {"limit": 5000, "used": 0, "remaining": 5000, "reset": int(time.time()) + 3600}
    search = {**budget, "limit": 30, "remaining": 30}
    return reply({"resources": {"core": budget, "search": search, "graphql": budget}, "rate": budget})


def repository(owner: str, name: str) -> Response:
    return reply(repos.full_repository(current_hub(), repo_for(owner, name), login()))


def permission(owner: str, name: str, who: str) -> Response:
    repo = repo_for(owner, name, "write")
    account = current_hub().state.users.get(who)
    if account is None:
        raise ApiError(404, f"{who} is not a user")
    return reply(people.permission(current_hub(), repo, account))


def branch(owner: str, name: str, branch_name: str) -> Response:
    repo = repo_for(owner, name)
    sha = repo.git.resolve(f"refs/heads/{branch_name}")
    if sha is None:
        raise ApiError(404, "Branch not found")
    return reply(commit_shapes.branch(current_hub(), repo, branch_name, repo.git.info(sha)))


def protection(owner: str, name: str, branch_name: str) -> Response:
    repo = repo_for(owner, name, "admin")
    if branch_name not in repo.protection:
        raise ApiError(404, "Branch not protected")
    return reply(repo.protection[branch_name])


def branch_rules(owner: str, name: str, branch_name: str) -> Response:
    return page(repo_for(owner, name).rules.get(branch_name, []))


def activity(owner: str, name: str) -> Response:
    """Newest first unless `direction=asc`; by `ref` (also short), `actor`, `activity_type`; at most `per_page`."""
    repo = repo_for(owner, name)
    ref = request.args.get("ref")
    if ref and not ref.startswith("refs/"):
        ref = f"refs/heads/{ref}"
    wanted = {"ref": ref, "actor": request.args.get("actor"), "kind": request.args.get("activity_type")}
    found = [
        entry
        for entry in repo.activity
        if all(value is None or getattr(entry, field) == value for field, value in wanted.items())
    ]
    if request.args.get("direction") != "asc":
        found.reverse()
    return page(repos.activity(current_hub(), entry) for entry in found)
