"""What a project reads, as the people on a pull request see it."""

from __future__ import annotations

from tests.flows.app import Story, tf

AROUND = {
    "app/main.py": "print()\n",
    "scripts/ci.sh": "true\n",
    ".github/workflows/ci.yml": "on: push\n",
    "package.json": "{}\n",
    "Jenkinsfile": "x\n",
    "a.py": "",
    "b.py": "",
    "c.py": "",
}


def test_a_root_module_at_the_top_leaves_the_application_alone_and_says_so(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"main.tf": tf(infra.backend("."), v=1), **AROUND}, by="root")
    code = infra.open_pull(by="al", files={path: text + "# more\n" for path, text in AROUND.items()})
    app.settle()
    assert app.runs(code) == []
    assert app.holder(".") is None
    assert code.status("prbot/gate")["state"] == "success"
    assert code.comments() == []
    both = infra.open_pull(by="al", files={"main.tf": tf(infra.backend("."), v=2), **dict.fromkeys(AROUND, "new\n")})
    app.settle()
    assert [run.dir for run in app.runs(both)] == ["."]
    assert (
        "- `.`: Changed below it and left out of what it reads: `.github/workflows/ci.yml`, `Jenkinsfile`, `a.py`, "
        "`app/main.py`, `b.py` and 3 more. The configuration names none of them." in both.next_comment()
    )


def test_a_script_that_the_code_names_plans_the_project_wherever_it_is(app: Story) -> None:
    infra = app.repo()
    command = 'provisioner "local-exec" {\n    command = "sh ../scripts/steps.sh && sh ./.hidden.sh"\n  }'
    main = infra.backend("net") + f'\nresource "terraform_data" "x" {{\n  {command}\n}}\n'
    infra.commit("main", {"net/main.tf": main, "scripts/steps.sh": "true\n", "net/.hidden.sh": "true\n"}, by="root")
    for path in ("scripts/steps.sh", "net/.hidden.sh"):
        pull = infra.open_pull(by="al", files={path: "false\n"})
        app.settle()
        assert [run.reason for run in app.runs(pull)] == [f"{path} changed{', which it reads' * (path[:3] != 'net')}"]
        pull.close(by="al")
        app.settle()


def test_a_changed_module_plans_the_caller_that_computes_its_source(app: Story) -> None:
    infra = app.repo()
    call = 'module "m" {\n  source = "../${var.x}-world"\n}\nvariable "x" {\n  default = "hello"\n}\n'
    infra.commit("main", {"net/main.tf": infra.backend("net") + call, "hello-world/main.tf": tf("", v=1)}, by="root")
    pull = infra.open_pull(by="al", files={"hello-world/main.tf": tf("", v=2)})
    app.settle()
    assert [run.reason for run in app.runs(pull)] == ["hello-world/main.tf changed, in a module that it calls"]
    assert "has no backend" not in pull.next_comment()
