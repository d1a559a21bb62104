"""Plans made by the real engine: which of them are the same change, and what is within what was approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbot.core.comparison import Verdict, difference, volatile_paths, within
from prbot.core.fingerprint import canonical, fingerprint
from prbot.core.planfile import resource_changes, sensitive_values, summarise
from prbot.core.plans import CanonicalPlan, Counts
from tests.adapters.plan_project import FAILING, NESTED, EngineFailed, Project, data

KEY = bytes(32)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.under(tmp_path)


def canonical_of(plan: dict[str, Any], *volatile: str) -> CanonicalPlan:
    return canonical(plan, volatile)


def print_of(plan: dict[str, Any]) -> str:
    return fingerprint(canonical(plan), "k1", KEY)


# -- the same change, and another one ---------------------------------------------------------------------------------
def test_the_same_change_planned_in_another_checkout_has_the_same_fingerprint(project: Project, tmp_path: Path) -> None:
    first = print_of(project.write(NESTED).plan())
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Project(tmp_path / "elsewhere", project.state).write(NESTED)

    assert print_of(elsewhere.plan()) == first


def test_an_applied_neighbour_does_not_change_a_fingerprint(project: Project) -> None:
    alone = data("a", "one")
    project.write({"main.tf": alone}).plan()
    project.apply()
    reviewed = print_of(project.write({"main.tf": data("a", "two")}).plan())
    project.write({"main.tf": alone + data("neighbour")}).plan()
    project.apply()

    assert print_of(project.write({"main.tf": data("a", "two") + data("neighbour")}).plan()) == reviewed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12345678901234567890123", "12345678901234567890124"),
        ("0.1", "0.10000000000000000000000000000001"),
        ('"1"', "1"),
        ("true", '"true"'),
        ("[]", "{}"),
        ('{ "a.b" = 1 }', "{ a = { b = 1 } }"),
    ],
)
def test_values_that_floats_or_dots_would_confuse_are_told_apart(one: str, other: str, project: Project) -> None:
    plans = [
        print_of(project.write({"main.tf": f'resource "terraform_data" "a" {{\n  input = {value}\n}}\n'}).plan())
        for value in (one, other)
    ]
    assert plans[0] != plans[1]


def test_the_way_a_number_is_written_does_not_matter(project: Project) -> None:
    plans = [
        print_of(project.write({"main.tf": f'output "n" {{\n  value = {value}\n}}\n'}).plan())
        for value in ("1000", "1e3", "1000.0")
    ]
    assert len(set(plans)) == 1


def provisioned(command: str) -> dict[str, str]:
    return {"main.tf": data("a", more=f'provisioner "local-exec" {{\n    command = "{command}"\n  }}')}


def test_a_changed_provisioner_changes_the_fingerprint(project: Project) -> None:
    first = print_of(project.write(provisioned("echo one")).plan())
    assert print_of(project.write(provisioned("echo two")).plan()) != first


def test_the_text_of_a_provisioner_template_is_invisible_as_the_docs_say(project: Project) -> None:
    first = print_of(project.write(provisioned("echo one ${self.id}")).plan())
    assert print_of(project.write(provisioned("echo two ${self.id}")).plan()) == first
    assert print_of(project.write(provisioned("echo two ${self.output}")).plan()) != first


def test_a_provisioner_in_a_module_with_instances_is_found(project: Project) -> None:
    first = print_of(project.write(NESTED).plan())
    changed = NESTED | {"side/main.tf": NESTED["side/main.tf"].replace("${count.index}", "something else")}
    assert print_of(project.write(changed).plan()) != first


def test_a_time_stamp_named_as_volatile_does_not_change_the_fingerprint(project: Project) -> None:
    project.write({"main.tf": data("a").replace('"one"', "{ at = plantimestamp(), size = 1 }")})
    first = second = project.plan()
    for _ in range(50):
        if second["timestamp"] != first["timestamp"]:
            break
        second = project.plan()
    glob = "terraform_data.*.input.at"

    assert canonical_of(first) != canonical_of(second)
    assert canonical_of(first, glob) == canonical_of(second, glob)
    assert volatile_paths(canonical_of(first, glob)) == ("terraform_data.a.input.at",)


# -- after a failed apply ---------------------------------------------------------------------------------------------
USES_A = data("b", more=FAILING).replace('"one"', "terraform_data.a.id")


def test_what_is_left_of_a_failed_apply_lies_within_what_was_approved(project: Project) -> None:
    """`a` was created; `b` is tainted, and what it takes from `a` is known by now."""
    files = {"main.tf": data("a") + USES_A}
    approved = canonical_of(project.write(files).plan())
    with pytest.raises(EngineFailed):
        project.apply()
    fresh = canonical_of(project.plan())

    assert within(approved, fresh, tainted=frozenset({"terraform_data.b"})) is Verdict.SUBSET
    assert within(approved, fresh) is Verdict.DIFFERENT
    assert within(approved, fresh, tainted=frozenset({"terraform_data.a"})) is Verdict.DIFFERENT


def test_a_tainted_object_that_would_come_back_otherwise_was_not_approved(project: Project) -> None:
    approved = canonical_of(project.write({"main.tf": data("a", "one", FAILING)}).plan())
    with pytest.raises(EngineFailed):
        project.apply()
    fresh = canonical_of(project.write({"main.tf": data("a", "two", FAILING)}).plan())

    assert within(approved, fresh, tainted=frozenset({"terraform_data.a"})) is Verdict.DIFFERENT


def test_an_object_that_a_failed_replace_left_behind_is_told_from_its_successor(project: Project) -> None:
    def config(trigger: str, more: str) -> dict[str, str]:
        lasting = "lifecycle {\n    create_before_destroy = true\n  }"
        return {"main.tf": data("a", more=f'triggers_replace = ["{trigger}"]\n  {lasting}\n  {more}')}

    project.write(config("x", "")).plan()
    project.apply()
    approved = canonical_of(project.write(config("y", FAILING)).plan())
    with pytest.raises(EngineFailed):
        project.apply()
    plan = project.plan()
    old = next(item.deposed for item in resource_changes(plan) if item.deposed)

    assert summarise(plan).counts == Counts(replace=1, destroy=1)
    found = {item.address: (item.approved, item.now) for item in difference(approved, canonical_of(plan))}
    assert found == {
        "terraform_data.a": ("replace, creating first", "replace, creating first"),
        f"terraform_data.a (deposed {old})": (None, "delete"),
    }


def test_the_difference_names_what_differs_and_no_secret(project: Project) -> None:
    secret = 'resource "terraform_data" "a" {{\n  input = sensitive({{ {key} = "{value}" }})\n}}\n'
    project.write({"main.tf": secret.format(key="hushhush", value="first secret")}).plan()
    project.apply()
    approved = project.write({"main.tf": secret.format(key="hushhush", value="second secret")}).plan()
    fresh = project.write({"main.tf": secret.format(key="othersecret", value="third secret") + data("b")}).plan()
    found = difference(canonical_of(approved), canonical_of(fresh))

    assert [(item.address, item.approved, item.now, item.paths) for item in found] == [
        ("terraform_data.a", "update", "update", ("input",)),
        ("terraform_data.b", None, "create", ()),
    ]
    assert {"first secret", "second secret"} <= sensitive_values(approved)


def test_every_sensitive_value_of_a_plan_is_known_for_masking(project: Project) -> None:
    assert sensitive_values(project.write(NESTED).plan()) == {
        "correct horse",
        "90210",
        "pepper",
        "correct horse pepper",
    }
