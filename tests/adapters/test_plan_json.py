"""Plans made by the real engine: what prbot reads out of them.

The plan JSONs under tests/golden/plans were captured here. To capture one anew, delete it and run this file twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from prbot.core.planfile import load_plan, summarise
from prbot.core.plans import Counts
from tests.adapters.plan_project import FAILING, NESTED, EngineFailed, Project, data

GOLDEN = Path(__file__).parents[1] / "golden" / "plans"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.under(tmp_path)


# -- one plan of each kind --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Scenario:
    """A configuration to plan, perhaps after another one was applied, and what the plan must be read as."""

    files: Mapping[str, str]
    resources: tuple[tuple[str, str], ...]
    counts: Counts
    applied: Mapping[str, str] = field(default_factory=dict)
    apply_fails: bool = False


FORGET = "removed {\n  from = terraform_data.a\n  lifecycle {\n    destroy = false\n  }\n}\n"
READ = (
    'data "terraform_remote_state" "other" {\n  backend = "local"\n  config  = { path = terraform_data.a.output }\n}\n'
)

SCENARIOS = {
    "create": Scenario(
        files=NESTED,
        resources=(
            ("terraform_data.web", "create"),
            ('module.side["k.1"].terraform_data.one[0]', "create"),
            ('module.side["k.1"].terraform_data.one[1]', "create"),
            ("output.password", "output"),
            ("output.web", "output"),
        ),
        counts=Counts(add=3, outputs=2),
    ),
    "update": Scenario(
        applied={"main.tf": data("a") + data("still")},
        files={"main.tf": data("a", "two") + data("still")},
        resources=(("terraform_data.a", "update"),),
        counts=Counts(change=1),
    ),
    "replace": Scenario(
        applied={"main.tf": data("a", more='triggers_replace = ["x"]')},
        files={
            "main.tf": data("a", more='triggers_replace = ["y"]\n  lifecycle {\n    create_before_destroy = true\n  }')
        },
        resources=(("terraform_data.a", "replace"),),
        counts=Counts(replace=1),
    ),
    "destroy": Scenario(
        applied={"main.tf": data("a") + data("still")},
        files={"main.tf": data("still")},
        resources=(("terraform_data.a", "delete"),),
        counts=Counts(destroy=1),
    ),
    "move": Scenario(
        applied={"main.tf": data("a")},
        files={"main.tf": data("b") + "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\n"},
        resources=(("terraform_data.b", "move"),),
        counts=Counts(move=1),
    ),
    "move_and_update": Scenario(
        applied={"main.tf": data("a")},
        files={"main.tf": data("b", "two") + "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\n"},
        resources=(("terraform_data.b", "update"),),
        counts=Counts(change=1, move=1),
    ),
    "import": Scenario(
        files={"main.tf": 'resource "terraform_data" "a" {}\nimport {\n  to = terraform_data.a\n  id = "some-id"\n}\n'},
        resources=(("terraform_data.a", "import"),),
        counts=Counts(imports=1),
    ),
    "forget": Scenario(
        applied={"main.tf": data("a")},
        files={"main.tf": FORGET},
        resources=(("terraform_data.a", "forget"),),
        counts=Counts(forget=1),
    ),
    "read": Scenario(
        files={"main.tf": data("a", "/nowhere") + READ},
        resources=(("data.terraform_remote_state.other", "read"), ("terraform_data.a", "create")),
        counts=Counts(add=1),
    ),
    "outputs": Scenario(
        applied={"main.tf": 'output "a" {\n  value = "x"\n}\noutput "b" {\n  value = "x"\n}\n'},
        files={"main.tf": 'output "a" {\n  value = "y"\n}\noutput "c" {\n  value = "x"\n}\n'},
        resources=(("output.a", "output"), ("output.b", "output"), ("output.c", "output")),
        counts=Counts(outputs=3),
    ),
    "tainted": Scenario(
        applied={"main.tf": data("a", more=FAILING)},
        apply_fails=True,
        files={"main.tf": data("a", more=FAILING)},
        resources=(("terraform_data.a", "replace"),),
        counts=Counts(replace=1),
    ),
    "nothing": Scenario(applied={"main.tf": data("a")}, files={"main.tf": data("a")}, resources=(), counts=Counts()),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_plan_of_the_engine_is_read_as_what_it_does(name: str, project: Project) -> None:
    scenario = SCENARIOS[name]
    if scenario.applied:
        project.write(scenario.applied).plan()
        if scenario.apply_fails:
            with pytest.raises(EngineFailed):
                project.apply()
        else:
            project.apply()
    plan = project.write(scenario.files).plan()
    summary = summarise(plan)

    assert summary.resources == scenario.resources
    assert summary.counts == scenario.counts
    assert summary.applyable == bool(scenario.resources)
    assert summary.complete
    assert summary.warnings == ()
    assert counts_printed(project.printed) == as_terraform_counts(summary.counts)
    assert_as_captured(name, project)


def counts_printed(printed: str) -> dict[str, int]:
    """What the engine's own line says: `Plan: 1 to import, 1 to add, 0 to change, 1 to destroy.`"""
    line = re.search(r"^Plan: (.*)\.$", printed, re.MULTILINE)
    found = {word: int(number) for number, word in re.findall(r"(\d+) to (\w+)", line.group(1) if line else "")}
    return {"import": 0, "add": 0, "change": 0, "destroy": 0} | found


def as_terraform_counts(counts: Counts) -> dict[str, int]:
    return {
        "import": counts.imports,
        "add": counts.add + counts.replace,
        "change": counts.change,
        "destroy": counts.destroy + counts.replace,
    }


def assert_as_captured(name: str, project: Project) -> None:
    """The captured plan that other tests read says the same as what the engine says today."""
    captured = GOLDEN / f"{name}.json"
    if not captured.exists():
        captured.write_text(project.run("show", "-json", "plan.bin"))
        pytest.fail(f"captured {captured.name}: look at it, then run again")
    summary, now = summarise(load_plan(captured.read_bytes())), summarise(project.plan())
    assert (summary.resources, summary.counts, summary.applyable) == (now.resources, now.counts, now.applyable)
