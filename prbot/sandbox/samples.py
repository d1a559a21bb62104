"""Sample infrastructure that needs no cloud: `terraform_data`, outputs, and a state kept outside of the checkout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path


def http_backend(url: str, repo: str, directory: str) -> str:
    """A `terraform` block that keeps the state of a directory at the stand-in of that `url`, under its lock."""
    address = f"{url}/_state/{state_key(repo, directory)}"
    return _block("http", {"address": address, "lock_address": address, "unlock_address": address})


def local_backend(root: Path, repo: str, directory: str) -> str:
    """The same in files below `root`, which must be absolute. Unlike the http backend, it knows workspaces."""
    path, workspaces = local_state_paths(root, repo, directory)
    return _block("local", {"path": str(path), "workspace_dir": str(workspaces)})


def local_state_paths(root: Path, repo: str, directory: str) -> tuple[Path, Path]:
    """Where `local_backend` keeps the state of the default workspace, and the directory of the others'."""
    place = root / state_key(repo, directory)
    return place / "terraform.tfstate", place / "workspaces"


def project(backend: str, outputs: Mapping[str, object]) -> str:
    """A `main.tf` with one `terraform_data` for each output, which it passes on."""
    return backend + "".join(
        f"""
resource "terraform_data" "{name}" {{
  input = {json.dumps(value)}
}}

output "{name}" {{
  value = terraform_data.{name}.output
}}
"""
        for name, value in outputs.items()
    )


def acme(backend: Callable[[str], str]) -> dict[str, str]:
    """The files of a small company's infrastructure: two projects, of which one calls a module.

    `backend` gives the `terraform` block for a directory.
    """
    return {
        "README.md": "# Acme's infrastructure\n\n`network` and `dns`; shared code is in `modules`.\n",
        "network/main.tf": network(backend("network"), cidr="10.0.0.0/16"),
        "dns/main.tf": _DNS % backend("dns"),
        "modules/record/main.tf": _RECORD,
    }


def network(backend: str, *, cidr: str) -> str:
    """The `main.tf` of the sample's network; changing `cidr` changes the network and its subnets."""
    return _NETWORK % (backend, json.dumps(cidr))


def state_key(repo: str, directory: str) -> str:
    """What a directory's state is called; `root` stands for the repository's root."""
    return f"{repo}/root" if directory in ("", ".") else f"{repo}/{directory}"


def _block(kind: str, settings: Mapping[str, str]) -> str:
    lines = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in settings.items())
    return f'terraform {{\n  backend "{kind}" {{\n{lines}  }}\n}}\n'


_NETWORK = """%s
locals {
  cidr = %s
}

resource "terraform_data" "network" {
  input = { cidr = local.cidr, region = "eu-north-1" }
}

resource "terraform_data" "subnet" {
  for_each = toset(["a", "b"])
  input    = { network = terraform_data.network.output.cidr, zone = each.key }
}

output "cidr" {
  value = terraform_data.network.output.cidr
}

output "subnets" {
  value = sort(keys(terraform_data.subnet))
}
"""

_DNS = """%s
module "www" {
  source  = "../modules/record"
  name    = "www.acme.example"
  address = "192.0.2.10"
}

output "www" {
  value = module.www.value
}
"""

_RECORD = """variable "name" {
  type = string
}

variable "address" {
  type = string
}

resource "terraform_data" "record" {
  input = "${var.name} A ${var.address}"
}

output "value" {
  value = terraform_data.record.output
}
"""
