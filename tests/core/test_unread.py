"""What prbot cannot read yet: what is taken for it, and what is not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.declarations import declared
from prbot.core.projects import Selection, discover
from prbot.core.rules import Unread
from prbot.core.unread import without_unread
from tests.core.repos import RESOURCE, call, root, tree_of, view_of

Files = Mapping[str, str]
UNIT = {"live/net/terragrunt.hcl": "inputs = {}\n"}


def judged(base: Files, merged: Files, rule: Unread = "refuse") -> Selection:
    before, after = tree_of(base), tree_of(merged)
    changed = frozenset(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    views = (view_of(base), view_of(merged))
    return without_unread(discover("acme/infra", *views, changed), views, changed, rule)


def refused(base: Files, merged: Files, rule: Unread = "refuse") -> list[str]:
    return [each.dir for each in judged(base, merged, rule).refusals]


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("live/net/terragrunt.hcl", "live/net"),
        ("live/net/terragrunt.stack.hcl", "live/net"),
        ("live/net/terragrunt.hcl.json", "live/net"),
        ("root.hcl", "."),
        ("live/region.hcl", "live"),
        ("live/net/policies/x.json", "live/net"),
        ("vpc/main.tf", "vpc"),
        ("stack/x.tfcomponent.hcl", "stack"),
        ("stack/x.tfcomponent.json", "stack"),
        ("stack/x.tfstack.hcl", "stack"),
        ("stack/x.tfdeploy.hcl", "stack"),
    ],
)
def test_what_may_be_theirs_is_refused_by_its_directory(path: str, directory: str) -> None:
    changed = {path: "changed = 1\n"} if path in UNIT else {path: RESOURCE}
    assert refused(UNIT, UNIT | changed) == [directory]
    assert refused(UNIT | changed, {"README.md": "x"}) == sorted({directory, "live/net"}), "taken away"
    told = judged(UNIT, UNIT | changed, "note")
    assert (told.refusals, len(told.notes)) == ((), 1)


@pytest.mark.parametrize(
    "path",
    ["README.md", "live/net/README.md", "app/x.py", "image.pkr.hcl", "a/x.tftest.hcl", ".tflint.hcl"],
)
def test_what_is_nobodys_is_not(path: str) -> None:
    assert judged(UNIT, UNIT | {path: "x"}).is_empty


def test_hcl_without_terragrunt_is_nothing() -> None:
    assert judged({}, {"jobs/web.hcl": "job {}"}).is_empty


def test_what_opentofu_alone_reads_is_told_where_terraform_runs() -> None:
    (found,) = judged({}, {"net/main.tofu": root()}).refusals
    assert found.reason == (
        "`net` holds `main.tofu`, which OpenTofu alone reads; this server runs Terraform, and plans nothing of it."
    )
    both = {"net/main.tf": root(), "net/main.tofu": root(body=RESOURCE)}
    assert judged({}, both).refusals == (), "made for either"
    views = (view_of({}, product="opentofu"), view_of({"net/main.tofu": root()}, product="opentofu"))
    changed = frozenset({"net/main.tofu"})
    found_there = without_unread(discover("acme/infra", *views, changed), views, changed, "refuse")
    assert ([each.key.dir for each in found_there.projects], found_there.refusals) == (["net"], ())


def test_a_module_that_a_root_module_calls_is_its_own() -> None:
    files = UNIT | {"app/main.tf": root("app", call("../vpc")), "vpc/main.tf": RESOURCE}
    found = judged(files, files | {"vpc/x.tf": RESOURCE})
    assert ([project.key.dir for project in found.projects], found.refusals) == (["app"], ())


ATLANTIS = "projects: [{dir: app, workspace: prod}]\n"
APP = {"app/main.tf": root("app")}


@pytest.mark.parametrize(
    ("text", "elsewhere"),
    [
        (ATLANTIS, {"prod"}),
        ("projects: [{dir: /app/, workspaces: [prod, stage]}]", {"prod", "stage"}),
        ("projects: [{dir: ./app, workspace: prod}, {dir: app}]", set()),
        ("projects: [{dir: '*', workspace: prod}]", {"prod"}),
        ("x: &x {workspace: prod}\nprojects: [{<<: *x, dir: app}]", {"prod"}),
        ("x: &x {workspace: prod}\nprojects: [{<<: [*x], dir: app, workspace: default}]", set()),
        ("projects: [{dir: net, workspace: prod}]", set()),
        ("projects:\n  app: {dir: app}", set()),
        ("", set()),
    ],
)
def test_the_workspaces_that_a_file_names(text: str, elsewhere: set[str]) -> None:
    assert declared(text.encode()).elsewhere("app") == elsewhere


CHAIN = b"".join(b"n%d: &n%d {<<: *n%d}\n" % (n, n, max(n - 1, 0)) for n in range(3000)) + b"projects: [*n2999]"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"projects: [", "it is not YAML"),
        (b"\xff\xfe\x00", "it is not YAML"),
        (b"[" * 2000, "it is not YAML"),
        (CHAIN, "it is not YAML"),
        (b"- x", "it holds no keys"),
        (b"x" * (1 << 19), "it is larger than 256 KiB"),
    ],
    ids=["cut off", "not text", "too deep", "too long a chain", "a list", "too large"],
)
def test_a_file_that_tells_nothing_says_why(content: bytes, problem: str) -> None:
    assert declared(content).problem == problem


def test_what_refers_to_itself_or_multiplies_ends() -> None:
    assert declared(b"projects: &x [{<<: *x, dir: app}]").workspaces == {"app": {"default"}}
    lines = ["n0: &n0 {workspace: x}"]
    lines += [f"n{n}: &n{n} {{<<: [{', '.join([f'*n{n - 1}'] * 20)}]}}" for n in range(1, 9)]
    assert declared("\n".join([*lines, "projects: [{<<: *n8, dir: app}]"]).encode()).workspaces.keys() == {"app"}


@given(st.binary(max_size=200) | st.text(alphabet="projects: dir[]{}&*<-\n'", max_size=200).map(str.encode))
def test_no_content_makes_it_raise(content: bytes) -> None:
    declared(content)


@pytest.mark.parametrize("rule", ["refuse", "note"])
def test_other_directories_are_still_orphaned_and_refused_beside_a_declaration(rule: Unread) -> None:
    base = APP | {"atlantis.yaml": ATLANTIS, "old/main.tf": root("old")}
    found = judged(base, {**APP, "atlantis.yaml": ATLANTIS, "bare/main.tf": RESOURCE}, rule)
    assert [each.dir for each in found.orphans] == ["old"]
    assert "bare" in [each.dir for each in found.refusals]


def test_a_directory_of_another_workspace_is_not_planned_in_the_default_one() -> None:
    base = APP | {"atlantis.yaml": ATLANTIS}
    found = judged(base, {"app/main.tf": root("app", RESOURCE), "atlantis.yaml": ATLANTIS}, "note")
    assert (found.projects, found.refusals) == ((), ())
    assert found.notes[-1].startswith("`app` is not planned in `default`: `atlantis.yaml` names it")
