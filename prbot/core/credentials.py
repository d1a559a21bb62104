"""Named credentials: what the rules say of them, and which of them a project's runs get.

Nothing here holds a secret: a definition says where the values come from when a run begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from prbot.core.ids import ProjectKey

Phase = Literal["plan", "apply"]


class AwsRole(BaseModel):
    """An AWS role that prbot assumes by STS for one run; its session's name and tags say for which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str = Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    seconds: int = Field(default=3600, ge=900, le=43200)
    """How long the session lives; STS allows no less than 900."""
    external_id: str | None = Field(default=None, min_length=2, max_length=1224)
    source: Path | None = None
    """An environment file with the AWS keys to assume the role with; without it the server's own identity is used."""
    endpoint_url: str | None = None
    """Another STS endpoint than the region's own, such as a private one."""


class OidcToken(BaseModel):
    """A file with an OIDC token that somebody else renews, given to the engine as a file and by its path's variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    variable: str = Field(default="AWS_WEB_IDENTITY_TOKEN_FILE", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class CredentialHalf(BaseModel):
    """Where the values for one phase come from; later sources win over earlier ones, in the order of these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[Path, ...] = ()
    """Environment files."""
    commands: tuple[tuple[str, ...], ...] = ()
    """Programs, each with its arguments, that print an environment file."""
    aws: AwsRole | None = None
    oidc: OidcToken | None = None


class InitFiles(BaseModel):
    """What `init` alone gets, to read private modules and registries with. Neither plan nor apply sees any of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[Path, ...] = ()
    """Environment files, such as with `TF_TOKEN_…` of a registry."""
    netrc: Path | None = None
    """Becomes `.netrc` in the home directory that `init` has."""
    cli_config: Path | None = None
    """Terraform's CLI configuration (`TF_CLI_CONFIG_FILE`)."""


class Credential(BaseModel):
    """A named credential: a half for plans, and one for applies that no plan ever reads; and what `init` alone gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: CredentialHalf = CredentialHalf()
    apply: CredentialHalf = CredentialHalf()
    init: InitFiles = InitFiles()

    def half(self, phase: Phase) -> CredentialHalf:
        return self.plan if phase == "plan" else self.apply


class CredentialUse(BaseModel):
    """Which of a repository's projects get a named credential."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dirs: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Globs over the projects' directories, in which `*` also stands for `/`."""
    workspaces: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)

    def covers(self, project: ProjectKey) -> bool:
        """Whether the runs of `project` get it."""
        return any(fnmatchcase(project.dir, glob) for glob in self.dirs) and any(
            fnmatchcase(project.workspace, glob) for glob in self.workspaces
        )


def names_for(uses: Sequence[CredentialUse], project: ProjectKey) -> tuple[str, ...]:
    """The names of the credentials that a project's runs get, in the order of the rules; the last one's values win."""
    return tuple(dict.fromkeys(use.name for use in uses if use.covers(project)))
