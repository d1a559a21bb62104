"""`prbot lock`: which pull request holds which project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

lock_app = typer.Typer(help="Project locks.", no_args_is_help=True)


@lock_app.callback()
def _lock() -> None:
    """Project locks."""


@lock_app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="JSON, one object a line.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="The settings file.")] = None,
) -> None:
    """Every project that is held: by which pull request, since when, and who waits. And every orphaned one."""
    from prbot.store import orphans, overview
    from prbot.wiring import open_database

    with open_database(config).read() as tx:
        locks, left = overview.locks(tx), orphans.every(tx)
    for lock in locks:
        place = {"repo": lock.project.repo, "dir": lock.project.dir, "workspace": lock.project.workspace}
        since = f"{lock.since:%Y-%m-%dT%H:%M:%SZ}"
        if as_json:
            print(json.dumps({**place, "holder": lock.holder, "since": since, "waiting": list(lock.waiting)}))
        else:
            waiting = ", ".join(f"#{number}" for number in lock.waiting)
            print(
                f"{lock.project.repo}: {lock.project.label}  held by #{lock.holder} since {since}"
                + (f", then {waiting}" if waiting else "")
            )
    for row in left:
        since = f"{row.since:%Y-%m-%dT%H:%M:%SZ}"
        if as_json:
            place = {"repo": row.repo, "dir": row.dir, "workspace": row.workspace}
            print(json.dumps({**place, "orphaned_by": row.pull, "since": since}))
        else:
            by = f"#{row.pull}" if row.pull else "a push"
            print(f"{row.repo}: {row.project.label}  orphaned by {by} since {since}")
