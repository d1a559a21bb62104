"""What went into a plan, as one digest. It decides whether a plan is outdated.

Everything here goes by the Git ids of files, never by their content. Which files count is `prbot.core.projects.reads`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import rfc8785

from prbot.core.projects import Project, reads
from prbot.core.trees import Tree, TreeEntry


def input_paths(project: Project, tree: Tree) -> frozenset[str]:
    """The files of `tree` that go into the project's plan."""
    takes = reads(project)
    return frozenset(path for path in tree if takes(path))


def input_digest(
    project: Project,
    tree: Tree,
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
            "files": {path: _id(tree[path]) for path in input_paths(project, tree)},
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
