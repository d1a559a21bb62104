"""Where a project's state is kept, as far as the code says it, and what a pull request does to that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prbot.core.hcl import BackendFacts
from prbot.core.modules import ModuleFacts, RepoView
from prbot.core.plans import StatePosition

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

_MORE = {
    "azurerm": ("resource_group_name", "subscription_id", "environment"),
    "consul": ("address", "datacenter"),
    "gcs": ("storage_custom_endpoint",),
    "http": (),
    "kubernetes": ("host", "config_path", "config_context", "config_context_cluster"),
    "local": (),
    "oss": ("endpoint", "region"),
    "pg": (),
    "s3": ("endpoint", "endpoints.s3", "region"),
}
"""Further settings that lead to another place, for the backends of SETTINGS."""

_OF_WORKSPACES = {"s3": "workspace_key_prefix", "local": "workspace_dir"}
"""Where states of workspaces other than the default one are."""

_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


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


# -- what a pull request does to it -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Places:
    """Where a project's state is kept before a pull request and after it, in words. Nobody moves what is in it."""

    before: str
    """Empty for a project that is new."""
    after: str

    @property
    def differ(self) -> bool:
        return bool(self.before) and self.before != self.after


def place(view: RepoView, directory: str, workspace: str) -> str:
    """Where the state of a root module is kept, in words; empty where there is no root module."""
    facts = view.modules.get(directory)
    return _place(facts, workspace) if facts is not None and facts.is_root else ""


def _place(facts: ModuleFacts, workspace: str) -> str:
    """Where the state of a root module is kept, in words. Equal words are the same place, as far as the code shows."""
    backend = facts.backend or facts.cloud_settings or BackendFacts("cloud")
    settings = sorted({*backend.settings, *backend.computed})
    kind = "Terraform Cloud" if backend.type == "cloud" else f"backend `{_shown(backend.type)}`"
    said = [(name, _shown(value)) for name, value in settings if _matters(backend.type, name, workspace)]
    words = ", ".join(f"`{_shown(name)}` `{value}`" for name, value in said)
    return f"{kind} with {words}" if words else kind


def _matters(backend: str, setting: str, workspace: str) -> bool:
    if backend not in SETTINGS:
        return True
    if setting == _OF_WORKSPACES.get(backend):
        return workspace != "default"
    if backend == "local" and workspace != "default":
        return False
    return setting in SETTINGS[backend] or setting in _MORE[backend]


def _shown(value: str) -> str:
    """A value of a setting for people, without a user and password that an address may hold."""
    return _PASSWORD.sub("", value).replace("`", "'")


@dataclass(frozen=True, slots=True)
class Against:
    """What state a plan was made against: by the code, and by the backend that was initialised."""

    places: Places | None
    backend: str
    """As a seal has it: a keyed digest."""
    key: str
    """The id of that key. Digests of different keys say nothing of each other."""


def elsewhere(one: Against, other: Against) -> bool:
    """Whether two plans of a project are known to be made against states that are kept in different places."""
    comparable = one.key == other.key and one.backend and other.backend
    if comparable and None in (one.places, other.places):  # a plan from before places were kept
        return one.backend != other.backend
    return one.places != other.places or bool(comparable and one.backend != other.backend)


def told(places: Places, state: StatePosition | None) -> str:
    """What people must know of places that differ before they approve that. `state` is what was found at the new one,
    where a plan was made."""
    if state is None:
        found = "Nobody has looked yet at what is there."
    elif state.lineage is None:
        found = "There is no state: the plan knows nothing of what exists, so that it would create a second copy of it."
    else:
        found = f"There is a state already (serial {state.serial}): the plan is made against that one."
    return (
        f"This pull request changes where the state is kept, from {places.before} to {places.after}. {found} "
        "The old state stays where it is, and nothing manages what is in it any more. To keep managing that, move the "
        "state first (`terraform init -migrate-state`) and plan again. At least one approval is needed for this, "
        "whatever the rules say."
    )
