"""Repositories as people have them: what is to be planned is, and nothing else, without a refusal."""

from __future__ import annotations

from tests.flows.app import Story, tf

TESTS = {"tests/all.tftest.hcl": 'run "x" {}\n', "tests/setup/main.tf": tf("", v=1)}
OVERRIDE = 'terraform {\n  required_version = ">= 1.0"\n}\n'


def test_a_service_with_its_root_module_at_the_top(app: Story) -> None:
    infra = app.repo()
    tags = 'locals {\n  name = "backend"\n  tags = { Name = "frontend", Team = "web" }\n}\n'
    about = 'variable "v" {\n  default = "1"\n  description = "as docs/run.txt says; used by .github/ci.yml"\n}\n'
    others = {"backend/app.py": "x", "frontend/x.js": "x", "web/x.js": "x", "docs/run.txt": "x", ".github/ci.yml": "x"}
    code = {"main.tf": tf(infra.backend("."), v=1) + tags, "variables.tf": about, "override.tf": OVERRIDE}
    infra.commit("main", {**code, **others, **TESTS, "Dockerfile": "FROM x\n"}, by="root")
    aside = infra.open_pull(by="al", files=dict.fromkeys([*others, *TESTS, "Dockerfile"], "# new\n"))
    app.settle()
    assert app.runs(aside) == []
    assert aside.comments() == []
    assert aside.status("prbot/gate")["state"] == "success"
    for path, text in (("override.tf", OVERRIDE + "# new\n"), ("v.auto.tfvars.json", '{"v": "2"}\n')):
        pull = infra.open_pull(by="al", files={path: text})
        app.settle()
        assert [(run.dir, run.reason) for run in app.runs(pull)] == [(".", f"{path} changed")]
        assert "⛔" not in pull.next_comment()
        pull.close(by="al")
        app.settle()


def test_a_repository_of_modules_with_examples_and_tests(app: Story) -> None:
    call = 'module "it" {\n  source = "../../"\n}\n'
    files = {"main.tf": tf("", v=1), "modules/sub/main.tf": tf("", v=1), "examples/complete/main.tf": call, **TESTS}
    infra = app.repo(files={**files, "wrappers/main.tf": call.replace("../../", "../")})
    changed = {path: f"{text}# new\n" for path, text in files.items()}
    pull = infra.open_pull(by="al", files={**changed, "examples/new/main.tf": call})
    app.settle()
    assert app.runs(pull) == []
    assert pull.comments() == []
    assert pull.status("prbot/gate")["state"] == "success"


def test_what_tests_and_shows_a_module_plans_nobody_and_the_rest_plans_who_it_is_of(app: Story) -> None:
    infra = app.repo()
    code = {
        "live/net/main.tf": tf(infra.backend("live/net"), v=1) + 'module "m" {\n  source = "../../modules/vpc"\n}\n',
        "live/net/.terraform.lock.hcl": "# lock\n",
        "live/app/main.tf": tf(infra.backend("live/app"), v=1),
        "modules/vpc/main.tf": tf("", v=1),
    }
    aside = {f"{above}/{path}": text for above in ("live/app", "modules/vpc") for path, text in TESTS.items()}
    aside |= {"docs/x.txt": "x", "helm/values.hcl": "x = 1\n", "live/common.tfvars": "x = 1\n", "ansible/a.yml": "x"}
    infra.commit("main", {**code, **aside, "live/provider.tf": 'provider "random" {}\n'}, by="root")
    pull = infra.open_pull(by="al", files={path: f"{text}# new\n" for path, text in aside.items()})
    app.settle()
    assert (app.runs(pull), pull.comments()) == ([], [])
    pull.push(by="al", files={"modules/vpc/x.tf": "# new\n"})
    app.settle()
    assert [run.dir for run in app.runs(pull)] == ["live/net"]
