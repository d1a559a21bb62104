"""What went into a plan, as one digest. It decides whether a plan is outdated.

Everything here goes by the Git ids of files, never by their content. Which count, `prbot.core.projects.reads` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import rfc8785

from prbot.core.modules import RepoView
from prbot.core.projects import Project, files_read
from prbot.core.trees import TreeEntry


def input_digest(
    project: Project,
    view: RepoView,
    *,
    engine_version: str,
    extra_args: Sequence[str] = (),
    workflow_digest: str = "",
) -> str:
    """`sha256:<hex>` over the project's input files and all else that decides how they are planned.

    SHA-256 over the RFC 8785 canonical JSON of an object with `format`, `dir`, `workspace`, `files` (path to
    `<mode> <blob id>`), `var_files` and `extra_args` (in order: the engine's later ones win), `engine`
    (`terraform 1.11.4`), `workflow`. Providers are pinned by the lock file, which is one of the files.
    """
    return _digest(
        {
            "format": "prbot-inputs-1",
            "dir": project.key.dir,
            "workspace": project.key.workspace,
            "files": {path: _id(view.tree[path]) for path in files_read(view, project)},
            "var_files": list(project.var_files),
            "extra_args": list(extra_args),
            "engine": engine_version,
            "workflow": workflow_digest,
        }
    )


def _id(entry: TreeEntry) -> str:
    return f"{entry.mode} {entry.blob}"


def _digest(document: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()
