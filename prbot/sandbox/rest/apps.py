"""What an App asks as itself, with its JWT: who it is, where it is installed, and tokens; and how one is made."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response

from prbot.sandbox.acts.apps import create_app
from prbot.sandbox.apps import App, Installation
from prbot.sandbox.clock import iso
from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import ApiError, app_asking, body, minted, page, reply
from prbot.sandbox.shapes import Json, apps, repos

_LEVELS = {"read": 1, "write": 2}


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    tokens = "/app/installations/<int:installation_id>/access_tokens"
    routes.add_url_rule("/app", "get_app", get_app)
    routes.add_url_rule("/app/hook/config", "app_hook", app_hook)
    routes.add_url_rule("/app/installations", "list_installations", list_installations)
    routes.add_url_rule(tokens, "create_installation_token", create_installation_token, methods=["POST"])
    routes.add_url_rule("/repos/<owner>/<name>/installation", "repo_installation", repo_installation)
    routes.add_url_rule("/installation/repositories", "installation_repositories", installation_repositories)
    routes.add_url_rule("/app-manifests/<code>/conversions", "convert_manifest", convert_manifest, methods=["POST"])


def get_app() -> Response:
    return reply(apps.app(current_hub(), app_asking()))


def app_hook() -> Response:
    hook = next((one for one in current_hub().app_hooks if one.app is app_asking()), None)
    config = {"content_type": "json", "insecure_ssl": "0"}
    return reply({**config, "url": hook.url, "secret": "********"} if hook else config)


def list_installations() -> Response:
    mine = [one for one in current_hub().state.apps.installations.values() if one.app is app_asking()]
    return page(apps.installation(current_hub(), one) for one in mine)


def repo_installation(owner: str, name: str) -> Response:
    found = current_hub().state.apps.on(app_asking(), f"{owner}/{name}")
    if found is None or f"{owner}/{name}" not in current_hub().state.repos:
        raise ApiError(404, "Not Found")
    return reply(apps.installation(current_hub(), found))


def create_installation_token(installation_id: int) -> Response:
    hub, app = current_hub(), app_asking()
    found = hub.state.apps.installations.get(installation_id)
    if found is None or found.app is not app:
        raise ApiError(404, "Not Found")
    sent = body()
    names = _names(found, sent)
    wanted = _wanted(app, sent)
    token = hub.state.apps.mint(found, hub.clock.now(), names, wanted)
    made = hub.state.apps.minted[token]
    told: Json = {"token": token, "expires_at": iso(made.expires_at), "permissions": dict(made.permissions)}
    return reply({**told, "repository_selection": "all" if found.chosen is None else "selected"}, 201)


def _names(found: Installation, sent: Json) -> frozenset[str] | None:
    if "repositories" not in sent:
        return None
    names = frozenset(map(str, sent["repositories"]))
    full_names = [f"{found.account}/{name}" for name in names]
    if not all(found.has(each) and each in current_hub().state.repos for each in full_names):
        unseen = "There is at least one repository that does not exist or is not accessible to the parent installation."
        raise ApiError(422, unseen)
    return names


def _wanted(app: App, sent: Json) -> dict[str, str] | None:
    wanted = sent.get("permissions")
    if not wanted:
        return None
    for name, level in wanted.items():
        if _LEVELS.get(level, 3) > _LEVELS.get(app.permissions.get(name, ""), 0):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **wanted}


def installation_repositories() -> Response:
    hub, token = current_hub(), minted()
    seen = [repo for repo in hub.state.repos.values() if token.has(repo.full_name)]
    listed = page(repos.repository(hub, repo) for repo in seen)
    return reply({"total_count": len(seen), "repositories": listed.get_json()})


def convert_manifest(code: str) -> Response:
    """Exchange a code, once, for the App that it stands for."""
    hub = current_hub()
    manifest = hub.state.apps.manifests.pop(code, None)
    if manifest is None:
        raise ApiError(404, "Not Found")
    app = create_app(hub, manifest)
    secret = {"client_secret": secrets.token_hex(20), "webhook_secret": app.webhook_secret, "pem": app.private_key}
    return reply({**apps.app(hub, app), **secret}, 201)
