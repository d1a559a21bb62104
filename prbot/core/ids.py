"""How the things that prbot talks about are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NewId = Callable[[], str]
"""Makes an identifier that is unique and sorts by the time at which it was made."""


@dataclass(frozen=True, slots=True, order=True)
class Repo:
    """A repository on the forge: its `owner/name` and where git reads it from."""

    name: str
    clone_url: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class PullKey:
    """A pull request, by its repository's `owner/name` and its number."""

    repo: str
    number: int

    def __str__(self) -> str:
        return f"{self.repo}#{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class ProjectKey:
    """One Terraform state: a directory of a repository and a Terraform workspace.

    `dir` is relative to the repository, with `/`, and is `.` for the root.
    """

    repo: str
    dir: str
    workspace: str = "default"

    @property
    def label(self) -> str:
        """What people read: the directory, with the workspace where it is not the default one."""
        return self.dir if self.workspace == "default" else f"{self.dir} ({self.workspace})"

    def __str__(self) -> str:
        return f"{self.repo}:{self.dir}:{self.workspace}"
