"""What a checkout does not hold, and which projects read it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from prbot.core.ids import ProjectKey
from prbot.core.modules import repo_view
from prbot.core.projects import discover, project_at
from prbot.core.trees import SUBMODULE, TreeEntry
from prbot.core.unfetched import content_needed, pointers, without
from tests.core.repos import RESOURCE, blob_id, call, root, tree_of

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def refused(files: Mapping[str, str], submodule: str = "", filters: Mapping[str, str] | None = None) -> str:
    """Why `net` is refused; empty when it is not."""
    tree = {**tree_of(files), **({submodule: TreeEntry(SUBMODULE, "0" * 40)} if submodule else {})}
    blobs = {blob_id(content): content.encode() for content in files.values()}
    view = repo_view(tree, blobs)
    project = project_at(view, ProjectKey("acme/infra", "net"))
    found = without(view, project, filters or {}, pointers(content_needed(view, [project]), blobs))
    return found.reason if found else ""


@pytest.mark.parametrize(
    ("body", "submodule", "read"),
    [
        (call("../vendor/vpc"), "vendor", True),
        (call("../vendor/vpc"), "vendor/vpc", True),
        (call("./m"), "net/m", True),
        ('locals {\n  x = "../tools/run.sh"\n}\n', "tools", True),
        ('locals {\n  x = fileset("./files", "**")\n}\n', "net/files/more", True),
        ('locals {\n  x = file("${path.module}/../data/${var.x}/y")\n}\n', "data", True),
        (RESOURCE, "tools", False),
        (RESOURCE, "app/net", False),
        (call("../vendor/vpc"), "vendor/vpc2", False),
    ],
)
def test_a_submodule_counts_for_those_that_name_it(body: str, submodule: str, read: bool) -> None:
    files = {"net/main.tf": root(body=body), "net/files/x": "x", "data/x": "y"}
    files = {path: text for path, text in files.items() if not path.startswith(f"{submodule}/")}
    assert ("is a submodule" in refused(files, submodule)) is read


@pytest.mark.parametrize(
    "body", [call("../vendor/vpc"), call("../vendor/vpc/deep"), 'locals {\n  x = "../vendor/x.sh"\n}\n']
)
@pytest.mark.parametrize("submodule", ["vendor", "vendor/vpc"])
def test_another_commit_of_a_submodule_selects_those_that_read_it(body: str, submodule: str) -> None:
    files = {"net/main.tf": root(body=body), "app/main.tf": root("app")}
    blobs = {blob_id(content): content.encode() for content in files.values()}
    tree = tree_of(files)
    before, after = (repo_view({**tree, submodule: TreeEntry(SUBMODULE, pin * 40)}, blobs) for pin in "01")
    found = discover("acme/infra", before, after, frozenset({submodule})).projects
    assert [each.key.dir for each in found] == (["net"] if "x.sh" not in body or submodule == "vendor" else [])


@pytest.mark.parametrize(
    ("path", "read"), [("net/x.json", True), ("net/x.tf", True), ("net/x.md", False), ("app/x.json", False)]
)
def test_a_pointer_and_a_filter_count_for_those_that_read_the_file(path: str, read: bool) -> None:
    files = {"net/main.tf": root()}
    assert ("Git LFS pointer" in refused({**files, path: POINTER})) is read
    assert ("filter `crypt`" in refused({**files, path: "x"}, filters={path: "crypt"})) is read
    assert refused({**files, path: "x"}, filters={path: "lfs"}) == "", "the file itself, though LFS could keep it"
