"""Repositories as prbot reads them: mirrors, merge results and checkouts, by the git command line."""

from __future__ import annotations

from prbot.git.mirrors import GitMirrors

__all__ = ["GitMirrors"]
