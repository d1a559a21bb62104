"""Which projects a command is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prbot.core.ids import ProjectKey
from prbot.core.projects import Selection
from prbot.core.wanted import NoSuchProject, Wanted, among, for_command
from tests.core.repos import RESOURCE, root, view_of
from tests.core.test_projects import REPO, Files, local, select

INFRA = {"net/main.tf": root("net"), "app/eu/main.tf": root("eu"), "app/us/main.tf": root("us")}
TOUCHED = select(INFRA, INFRA | {"net/x.tf": RESOURCE})


def wanted(selection: Selection = TOUCHED, files: Files = INFRA, **flags: object) -> list[str] | str:
    found = for_command(REPO, selection, view_of(files), replace(Wanted(), **flags))  # type: ignore[arg-type]
    return found.message if isinstance(found, NoSuchProject) else [project.key.label for project in found]


def test_a_command_without_flags_is_for_what_the_pull_request_touches() -> None:
    assert for_command(REPO, TOUCHED, view_of(INFRA), Wanted()) == TOUCHED.projects


@pytest.mark.parametrize(
    ("globs", "labels"),
    [
        (("app/*",), ["app/eu", "app/us"]),
        (("./net/", "app/e?"), ["app/eu", "net"]),
        (("**",), ["app/eu", "app/us", "net"]),
        (("**/us",), ["app/us"]),
    ],
)
def test_directories_are_named_by_globs(globs: tuple[str, ...], labels: list[str]) -> None:
    assert wanted(dirs=globs) == labels
    assert wanted(projects=tuple(glob.removeprefix("./").rstrip("/") for glob in globs)) == labels


def test_directories_and_projects_together_narrow() -> None:
    assert wanted(dirs=("app/*",), projects=("**/us",)) == ["app/us"]


def test_a_workspace_stands_for_the_touched_directories() -> None:
    assert wanted(workspace="prod") == ["net (prod)"]
    assert wanted(workspace="prod", dirs=("app/eu",)) == ["app/eu (prod)"]


def test_a_named_project_keeps_why_it_was_selected() -> None:
    found = for_command(REPO, TOUCHED, view_of(INFRA), Wanted(dirs=("net", "app/eu")))
    assert not isinstance(found, NoSuchProject)
    assert [project.reason for project in found] == ["named in a command", "net/x.tf changed"]


@pytest.mark.parametrize("workspace", ["", "../x", "a b", "-x", ".."])
def test_a_workspace_that_cannot_be_is_refused(workspace: str) -> None:
    assert wanted(workspace=workspace) == f"`{workspace}` cannot be the name of a workspace."


def test_an_unknown_directory_names_the_valid_ones() -> None:
    for command, message, valid in (
        (Wanted(dirs=("nett",)), "No project matches `-d nett`. Did you mean `net`?", ("app/eu", "app/us", "net")),
        (Wanted(("app/*",), None, ("net",)), "No project matches `-p net`.", ("app/eu", "app/us")),
    ):
        assert for_command(REPO, TOUCHED, view_of(INFRA), command) == NoSuchProject(message, valid)


def test_what_a_command_names_is_looked_for_among_projects_that_there_are() -> None:
    net, prod, dns = ProjectKey(REPO, "net"), ProjectKey(REPO, "net", "prod"), ProjectKey(REPO, "a`b")
    every = (net, prod, dns)
    assert among(every, Wanted()) == {*every}
    assert among(every, Wanted(dirs=("n*",))) == {net, prod}
    assert among(every, Wanted(workspace="prod")) == {prod}
    assert among(every, Wanted(projects=("net*",))) == {net, prod}
    assert among(every, Wanted(dirs=("a`b", "net"), workspace="default")) == {net, dns}
    assert among(every, Wanted(dirs=("a`c",))) == NoSuchProject(
        "No project matches ``-d a`c``. Did you mean ``a`b``?", ("a`b", "net")
    )
    assert among(every, Wanted(workspace="prd")) == NoSuchProject(
        "No project matches `-w prd`. Did you mean `prod`?", ("default", "prod")
    )
    assert among((), Wanted(dirs=("net",))) == NoSuchProject(
        "No project matches `-d net`. There is no project here.", ()
    )


def test_naming_what_is_refused_or_gone_says_so() -> None:
    merged = {"net/main.tf": RESOURCE, "us/main.tf": root("us"), "bad/main.tf": local("")}
    selection = select(INFRA, merged)
    assert "removes the backend of `net`" in wanted(selection, merged, dirs=("net",))
    assert wanted(selection, merged, dirs=("app/us",)) == (
        "This pull request removes `app/us`; its state is now `us`'s."
    )
    assert wanted(selection, merged, dirs=("app/eu",)) == "This pull request removes `app/eu`."
    assert "no literal `path`" in wanted(selection, merged, dirs=("bad",))
    assert wanted(selection, merged, dirs=("**",)) == ["us"]


def test_a_local_backend_needs_a_place_for_its_workspaces() -> None:
    files = {"net/main.tf": local('path = "/srv/net.tfstate"')}
    selection = select({}, files)
    assert "no literal `workspace_dir`" in wanted(selection, files, workspace="prod")
    assert wanted(selection, files) == ["net"]
