"""Webhooks and their deliveries, for administrators of the repository."""

from __future__ import annotations

from flask import Blueprint, Response

from prbot.sandbox.current import current_hub
from prbot.sandbox.hooks import Delivery
from prbot.sandbox.rest.web import ApiError, page, reply, repo_for
from prbot.sandbox.shapes import repos
from prbot.sandbox.state import Hook, Repository


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    many = "/repos/<owner>/<name>/hooks"
    deliveries = f"{many}/<int:hook_id>/deliveries"
    routes.add_url_rule(many, "list_hooks", list_hooks)
    routes.add_url_rule(f"{many}/<int:hook_id>", "get_hook", get_hook)
    routes.add_url_rule(deliveries, "list_deliveries", list_deliveries)
    routes.add_url_rule(f"{deliveries}/<int:delivery_id>", "get_delivery", get_delivery)
    routes.add_url_rule(f"{deliveries}/<int:delivery_id>/attempts", "redeliver", redeliver, methods=["POST"])


def list_hooks(owner: str, name: str) -> Response:
    repo = repo_for(owner, name, "admin")
    return page(repos.hook(current_hub(), repo, one) for one in repo.hooks)


def get_hook(owner: str, name: str, hook_id: int) -> Response:
    repo = repo_for(owner, name, "admin")
    return reply(repos.hook(current_hub(), repo, _hook(repo, hook_id)))


def list_deliveries(owner: str, name: str, hook_id: int) -> Response:
    """Those that were tried, newest first. (GitHub pages by cursor; here it is by number, with the same header.)"""
    hook = _hook(repo_for(owner, name, "admin"), hook_id)
    return page(repos.delivery_item(one) for one in reversed(_deliveries(hook)) if one.status != "pending")


def get_delivery(owner: str, name: str, hook_id: int, delivery_id: int) -> Response:
    return reply(repos.delivery(_delivery(owner, name, hook_id, delivery_id)))


def redeliver(owner: str, name: str, hook_id: int, delivery_id: int) -> Response:
    current_hub().hooks.redeliver(_delivery(owner, name, hook_id, delivery_id).id)
    return reply({}, 202)


def _hook(repo: Repository, hook_id: int) -> Hook:
    found = next((one for one in repo.hooks if one.id == hook_id), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return found


def _deliveries(hook: Hook) -> list[Delivery]:
    return [one for one in current_hub().hooks.deliveries if one.hook is hook]


def _delivery(owner: str, name: str, hook_id: int, delivery_id: int) -> Delivery:
    hook = _hook(repo_for(owner, name, "admin"), hook_id)
    found = next((one for one in _deliveries(hook) if one.id == delivery_id), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return found
