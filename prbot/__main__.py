"""`python -m prbot` is `prbot`."""

from __future__ import annotations

from prbot.cli import main

if __name__ == "__main__":
    main()
