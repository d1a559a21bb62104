"""Which commands there are. What they need is imported when they are used, so that `prbot version` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prbot.cli.audit import audit_app
from prbot.cli.config import config_app
from prbot.cli.github_app import github_app
from prbot.cli.locks import lock_app

app = typer.Typer(
    help="Change infrastructure only through pull requests.", no_args_is_help=True, pretty_exceptions_enable=False,
    add_completion=False,
)  # fmt: skip
app.add_typer(audit_app, name="audit")
app.add_typer(config_app, name="config")
app.add_typer(lock_app, name="lock")
app.add_typer(github_app, name="github-app")

Config = Annotated[Path | None, typer.Option("--config", help="The settings file.")]


@app.command()
def serve(
    config: Config = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Web only; `prbot worker` runs elsewhere.")] = False,
) -> None:
    """Serve webhooks and pages, with a worker beside. SIGTERM: take nothing new, finish what runs, exit."""
    from prbot.cli.serve import serve as run

    raise typer.Exit(run(config, with_worker=not no_worker))


@app.command()
def worker(config: Config = None) -> None:
    """Do the work: plans, applies, comments. SIGTERM: begin nothing new, finish what runs, exit."""
    from prbot.cli.serve import work

    raise typer.Exit(work(config))


@app.command()
def migrate(config: Config = None) -> None:
    """Bring the database to this version's tables."""
    from prbot.wiring import migrate as bring
    from prbot.wiring import read_settings

    bring(read_settings(config))
    print("The database is up to date.")


@app.command()
def init(
    place: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if need be.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: the options, and defaults for the rest.")] = False,
    repos: Annotated[str | None, typer.Option(help="owner/name globs, commas between.")] = None,
    public_url: Annotated[str | None, typer.Option(help="By which GitHub reaches this server.")] = None,
    github_token_file: Annotated[str | None, typer.Option(help="The file that holds, or shall hold, a token.")] = None,
    github_app_id: Annotated[str | None, typer.Option(help="Instead of a token: a GitHub App's id.")] = None,
    github_app_key_file: Annotated[str | None, typer.Option(help="The file of that App's private key.")] = None,
    github_app_webhook_secret_file: Annotated[str | None, typer.Option(help="Of its webhook's secret; or new.")] = None,
    plan_env_file: Annotated[str | None, typer.Option(help="Credentials of plans, NAME=value lines; or none.")] = None,
    apply_env_file: Annotated[str | None, typer.Option(help="Credentials of applies; those of plans.")] = None,
    run_by: Annotated[str | None, typer.Option(help="systemd or compose.")] = None,
) -> None:
    """Ask five questions and write the files of an installation: settings, rules, secret, and a unit to run it."""
    from prbot.cli.init import init as run

    given = {
        "repos": repos, "public-url": public_url, "github-token-file": github_token_file,
        "github-app-id": github_app_id, "github-app-key-file": github_app_key_file,
        "github-app-webhook-secret-file": github_app_webhook_secret_file, "plan-env-file": plan_env_file,
        "apply-env-file": apply_env_file, "run-by": run_by,
    }  # fmt: skip
    run(place, given, yes=yes)


@app.command()
def doctor(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False
) -> None:
    """Look at everything that this installation needs, and say what to do about what is wrong. Changes nothing."""
    from prbot.cli.doctor import doctor as run

    raise typer.Exit(run(config, as_json=as_json))


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    stay: Annotated[bool, typer.Option("--serve", help="Stay up afterwards, to play with.")] = False,
    port: Annotated[int, typer.Option(help="The stand-in's port; any free one by default.", min=0, max=65535)] = 0,
) -> None:
    """Show the whole job on this machine: plan, refuse, approve, merge, apply, and verify the record of it."""
    from prbot.cli.demo import run_demo

    raise typer.Exit(run_demo(as_json=as_json, stay=stay, port=port))


@app.command()
def version() -> None:
    """Which version this is."""
    from prbot import __version__

    print(f"prbot {__version__}")
