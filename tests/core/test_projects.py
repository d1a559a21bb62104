from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbot.core.ids import ProjectKey
from prbot.core.projects import (
    Orphan,
    Project,
    Selection,
    discover,
    project_at,
    reads,
)
from prbot.core.trees import Tree
from tests.core.repos import RESOURCE, call, root, tree_of, view_of

Files = Mapping[str, str]
REPO = "acme/infra"


def select(base: Files, merged: Files, links: Mapping[str, str] | None = None) -> Selection:
    """What a pull request from `base` to `merged` touches."""
    before, after = tree_of(base, links), tree_of(merged, links)
    changed = frozenset(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return discover(REPO, view_of(base, links), view_of(merged, links), changed)


def dirs(selection: Selection) -> list[str]:
    return [project.key.dir for project in selection.projects]


def reason(selection: Selection) -> str:
    (refusal,) = selection.refusals
    assert refusal.fix
    return refusal.reason


TWO = {"net/main.tf": root("net"), "app/main.tf": root("app")}


# -- what is selected -------------------------------------------------------------------------------------------------
def test_a_changed_root_module_is_selected_and_others_are_not() -> None:
    selection = select(TWO, TWO | {"net/main.tf": root("net", RESOURCE)})
    assert dirs(selection) == ["net"]
    assert selection.projects[0].reason == "net/main.tf changed"
    assert selection.projects[0].key == ProjectKey(REPO, "net")


def test_the_repository_root_can_be_a_project() -> None:
    assert dirs(select({"main.tf": root()}, {"main.tf": root(body=RESOURCE)})) == ["."]


@pytest.mark.parametrize("name", [".terraform.lock.hcl", "run.sh", "x.tfvars", "vars/x.tfvars", "sub/x.tf"])
def test_files_of_a_root_module_are_its_own(name: str) -> None:
    assert dirs(select(TWO, TWO | {f"net/{name}": "new"})) == ["net"]


@pytest.mark.parametrize("path", ["net/README.md", "net/docs/x.md", "net/.gitignore", "net/.idea/x.json", "docs/x.txt"])
def test_prose_and_hidden_files_touch_no_project(path: str) -> None:
    assert select(TWO, TWO | {path: "new"}) == Selection()


def test_prose_that_a_configuration_reads_touches_it() -> None:
    files = {"net/main.tf": root(body='locals {\n  x = file("${path.module}/README.md")\n}\n')}
    selection = select(files, files | {"net/README.md": "new"})
    assert dirs(selection) == ["net"]


def test_a_file_read_from_elsewhere_touches_the_project() -> None:
    files = {"net/main.tf": root(body='locals {\n  x = file("${path.root}/../shared/x.txt")\n}\n')}
    selection = select(files, files | {"shared/x.txt": "new"})
    assert [project.reason for project in selection.projects] == ["shared/x.txt changed, which it reads"]


def test_a_root_module_below_another_is_a_project_of_its_own() -> None:
    files = {"main.tf": root("top"), "net/main.tf": root("net")}
    assert dirs(select(files, files | {"net/x.json": "new"})) == ["net"]


MODULES = {
    "net/main.tf": root("net", call("../modules/vpc")),
    "app/main.tf": root("app", call("../lib/app")),
    "modules/vpc/main.tf": call("../../modules/tags"),
    "modules/tags/main.tf": RESOURCE,
    "lib/app/main.tf": RESOURCE,
}


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("modules/vpc/main.tf", ["net"]),
        ("modules/tags/main.tf", ["net"]),
        ("modules/tags/x.json", ["net"]),
        ("lib/app/main.tf", ["app"]),
        ("modules/unused/main.tf", []),
    ],
)
def test_a_changed_module_selects_those_that_call_it(path: str, selected: list[str]) -> None:
    selection = select(MODULES, MODULES | {path: RESOURCE + "# changed\n"})
    assert dirs(selection) == selected
    assert selection.refusals == ()


def test_the_reason_names_the_module() -> None:
    selection = select(MODULES, MODULES | {"modules/tags/main.tf": "", "modules/vpc/x.json": ""})
    assert selection.projects[0].reason == "modules/tags/main.tf and 1 more changed, in a module that it calls"


def test_a_module_within_a_root_module_that_does_not_call_it_is_not_its_own() -> None:
    files = {"main.tf": root("top"), "net/main.tf": root("net", call("../modules/x")), "modules/x/main.tf": RESOURCE}
    assert dirs(select(files, files | {"modules/x/main.tf": ""})) == ["net"]


def test_a_moved_link_to_a_module_touches_its_callers() -> None:
    files = {"net/main.tf": root(body=call("../link/x")), "one/x/main.tf": RESOURCE, "two/x/main.tf": RESOURCE}
    base, merged = view_of(files, {"link": "one"}), view_of(files, {"link": "two"})
    assert dirs(discover(REPO, base, merged, frozenset({"link"}))) == ["net"]


def test_a_file_behind_a_link_touches_the_project() -> None:
    files = {"net/main.tf": root(), "common/provider.tf": 'provider "x" {}\n', "common/x/y.json": "1"}
    links = {"net/provider.tf": "../common/provider.tf", "net/data": "../common/x"}
    assert dirs(select(files, files | {"common/provider.tf": 'provider "x" {\n}\n'}, links)) == ["net"]
    assert dirs(select(files, files | {"common/x/y.json": "2"}, links)) == ["net"]


# -- workspaces -------------------------------------------------------------------------------------------------------
def test_the_variables_of_the_workspace_are_passed_when_they_are_there() -> None:
    selection = select(TWO, TWO | {"net/env/default.tfvars": "x = 1"})
    assert selection.projects[0].var_files == ("env/default.tfvars",)
    assert select(TWO, TWO | {"net/x.tf": ""}).projects[0].var_files == ()


def test_known_workspaces_are_touched_by_what_is_theirs() -> None:
    files = TWO | {"net/env/default.tfvars": "1", "net/env/prod.tfvars": "1"}
    view, known = view_of(files), [ProjectKey(REPO, "net", "prod"), ProjectKey("acme/other", "net", "x")]

    def touched(*paths: str) -> list[tuple[str, tuple[str, ...]]]:
        selection = discover(REPO, view, view, frozenset(paths), known)
        return [(project.key.label, project.var_files) for project in selection.projects]

    assert touched("net/env/prod.tfvars") == [("net (prod)", ("env/prod.tfvars",))]
    assert touched("net/env/default.tfvars") == [("net", ("env/default.tfvars",))]
    assert [label for label, _ in touched("net/main.tf")] == ["net", "net (prod)"]


# -- orphaned, moved, hidden ------------------------------------------------------------------------------------------
def test_a_removed_directory_is_orphaned() -> None:
    selection = select(TWO, {"app/main.tf": root("app")})
    assert selection == Selection(orphans=(Orphan("net", None),))


def test_a_renamed_directory_is_moved() -> None:
    selection = select(TWO, {"app/main.tf": root("app"), "network/main.tf": root("net")})
    assert dirs(selection) == ["network"]
    assert selection.orphans == (Orphan("net", "network"),)


def test_a_root_module_turned_into_a_module_of_one_with_its_state_is_moved() -> None:
    base = {"net/main.tf": root("net", RESOURCE)}
    merged = {"net/main.tf": RESOURCE, "live/main.tf": root("net", call("../net"))}
    selection = select(base, merged)
    assert dirs(selection) == ["live"]
    assert selection.orphans == (Orphan("net", "live"),)


@pytest.mark.parametrize(
    "backend",
    [
        'backend "s3" {}',
        'backend "s3" {\n    bucket = "states"\n  }',
        'backend "local" {\n    path = "terraform.tfstate"\n  }',
    ],
)
def test_settings_that_do_not_tell_states_apart_prove_no_move(backend: str) -> None:
    module = f"terraform {{\n  {backend}\n}}\n"
    base = {"net/main.tf": module, "app/main.tf": module}
    assert select(base, {"app/main.tf": module}).orphans == (Orphan("net", None),)
    assert "removes the backend of `net`" in reason(select(base, {**base, "net/main.tf": RESOURCE}))


@pytest.mark.parametrize(
    "backend",
    [
        'backend "local" {\n    path = "/srv/x"\n  }',
        'backend "other" {\n    place = "x"\n  }',
        'backend "s3" {\n key = "x"\n}',
    ],
)
def test_a_move_is_seen_for_other_backends_too(backend: str) -> None:
    module = f"terraform {{\n  {backend}\n}}\n"
    assert select({"net/main.tf": module}, {"network/main.tf": module}).orphans == (Orphan("net", "network"),)


def test_a_pull_request_that_removes_a_backend_is_refused() -> None:
    assert "removes the backend of `net`" in reason(select(TWO, TWO | {"net/main.tf": RESOURCE}))


def test_a_backend_that_no_longer_parses_is_refused_with_its_place() -> None:
    assert "`net/main.tf`, line 1" in reason(select(TWO, TWO | {"net/main.tf": '}}} terraform { backend "s3"'}))


# -- refused ----------------------------------------------------------------------------------------------------------
def test_a_directory_without_backend_is_refused_when_it_manages_something() -> None:
    assert "`new` has no backend" in reason(select(TWO, TWO | {"new/main.tf": RESOURCE}))
    assert select(TWO, TWO | {"new/main.tf": 'variable "x" {}\n'}) == Selection()


@pytest.mark.parametrize("directory", ["modules/x", "examples/complete", "tests/setup", "net/tests/setup", "wrappers"])
def test_what_no_state_is_kept_for_by_convention_needs_no_backend(directory: str) -> None:
    assert select(TWO, TWO | {f"{directory}/main.tf": RESOURCE}) == Selection()


def test_files_for_others_to_link_to_need_no_backend() -> None:
    files, links = TWO | {"live/_common.tf": RESOURCE}, {"net/_common.tf": "../live/_common.tf"}
    assert dirs(select(files, files | {"live/_common.tf": "# changed\n" + RESOURCE}, links)) == ["net"]
    assert select(files, files | {"live/_common.tf": "# changed\n" + RESOURCE}, links).refusals == ()
    assert select(TWO, TWO | {"live/provider.tf": 'provider "x" {}\n'}) == Selection()


def test_a_directory_without_backend_that_did_not_change_is_left_alone() -> None:
    files = TWO | {"old/main.tf": RESOURCE}
    assert select(files, files | {"net/main.tf": root("net", RESOURCE)}).refusals == ()


def local(body: str) -> str:
    return f'terraform {{\n  backend "local" {{\n{body}\n  }}\n}}\n'


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"new/main.tf": local("")}, "no literal `path`"),
        ({"new/main.tf": local('path = "../x.tfstate"')}, "`path` is `../x.tfstate`"),
        ({"new/main.tf": local('path = "${var.x}"')}, "no literal `path`"),
        ({"new/main.tf": root(), "new/terraform.tfstate": "{}"}, "`new/terraform.tfstate` is a state file"),
        ({"new/main.tf": root(), "new/terraform.tfstate.d/x/a": "{}"}, "is a state file"),
        ({"new/main.tf": "terraform {\n  cloud {}\n}\n"}, "`cloud` block"),
        ({"new/main.tf": 'terraform {\n  backend "remote" {}\n}\n'}, "backend `remote`"),
        ({"new/main.tf": root(body=call("../../x"))}, "calls the module `../../x`, which is outside"),
        ({"new/main.tf": root(body=call("../m")), "m/main.tf": call("../../x")}, "`m` calls the module `../../x`"),
    ],
)
def test_state_in_the_checkout_and_what_cannot_be_run_is_refused(files: Files, says: str) -> None:
    selection = select(TWO, {**TWO, **files})
    assert says in reason(selection)
    assert selection.projects == ()


def test_a_local_backend_with_an_absolute_path_is_planned() -> None:
    assert dirs(select({}, {"new/main.tf": local('path = "/srv/states/new.tfstate"')})) == ["new"]


def test_a_link_out_of_the_repository_refuses_those_that_would_read_it() -> None:
    links = {"net/secrets": "/etc"}
    files = TWO | {"net/x.tf": RESOURCE, "app/x.tf": RESOURCE}
    selection = select(TWO, files, links)
    assert "`net/secrets` is a symbolic link to `/etc`" in reason(selection)
    assert dirs(selection) == ["app"]


# -- properties -------------------------------------------------------------------------------------------------------
DIRS = ("net", "net/sub", "app", "modules/x", "modules/x/y")
SOURCES = {"net": "net", "sub": "net/sub", "x": "modules/x", "y": "modules/x/y"}


@st.composite
def repositories(draw: st.DrawFn) -> dict[str, str]:
    files: dict[str, str] = {}
    for directory in DIRS:
        kind = draw(st.sampled_from(["none", "plain", "root"]))
        up = "../" * (directory.count("/") + 1)
        calls = draw(st.sets(st.sampled_from(sorted(SOURCES)), max_size=2))
        body = draw(st.sampled_from(["", RESOURCE])) + "".join(call(up + SOURCES[name], name) for name in sorted(calls))
        if kind != "none":
            files[f"{directory}/main.tf"] = root(directory, body) if kind == "root" else body
        if draw(st.booleans()):
            files[f"{directory}/x.json"] = draw(st.sampled_from(["1", "2"]))
    return files


def project(files: Files, directory: str) -> Project:
    return project_at(view_of(files), ProjectKey(REPO, directory))


def differ(project: Project, one: Tree, other: Tree) -> bool:
    """Whether two trees hold different files that go into the project's plan."""
    takes = reads(project)
    return any(takes(path) for path in one.keys() | other.keys() if one.get(path) != other.get(path))


@settings(max_examples=20, deadline=None)
@given(repositories(), repositories())
def test_a_pull_request_cannot_hide_a_project(base: Files, merged: Files) -> None:
    selection = select(base, merged)
    named = {*dirs(selection), *(r.dir for r in selection.refusals), *(o.dir for o in selection.orphans)}
    before, after = tree_of(base), tree_of(merged)
    for files in (base, merged):
        for directory in view_of(files).roots:
            touched = differ(project(files, directory), before, after)
            assert not touched or directory in named


@settings(max_examples=20, deadline=None)
@given(repositories(), repositories())
def test_every_directory_has_one_answer_and_only_touched_ones_have_any(base: Files, merged: Files) -> None:
    selection = select(base, merged)
    answers = [*dirs(selection), *(r.dir for r in selection.refusals), *(o.dir for o in selection.orphans)]
    assert len(answers) == len(set(answers))
    assert select(base, base) == Selection()
    for found in selection.projects:
        states = [view_of(files) for files in (base, merged)]
        assert found.key.dir in states[1].roots
        assert any(
            differ(project_at(view, found.key), states[0].tree, states[1].tree)
            for view in states
            if found.key.dir in view.roots
        )


@settings(max_examples=20, deadline=None)
@given(repositories())
def test_a_changed_module_file_touches_every_project_that_calls_it(files: Files) -> None:
    view = view_of(files)
    for module in view.called & view.modules.keys():
        selection = select(files, {**files, f"{module}/extra.tf": "# new\n"})
        callers = {directory for directory in view.roots if module in view.uses(directory)}
        assert callers <= {*dirs(selection), *(r.dir for r in selection.refusals)}


def test_a_very_deep_path_is_no_trouble() -> None:
    deep = "net/" + "d/" * 3000 + "x.tfvars"
    assert dirs(select(TWO, TWO | {deep: "new"})) == ["net"]
