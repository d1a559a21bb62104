"""What a plan says, once it is parsed: counts, changes, and what the plan is bound to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

ChangeKind = Literal["create", "update", "delete", "replace", "import", "move", "forget", "read", "output"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many resources a plan changes. A replace counts in `replace` alone."""

    add: int = 0
    change: int = 0
    destroy: int = 0
    replace: int = 0
    imports: int = 0
    move: int = 0
    forget: int = 0
    outputs: int = 0

    @property
    def any(self) -> bool:
        return any(
            (self.add, self.change, self.destroy, self.replace, self.imports, self.move, self.forget, self.outputs)
        )


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A parsed `terraform show -json`, reduced to what may be stored in clear and shown: no values."""

    counts: Counts
    applyable: bool
    """False means that there is nothing to do, whatever the counts say. A pure `moved` or `import` is applyable."""
    complete: bool
    """False for a plan with deferred changes: it never matches an approval."""
    resources: tuple[tuple[str, ChangeKind], ...]
    """(address, kind) of each resource that something happens to, in the plan's order."""
    terraform_version: str
    format_version: str
    warnings: tuple[str, ...] = ()
    remaining: int | None = None
    """How many managed resources there are once it is carried out; None where the plan does not say."""


@dataclass(frozen=True, slots=True)
class StatePosition:
    """Which state a plan was made from: Terraform's lineage and serial. Both None for a state that does not exist."""

    lineage: str | None
    serial: int | None


@dataclass(frozen=True, slots=True)
class Seal:
    """What a plan is bound to. All digests are `sha256:<hex>` unless said otherwise. See docs/seals.md."""

    head_sha: str
    base_sha: str
    tree: str
    """Git id of the whole tree that was planned."""
    input_digest: str
    fingerprint: str
    """`<key id>:<hex HMAC-SHA-256>`."""
    plan_file_digest: str
    lock_file: str | None
    """The dependency lock file after init, as text; put back at apply. None where the project has none."""
    provider_versions: dict[str, str] = field(default_factory=dict)
    backend: str = ""
    """Type and a keyed digest of the backend's settings, so that two projects with the same state can be told."""
    workspace: str = "default"
    rules_digest: str = ""
    engine_version: str = ""
    state: StatePosition = StatePosition(None, None)
    extra_args: tuple[str, ...] = ()


CanonicalPlan = dict[str, Any]
"""The canonical form that a fingerprint is taken over; see prbot.core.fingerprint."""
