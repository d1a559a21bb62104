"""What somebody asks of prbot in a comment."""

from __future__ import annotations

from prbot.core.commands import Command, CommandError, parse
from prbot.flows.services import Services


def heard(services: Services, body: str) -> list[Command | CommandError]:
    """The commands of a comment, by every name that prbot goes by at its forge. Raises Unavailable where the forge
    does not say who prbot is; it is asked once."""
    return parse(body, services.identity.prefixes, services.forge.me())
