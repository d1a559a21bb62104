"""A real project for the real engine, with its state outside of the checkout; and configurations to put into it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prbot.core.planfile import load_plan


class EngineFailed(Exception):
    """Terraform ended with an error; the text is what it printed."""


@dataclass
class Project:
    """A directory with a configuration, and its state elsewhere."""

    dir: Path
    state: Path
    printed: str = ""

    @classmethod
    def under(cls, folder: Path) -> Project:
        (folder / "checkout").mkdir()
        return cls(folder / "checkout", folder / "project.tfstate")

    def write(self, files: Mapping[str, str]) -> Project:
        backend = f'terraform {{\n  backend "local" {{\n    path = "{self.state}"\n  }}\n}}\n'
        for old in self.dir.rglob("*.tf"):
            old.unlink()
        for name, text in ({"backend.tf": backend} | dict(files)).items():
            (self.dir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.dir / name).write_text(text)
        return self

    def plan(self) -> dict[str, Any]:
        self.run("init", "-input=false")
        self.printed = self.run("plan", "-input=false", "-out=plan.bin")
        return load_plan(self.run("show", "-json", "plan.bin").encode())

    def apply(self) -> None:
        self.run("apply", "-input=false", "plan.bin")

    def run(self, command: str, *args: str) -> str:
        """What one engine command prints. EngineFailed when it fails."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.dir),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
        }
        done = subprocess.run(
            ["terraform", command, *([] if command == "show" else ["-no-color"]), *args],
            cwd=self.dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise EngineFailed(done.stdout + done.stderr)
        return done.stdout


def data(name: str, value: str = "one", more: str = "") -> str:
    return f'resource "terraform_data" "{name}" {{\n  input = "{value}"\n  {more}\n}}\n'


FAILING = 'provisioner "local-exec" {\n    command = "exit 3"\n  }'
NESTED = {
    "main.tf": """
variable "password" {
  type      = string
  sensitive = true
  default   = "correct horse"
}
variable "pin" {
  type      = number
  sensitive = true
  default   = 90210
}
resource "terraform_data" "web" {
  input = { size = 2, cost = 2.5, quota = 12345678901234567890123, zones = ["a", "b"], password = var.password }
  triggers_replace = [var.pin]
  provisioner "local-exec" {
    command = "echo created"
  }
}
module "side" {
  source   = "./side"
  for_each = toset(["k.1"])
  token    = var.password
}
output "password" {
  value     = var.password
  sensitive = true
}
output "web" {
  value = terraform_data.web.id
}
""",
    "side/main.tf": """
variable "token" {
  sensitive = true
}
variable "salt" {
  default   = "pepper"
  sensitive = true
}
resource "terraform_data" "one" {
  count = 2
  input = "${var.token} ${var.salt}"
  provisioner "local-exec" {
    command = "echo ${count.index}"
  }
}
""",
}
