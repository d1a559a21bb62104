"""What stands in the tree for something that no checkout of ours holds is never planned as if it were the thing."""

from __future__ import annotations

from prbot.sandbox.gitrepos import Files, Submodule
from tests.flows.app import Story, tf

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LFS_WAY_ON = (
    "Commit the file itself (`git lfs untrack`, `git add --renormalize`), or keep it where the engine can fetch it."
)
MODULE_WAY_ON = "Bring its files into the repository, or name the module by its registry or Git address."


def test_a_project_that_reads_what_is_not_there_is_refused_by_name(app: Story) -> None:
    infra = app.repo()
    backends = {name: infra.backend(name) for name in "abcdef"}
    called = '\nmodule "m" {\n  source = "../vendor/vpc"\n}\n'
    script = '\nresource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "%s"\n  }\n}\n'
    files: Files = {
        # each of these is wrong in one way
        "a/main.tf": tf(backends["a"], v=1) + called,
        "vendor": Submodule(COMMIT),
        "b/main.tf": tf(backends["b"], v=1) + script % "../tools/run.sh",
        "tools": Submodule(COMMIT),
        "c/main.tf": tf(backends["c"], v='${file("${path.module}/data.bin")}'),
        "c/data.bin": POINTER,
        "d/main.tf": tf(backends["d"], v=1),
        "d/secret.auto.tfvars": "whatever the filter left\n",
        ".gitattributes": "[attr]hidden filter=git-crypt -text\n*.auto.tfvars hidden\n*.bin filter=lfs -text\n",
        "e/main.tf": POINTER,
        # and these in none: what goes by the filter is the file itself, or is nobody's
        "f/main.tf": tf(backends["f"], v='${filesha256("${path.module}/data.bin")}'),
        "f/data.bin": "the content itself\n",
        "media/film.bin": POINTER,
        "media/more": Submodule(COMMIT),
    }
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    comment = pull.next_comment()
    empty = "is a submodule, which is not fetched:"
    pointer = "is a Git LFS pointer, and the file that it stands for is not fetched:"
    crypt = "goes through the filter `git-crypt` of `.gitattributes`, which is not run:"
    way_on = "Take the file out of the filter, or keep it where the engine can fetch it."
    sentences = (
        f"`vendor` {empty} `a` would be planned as if it were empty. {MODULE_WAY_ON}",
        f"`tools` {empty} `b` would be planned as if it were empty. {MODULE_WAY_ON}",
        f"`c/data.bin` {pointer} `c` would be planned with the pointer. {LFS_WAY_ON}",
        f"`d/secret.auto.tfvars` {crypt} `d` would be planned with what is in Git. {way_on}",
        f"`e/main.tf` {pointer} what `e` is cannot be told. {LFS_WAY_ON}",
    )
    assert [sentence for sentence in sentences if f"- ⛔ {sentence}\n" not in comment] == [], comment
    assert [run.dir for run in app.runs(pull)] == ["f"]
    assert pull.status("prbot/plan")["state"] == "failure"
    assert pull.status("prbot/gate")["state"] != "success"
    pull.comment(by="bo", body="prbot plan -d c")
    app.settle()
    assert "`c/data.bin` is a Git LFS pointer" in pull.next_comment()
    assert [run.dir for run in app.runs(pull)] == ["f"]
    # the way on: with the files themselves, all are planned
    pull.push(
        by="al",
        files={
            "a/main.tf": tf(backends["a"], v=1), "b/main.tf": tf(backends["b"], v=1), "c/data.bin": "itself\n",
            "d/secret.auto.tfvars": None, "e/main.tf": tf(backends["e"], v=1),
        },
    )  # fmt: skip
    app.settle()
    assert pull.status("prbot/plan")["state"] == "success"
    assert {run.dir for run in app.runs(pull)} == set("abcdef")
