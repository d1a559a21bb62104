"""A Terraform state server: the `http` backend's protocol, with locks.

The protocol is Terraform's own ("Backend Type: http"): GET, POST and DELETE for the state, LOCK and UNLOCK with the
lock's description as JSON, 423 with the holder's description when somebody else has it, `?ID=` on a POST under lock.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, request

from prbot.sandbox.current import current_hub

routes = Blueprint("state_backend", __name__, url_prefix="/_state")


@routes.get("/<path:key>")
def read_state(key: str) -> Response:
    data = current_hub().states.states.get(key)
    return Response(status=404) if data is None else Response(data, content_type="application/json")


@routes.post("/<path:key>")
def write_state(key: str) -> Response:
    return _locked_or(200, current_hub().states.write(key, request.get_data(), request.args.get("ID")))


@routes.delete("/<path:key>")
def delete_state(key: str) -> Response:
    current_hub().states.states.pop(key, None)
    return Response(status=200)


@routes.route("/<path:key>", methods=["LOCK"])
def lock_state(key: str) -> Response:
    return _locked_or(200, current_hub().states.lock(key, request.get_json(force=True)))


@routes.route("/<path:key>", methods=["UNLOCK"])
def unlock_state(key: str) -> Response:
    info = request.get_json(force=True, silent=True) or {}
    return _locked_or(200, current_hub().states.unlock(key, info.get("ID")))


def _locked_or(status: int, holder: dict[str, Any] | None) -> Response:
    if holder is None:
        return Response(status=status)
    return Response(json.dumps(holder), status=423, content_type="application/json")
