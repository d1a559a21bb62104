"""The engine's steps, on the real Terraform."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prbot.core.plans import Seal, StatePosition
from prbot.ports import Conflict, HeldSlot, Limits, Site, StepResult
from prbot.terraform.engine import CommandLine, TerraformEngine

Configure = Callable[..., None]

ONE = 'resource "terraform_data" "one" { input = "x" }\n'
SLOT = HeldSlot("slot")
KEY = b"k" * 32


def ignore(line: str) -> None:
    pass


def seal_of(plan_file: Path) -> Seal:
    digest = "sha256:" + hashlib.sha256(plan_file.read_bytes()).hexdigest()
    return Seal("head", "base", "tree", "sha256:in", "k1:f", digest, None)


class Terminal:
    """Runs steps at a site as a run does, one after the other."""

    def __init__(self, engine: TerraformEngine, site: Site, limits: Limits) -> None:
        self.engine, self.site, self.limits = engine, site, limits

    def init(self) -> StepResult:
        result = self.engine.init(self.site, self.limits, ignore)
        assert result.ok, result.output
        return result

    def plan(self, name: str = "plan", **options: object) -> Path:
        out = self.site.tmp_dir / name
        result = self.engine.plan(self.site, out, self.limits, ignore, **options)  # type: ignore[arg-type]
        assert result.ok, result.output
        return out

    def apply(self, plan_file: Path, on_line: Callable[[str], None] = ignore) -> StepResult:
        return self.engine.apply(self.site, plan_file, self.limits, on_line, slot=SLOT, seal=seal_of(plan_file))


@pytest.fixture
def terminal(engine: TerraformEngine, site: Site, limits: Limits) -> Terminal:
    return Terminal(engine, site, limits)


# -- plan, show, apply ------------------------------------------------------------------------------------------------
def test_a_project_is_planned_shown_applied_and_then_has_nothing_left_to_do(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    terminal.init()
    plan_file = terminal.plan()
    result, shown = terminal.engine.show(terminal.site, plan_file, terminal.limits)
    assert (result.ok, result.output) == (True, "")
    assert [change["change"]["actions"] for change in shown["resource_changes"]] == [["create"]]
    assert terminal.apply(plan_file).ok
    state = json.loads((tmp_path / "state" / "default.tfstate").read_text())
    assert state["resources"][0]["name"] == "one"

    again = terminal.engine.plan(terminal.site, plan_file, terminal.limits, ignore)
    assert (again.ok, again.exit_code) == (True, 0)


def test_a_plan_that_does_something_has_exit_code_two_and_is_good(terminal: Terminal, configure: Configure) -> None:
    configure(ONE)
    terminal.init()
    lines: list[str] = []
    result = terminal.engine.plan(terminal.site, terminal.site.tmp_dir / "p", terminal.limits, lines.append)
    assert (result.step, result.ending, result.exit_code) == ("plan", "ok", 2)
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in lines
    assert result.output == "".join(f"{line}\n" for line in lines)
    assert "\x1b" not in result.output


def test_a_mistake_in_the_configuration_is_a_result_with_the_engines_own_words(
    terminal: Terminal, configure: Configure
) -> None:
    configure('resource "terraform_data" "one" { nonsense = 1 }\n')
    terminal.init()
    result = terminal.engine.plan(terminal.site, terminal.site.tmp_dir / "p", terminal.limits, ignore)
    assert (result.ending, result.exit_code) == ("failed", 1)
    assert "Error: Unsupported argument" in result.output


def test_show_of_something_that_is_no_plan_is_a_result(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    (tmp_path / "junk").write_text("junk")
    result, shown = terminal.engine.show(terminal.site, tmp_path / "junk", terminal.limits)
    assert (result.ending, shown) == ("failed", {})


def test_a_plan_file_that_is_not_the_sealed_one_is_not_applied(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    terminal.init()
    plan_file = terminal.plan()
    seal = seal_of(plan_file)
    plan_file.write_bytes(plan_file.read_bytes() + b"\0")
    with pytest.raises(Conflict, match="the plan file is not the one that was sealed"):
        terminal.engine.apply(terminal.site, plan_file, terminal.limits, ignore, slot=SLOT, seal=seal)
    plan_file.unlink()
    with pytest.raises(Conflict, match="the plan file can't be read: No such file"):
        terminal.engine.apply(terminal.site, plan_file, terminal.limits, ignore, slot=SLOT, seal=seal)
    assert not (tmp_path / "state" / "default.tfstate").exists()


def test_a_plan_whose_state_has_moved_is_recognised_as_stale(terminal: Terminal, configure: Configure) -> None:
    configure(ONE)
    terminal.init()
    first, second = terminal.plan("first"), terminal.plan("second")
    applied, refused = terminal.apply(first), terminal.apply(second)
    assert (applied.ok, terminal.engine.stale(applied)) == (True, False)
    assert (refused.ok, terminal.engine.stale(refused)) == (False, True)


def test_a_failing_apply_that_talks_of_staleness_is_not_believed(terminal: Terminal, configure: Configure) -> None:
    message = "no\\n\\nError: Saved plan is stale\\n"
    configure(
        'resource "terraform_data" "one" {\n'
        f'  lifecycle {{\n postcondition {{\n condition = self.id == "?"\n error_message = "{message}"\n }}\n }}\n'
        '  provisioner "local-exec" { command = "echo; echo Error: Saved plan is stale" }\n}\n'
    )
    terminal.init()
    result = terminal.apply(terminal.plan())
    assert result.ending == "failed"
    assert "\nError: Saved plan is stale" in result.output
    assert not terminal.engine.stale(result)


EPHEMERAL = """variable "a" {
  ephemeral = true
}
variable "b" {
  ephemeral = true
  default   = "unset"
}
variable "c" {}
resource "terraform_data" "one" {
  input = var.c
  provisioner "local-exec" {
    command = "true"
  }
}
"""
AS_JSON = """{"variable": {"a": {"ephemeral": true}, "b": {"default": "unset", "ephemeral": true}, "c": {}},
 "resource": {"terraform_data": {"one": {"input": "${var.c}"}}}}"""


@pytest.mark.parametrize("as_json", [False, True])
def test_ephemeral_variables_are_given_again_to_the_apply(
    terminal: Terminal, configure: Configure, tmp_path: Path, as_json: bool
) -> None:
    configure("" if as_json else EPHEMERAL)
    if as_json:
        (terminal.site.dir / "more.tf.json").write_text(AS_JSON)
    (tmp_path / "some.tfvars").write_text('a = "from-file"\nc = "overridden"\nundeclared = 1\n')
    (tmp_path / "more.tfvars").write_text('c = "more"\n')
    terminal.init()
    given: dict[str, Any] = {
        "var_files": [str(tmp_path / "some.tfvars"), str(tmp_path / "more.tfvars")],
        "extra_args": ["-var=b=extra", "-refresh=true"],
    }
    plan_file = terminal.plan(**given)
    result = terminal.engine.apply(
        terminal.site, plan_file, terminal.limits, ignore, slot=SLOT, seal=seal_of(plan_file), **given
    )
    assert result.ok, result.output


def test_variable_files_and_extra_arguments_reach_the_plan_and_ours_win(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure('variable "a" {}\nvariable "b" {}\nresource "terraform_data" "one" { input = "${var.a}-${var.b}" }\n')
    (tmp_path / "some.tfvars").write_text('a = "from-file"\n')
    terminal.init()
    plan_file = terminal.plan(
        var_files=[str(tmp_path / "some.tfvars")], extra_args=["-var=b=extra", "-out=/dev/null", "-input=true"]
    )
    _, shown = terminal.engine.show(terminal.site, plan_file, terminal.limits)
    assert shown["resource_changes"][0]["change"]["after"]["input"] == "from-file-extra"


# -- what the process sees --------------------------------------------------------------------------------------------
def test_the_engine_and_its_provisioners_see_the_phases_environment_and_nothing_of_the_server(
    terminal: Terminal, configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRBOT_GITHUB_TOKEN", "server-secret")
    monkeypatch.setenv("TF_VAR_stolen", "server-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "server-secret")
    terminal.site = dataclasses.replace(terminal.site, environment={"CLOUD_KEY": "phase-secret", "TF_INPUT": "1"})
    configure(
        f'resource "terraform_data" "one" {{\n provisioner "local-exec" {{ command = "env > {tmp_path}/env" }}\n}}\n'
    )
    terminal.init()
    assert terminal.apply(terminal.plan()).ok
    seen = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    for shells_own in ("PWD", "OLDPWD", "SHLVL", "_"):
        seen.pop(shells_own, None)
    assert seen == {
        "CHECKPOINT_DISABLE": "1",
        "CLOUD_KEY": "phase-secret",
        "GOGC": "400",
        "HOME": str(terminal.site.tmp_dir),
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TF_DATA_DIR": str(terminal.site.data_dir),
        "TF_INPUT": "0",
        "TF_IN_AUTOMATION": "1",
        "TF_WORKSPACE": "default",
        "TMPDIR": str(terminal.site.tmp_dir),
    }
    assert "phase-secret" not in repr(terminal.site)


def test_the_checkout_stays_clean(terminal: Terminal, configure: Configure) -> None:
    configure(ONE)
    terminal.init()
    assert terminal.apply(terminal.plan()).ok
    assert sorted(path.name for path in terminal.site.dir.iterdir()) == ["backend.tf", "main.tf"]


# -- interruption -----------------------------------------------------------------------------------------------------
def test_a_cancel_ends_an_apply_with_a_long_provisioner_and_saves_what_was_done(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(
        ONE + 'resource "terraform_data" "slow" {\n depends_on = [terraform_data.one]\n'
        f' provisioner "local-exec" {{ command = "echo $$ > {tmp_path}/pid; echo sleeping; exec sleep 300" }}\n}}\n'
    )
    terminal.init()
    plan_file = terminal.plan()

    def cancel_when_it_sleeps(line: str) -> None:
        if line.endswith("(local-exec): sleeping"):
            terminal.limits.cancel.set()

    result = terminal.apply(plan_file, cancel_when_it_sleeps)
    assert (result.ending, result.exit_code) == ("cancelled", 1)
    assert result.output.count("Interrupt received.") == 1
    assert result.seconds < 10
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
    state = json.loads((tmp_path / "state" / "default.tfstate").read_text())
    assert {resource["name"] for resource in state["resources"]} == {"one", "slow"}
    assert not list((tmp_path / "state").glob(".*.lock.info"))


def test_a_provisioners_child_in_the_background_is_gone_when_the_apply_is(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(
        'resource "terraform_data" "one" {\n'
        f' provisioner "local-exec" {{ command = "sleep 300 >/dev/null 2>&1 & echo $! > {tmp_path}/pid" }}\n}}\n'
    )
    terminal.init()
    result = terminal.apply(terminal.plan())
    assert result.ok
    assert result.seconds < 10
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_step_that_takes_too_long_times_out(terminal: Terminal, configure: Configure) -> None:
    configure('resource "terraform_data" "one" {\n provisioner "local-exec" { command = "exec sleep 300" }\n}\n')
    terminal.init()
    plan_file = terminal.plan()
    terminal.limits = Limits(threading.Event(), timeout=0.5)
    result = terminal.apply(plan_file)
    assert result.ending == "timeout"
    assert result.seconds < 10


def test_the_holder_of_the_state_lock_is_told_and_waiting_for_it_can_be_cancelled(
    site: Site, limits: Limits, configure: Configure, tmp_path: Path
) -> None:
    configure(
        'resource "terraform_data" "one" {\n provisioner "local-exec" { command = "cat ' + f"{tmp_path}/go" + '" }\n}\n'
    )
    os.mkfifo(tmp_path / "go")
    holder, impatient = Terminal(TerraformEngine(), site, limits), TerraformEngine(lock_timeout=0)
    patient = TerraformEngine(lock_timeout=300)
    holder.init()
    plan_file = holder.plan()
    applying = threading.Event()

    def watch(line: str) -> None:
        if "Provisioning with" in line:
            applying.set()

    results: list[StepResult] = []
    thread = threading.Thread(target=lambda: results.append(holder.apply(plan_file, watch)))
    thread.start()
    try:
        assert applying.wait(20)
        out = site.tmp_dir / "other"
        refused = impatient.plan(site, out, limits, ignore)
        lock = impatient.state_lock(refused)
        assert lock is not None
        assert (lock.operation, bool(lock.who), len(lock.id)) == ("OperationTypeApply", True, 36)
        assert impatient.plan(site, out, limits, ignore, lock=False).ok

        cancel = threading.Event()
        threading.Timer(0.5, cancel.set).start()
        waited = patient.plan(site, out, Limits(cancel, timeout=60), ignore)
        assert waited.ending == "cancelled"
        assert waited.seconds < 10
    finally:
        (tmp_path / "go").write_text("on\n")
        thread.join(20)
    assert results[0].ok
    assert impatient.state_lock(results[0]) is None


# -- workspaces and init ----------------------------------------------------------------------------------------------
def test_a_workspace_that_does_not_exist_yet_begins_with_its_first_plan(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    base = terminal.site
    for workspace in ("staging", "test", "production"):
        terminal.site = dataclasses.replace(base, workspace=workspace, data_dir=base.data_dir / workspace)
        terminal.init()
        assert terminal.apply(terminal.plan()).ok
    states = (tmp_path / "state" / "workspaces").glob("*/terraform.tfstate")
    assert sorted(path.parent.name for path in states) == ["production", "staging", "test"]


def test_init_is_needed_until_it_was_done_and_again_when_something_it_looks_at_changes(
    terminal: Terminal, configure: Configure
) -> None:
    needed = terminal.engine.init_needed
    module = terminal.site.dir.parent / "module"
    module.mkdir()
    (module / "main.tf").write_text(ONE)
    configure('module "m" { source = "../module" }\n')
    assert needed(terminal.site)
    terminal.init()
    assert not needed(terminal.site)
    assert needed(dataclasses.replace(terminal.site, workspace="staging"))

    (terminal.site.dir / "README.md").write_text("no configuration")
    assert not needed(terminal.site)
    (module / "main.tf").write_text(ONE + 'output "x" { value = 1 }\n')
    assert needed(terminal.site)
    terminal.init()
    assert not needed(terminal.site)
    (terminal.site.dir / ".terraform.lock.hcl").write_text("# changed\n")
    assert needed(terminal.site)
    terminal.init()
    (terminal.site.dir / "link.tf").symlink_to("/dev/zero")
    assert needed(terminal.site)


def test_a_failed_init_does_not_count(terminal: Terminal, configure: Configure) -> None:
    configure('module "m" { source = "./missing" }\n')
    result = terminal.engine.init(terminal.site, terminal.limits, ignore)
    assert result.ending == "failed"
    assert terminal.engine.init_needed(terminal.site)


def test_a_changed_backend_is_taken_as_it_is_and_no_state_is_moved(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    terminal.init()
    assert terminal.apply(terminal.plan()).ok
    backend = terminal.site.dir / "backend.tf"
    backend.write_text(backend.read_text().replace("default.tfstate", "other.tfstate"))
    terminal.init()
    plan_file = terminal.plan()
    assert not (tmp_path / "state" / "other.tfstate").exists()
    assert terminal.engine.basis(terminal.site, plan_file, KEY).state == StatePosition(None, None)


def test_inits_that_share_a_provider_cache_take_turns(
    site: Site, limits: Limits, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    log, program = tmp_path / "log", tmp_path / "terraform"
    real = shutil.which("terraform")
    wrapper = f'echo begin >> {log}; {real} "$@"; code=$?; echo end >> {log}; exit $code'
    program.write_text(f'#!/bin/sh\n[ "$1" = init ] || exec {real} "$@"\n{wrapper}\n')
    program.chmod(0o755)
    engine = TerraformEngine(str(program), provider_cache=tmp_path / "cache")
    sites = [dataclasses.replace(site, data_dir=tmp_path / f"data{n}") for n in range(3)]
    threads = [threading.Thread(target=engine.init, args=(one, limits, ignore)) for one in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert log.read_text().split() == ["begin", "end"] * 3


def test_waiting_for_the_provider_cache_can_be_cancelled(site: Site, configure: Configure, tmp_path: Path) -> None:
    configure(ONE)
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    program = tmp_path / "terraform"
    program.write_text(f'#!/bin/sh\n[ "$1" != init ] || cat {hold}; echo Terraform v1.11.4\n')
    program.chmod(0o755)
    slow = TerraformEngine(str(program), provider_cache=tmp_path / "cache")
    thread = threading.Thread(target=slow.init, args=(site, Limits(threading.Event(), 20), ignore))
    thread.start()
    try:
        with hold.open("w"):  # opens once the first init reads it, and so has its turn
            cancel = threading.Event()
            threading.Timer(0.2, cancel.set).start()
            begun = time.monotonic()
            engine = TerraformEngine(provider_cache=tmp_path / "cache")
            result = engine.init(site, Limits(cancel, timeout=20), ignore)
            assert result.ending == "cancelled"
            assert time.monotonic() - begun < 5
    finally:
        thread.join(20)


# -- what a plan rests on ---------------------------------------------------------------------------------------------
def test_the_basis_of_a_plan_tells_lineage_and_serial_of_its_state(
    terminal: Terminal, configure: Configure, tmp_path: Path
) -> None:
    configure(ONE)
    terminal.init()
    plan_file = terminal.plan()
    assert terminal.engine.basis(terminal.site, plan_file, KEY).state == StatePosition(None, None)
    assert terminal.apply(plan_file).ok
    state = json.loads((tmp_path / "state" / "default.tfstate").read_text())
    basis = terminal.engine.basis(terminal.site, terminal.plan(), KEY)
    assert basis.state == StatePosition(state["lineage"], state["serial"])


def test_the_basis_of_a_plan_tells_the_backend_by_a_keyed_digest(terminal: Terminal, configure: Configure) -> None:
    configure(ONE)
    terminal.init()
    plan_file = terminal.plan()
    one, same = (terminal.engine.basis(terminal.site, plan_file, KEY).backend for _ in range(2))
    other_key = terminal.engine.basis(terminal.site, plan_file, b"other").backend
    backend = terminal.site.dir / "backend.tf"
    backend.write_text(backend.read_text().replace("default.tfstate", "other.tfstate"))
    terminal.init()
    other_state = terminal.engine.basis(terminal.site, plan_file, KEY).backend
    assert one.startswith("local:")
    assert len(one) == len("local:") + 64
    assert one == same
    assert len({one, other_key, other_state}) == 3


# -- command lines ----------------------------------------------------------------------------------------------------
def test_a_positional_value_is_never_taken_for_an_option() -> None:
    with pytest.raises(ValueError, match="would be taken for an option"):
        CommandLine(Path("/bin/terraform")).build("apply", "-destroy")


def test_python_terraform_builds_command_lines_and_does_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "terraform.tfstate").write_text("not JSON: reading it would fail")
    commands = CommandLine(Path("/bin/terraform"))
    assert commands.build("show", "p", json=True, out=None) == ["/bin/terraform", "show", "-json=true", "p"]
    with pytest.raises(AttributeError):
        commands.force_unlock("id")
    with pytest.raises(TypeError):
        commands.destroy()
    with pytest.raises(TypeError):
        commands.create_workspace("x")
