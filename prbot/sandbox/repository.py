"""A repository of the stand-in, as the demo and the tests hold it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prbot.sandbox import samples
from prbot.sandbox.acts import pulls, pushes
from prbot.sandbox.gitrepos import NO_COMMIT, Files
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.shapes import repos
from prbot.sandbox.state import Repository, Role

if TYPE_CHECKING:
    from prbot.sandbox.world import World


class SandboxRepo:
    """One repository. People's acts move GitHub's clock on by a second, and check no permissions."""

    def __init__(self, world: World, data: Repository) -> None:
        self.world = world
        self._hub = world.hub
        self.data = data

    @property
    def name(self) -> str:
        """`owner/name`."""
        return self.data.full_name

    @property
    def clone_url(self) -> str:
        """Where git reads it from, over HTTP; a private one with a token."""
        return repos.clone_url(self._hub, self.data)

    def grant(self, login: str, role: Role) -> None:
        """Give a user, made if need be, a role; `none` takes it away."""
        self.world.act(login)
        self.data.grants[login] = role

    def protect(
        self, branch: str, protection: dict[str, Any] | None, rules: list[dict[str, Any]] | None = None
    ) -> None:
        """Set a branch's protection (None: unprotected) and rules, as GitHub's API words them."""
        self.data.protection.pop(branch, None)
        if protection is not None:
            self.data.protection[branch] = protection
        self.data.rules[branch] = rules or []

    # -- git ----------------------------------------------------------------------------------------------------------
    def head(self, branch: str | None = None) -> str:
        """The commit that a branch (the default one) points to. KeyError if there is no such branch."""
        sha = self.data.git.resolve(f"refs/heads/{branch or self.data.default_branch}")
        if sha is None:
            raise KeyError(branch)
        return sha

    def commit(self, branch: str, files: Files, by: str, message: str = "Change", author: str | None = None) -> str:
        """Commit files (None deletes one) to a branch and push; the new commit."""
        self.world.act(by)
        return pushes.commit(self._hub, self.data, branch, pushes.Change(files, message, author), by)

    def branch(self, name: str, at: str | None = None, by: str = "root") -> str:
        """Make a branch at a commit or another branch (the default one)."""
        self.world.act(by)
        sha = self.data.git.resolve(at) if at else self.head()
        if sha is None:
            raise KeyError(at)
        pushes.move_branch(self._hub, self.data, pushes.RefChange(name, NO_COMMIT, sha, "branch_creation"), by)
        return sha

    def delete_branch(self, name: str, by: str) -> None:
        """Delete a branch."""
        self.world.act(by)
        change = pushes.RefChange(name, self.head(name), NO_COMMIT, "branch_deletion")
        self.data.git.delete_ref(f"refs/heads/{name}")
        pushes.pushed(self._hub, self.data, change, by)

    def read(self, path: str, at: str | None = None) -> str | None:
        """A file's text at a commit (the default branch), or None."""
        return self.data.git.read(at or self.head(), path)

    # -- pull requests ------------------------------------------------------------------------------------------------
    def open_pull(
        self,
        by: str,
        files: Files | None = None,
        *,
        deletes: list[str] | tuple[str, ...] = (),
        base: str | None = None,
        title: str = "Change",
        body: str | None = None,
        draft: bool = False,
        branch: str | None = None,
        fork: str | None = None,
        author: str | None = None,
    ) -> SandboxPull:
        """Commit to a new branch off the base and open a pull request; with `fork`, from a fork of that name.

        Without files, `branch` must exist already.
        """
        base = base or self.data.default_branch
        home = self._fork(fork) if fork else self
        name = branch or f"{by}-{len(self.data.pulls) + 1}"
        changes = {**(files or {}), **dict.fromkeys(deletes)}
        if changes:
            self.world.act(by)
            existing = home.data.git.resolve(f"refs/heads/{name}")
            onto = pushes.RefChange(name, existing or NO_COMMIT, existing or self.head(base))
            change = pushes.Change(changes, title, author)
            pushes.commit_onto(self._hub, home.data, onto, change, by)
        self.world.act(by)
        proposal = pulls.Proposal(title, home.name, name, base, body, draft)
        return SandboxPull(self.world, self.data, pulls.open_pull(self._hub, self.data, proposal, by))

    def pull(self, number: int) -> SandboxPull:
        """The pull request of that number. KeyError if there is none."""
        return SandboxPull(self.world, self.data, self.data.pulls[number])

    def pulls(self) -> list[SandboxPull]:
        """All pull requests, oldest first."""
        return [self.pull(number) for number in sorted(self.data.pulls)]

    def _fork(self, full_name: str) -> SandboxRepo:
        if full_name not in self._hub.state.repos:
            self.world.act(full_name.partition("/")[0])
            self._hub.add_repo(
                full_name, private=self.data.private, default_branch=self.data.default_branch, parent=self.name
            )
        return SandboxRepo(self.world, self._hub.state.repos[full_name])

    # -- Terraform ----------------------------------------------------------------------------------------------------
    def backend(self, directory: str, kind: str = "http") -> str:
        """The `terraform` block that keeps a directory's state at the stand-in, or (`local`) in files next to it."""
        return self.world.backend(self.name, directory, kind)

    def state(self, directory: str, workspace: str = "default") -> dict[str, Any]:
        """The outputs in a directory's state, name to value; {} when there is no state."""
        outputs = self._raw_state(directory, workspace).get("outputs", {})
        return {name: output["value"] for name, output in outputs.items()}

    def state_serial(self, directory: str, workspace: str = "default") -> int:
        """The serial of a directory's state; 0 when there is none."""
        return int(self._raw_state(directory, workspace).get("serial", 0))

    def state_locked(self, directory: str) -> bool:
        """Whether Terraform holds the state's lock (of a state kept at the stand-in)."""
        return self._state_key(directory) in self._hub.states.locks

    def _state_key(self, directory: str) -> str:
        return samples.state_key(self.name, directory)

    def _raw_state(self, directory: str, workspace: str) -> dict[str, Any]:
        kept = self._hub.states.read(self._state_key(directory)) if workspace == "default" else None
        if kept is not None:
            return kept
        path, workspaces = samples.local_state_paths(self.world.state_dir, self.name, directory)
        file = path if workspace == "default" else workspaces / workspace / "terraform.tfstate"
        read: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return read
