"""Checks a plan's seal against what is found later. What a seal binds, and why: docs/seals.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prbot.core.plans import Seal

FACTS: Mapping[str, str] = {
    "head_sha": "the head commit",
    "base_sha": "the base commit",
    "tree": "the planned tree",
    "input_digest": "the project's inputs",
    "fingerprint": "what the plan does",
    "plan_file_digest": "the plan file",
    "lock_file": "the dependency lock file",
    "provider_versions": "the providers",
    "backend": "the backend",
    "workspace": "the workspace",
    "rules_digest": "the rules",
    "engine_version": "the engine's version",
    "state": "the state",
    "extra_args": "the extra arguments",
}
"""Every field of a Seal, in words."""


def seal_problems(seal: Seal, observed: Mapping[str, Any]) -> list[str]:
    """A sentence for each observed fact that is not the sealed one, in the seal's order; empty when the seal holds.

    `observed` maps names of Seal's fields to what was found; what is not in it was not looked at and is not judged.
    KeyError for a name that Seal does not have.
    """
    unknown = observed.keys() - FACTS.keys()
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    return [
        f"{words} changed since the plan was sealed"
        for name, words in FACTS.items()
        if name in observed and observed[name] != getattr(seal, name)
    ]
