"""Which stand-in answers a request.

The WSGI application is one for all stand-ins of a process; each server names its own in the environment of a request.
"""

from __future__ import annotations

from flask import request

from prbot.sandbox.hub import Hub

ENVIRONMENT_KEY = "prbot.sandbox"


def current_hub() -> Hub:
    """The stand-in that was asked."""
    found: Hub = request.environ[ENVIRONMENT_KEY]
    return found
