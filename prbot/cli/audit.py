"""`prbot audit`: search the audit log, and verify it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from prbot.audit import query as search
from prbot.audit.entries import Entry, utc_milliseconds
from prbot.audit.keys import BadKey, VerifierKey
from prbot.audit.query import Filter, Logged
from prbot.audit.verify import Report, verify
from prbot.audit.vocabulary import ACTIONS, OUTCOMES
from prbot.store.database import Database

audit_app = typer.Typer(help="Search the audit log, and verify it.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="The settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]


@audit_app.command("query")
def query_command(
    since: Annotated[str | None, typer.Option(help="From this time on: 2026-11-20, 2026-11-20T12:00Z (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it: a login, or prbot.")] = None,
    repo: Annotated[str | None, typer.Option(help="owner/name.")] = None,
    pull: Annotated[int | None, typer.Option(help="The pull request's number.", min=1)] = None,
    project: Annotated[str | None, typer.Option(help="The project's directory.")] = None,
    workspace: Annotated[str | None, typer.Option(help="The project's Terraform workspace.")] = None,
    resource: Annotated[str | None, typer.Option(help="A resource's or module's address, with all in it.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as apply.finished, or apply for all of those.")] = None,
    outcome: Annotated[str | None, typer.Option(help=", ".join(OUTCOMES))] = None,
    run: Annotated[str | None, typer.Option(help="A run's id.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=100_000)] = 100,
    cursor: Annotated[int | None, typer.Option(help="Go on before this entry.", min=0)] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Entries of the audit log that meet all that is given, newest first."""
    from prbot.wiring import open_database

    wanted = Filter(
        since=_time("--since", since), until=_time("--until", until), actor=actor, repo=repo, pull=pull, dir=project,
        workspace=workspace, resource=resource, action=_action(action), outcome=_outcome(outcome), run=run,
    )  # fmt: skip
    out = typer.get_text_stream("stdout")
    raise typer.Exit(run_query(open_database(config), wanted, out, before=cursor, limit=limit, as_json=as_json))


@audit_app.command("verify")
def verify_command(
    kept: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint that was kept outside.", exists=True, dir_okay=False),
    ] = None,
    public_key: Annotated[
        list[str] | None, typer.Option(help="Trust this public key, and not those of the server.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Compute the whole audit log anew from its entries, and compare it with every hash and signature."""
    from prbot.wiring import audit_public_keys, open_database

    verifiers = [_public_key(text) for text in public_key or ()] or audit_public_keys(config)
    out = typer.get_text_stream("stdout")
    raise typer.Exit(run_verify(open_database(config), verifiers, out, kept=kept or (), as_json=as_json))


def run_query(
    db: Database, wanted: Filter, out: TextIO, *, before: int | None = None, limit: int = 100, as_json: bool = False
) -> int:
    """Print the entries that fit, and return the exit code: 0, also when there are none."""
    found = search.find(db, wanted, before=before, limit=limit)
    for each in found:
        print(each.as_json() if as_json else _row(each), file=out)
    if not as_json and len(found) == limit and found[-1].seq > 0:
        print(f"There may be more: --cursor {found[-1].seq}", file=out)
    return 0


def run_verify(
    db: Database, verifiers: Sequence[VerifierKey], out: TextIO, *, kept: Sequence[Path] = (), as_json: bool = False
) -> int:
    """Print what a verification found, and return the exit code: 0 if all holds, else 1."""
    notes = {str(path): path.read_text(encoding="utf-8", errors="replace") for path in kept}
    report = verify(db, verifiers, now=datetime.now(UTC), kept=notes)
    print(json.dumps(report.as_json()) if as_json else _verdict(report, verifiers), file=out)
    return 0 if report.ok else 1


# -- what people read -------------------------------------------------------------------------------------------------
def _row(found: Logged) -> str:
    if found.entry is None:
        return f"{found.seq:>7}  DAMAGED; see prbot audit verify"
    entry = found.entry
    columns = (
        f"{found.seq:>7}",
        entry.time,
        f"{entry.action:<20}",
        f"{entry.outcome:<7}",
        f"{entry.actor.name:<16}",
        _place(entry),
        entry.run or "",
    )
    return _printable("  ".join(columns).rstrip())


def _place(entry: Entry) -> str:
    place = entry.repo or "-"
    if entry.pull is not None:
        place += f"#{entry.pull}"
    if entry.project is not None:
        place += f" {entry.project.dir}"
        if entry.project.workspace != "default":
            place += f" ({entry.project.workspace})"
    return place


def _verdict(report: Report, verifiers: Sequence[VerifierKey]) -> str:
    lines = [str(problem) for problem in report.problems]
    if report.unlisted:
        lines.append(f"… and {report.unlisted} problems more")
    if report.ok:
        lines.append(f"The audit log holds: {report.size} entries, {report.checkpoints} checkpoints.")
        lines += [f"Trusted: {key}" for key in verifiers]
    else:
        lines.append(f"The audit log does NOT hold. Problems: {len(report.problems) + report.unlisted}.")
    return "\n".join(_printable(line) for line in lines)


def _printable(text: str) -> str:
    """Names come from outside, and a terminal obeys control characters."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


# -- what people type -------------------------------------------------------------------------------------------------
def _time(option: str, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return utc_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        message = f"{value!r} is no time; write 2026-11-20 or 2026-11-20T12:00:00Z"
        raise typer.BadParameter(message, param_hint=option) from None


def _action(value: str | None) -> str | None:
    if value is None or any(name == value or name.startswith(f"{value}.") for name in ACTIONS):
        return value
    raise typer.BadParameter(f"{value!r} is none of {', '.join(ACTIONS)}", param_hint="--action")


def _outcome(value: str | None) -> str | None:
    if value is None or value in OUTCOMES:
        return value
    raise typer.BadParameter(f"{value!r} is none of {', '.join(OUTCOMES)}", param_hint="--outcome")


def _public_key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text.strip())
    except BadKey as error:
        raise typer.BadParameter(str(error), param_hint="--public-key") from None
