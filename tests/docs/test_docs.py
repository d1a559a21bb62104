"""What the pages say is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.main import get_command

from prbot.cli.app import app
from prbot.core.commands import SPECS
from prbot.core.rules import Rules
from prbot.rules_file import RulesFile
from prbot.settings import Settings

ROOT = Path(__file__).parents[2]


def rows(text: str) -> set[str]:
    """The names in the first column of a page's tables."""
    return set(re.findall(r"^\| `([A-Za-z_.]+)` \|", text, re.MULTILINE))


def rules_with_defaults() -> dict[str, object]:
    """`approvals` → 1, `limits.memory` → 4096, …: one level of nesting, as the page has them."""
    found: dict[str, object] = {}
    for name, value in Rules().model_dump(mode="json").items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return found


def test_every_setting_and_rule_is_on_the_page_and_no_other() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert rows(text) == {f"PRBOT_{name.upper()}" for name in Settings.model_fields} | set(rules_with_defaults())


def test_the_page_says_the_default_of_every_rule() -> None:
    said = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+?) \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    for name, default in rules_with_defaults().items():
        if name.startswith("who."):
            assert (said[name], default) == ("write access", {"role": "write", "users": None})
        else:
            assert said[name] == f"`{default if isinstance(default, str) else json.dumps(default)}`"


def test_the_rules_on_the_page_are_good_ones(tmp_path: Path) -> None:
    text = (ROOT / "docs/settings.md").read_text()
    whole, *_ = re.findall(r"^```yaml\n(credentials:.+?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "rules.yaml"
    file.write_text(whole)
    rules = RulesFile(file)
    assert (rules("acme/infra-eu").limits.memory, rules("acme/sandbox").approvals) == (8192, 0)


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for spec in SPECS:
        assert f"`prbot {spec.name}" in text


def test_every_link_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_prbot_command_in_the_readmes_examples_exists() -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    typed = {word for _, block in blocks for word in re.findall(r"(?:^|&& )prbot ([a-z-]+)", block, re.MULTILINE)}
    known = getattr(get_command(app), "commands", {})
    assert {"init", "doctor", "serve"} <= typed
    assert typed <= set(known)


def test_every_test_that_the_threat_model_names_is_there() -> None:
    text = (ROOT / "docs/threat-model.md").read_text() + (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:    )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named <= there, sorted(named - there)
