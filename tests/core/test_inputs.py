from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from prbot.core.ids import ProjectKey
from prbot.core.inputs import input_digest
from prbot.core.projects import Project, files_read, project_at
from prbot.core.trees import TreeEntry
from tests.core.repos import RESOURCE, call, root, view_of

FILES = {
    "net/main.tf": root("net", call("../modules/x")),
    "net/.terraform.lock.hcl": "# lock",
    "net/env/default.tfvars": "a = 1",
    "modules/x/main.tf": RESOURCE,
    "app/main.tf": root("app"),
    "README.md": "hello",
}
NET = project_at(view_of(FILES), ProjectKey("acme/infra", "net"))


def digest(files: Mapping[str, str] = FILES, project: Project = NET, **options: object) -> str:
    return input_digest(project, view_of(files), **{"engine_version": "terraform 1.11.4", **options})  # type: ignore[arg-type]


def test_the_digest_has_the_form_that_seals_promise() -> None:
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest())


def test_the_digest_stays_the_same_across_releases() -> None:
    """Stored seals hold it: a change of its form would make every plan outdated."""
    assert digest() == "sha256:56ac17e4a14be72877a6a69ecf50c46d6914756ade8b8acbe84855f5c92650aa"


def test_each_file_of_the_project_and_its_modules_counts() -> None:
    for path in (
        "net/main.tf",
        "net/.terraform.lock.hcl",
        "net/env/default.tfvars",
        "modules/x/main.tf",
        "net/new.json",
    ):
        assert digest(FILES | {path: "changed"}) != digest(), path


def test_the_inputs_are_the_files_that_select_the_project() -> None:
    files = FILES | {"net/README.md": "x", "net/x.json": "x", "app/x.json": "x"}
    assert files_read(view_of(files), NET) == {
        "net/main.tf",
        "net/.terraform.lock.hcl",
        "net/env/default.tfvars",
        "net/x.json",
        "modules/x/main.tf",
    }


def test_files_of_others_do_not_count() -> None:
    for path in ("app/main.tf", "README.md", "net/README.md", "modules/y/main.tf"):
        assert digest(FILES | {path: "changed"}) == digest(), path


def test_a_file_made_executable_counts() -> None:
    view, path = view_of(FILES), "net/main.tf"
    executable = {**view.tree, path: TreeEntry("100755", view.tree[path].blob)}
    assert input_digest(NET, replace(view, tree=executable), engine_version="terraform 1.11.4") != digest()


def test_engine_arguments_workflow_workspace_and_var_files_count() -> None:
    others = [
        digest(engine_version="terraform 1.12.0"),
        digest(extra_args=["-parallelism=1", "-refresh-only"]),
        digest(extra_args=["-refresh-only", "-parallelism=1"]),
        digest(workflow_digest="sha256:1"),
        digest(project=replace(NET, key=replace(NET.key, workspace="prod"))),
        digest(project=replace(NET, var_files=("env/default.tfvars", "x.tfvars"))),
    ]
    assert len({digest(), *others}) == len(others) + 1


@given(st.permutations(sorted(FILES)))
def test_the_order_of_files_does_not_count(order: list[str]) -> None:
    assert digest({path: FILES[path] for path in order}) == digest()
