"""Which pull requests prbot plans for."""

from __future__ import annotations

from fnmatch import fnmatchcase

from prbot.core.pulls import Pull
from prbot.core.rules import Rules


def governed(rules: Rules, pull: Pull) -> bool:
    """Whether the base is the default branch, or one that the rules list."""
    return pull.base_branch == pull.default_branch or any(
        fnmatchcase(pull.base_branch, glob) for glob in rules.branches
    )
