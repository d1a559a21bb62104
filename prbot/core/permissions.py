"""Who may give which command. What an approval is worth is a question of its own; see prbot.core.approvals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prbot.core.pulls import Role, at_least

MINIMUM_ROLE: Mapping[str, Role] = MappingProxyType(
    {
        "plan": "write",
        "apply": "write",
        "approve": "write",
        "cancel": "write",
        "unlock": "write",
        "help": "read",
        "version": "read",
        "why": "read",
    }
)
"""The least role that each command needs. Everybody has `read` on a public repository."""

FREES_ANY_LOCK: Role = "maintain"
"""May unlock projects that somebody else's pull request holds, and discard merged changes that were not applied."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go ahead."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No; `reason` tells the person who asked, in a sentence or two, what is missing and who has it."""

    reason: str


def may(command: str, role: Role, *, is_holder_author: bool = False, discards: bool = False) -> Allowed | Refused:
    """Whether somebody with `role` may give `command` (one of MINIMUM_ROLE; any other is a KeyError).

    For `unlock` alone: `is_holder_author` says that they wrote the pull request that holds the project, `discards`
    that this pull request is merged and not applied, so that its change would be given up.
    """
    least = MINIMUM_ROLE[command]
    if not at_least(role, least):
        return Refused(
            f"`{command}` needs {least} access to this repository, and you have {_have(role)}. "
            f"Ask somebody with {least} access."
        )
    if command != "unlock" or at_least(role, FREES_ANY_LOCK) or (is_holder_author and not discards):
        return Allowed()
    if discards:
        return Refused(
            f"This change is merged and not applied, so that `unlock` would discard it: that needs {FREES_ANY_LOCK} "
            f"access, and you have {_have(role)}. Ask somebody with {FREES_ANY_LOCK} access."
        )
    return Refused(
        f"Another author's pull request holds this project: `unlock` needs {FREES_ANY_LOCK} access then, and you have "
        f"{_have(role)}. Ask that author, or somebody with {FREES_ANY_LOCK} access."
    )


def _have(role: Role) -> str:
    return "none" if role == "none" else f"{role} access"
