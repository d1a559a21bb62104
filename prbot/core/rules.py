"""The rules that govern a repository: read from the server's rules file, never from the pull request."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prbot.core.credentials import CredentialUse
from prbot.core.permissions import Who

LockMode = Literal["plan", "apply", "off"]
Unread = Literal["refuse", "note"]


def _by_name(use: Any) -> Any:
    return {"name": use} if isinstance(use, str) else use


class EngineLimits(BaseModel):
    """What one engine command, and what it starts, may take. Generous: they stop what runs away, not what is large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: int | None = Field(default=4096, ge=256)
    """MiB; None: no limit of prbot's."""
    processes: int = Field(default=512, ge=16)
    open_files: int = Field(default=4096, ge=64)
    disk: int = Field(default=10240, ge=64)
    """MiB that a command may add on disk, and that one file may grow to."""


class Rules(BaseModel):
    """What is in force for one repository. Every default is the safe choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branches: tuple[str, ...] = ()
    """Base branches besides the default one whose pull requests are planned (globs)."""
    approvals: int = Field(default=1, ge=0, le=10)
    """How many approvals that count are needed."""
    require_mergeable: bool = True
    locks: LockMode = "plan"
    apply: Literal["auto", "manual"] = "auto"
    """After a merge: `auto` applies by itself, `manual` waits for `prbot apply`."""
    subset: Literal["hold", "apply"] = "hold"
    """What to do when the fresh plan does strictly less than what was approved."""
    volatile: tuple[str, ...] = ()
    """Paths left out of fingerprints, such as `null_resource.x.triggers.at` (globs over `address.path`)."""
    extra_args: tuple[str, ...] = ()
    """Engine arguments allowed after `--` in a comment, by name (`-parallelism`, `-target`). What is planned with one
    that leaves something out cannot be applied."""
    plan_lock: bool = True
    """Whether plans take Terraform's state lock."""
    trusted: tuple[str, ...] = ()
    """Authors without write access, such as a bot, whose pull requests from this repository's own branches may run."""
    drafts: bool = True
    """Whether draft pull requests are planned without being asked."""
    unread: Unread = "refuse"
    """What becomes of changes that concern files prbot cannot read yet, such as Terragrunt's: `refuse` keeps the gate
    from being met, `note` only tells of them."""
    plan_timeout: int = Field(default=1800, ge=1)
    """Seconds that one engine command of a plan may take."""
    apply_timeout: int = Field(default=7200, ge=1)
    deployments: bool = False
    """Whether applies are shown as deployments at the forge."""
    who: Who = Who()
    """Who may give which command; narrower than prbot.core.permissions.NEEDS, never wider."""
    credentials: tuple[Annotated[CredentialUse, BeforeValidator(_by_name)], ...] = ()
    """Which of the rules file's named credentials the projects get; a plain name is for all projects."""
    parallel: int | None = Field(default=None, ge=1)
    """Runs of this repository at once; None: as many as the server allows in all."""
    limits: EngineLimits = EngineLimits()

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over these rules; goes into seals and the audit log."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()
