"""What the pages name is there: every command with its options, setting, table, status, file and rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel
from typer.main import get_command

import prbot.store.audit_log
import prbot.store.tables  # noqa: F401  # so that its tables are known
from prbot.cli.app import app as cli
from prbot.core.commands import SPECS, Command, parse
from prbot.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHER_ENVIRONMENT = {"PRBOT_", "PRBOT_CONFIG"}


def marked_code(text: str) -> Iterator[str]:
    """What a page shows as code: every span, and every line of a block."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from (line.strip() for line in re.findall(r"^    \S.*$", text, re.MULTILINE))
    yield from re.findall(r"`([^`\n]+)`", text)


def typed(line: str) -> Iterator[str]:
    """The commands of prbot's in a line that somebody types."""
    for part in re.split(r"&&|\||;|#", line):
        words = part.strip().removeprefix("$ ")
        if re.match(r"prbot [a-z]", words):
            yield words


def is_of_the_terminal(words: list[str]) -> bool:
    """Whether a command line is one of ours, with options that it takes."""
    command, taken = get_command(cli), 0
    for word in words:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        command, taken = inner, taken + 1
    options = {option for param in command.params for option in param.opts} | {"--help"}
    used = {word.split("=")[0].strip("[]") for word in words[taken:] if word.strip("[").startswith("--")}
    return taken > 0 and used <= options


def is_of_a_comment(line: str) -> bool:
    """Whether it is a command that people type on pull requests; what stands in brackets may be left out."""
    plain = re.sub(r"\[-- ARGS\]|\[FINGERPRINT\]", "", line).replace("[", "").replace("]", "")
    found = parse(re.sub(r"-w WORKSPACE", "-w w", plain))
    return len(found) == 1 and isinstance(found[0], Command) and found[0].name in {spec.name for spec in SPECS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_one(page: Path) -> None:
    for code in marked_code(page.read_text()):
        for line in typed(code):
            assert is_of_the_terminal(line.split()[1:]) or is_of_a_comment(line), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_table_and_file_on_a_page_is_there(page: Path) -> None:
    text = page.read_text()
    settings = {f"PRBOT_{name.upper()}" for name in Settings.model_fields} | OTHER_ENVIRONMENT
    assert set(re.findall(r"\bPRBOT_[A-Z_]*", text)) <= settings
    assert set(re.findall(r"`(prbot_[a-z_]+)`", text)) <= set(SQLModel.metadata.tables)
    for path in re.findall(r"`((?:prbot|tests|docs|workflows)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or path in statuses(), path


def statuses() -> set[str]:
    """The names of our commit statuses and of the keys' purposes, which look like paths."""
    found: set[str] = set()
    for source in (ROOT / "prbot").rglob("*.py"):
        found |= set(re.findall(r'"(prbot/[a-z0-9/]+)"', source.read_text()))
    return found
