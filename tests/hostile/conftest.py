"""The whole app, and the same look at it afterwards, as for the stories."""

from tests.flows.conftest import app

__all__ = ["app"]
