"""Secrets are planted wherever a secret can be found, and code prints them as well as it can: they show nowhere."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path

import requests

from prbot.sandbox.pullrequest import SandboxPull
from tests.faults.workers import WorkerProcess, stage
from tests.flows.app import Story, shared_with_engines

PLAN, APPLY, MODULE = "planted/in+the=plan env", "planted&in?the#apply", "planted-module-token-0123456789"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIplantedfirstline+/=\nMIIplantedsecondline==\n-----END PRIVATE KEY-----"
STATE, OUTPUT = "planted-in-the-state", "planted-in-an-output"

PRINTS = """
resource "terraform_data" "%s" {
  input = "%s"
  triggers_replace = [timestamp()]
  provisioner "local-exec" {
    interpreter = ["/usr/bin/env", "python3", "-c"]
    command = <<-EOT
      import base64, json, os, sys, urllib.parse
      for name, value in sorted(os.environ.items()):
          print(name, value, json.dumps(value), urllib.parse.quote(value), repr(value.encode()))
          print(base64.b64encode(value.encode()).decode(), base64.b64encode(b"u:" + value.encode()).decode())
      sys.stderr.write(os.environ.get("PLANTED", "") + chr(10))
      sys.exit(%d)
    EOT
  }
}
"""


def planted(root: Path) -> dict[str, Path]:
    files = {
        "plan_env_file": f"PLANTED='{PLAN}'\nPLANTED_KEY=\"{KEY.replace(chr(10), chr(92) + 'n')}\"\n",
        "apply_env_file": f"PLANTED='{APPLY}'\nPLANTED_KEY=\"{KEY.replace(chr(10), chr(92) + 'n')}\"\n",
        "module_token_file": MODULE,
    }
    for name, text in files.items():
        (root / name).write_text(text)
        (root / name).chmod(0o600)
    return {name: root / name for name in files}


def forms(secret: str) -> set[str]:
    """A secret as programs print it, and each line of it."""
    lines = [line for line in secret.splitlines() if "planted" in line]
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {*lines, encoded[: len(encoded) // 4 * 4], urllib.parse.quote(lines[0]), json.dumps(lines[0])[1:-1]}


def everything_shown(app: Story, worker: WorkerProcess, pulls: list[SandboxPull]) -> dict[str, str]:
    """All that a person, or another program, can get to see."""
    base = app.hook_url.replace("/webhooks/github", "")
    pages = ["/", "/metrics", "/readyz", *(f"/pulls/{pull.repo_name}/{pull.number}" for pull in pulls)]
    pages += [f"/runs/{run.id}" for run in app.every_run()]
    return {
        "comments": "\n".join(comment.body for pull in pulls for comment in pull.comments()),
        "statuses": json.dumps([pull.statuses() for pull in pulls]),
        "rows": app.everything_kept(),
        "log": worker.log.read_text(errors="replace"),
        "audit": json.dumps(app.audit()),
        **{page: requests.get(base + page, timeout=10).text for page in pages},
        "plans": "\n".join(
            path.read_bytes().decode("latin-1") for path in (app.root / "data" / "plans").rglob("*") if path.is_file()
        ),
    }


def test_no_secret_shows_anywhere(tmp_path: Path) -> None:
    with stage(tmp_path, **planted(tmp_path)) as (app, _):
        infra = app.repo()
        worker = WorkerProcess(app)
        sensitive = (
            f'variable "s" {{\n  sensitive = true\n  default = "{STATE}"\n}}\n'
            'resource "terraform_data" "s" {\n  input = var.s\n}\n'
            f'output "o" {{\n  value = "{OUTPUT}"\n  sensitive = true\n}}\n'
            f'output "e" {{\n  value = regex("^$", var.s)\n  sensitive = true\n}}\n'
        )
        failing = infra.open_pull(by="al", files={"net/main.tf": infra.backend("net") + sensitive})
        app.settle()
        without = sensitive.partition('output "e"')[0]
        failing.push(by="al", files={"net/main.tf": infra.backend("net") + without})
        app.settle()
        printing = {"db/main.tf": infra.backend("db") + PRINTS % ("a", "1", 1)}
        applied = infra.open_pull(by="al", files=printing)
        app.settle()
        for pull in (failing, applied):
            pull.approve(by="bo")
            app.settle()
            pull.merge(by="al")
            app.settle()
        assert worker.end() == 0
        shown = everything_shown(app, worker, [failing, applied])
        assert "***" in shown["comments"]  # they were printed
        secrets = [PLAN, APPLY, KEY, MODULE, STATE, OUTPUT, app.world.token, app.world.webhook_secret]
        for place, text in shown.items():
            for secret in secrets:
                for form in forms(secret) if "planted" in secret else {secret}:
                    assert form not in text, f"{secret!r} as {form!r} in {place}"
    for path in shared_with_engines(tmp_path).rglob("*"):
        assert "planted" not in path.read_text(errors="replace")
