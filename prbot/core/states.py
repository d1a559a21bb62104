"""Where a project's state is kept, as far as the code says it, and what a pull request does to that."""

from __future__ import annotations

from prbot.core.hcl import BackendFacts

SETTINGS = {
    "azurerm": ("storage_account_name", "container_name", "key"),
    "consul": ("path",),
    "gcs": ("bucket", "prefix"),
    "http": ("address",),
    "kubernetes": ("namespace", "secret_suffix"),
    "local": ("path",),
    "oss": ("bucket", "key", "prefix"),
    "pg": ("conn_str", "schema_name"),
    "s3": ("bucket", "key"),
}
"""The settings that say where a state is, by backend; the last tells apart the states of one place.

All settings do, for a backend that is not listed.
"""


def settings_of(backend: BackendFacts) -> tuple[str, ...]:
    """The names of the settings that say where the state is."""
    return SETTINGS.get(backend.type, tuple(name for name, _ in backend.settings))


def told_apart(backend: BackendFacts | None) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Where a state is; None when the settings do not tell it from others (a partial configuration, a relative path).

    Too little here makes a moved project look removed, which people see; too much would hide that one is removed.
    """
    if backend is None or (backend.type == "local" and not (backend.setting("path") or "").startswith("/")):
        return None
    names = settings_of(backend)
    if not names or backend.setting(names[-1]) is None:
        return None
    return backend.type, tuple((name, value) for name, value in backend.settings if name in names)
