"""What somebody asks of prbot in a comment."""

from __future__ import annotations

from prbot.core.commands import Command, CommandError, parse
from prbot.core.comments.split import find_marker
from prbot.core.events import CommentEvent
from prbot.flows.services import Services
from prbot.store import posts


def heard(services: Services, body: str) -> list[Command | CommandError]:
    """The commands of a comment, by every name that prbot goes by at its forge. Raises Unavailable where the forge
    does not say who prbot is; it is asked once."""
    return parse(body, services.identity.prefixes, services.forge.me())


def is_ours(services: Services, event: CommentEvent) -> bool:
    """Whether prbot wrote the comment: by its marker together with our login, or by its stored id. Raises Unavailable
    where neither is known."""
    if find_marker(event.body) is None:
        return False
    with services.db.read() as tx:
        known = posts.wrote(tx, event.pull, event.comment_id)
    return known or event.sender.casefold() == services.forge.me().casefold()
