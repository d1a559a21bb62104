"""`prbot github-app create`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

github_app = typer.Typer(help="The GitHub App that prbot is.", no_args_is_help=True)


@github_app.callback()
def about() -> None:
    """The GitHub App that prbot is."""


@github_app.command()
def create(
    public_url: Annotated[str, typer.Option(help="By which GitHub reaches this server: https://prbot.acme.example")],
    org: Annotated[str, typer.Option(help="The organization that shall own it; your own account by default.")] = "",
    name: Annotated[str, typer.Option(help="Its name; no two Apps at GitHub have the same one.")] = "",
    place: Annotated[Path, typer.Option("--dir", help="Where its key and its webhook's secret go.")] = Path(),
    api_url: Annotated[str, typer.Option(help="GitHub's API; https://HOST/api/v3 for a server of your own.")] = (
        "https://api.github.com"
    ),
    ca_file: Annotated[Path | None, typer.Option(help="Certificates (PEM) to verify that server by.")] = None,
    port: Annotated[int, typer.Option(help="The page's port on 127.0.0.1; any free one by default.")] = 0,
) -> None:
    """Make a GitHub App for prbot: open the page that this shows, press the button, and install the App."""
    from prbot.cli.app_page import Asked, make
    from prbot.core import installation
    from prbot.settings import WrongSettings

    try:
        url = installation.public_url(public_url)
    except ValueError as wrong:
        raise WrongSettings(f"--public-url: {wrong}") from None
    made_up = name or (f"prbot-{org}" if org else "prbot")
    make(Asked(org, made_up[:34], url, api_url.rstrip("/"), place.absolute(), ca_file), port)
