"""Which git there is on this machine."""

from __future__ import annotations

from prbot.git.process import GitProgram


def version(program: GitProgram | None = None) -> str:
    """What `git version` prints. Conflict if git cannot be started, and what any git process raises."""
    return (program or GitProgram(timeout=30)).run(["version"]).text
