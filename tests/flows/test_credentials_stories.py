"""Which credentials a run gets, by its phase and project, as its code and people see it."""

from __future__ import annotations

from pathlib import Path

from tests.flows.app import story, tf
from tests.flows.conftest import check_afterwards
from tests.hostile.attacker import NEEDS_IT, PROVIDER, collecting, provider

TELLS = 'tell("environment", dict(os.environ))\ntell("token", outcome(lambda: open(os.environ["TOKEN_FILE"]).read()))\n'


def rules_of(root: Path) -> Path:
    (root / "plan-half.env").write_text("CLOUD_PROFILE=planner\nCLOUD_KEY=planted-plan-half\n")
    (root / "apply-half.env").write_text("CLOUD_PROFILE=applier\nCLOUD_KEY=planted-apply-half\n")
    (root / "token").write_text("planted-oidc-token\n")
    (root / "netrc").write_text("machine git.example login x password planted-in-netrc\n")
    rules = root / "rules.yaml"
    rules.write_text(
        "credentials:\n"
        "  cloud:\n"
        f"    plan: {{files: [{root}/plan-half.env], oidc: {{file: {root}/token, variable: TOKEN_FILE}}}}\n"
        f"    apply: {{files: [{root}/apply-half.env]}}\n"
        f"    init: {{netrc: {root}/netrc}}\n"
        "  broken:\n"
        "    plan: {commands: [[/bin/false]]}\n"
        "defaults:\n"
        "  credentials: [{name: cloud, dirs: [net]}, {name: broken, dirs: [bad]}]\n"
    )
    return rules


SAYS = """
resource "terraform_data" "says" {
  provisioner "local-exec" {
    command = "echo profile=$CLOUD_PROFILE key=$CLOUD_KEY netrc=$(cat $HOME/.netrc 2>&1)"
  }
}
"""


def test_a_project_gets_the_half_of_its_phase_and_others_get_nothing(tmp_path: Path) -> None:
    with story(tmp_path, rules=rules_of(tmp_path)) as app, collecting("127.0.0.1") as collector:
        infra = app.repo()
        program = provider(TELLS, {"COLLECTOR": collector.url})
        spy = {"net/main.tf": infra.backend("net") + NEEDS_IT, f"net/{PROVIDER}": program}
        pull = infra.open_pull(by="al", files=spy)
        app.settle()
        assert collector.found["environment"]["CLOUD_PROFILE"] == "planner"
        assert collector.found["environment"]["CLOUD_KEY"] == "planted-plan-half"
        assert collector.found["token"] == ["did", "planted-oidc-token\n"]
        assert "planted-apply-half" not in str(collector.found)
        pull.push(by="al", files={"net/main.tf": infra.backend("net") + SAYS, f"net/{PROVIDER}": None})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        pull.merge(by="al")
        app.settle()
        said = pull.comments()[-1].body
        assert "profile=applier key=*** netrc=cat: " in said
        read = [entry["facts"] for entry in app.audit("credentials.read")]
        assert [each["phase"] for each in read] == ["plan", "plan", "apply"]
        assert all(each["names"] == ["cloud"] for each in read)
        other = infra.open_pull(
            by="al", files={"db/main.tf": infra.backend("db") + NEEDS_IT, f"db/{PROVIDER}": program}
        )
        app.settle()
        assert "CLOUD_PROFILE" not in collector.found["environment"]
        assert app.runs(other)
        kept = app.everything_kept()
        assert not [word for word in kept.split() if "planted-" in word and "half" in word]
        assert "planted-oidc-token" not in kept
        check_afterwards(app)


def test_a_credential_that_cannot_be_had_fails_the_run_with_its_name(tmp_path: Path) -> None:
    with story(tmp_path, rules=rules_of(tmp_path)) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"bad/main.tf": tf(infra.backend("bad"), v=1)})
        app.settle()
        said = pull.comments()[-1].body
        assert "the credential `broken` (plan) cannot be had: `/bin/false` ended with exit code 1" in said
        check_afterwards(app)


def test_what_was_merged_past_the_gates_is_shown_without_apply_credentials(tmp_path: Path) -> None:
    apply_env = tmp_path / "apply.env"
    apply_env.write_text("APPLY_ONLY=planted\n")
    with story(tmp_path, apply_env_file=apply_env) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        apply_env.unlink()  # reading it fails from here on
        pull.merge(by="root")  # nobody approved
        app.settle()
        (run,) = app.runs(pull, "apply")
        assert run.status == "awaiting_approval"
        assert "planned" not in run.error
        apply_env.write_text("APPLY_ONLY=planted\n")
        pull.comment(by="bo", body="prbot approve")
        app.settle()
        assert infra.state("net") == {"v": "1"}
        check_afterwards(app)


def test_an_approved_change_is_planned_with_them(tmp_path: Path) -> None:
    apply_env = tmp_path / "apply.env"
    apply_env.write_text("APPLY_ONLY=planted\n")
    with story(tmp_path, apply_env_file=apply_env) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        apply_env.unlink()
        pull.merge(by="al")
        app.settle()
        (run,) = app.runs(pull, "apply")
        assert "there is no such environment file" in run.error
        check_afterwards(app)
