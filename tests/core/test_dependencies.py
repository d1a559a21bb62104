"""What can be seen in the code of who reads whom, and the order that follows."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from prbot.core.dependencies import read_by, read_too_early, waiting, with_readers
from prbot.core.ids import ProjectKey
from prbot.core.projects import project_at
from prbot.core.runs import RunStatus
from tests.core.repos import RESOURCE, call, root, view_of

REPO = "acme/infra"


def key(directory: str, workspace: str = "default") -> ProjectKey:
    return ProjectKey(REPO, directory, workspace)


def reads(files: Mapping[str, str], *keys: ProjectKey) -> dict[str, list[str]]:
    view = view_of(files)
    wanted = keys or tuple(key(directory) for directory in sorted(view.roots))
    found = read_by(view, [project_at(view, each) for each in wanted])
    return {project.label: [each.label for each in others] for project, others in found.items() if others}


def remote(config: str, backend: str = '"s3"', more: str = "") -> str:
    return f'data "terraform_remote_state" "it" {{\n  backend = {backend}\n  config = {config}\n{more}}}\n'


NET = {"net/main.tf": root("net/terraform.tfstate"), "db/main.tf": root("db/terraform.tfstate")}
SAID = '{\n    bucket = "states"\n    key = "net/terraform.tfstate"\n  }'


@pytest.mark.parametrize(
    "body",
    [
        remote(SAID),
        remote('{ "bucket" = "states", "key" : "net/terraform.tfstate", region = var.region }'),
        remote('{ key = "net/terraform.tfstate" }'),
        remote('{ bucket = var.bucket, key = "net/terraform.tfstate" }'),
        remote('{ bucket = "states", key = "${var.of}/terraform.tfstate", }').replace("${var.of}", "net"),
        remote('{ bucket = "states", key = "n${var.rest}/terraform.tfstate" }'),
        remote(SAID, more="  workspace = terraform.workspace\n"),
        remote(SAID, more='  workspace = "default"\n'),
        remote(SAID, backend="var.backend"),
        'data "aws_s3_object" "net" {\n  bucket = "states"\n  key = "net/terraform.tfstate"\n}\n',
        'locals {\n  where = "s3://states/net/terraform.tfstate"\n}\n',
        'data "external" "net" {\n  program = ["sh", "read.sh", "s3://${var.bucket}/net/terraform.tfstate"]\n}\n',
        call("../net"),
        'locals {\n  ids = file("../net/ids.json")\n}\n',
        'locals {\n  ids = file("${path.module}/../net/ids.json")\n}\n',
        'data "local_file" "ids" {\n  filename = "../net/ids.json"\n}\n',
    ],
)
def test_a_reader_is_found(body: str) -> None:
    files = {**NET, "app/main.tf": root("app/terraform.tfstate", body), "net/ids.json": "{}"}
    assert reads(files) == {"app": ["net"]}


@pytest.mark.parametrize(
    "body",
    [
        remote("{ key = var.key }"),
        remote("local.state"),
        remote('merge(local.all, { key = "net/terraform.tfstate" })'),
        remote("{}", backend="var.backend"),
        remote('{ bucket = "states", key = "${var.of}/terraform.tfstate" }'),
    ],
)
def test_what_only_an_evaluation_would_tell_reads_everything(body: str) -> None:
    assert reads({**NET, "app/main.tf": root("app/terraform.tfstate", body)}) == {"app": ["db", "net"]}


@pytest.mark.parametrize(
    "body",
    [
        RESOURCE,
        remote('{ bucket = "others", key = "net/terraform.tfstate" }'),
        remote('{ bucket = "states", key = "network/terraform.tfstate" }'),
        remote('{ bucket = "states", key = "${var.of}/other.tfstate" }'),
        remote(SAID, backend='"gcs"'),
        remote(SAID, more='  workspace = "staging"\n'),
        'locals {\n  net = "net"\n  path = "networks/net/terraform.tfstate"\n}\n',
        call("../modules/vpc"),
        call("../net/modules/vpc"),
        'locals {\n  all = file("../all.json")\n}\n',
    ],
)
def test_others_share_nothing(body: str) -> None:
    files = {"app/main.tf": root("app/terraform.tfstate", body), "all.json": "{}"}
    modules = {"modules/vpc/main.tf": RESOURCE, "net/modules/vpc/main.tf": RESOURCE}
    assert reads({**NET, **files, **modules}) == {}


def test_a_state_that_a_module_reads_counts_and_json_says_the_same() -> None:
    data = {
        "data": {"terraform_remote_state": {"it": {"backend": "s3", "config": {"key": "${var.x}/terraform.tfstate"}}}}
    }
    files = {
        **NET,
        "app/main.tf": root("a.tfstate", call("../modules/peers")),
        "modules/peers/main.tf.json": json.dumps(data),
    }
    assert reads(files) == {"app": ["db", "net"]}


def test_a_root_module_above_is_not_read_by_those_below_it() -> None:
    files = {".gitignore": "", "main.tf": root("terraform.tfstate"), "common.json": "{}"}
    below = root("net/terraform.tfstate", 'locals {\n  all = file("../common.json")\n}\n')
    assert reads({**files, "net/main.tf": below}) == {}


def test_a_workspace_is_told_by_its_name_or_by_the_name_of_its_object() -> None:
    named = remote(SAID, more='  workspace = "staging"\n')
    by_object = remote('{ bucket = "states", key = "env:/staging/net/terraform.tfstate" }')
    for body in (named, by_object):
        files = {**NET, "app/main.tf": root("app/terraform.tfstate", body)}
        assert reads(files, key("app"), key("net"), key("net", "staging")) == {"app": ["net (staging)"]}


def test_a_backend_that_is_told_elsewhere_may_be_the_one_that_is_read() -> None:
    partial = 'terraform {\n  backend "s3" {}\n}\n'
    files = {"net/main.tf": partial, "app/main.tf": root("app/terraform.tfstate", remote(SAID))}
    assert reads(files) == {"app": ["net"]}


def test_a_file_that_could_not_be_read_may_read_anything() -> None:
    large = root("app/terraform.tfstate", remote(SAID)) + "#" * (1 << 20)
    files = {**NET, "app/main.tf": root("app/terraform.tfstate"), "app/large.tf": large}
    assert reads(files) == {"app": ["db", "net"]}


# -- the order --------------------------------------------------------------------------------------------------------
A, B, C, D = (key(name) for name in "abcd")
PENDING, APPLIED = RunStatus.PENDING, RunStatus.APPLIED


def test_one_waits_for_what_it_reads_until_that_is_over() -> None:
    graph = {A: (B,), B: (), C: ()}
    assert waiting(graph, {A: PENDING, B: PENDING, C: PENDING}) == {A: (B,), B: (), C: ()}
    for over in (APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED):
        assert waiting(graph, {A: PENDING, B: over})[A] == ()
    for stuck in set(RunStatus) - {APPLIED, RunStatus.NO_CHANGES, RunStatus.DISCARDED}:
        assert waiting(graph, {A: PENDING, B: stuck})[A] == (B,)


def test_those_that_read_each_other_go_by_name_one_after_the_other_and_it_is_known_who_went_too_early() -> None:
    graph = {A: (B,), B: (C,), C: (A, D), D: ()}
    status = dict.fromkeys((A, B, C, D), PENDING)
    assert waiting(graph, status) == {A: (), B: (A,), C: (A, B, D), D: ()}
    for each in (A, B, C):
        status[each] = APPLIED
    assert read_too_early(graph, status) == {A: (B,), B: (C,), C: (), D: ()}


def test_readers_of_readers_are_planned_again() -> None:
    graph = {A: (), B: (A,), C: (B,), D: ()}
    assert with_readers([A], graph) == {A, B, C}
    assert with_readers([D], graph) == {D}


def test_the_order_of_very_many_is_found_at_once() -> None:
    chain = [key(f"p{number:05}") for number in range(5000)]
    graph = {each: chain[max(at - 1, 0) : at] for at, each in enumerate(chain)}
    assert waiting(graph, dict.fromkeys(chain, PENDING)) == {each: tuple(others) for each, others in graph.items()}
    assert with_readers(chain[:1], graph) == set(chain)
