"""Repositories as dictionaries, for tests of what prbot reads from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from prbot.core.modules import Product, RepoView, repo_view
from prbot.core.trees import LINK, Tree, TreeEntry


def tree_of(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> Tree:
    """A tree of regular files (path to content) and symbolic links (path to target)."""
    regular = {path: TreeEntry("100644", blob_id(content)) for path, content in files.items()}
    return regular | {path: TreeEntry(LINK, blob_id(target)) for path, target in (links or {}).items()}


def view_of(
    files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None, product: Product = "terraform"
) -> RepoView:
    contents = [*files.values(), *(links or {}).values()]
    return repo_view(tree_of(files, links), {blob_id(content): as_bytes(content) for content in contents}, product)


def blob_id(content: str | bytes) -> str:
    data = as_bytes(content)
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def as_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def root(key: str = "k", body: str = "") -> str:
    """A root module whose state is at `key`."""
    return f'terraform {{\n  backend "s3" {{\n    bucket = "states"\n    key    = "{key}"\n  }}\n}}\n{body}\n'


def call(source: str, name: str = "it") -> str:
    return f'module "{name}" {{\n  source = "{source}"\n}}\n'


RESOURCE = 'resource "terraform_data" "it" {}\n'
