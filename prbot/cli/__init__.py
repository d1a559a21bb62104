"""The command line: parse, call, print. Exit codes: 0 good, 1 the answer is no, 2 bad usage or configuration."""

from __future__ import annotations

import sys
from typing import NoReturn

from prbot.settings import WrongSettings


def main() -> NoReturn:
    """The entry point `prbot`. A wrong setting is a line for each problem, never a traceback."""
    from prbot.cli.app import app

    try:
        app(prog_name="prbot")
    except WrongSettings as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
