"""Where people make a GitHub App from a manifest. On GitHub they confirm its name first; here it is taken as it is."""

from __future__ import annotations

import json
import secrets
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request

from prbot.sandbox.current import current_hub

routes = Blueprint("app_forms", __name__)


@routes.post("/settings/apps/new")
@routes.post("/organizations/<org>/settings/apps/new")
def register(org: str = "") -> Response:
    """Keep the manifest for whoever brings the code, and go back to where it says."""
    manifest = json.loads(request.form.get("manifest", "{}"))
    if not {"name", "redirect_url", "default_permissions", "default_events"} <= set(manifest):
        abort(422)
    code = secrets.token_hex(20)
    current_hub().state.apps.manifests[code] = {**manifest, "owner": org or "acme"}
    given = {"code": code, "state": request.args.get("state", "")}
    return Response(status=302, headers={"Location": f"{manifest['redirect_url']}?{urlencode(given)}"})
