from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.hcl import BackendFacts, scan_file
from prbot.core.modules import ModuleFacts, Problem, is_terraform_file, repo_view, terraform_blobs
from prbot.core.trees import Blob, escaping_links, join, walk
from tests.core.repos import RESOURCE, blob_id, call, root, tree_of, view_of


def facts(**files: str | bytes) -> ModuleFacts:
    """The facts of the directory `a/b`, from files given as `main_tf`."""
    named = {f"a/b/{name.replace('__', '.')}": content for name, content in files.items()}
    return view_of(named).modules["a/b"]


def test_a_backend_is_found_with_its_literal_settings() -> None:
    found = facts(
        main__tf='terraform {\n  required_version = ">= 1.5"\n  backend "s3" {\n    key = "a/${"b"}"\n'
        '    bucket = "it\\"s \\u00e9 $${x}"\n    encrypt = true\n    retries = 5\n    role = null\n  }\n}\n'
    )
    settings = (("bucket", 'it"s é ${x}'), ("encrypt", "true"), ("retries", "5"))
    assert found.backend == BackendFacts("s3", settings, (("key", '"a/${"b"}"'),))
    assert found.is_root
    assert found.required_version == ">= 1.5"
    assert not found.manages


def test_a_cloud_block_makes_a_root_module_too() -> None:
    found = facts(main__tf='terraform {\n  cloud {\n    organization = "acme"\n  }\n}\n')
    assert found.cloud
    assert found.is_root


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("./x", ("a/b/x",)),
        ("../x", ("a/x",)),
        ("../../x/", ("x",)),
        ("../..", (".",)),
        ("x/y", ()),
        ("hashicorp/consul/aws", ()),
        ("git::https://example.com/x.git", ()),
    ],
)
def test_local_module_sources_are_resolved_within_the_repository(source: str, calls: tuple[str, ...]) -> None:
    assert facts(main__tf=call(source)).calls == calls


def test_a_source_that_leaves_the_repository_is_told_apart() -> None:
    found = facts(main__tf=call("../../../x"))
    assert found.calls == ()
    assert found.outside == ("../../../x",)


def test_bom_and_windows_line_ends_are_read() -> None:
    found = facts(main__tf=b"\xef\xbb\xbf" + root(body=RESOURCE).replace("\n", "\r\n").encode())
    assert found.backend == BackendFacts("s3", (("bucket", "states"), ("key", "k")))
    assert found.manages
    assert found.problems == ()


def test_a_broken_file_gives_its_place_and_the_facts_of_what_parses() -> None:
    found = facts(main__tf=root() + "resource {{{ \n", good__tf=call("./x"))
    assert found.backend is not None
    assert found.calls == ("a/b/x",)
    assert found.problems == (Problem("a/b/main.tf", 8, "this is not valid HCL"),)


def test_a_file_too_large_to_parse_is_reported() -> None:
    found = facts(main__tf=root() + "# " + "x" * (1 << 20))
    assert found.backend is None
    assert found.problems[0].message == "this is larger than 1 MiB and was not read"


def test_json_syntax_says_the_same() -> None:
    document = {
        "terraform": [{"backend": {"s3": {"bucket": "states", "key": "k", "encrypt": True, "x": "${var.x}"}}}],
        "module": {"it": {"source": "./x"}, "that": [{"source": "../y"}]},
    }
    found = facts(main__tf__json="\ufeff" + json.dumps(document))
    settings = (("bucket", "states"), ("encrypt", "true"), ("key", "k"))
    assert found.backend == BackendFacts("s3", settings, (("x", '"${var.x}"'),))
    assert found.calls == ("a/b/x", "a/y")
    assert found.manages


def test_json_with_a_key_twice_keeps_both() -> None:
    found = facts(main__tf__json='{"module": {"a": {"source": "./x"}}, "module": {"b": {"source": "./y"}}}')
    assert found.calls == ("a/b/x", "a/b/y")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"terraform": 1}', "null", '"x"', ""])
def test_odd_json_never_raises(text: str) -> None:
    assert not facts(main__tf__json=text).is_root


def test_override_files_replace_backend_and_source() -> None:
    found = facts(
        a_override__tf='terraform {\n  backend "local" {\n    path = "/s"\n  }\n}\n' + call("./new"),
        main__tf="terraform {\n  cloud {}\n}\n" + call("./old"),
    )
    assert found.backend == BackendFacts("local", (("path", "/s"),))
    assert not found.cloud
    assert found.calls == ("a/b/new",)


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("main.tf", True),
        ("x.tf.json", True),
        ("x.tfvars", False),
        (".x.tf", False),
        ("x.tf~", False),
        ("x.tofu", False),
    ],
)
def test_the_files_that_terraform_loads(name: str, loaded: bool) -> None:
    assert is_terraform_file(f"a/{name}") is loaded


def test_tofu_files_count_for_opentofu_only_and_hide_their_namesake() -> None:
    files = {"a/main.tf": call("./old"), "a/main.tofu": root(body=call("./new")), "a/more.tf": call("./more", "more")}
    terraform, tofu = view_of(files).modules["a"], view_of(files, product="opentofu").modules["a"]
    assert (terraform.is_root, terraform.calls) == (False, ("a/more", "a/old"))
    assert (tofu.is_root, tofu.calls) == (True, ("a/more", "a/new"))


def test_directories_of_fetched_modules_are_not_scanned() -> None:
    assert view_of({"a/.terraform/modules/x/main.tf": root()}).modules == {}


@pytest.mark.parametrize(
    ("body", "manages"),
    [
        (RESOURCE, True),
        ('data "x" "y" {}\n', True),
        ("moved {\n}\n", True),
        (call("./x"), True),
        ('variable "x" {}\noutput "resource" {\n  value = 1\n}\n', False),
        ('locals {\n  data = "x"\n}\n', False),
    ],
)
def test_what_needs_a_state_is_told_from_what_does_not(body: str, manages: bool) -> None:
    assert facts(main__tf=body).manages is manages


def test_links_are_followed_for_files_and_for_modules() -> None:
    view = view_of(
        {"common/backend.tf": root(), "shared/x/main.tf": RESOURCE, "net/main.tf": call("./modules/x")},
        links={"net/backend.tf": "../common/backend.tf", "net/modules": "../shared"},
    )
    net = view.modules["net"]
    assert net.is_root
    assert net.calls == ("shared/x",)
    assert net.reads == ("common/backend.tf", "net/modules")


def test_a_link_to_nothing_is_a_problem_of_its_file() -> None:
    view = view_of({"net/main.tf": root()}, links={"net/x.tf": "../../x.tf"})
    assert [problem.file for problem in view.modules["net"].problems] == ["net/x.tf"]


def test_links_that_leave_the_repository_are_found() -> None:
    links = {"a/up": "../..", "a/abs": "/etc", "a/ok": "../b", "loop": "loop", "via": "a/up/x", "fine": "a/ok/x"}
    assert sorted(escaping_links(links)) == ["a/abs", "a/up", "loop", "via"]
    assert walk("fine", links) == ("b/x", ("fine", "a/ok"))


def test_only_terraform_files_and_links_have_to_be_read() -> None:
    tree = tree_of({"a/main.tf": "x", "a/b.txt": "y", "README.md": "z"}, {"l": "a"})
    assert terraform_blobs(tree) == {blob_id("x"), blob_id("a")}
    assert repo_view(tree, {blob_id("x"): b"x", blob_id("a"): b"a"}).modules.keys() == {"a"}


def test_transitive_modules_end_in_a_cycle_too() -> None:
    view = view_of({"a/main.tf": root(body=call("../b")), "b/main.tf": call("../c"), "c/main.tf": call("../b")})
    assert view.uses("a") == {"b", "c"}
    assert view.called == {"b", "c"}


@given(st.binary(max_size=400) | st.text(alphabet='module"terafb{}=.$/\\ \n<E(', max_size=200).map(str.encode))
def test_no_content_makes_the_scan_raise(content: bytes) -> None:
    for syntax in ("hcl", "json"):
        scan_file(Blob(blob_id(content), content), syntax)


@given(st.sampled_from([".", "a", "a/b"]), st.lists(st.sampled_from(["..", ".", "x", ""]), max_size=5).map("/".join))
def test_a_joined_path_never_leaves_the_repository(directory: str, relative: str) -> None:
    path = join(directory, relative)
    assert path is None or not (path.startswith(("/", "../")) or path == "..")
