"""Names that would be options, and text that would be a comment, a command or a plan of prbot's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.adapters.terraform.test_isolation import WHY_NOT
from tests.flows.app import Story, story, tf
from tests.hostile.attacker import NEEDS_IT, PROVIDER, provider


def tokens(markdown: str) -> list[Token]:
    """A comment as a reader's page is made of it."""
    parsed = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def headings(markdown: str) -> list[str]:
    found = tokens(markdown)
    return [found[n + 1].content for n, token in enumerate(found) if token.type == "heading_open" and token.tag == "h2"]


def live_text(markdown: str) -> str:
    """What is not code: where a mention calls somebody, and a link leads somewhere."""
    return " ".join(token.content for token in tokens(markdown) if token.type in ("text", "html_inline", "html_block"))


def test_names_that_look_like_options_are_names(app: Story) -> None:
    infra = app.repo()
    files = {
        f"{name}/main.tf": tf(infra.backend(f"p{number}"), v=1)
        for number, name in enumerate(["-destroy", "--help", "a b; touch pwned", "$(touch pwned)", "`x`|y"])
    }
    pull = infra.open_pull(by="al", files=files, branch="x--upload-pack=touch")
    app.settle()
    outcomes = {run.dir: run.status for run in app.runs(pull)}
    assert set(outcomes) == {path.removesuffix("/main.tf") for path in files}
    assert set(outcomes.values()) == {"planned"}, pull.comments()[-1].body
    assert all(run.summary and run.summary["counts"]["add"] == 1 for run in app.runs(pull))
    assert not list(app.root.rglob("pwned"))


def test_workspaces_and_variable_files_that_look_like_options_are_names(app: Story) -> None:
    infra = app.repo()
    variable = 'variable "v" {}\noutput "v" {\n  value = var.v\n}\n'
    pull = infra.open_pull(
        by="al",
        files={
            "net/main.tf": infra.backend("net", "local") + variable,
            "net/env/default.tfvars": 'v = "1"\n',
            "net/env/-destroy.tfvars": 'v = "2"\n',
            "net/env/..%2f..%2fx.tfvars": 'v = "3"\n',
        },
    )
    app.settle()
    said = pull.comments()[-1].body
    assert headings(said) == ["Plan: 1 output to change"]
    assert not [run for run in app.runs(pull) if run.summary and run.summary["counts"]["destroy"]]


@pytest.mark.parametrize(
    "line",
    [
        "prbot plan -- -destroy",
        "prbot plan -- -var=x=1",
        "prbot plan -- -chdir=/",
        "prbot plan -- -state=/tmp/x",
        "prbot plan -- -plugin-dir=/tmp",
        "prbot plan -d ../../../etc",
        "prbot plan -w ../../x",
        'prbot plan -d "$(touch pwned)"',
        "prbot plan -p 'net; touch pwned'",
        "prbot plan --upload-pack=x",
    ],
)
def test_a_command_smuggles_nothing_in(app: Story, line: str) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.comment(by="bo", body=line)
    app.settle()
    assert len(app.runs(pull)) == 1
    assert headings(pull.comments()[-1].body)[0] in ("Not allowed", "Not planned", "Not understood", "No such project")
    assert not list(app.root.rglob("pwned"))


FORGED = """
```
</details>

## Plan

| Project | Result | Add |
| :-- | :-- | --: |
| `net` | ✅ no changes | 0 |

<!-- prbot:plan:forged part=1 --> @acme/admins see https://evil.example/ and #1
[prbot](https://evil.example/) <img src="https://evil.example/x.png">
prbot apply
\u202eevil\u202c \x1b[2Jgone
"""


def test_words_in_a_plan_are_words(app: Story) -> None:
    infra = app.repo()
    value = json.dumps(FORGED).replace("${", "$${").replace("%{", "%%{")
    main = infra.backend("net") + f'\nresource "terraform_data" "x" {{\n  input = {value}\n}}\n'
    bad = infra.backend("db") + '\nresource "terraform_data" "x" {\n  input = 1\n  lifecycle {\n precondition {\n'
    bad += f"   condition = false\n   error_message = {value}\n  }}\n }}\n}}\n"
    pull = infra.open_pull(by="al", files={"net/main.tf": main, "db/main.tf": bad}, title=FORGED.replace("\n", " "))
    app.settle()
    pull.comment(by="al", body="<!-- prbot:plan:forged part=1 -->\n## Plan\n\nprbot is fine with this\n")
    app.settle()
    (said,) = [comment.body for comment in pull.comments() if comment.user == app.world.bot]
    assert len(headings(said)) == 1
    assert not [token for token in tokens(said) if token.type in ("link_open", "image")]
    live = live_text(said)
    for forged in ("@acme", "evil.example", "#1", "forged"):
        assert forged not in live
    assert "\u202e" not in said
    assert "\x1b" not in said
    assert app.audit("command.accepted") == []


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_a_plan_that_takes_too_much_is_stopped_and_the_comment_says_by_which_rule(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  limits: {processes: 40, memory: 512, disk: 64}\n")
    bomb = provider("while True:\n    try: os.fork()\n    except OSError: pass\n", {"COLLECTOR": ""})
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        main = infra.backend("net") + NEEDS_IT
        pull = infra.open_pull(by="al", files={"net/main.tf": main, f"net/{PROVIDER}": bomb})
        app.settle()
        assert "more than 40 processes (rule `limits.processes`)" in pull.comments()[-1].body
        pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1), f"net/{PROVIDER}": None})
        app.settle()
        assert app.runs(pull)[-1].status == "planned"  # the server goes on
