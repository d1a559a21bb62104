"""prbot lets a team change infrastructure only through pull requests."""

__version__ = "0.1.0"
