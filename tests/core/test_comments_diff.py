from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.comments.diff import extract_changes, to_diff

GOLDEN = Path(__file__).parent.parent / "golden"
PLAN = (GOLDEN / "terraform_plan.txt").read_text()
"""What Terraform 1.11.4 prints for every kind of change that it can make without a provider."""


def terraform(site: Path, *args: str) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        ["terraform", *args], cwd=site, env=environment, check=True, text=True, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def test_a_diff_is_as_in_the_golden_file() -> None:
    assert to_diff(extract_changes(PLAN)) + "\n" == (GOLDEN / "terraform_plan.diff").read_text()


def test_what_is_extracted_begins_with_the_changes_and_ends_with_the_warnings() -> None:
    changes = extract_changes(PLAN)
    assert changes.startswith("Terraform will perform the following actions:\n\n  # terraform_data.a will be updated")
    assert changes.endswith("\nit is not so\n- bullet one\n- bullet two")
    assert "Plan: 2 to add, 2 to change, 2 to destroy." in changes
    assert "Changes to Outputs:" in changes
    for noise in ("Refreshing state", "used the selected providers", "~ update in-place", "─────", "Saved the plan"):
        assert noise in PLAN.replace("─" * 77, "─────")
        assert noise not in changes.replace("├────────────────", "")


def test_opentofu_is_understood_too() -> None:
    tofu = PLAN.replace("Terraform", "OpenTofu").replace("terraform apply", "tofu apply")
    assert extract_changes(tofu) == extract_changes(PLAN).replace("Terraform", "OpenTofu")


def test_the_real_engine_prints_what_is_looked_for(tmp_path: Path) -> None:
    main = tmp_path / "main.tf"
    main.write_text('resource "terraform_data" "a" {\n  input = "one\\n- two\\n"\n}\n')
    terraform(tmp_path, "init", "-no-color")
    created = to_diff(extract_changes(terraform(tmp_path, "plan", "-no-color")))
    assert created.startswith("Terraform will perform the following actions:")
    assert '\n+   resource "terraform_data" "a" {\n+       id     = (known after apply)\n' in created
    assert "\n            - two\n" in created
    assert created.endswith("Plan: 1 to add, 0 to change, 0 to destroy.")
    terraform(tmp_path, "apply", "-no-color", "-auto-approve")
    nothing = extract_changes(terraform(tmp_path, "plan", "-no-color"))
    assert nothing.startswith("No changes. Your infrastructure matches the configuration.")
    main.write_text(main.read_text().replace("two", "three") + 'output "o" {\n  value = 1\n}\n')
    changed = to_diff(extract_changes(terraform(tmp_path, "plan", "-no-color", "-out=p")))
    assert "\n-           - two\n+           - three\n" in changed
    assert changed.endswith("Changes to Outputs:\n+   o = 1")


def test_a_failed_plan_keeps_the_error_and_loses_the_progress() -> None:
    output = (
        "a.b: Refreshing state... [id=1]\n\nError: Invalid reference\n\n  on main.tf line 2:\n   2: input = nope.x\n"
    )
    assert extract_changes(output) == "Error: Invalid reference\n\n  on main.tf line 2:\n   2: input = nope.x"


def test_a_warning_before_the_plan_is_kept() -> None:
    output = "Warning: Deprecated\n\nbecause\n\na.b: Refreshing state... [id=1]\n\nNo changes. Fine.\n"
    assert extract_changes(output) == "Warning: Deprecated\n\nbecause\n\n\nNo changes. Fine."


def test_changes_outside_of_terraform_are_kept() -> None:
    rule = "─" * 77
    note = f"Note: Objects have changed outside of Terraform\n\n  # a.b has changed\n\n{rule}\n\n"
    assert extract_changes(f"a.b: Reading...\n\n{note}{PLAN}").startswith("Note: Objects have changed outside")


def test_text_that_looks_like_the_end_of_the_output_hides_nothing() -> None:
    fake = "─" * 77 + "\n\nSaved the plan to: p\n\nhidden\n"
    assert "hidden" in extract_changes(PLAN.replace("it is not so\n", fake))


@pytest.mark.parametrize(
    ("line", "diff"),
    [
        ('  + resource "a" "b" {', '+   resource "a" "b" {'),
        ('  ~ resource "a" "b" {', '!   resource "a" "b" {'),
        ('-/+ resource "a" "b" {', '-/+ resource "a" "b" {'),
        ('+/- resource "a" "b" {', '+/- resource "a" "b" {'),
        (' <= data "a" "b" {', '<=  data "a" "b" {'),
        ("        id = 1", "        id = 1"),
        ("      # (1 unchanged attribute hidden)", "      # (1 unchanged attribute hidden)"),
        ("Plan: 1 to add", "Plan: 1 to add"),
        ("      -5", "      -5"),
    ],
)
def test_a_symbol_moves_to_the_first_column_and_nothing_else_moves(line: str, diff: str) -> None:
    assert to_diff(line) == diff
    assert len(diff) == len(line)


@given(st.lists(st.sampled_from(["  + a = 1", "  ~ b = <<-EOT", "        - text", "      + text", "    EOT", "x", ""])))
def test_a_diff_has_the_same_lines_in_the_same_columns(lines: list[str]) -> None:
    text = "\n".join(lines)
    symbols = str.maketrans("+-~!", "    ")
    for before, after in zip(lines, to_diff(text).split("\n") if lines else [], strict=True):
        assert after.translate(symbols) == before.translate(symbols)
        assert after.replace("!", "~").replace(" ", "") == before.replace(" ", "")
