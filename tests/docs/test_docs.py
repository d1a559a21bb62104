"""What the pages say is so."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from prbot.cli.app import app
from prbot.core.commands import SPECS
from prbot.core.rules import Rules
from prbot.settings import Settings

ROOT = Path(__file__).parents[2]


def rows(text: str) -> set[str]:
    """The names in the first column of a page's tables."""
    return set(re.findall(r"^\| `([A-Za-z_]+)` \|", text, re.MULTILINE))


def test_every_setting_and_rule_is_on_the_page_and_no_other() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert rows(text) == {f"PRBOT_{name.upper()}" for name in Settings.model_fields} | set(Rules.model_fields)


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
