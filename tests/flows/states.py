"""States that somebody else wrote, behind prbot's back."""

from __future__ import annotations

import json
from typing import Any

from prbot.sandbox.repository import SandboxRepo

PROVIDER = 'provider["terraform.io/builtin/terraform"]'


def state_of(name: str, value: object, serial: int = 7) -> dict[str, Any]:
    """A state that holds one `terraform_data`."""
    attributes = {"id": "1", "input": value, "output": value, "triggers_replace": None}
    resource = {
        "mode": "managed", "type": "terraform_data", "name": name, "provider": PROVIDER,
        "instances": [{"schema_version": 0, "attributes": attributes}],
    }  # fmt: skip
    return {
        "version": 4, "terraform_version": "1.5.0", "serial": serial, "lineage": "somebody-elses", "outputs": {},
        "resources": [resource],
    }  # fmt: skip


def write_state(infra: SandboxRepo, state: dict[str, Any], directory: str = "net") -> None:
    """Put a state in place of a directory's, whoever has its lock."""
    infra.world.hub.states.write(f"{infra.name}/{directory}", json.dumps(state).encode(), _lock(infra, directory))


def _lock(infra: SandboxRepo, directory: str) -> str | None:
    holder = infra.world.hub.states.locks.get(f"{infra.name}/{directory}")
    return holder.get("ID") if holder else None
