"""What a project reads: its own directory, and what the code names."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.dependencies import read_by, waiting
from prbot.core.ids import ProjectKey
from prbot.core.inputs import input_digest
from prbot.core.projects import discover, project_at, reads
from prbot.core.runs import RunStatus
from prbot.core.strings import said
from tests.core.repos import RESOURCE, call, root, view_of

Files = Mapping[str, str]


def takes(files: Files, path: str, directory: str = "net", links: Mapping[str, str] | None = None) -> bool:
    """Whether the project reads the path, which is there."""
    view = view_of({path: "x", **files}, links)
    return reads(project_at(view, ProjectKey("acme/infra", directory)))(path)


def naming(expression: str) -> Files:
    others = {"other/main.tf": root("other", call("../called")), "called/main.tf": RESOURCE}
    return {**others, "net/main.tf": root("net", f"locals {{\n  x = {expression}\n}}\n")}


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ('file("${path.module}/a/x.txt")', "net/a/x.txt"),
        ('templatefile("${path.module}/../t/x.tpl", {})', "t/x.tpl"),
        ('file("${path.root}/a/x.txt")', "net/a/x.txt"),
        ('filebase64("a/x.bin")', "net/a/x.bin"),
        ('file("${path.module}/files/${each.key}.json")', "net/files/deep/x.json"),
        ('file("files/${var.a}/${var.b["c"]}.json")', "net/files/x.json"),
        ('fileset("${path.module}/policies", "**/*.json")', "net/policies/a/b.json"),
        ('fileset(path.module, "policies/*.json")', "net/policies/a.json"),
        ('format("%s/files/x.json", path.module)', "net/files/x.json"),
        ('join("/", [path.module, "files"])', "net/files/x.json"),
        ('"bash ${path.module}/../run.sh now"', "run.sh"),
        ('"sh ./bin/steps.md; true"', "net/bin/steps.md"),
        ('"sh ../scripts/.steps.sh"', "scripts/.steps.sh"),
        ('"cd ../ansible && ansible-playbook site.yml"', "ansible/roles/x/tasks.yml"),
        ('"python3 tools/gen.py --in=data/in.csv"', "net/data/in.csv"),
        ('"curl -d @body/x.json https://example.com"', "net/body/x.json"),
        ('"lambda"', "net/lambda/index.js"),
        ('"../with space/a b.json"', "with space/a b.json"),
        ('"files/é.json"', "net/files/é.json"),
        ("<<-EOT\n    sh ../scripts/x.sh\n  EOT", "scripts/x.sh"),
        ('fileexists("a/x.json") ? "b/y.json" : "z"', "net/b/y.json"),
        ('{ path = "a/x.json" }', "net/a/x.json"),
        ("file(var.custom)", "net/x.json"),
        ('fileset("../other", "*.json")', "other/x.json"),
        ('fileset("${path.module}/../other", "**/*.json")', "other/a/x.json"),
        ('file("../other/${var.x}")', "other/x.json"),
        ('fileset("../called", "**")', "called/x.txt"),
        ('fileset("..", "*.json")', "x.json"),
        ('"cd ../other && ./run.sh"', "other/run.sh"),
        ('"cd scripts && sh run"', "net/scripts/run"),
        ('"make -C build all"', "net/build/Makefile"),
        ('{ dir_name = "lambda", SCRIPT = "app/x" }', "net/lambda/x.py"),
        ('{ SCRIPT = "run" }', "net/run/x"),
        ('1\n}\nmodule "m" {\n  source = "./tests/setup"', "net/tests/setup/main.tf"),
        ("<<-EOT\n    cd scripts\n    sh run\n  EOT", "net/scripts/run"),
        (r'"set -e\n../scripts/x.sh"', "scripts/x.sh"),
        (r'"..\u002fscripts/x.sh"', "scripts/x.sh"),
    ],
)
def test_what_the_code_names_is_read(expression: str, path: str) -> None:
    assert takes(naming(expression), path)


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ('"x"', "net/app/main.py"),
        ('file("/etc/hostname")', "scripts/hostname"),
        ('file("${path.module}/../../../x")', "x"),
        ('file("${path.module}/../${var.x}")', "scripts/x.sh"),
        ('"${var.x}"', "net/app/x.py"),
        ('"*"', "net/app/x.py"),
        ("path.module", "net/app/x.py"),
        ('"the app is in here"', "net/app/x.py"),
        ("1\n  # ../scripts/x.sh\n  // ../scripts/x.sh", "scripts/x.sh"),
        ('"https://example.com/scripts/x.sh"', "scripts/x.sh"),
        ('"other"', "other/x.json"),
        ('{ name = "app", Team = "app", "cluster_name" : "app" }', "net/app/main.py"),
        ('1\n}\nvariable "x" {\n  description = "see app/main.py and ../scripts/x.sh"', "net/app/main.py"),
        ('1\n}\nvariable "x" {\n  description = "see app/main.py and ../scripts/x.sh"', "scripts/x.sh"),
        ("1", "net/tests/setup/main.tf"),
        ("1", "net/examples/all/main.tf"),
        ('"the CI/CD app"', "net/app/main.py"),
        ('{}\n}\nmodule "m" {\n  source = "../called"', "called/lambda/x.py"),
    ],
)
def test_what_no_code_names_is_not(expression: str, path: str) -> None:
    assert not takes(naming(expression), path)


def test_json_variable_files_and_modules_name_paths_too() -> None:
    document = {"locals": {"x": '${file("y/y.txt")}', "z": "${path.module}/z/z.sh"}}
    document["locals"]["s"] = "set -e\n../s/s.sh"
    for path in ("net/y/y.txt", "net/z/z.sh", "s/s.sh"):
        assert takes({"net/main.tf": root(), "net/x.tf.json": json.dumps(document)}, path)
    assert takes({"net/main.tf": root(), "net/a.auto.tfvars": 'script = "../scripts/x.sh"\n'}, "scripts/x.sh")
    assert takes({"net/main.tf": root(), "net/env/default.tfvars": 'script = "../scripts/x.sh"\n'}, "scripts/x.sh")
    slashed = {"net/main.tf": root(), "net/x.tf.json": r'{"locals": {"x": "..\/t\/x.tpl"}}'}
    assert takes(slashed, "t/x.tpl"), "as some write JSON"
    module = {"net/main.tf": root(body=call("../m")), "m/main.tf": 'locals {\n  x = file("a/x")\n  y = "./b/y"\n}\n'}
    assert takes(module, "m/a/x"), "as written from the module"
    assert takes(module, "net/b/y"), "and from the root, where the engine runs"
    assert not takes(module, "m/c/z")


def test_what_a_link_stands_for_is_read() -> None:
    files = {"net/main.tf": root(body='locals {\n  x = "./data/x.json"\n}\n')}
    assert takes(files, "common/x.json", links={"net/data": "../common"})


TOP = """locals {
  a = "templates"
  b = "make -f Makefile"
  c = "./run.sh"
  d = "envs"
  e = <<-EOT
    sh run
  EOT
}
"""


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("main.tf", True),
        (".terraform.lock.hcl", True),
        ("prod.auto.tfvars", True),
        ("env/default.tfvars", True),
        ("net/x.tf", True),
        ("templates/x.tpl", True),
        ("Makefile", True),
        ("run.sh", True),
        ("run", True),
        ("deploy.py", False),
        ("package.json", False),
        ("app/main.py", False),
        ("scripts/ci.sh", False),
        (".github/workflows/ci.yml", False),
        ("envs/prod/main.tf", False),
        ("envs/prod/x.json", False),
    ],
)
def test_a_root_module_at_the_top_does_not_own_the_application_around_it(path: str, read: bool) -> None:
    files = {
        "main.tf": root("top", TOP),
        "net/main.tf": "# nobody's but the top's\n",
        "envs/prod/main.tf": root("prod"),
    }
    assert takes({**files, path: files.get(path, "x")}, path, ".") is read


def test_what_was_left_out_is_kept_for_people() -> None:
    files = {"main.tf": root("top"), "envs/main.tf": root("envs")}
    changed = {"main.tf": root("top", RESOURCE), "app/x.py": "", "Jenkinsfile": "", "README.md": "", "envs/y.txt": ""}
    before, after = view_of(files), view_of({**files, **changed})
    paths = frozenset(changed)
    top = next(each for each in discover("acme/infra", before, after, paths).projects if each.key.dir == ".")
    assert top.left_out == ("Jenkinsfile", "app/x.py")


def test_a_module_beside_another_is_called_and_not_read_whole_by_who_has_its_like_beside_it() -> None:
    """What a module names is read from the root's directory too, where the engine runs."""
    files = {"modules/net/main.tf": call("../vpc"), "modules/vpc/main.tf": RESOURCE, "live/vpc/main.tf": root("vpc")}
    assert not takes({**files, "live/net/main.tf": root("net", call("../../modules/net"))}, "live/vpc/x.tf", "live/net")


@pytest.mark.parametrize(
    ("source", "called"),
    [
        ("../${var.x}-world", ["hello-world", "new/old-world"]),
        ("../modules/${var.which}", ["modules/a", "modules/b", "modules/deep/c"]),
        ("../modules/${var.which}/c", ["modules/deep/c"]),
        ("${var.base}/b", ["modules/b"]),
        ("./${local.x}", ["net/own"]),
        ("../${var.x}", ["hello-world", "modules/a", "modules/b", "modules/deep/c", "net/own", "new/old-world"]),
        ("git::https://example.com/${var.x}", []),
        ("../../${var.x}", []),
    ],
)
def test_a_computed_source_counts_as_every_directory_that_it_can_stand_for(source: str, called: list[str]) -> None:
    modules = ("hello-world", "new/old-world", "modules/a", "modules/b", "modules/deep/c", "net/own")
    files = {f"{each}/main.tf": RESOURCE for each in modules}
    files |= {"app/main.tf": root("app"), "net/main.tf": root("net")}
    as_json = json.dumps({"module": {"it": {"source": source}}})
    for more in ({"net/x.tf": call(source)}, {"net/x.tf.json": as_json}):
        view = view_of({**files, **more})
        assert view.uses("net") == set(called)
        assert view.modules["net"].outside == ()


def test_a_module_with_a_computed_caller_selects_it_and_is_not_refused() -> None:
    files = {"net/main.tf": root("net", call("../${var.x}-world")), "hello-world/main.tf": RESOURCE}
    before, after = view_of(files), view_of({**files, "hello-world/x.tf": RESOURCE})
    found = discover("acme/infra", before, after, frozenset({"hello-world/x.tf"}))
    assert ([each.key.dir for each in found.projects], found.refusals) == (["net"], ())
    assert found.projects[0].reason == "hello-world/x.tf changed, in a module that it calls"


@given(st.binary(max_size=300) | st.text(alphabet='"${}path.module/%s*\n#<', max_size=200).map(str.encode))
def test_no_text_makes_it_raise(text: bytes) -> None:
    said(text)
    view_of({"net/main.tf": root() + text.decode(errors="replace"), "net/a/x": "x"}).named("net", "net")


def test_hostile_text_takes_no_time() -> None:
    began = time.process_time()
    for piece in (
        b'"${',
        b"%{",
        b'a "b" ',
        b"<<A\n",
        b"# ",
        b'"',
        b"*/",
        b"${${",
        b'fileset("a", ',
        b"cd a ",
        b"\\\\u00",
    ):
        said(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 5


def test_a_large_repository_takes_little_time() -> None:
    read = 'locals {{\n  x = file("${{path.module}}/f/x{0}.json")\n  y = fileset(path.module, "f/**/*.json")\n}}\n'
    files = {f"m{n}/main.tf": RESOURCE + read.format(n) for n in range(60)}
    calls = "".join(call(f"../m{n}", f"m{n}") for n in range(60))
    files |= {f"r{n}/main.tf": root(f"r{n}/x.tfstate", calls + read.format(n)) for n in range(300)}
    files |= {f"r{n}/f/x{n}.json": str(n) for n in range(300)}
    large = files | {f"app/{n // 100}/{n}.py": str(n) for n in range(20_000)}
    changed = {path: f"{text}# changed\n" for path, text in large.items()}
    before, after = view_of(large), view_of(changed)
    began = time.process_time()
    found = discover("acme/infra", before, after, frozenset(large)).projects
    for each in found:
        input_digest(each, after, engine_version="terraform 1.11.4")
    status = {each.key: RunStatus.WAITING for each in found}
    assert waiting(read_by(after, found), status) == {each.key: () for each in found}
    assert time.process_time() - began < 15
    assert len(found[0].module_dirs) == 60
