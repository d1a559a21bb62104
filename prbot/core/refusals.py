"""Directories that prbot does not plan, why, and how to change that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prbot.core.hcl import POINTER
from prbot.core.ids import ProjectKey
from prbot.core.modules import Problem, RepoView

_ADD_A_BACKEND = (
    "Add a `backend` block that keeps the state elsewhere (`s3`, `gcs`, `azurerm`, …, or `local` with an absolute path)"
)


USE_THE_FILE = (
    "Commit the file itself (`git lfs untrack`, `git add --renormalize`), or keep it where the engine can fetch it."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A directory (or the file that bars all) that is not planned: why, and what to do about it, each a sentence in
    Markdown."""

    dir: str
    reason: str
    fix: str


def no_backend(directory: str) -> Refusal:
    """It manages something, but its state would be lost with the checkout."""
    return Refusal(
        directory,
        f"`{directory}` has no backend, so that its state would be lost with the checkout.",
        f"{_ADD_A_BACKEND}; or, if it is a module, call it from a root module or put it below `modules/`.",
    )


def lost_its_backend(directory: str, problems: Sequence[Problem]) -> Refusal:
    """It is a project at the base, and the pull request takes its backend away."""
    if problems:
        first = problems[0]
        if first.message == POINTER:
            return cannot_be_told(directory, first.file)
        return Refusal(
            directory,
            f"`{first.file}`, line {first.line}: {first.message}; the backend of `{directory}` cannot be read.",
            "Correct the file.",
        )
    return Refusal(
        directory,
        f"This pull request removes the backend of `{directory}`, whose state would be left without configuration.",
        "Keep the `backend` block, or put it with the same settings into the directory that takes over the state.",
    )


def not_the_file(path: str) -> str:
    return f"`{path}` is a Git LFS pointer, and the file that it stands for is not fetched"


def cannot_be_told(directory: str, file: str) -> Refusal:
    """A file of it stands for one that is not there."""
    return Refusal(directory, f"{not_the_file(file)}: what `{directory}` is cannot be told.", USE_THE_FILE)


def unplannable(view: RepoView, key: ProjectKey, takes: Callable[[str], bool], dirs: frozenset[str]) -> Refusal | None:
    """Why a root module may not be planned; None when it may. `takes` tells which paths go into its plan."""
    checks = (_remote(view, key), _local(view, key), _committed(view, key), _outside(view, dirs), _links(view, takes))
    found = next((refusal for check in checks for refusal in check), None)
    return None if found is None else Refusal(key.dir, *found)


Found = Iterator[tuple[str, str]]


def _remote(view: RepoView, key: ProjectKey) -> Found:
    facts = view.modules[key.dir]
    kind = (
        "`cloud` block"
        if facts.cloud
        else "backend `remote`"
        if facts.backend and facts.backend.type == "remote"
        else ""
    )
    if kind:
        yield (
            f"`{key.dir}` has a {kind}, which runs Terraform remotely; prbot does not support that yet.",
            "Use a backend that only stores the state.",
        )


def _local(view: RepoView, key: ProjectKey) -> Found:
    backend = view.modules[key.dir].backend
    if backend is None or backend.type != "local":
        return
    setting = "path" if key.workspace == "default" else "workspace_dir"
    value = backend.setting(setting)
    if value is None or not value.startswith("/"):
        what = f"`{setting}` is `{value}`" if value is not None else f"no literal `{setting}`"
        yield (
            f"The backend `local` of `{key.dir}` has {what}, so that its state would be lost with the checkout.",
            f"Give `{setting}` an absolute path, or use a backend that keeps the state elsewhere.",
        )


def _committed(view: RepoView, key: ProjectKey) -> Found:
    prefix = "" if key.dir == "." else key.dir + "/"
    for path in view.below({key.dir}):
        name = path.removeprefix(prefix)
        if ("/" not in name and name.endswith(".tfstate")) or name.startswith("terraform.tfstate.d/"):
            yield (
                f"`{path}` is a state file in the repository, which Terraform would take for the present state.",
                f"Move the state to the backend (`terraform init -migrate-state`) and `git rm {path}`.",
            )


def _outside(view: RepoView, dirs: frozenset[str]) -> Found:
    for directory in sorted(dirs & view.modules.keys()):
        for source in view.modules[directory].outside:
            yield (
                f"`{directory}` calls the module `{source}`, which is outside of the repository.",
                "Bring the module into the repository, or name its registry or Git address.",
            )


def _links(view: RepoView, takes: Callable[[str], bool]) -> Found:
    for path, target in sorted(view.escaping.items()):
        if takes(path):
            yield (
                f"`{path}` is a symbolic link to `{target}`, which is not in the repository.",
                "Replace the link by the file, or remove it.",
            )
