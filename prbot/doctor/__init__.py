"""`prbot doctor`: looks at everything that an installation needs, changes nothing, and says what to do.

Facts are gathered here; prbot.core.health judges them.
"""

from __future__ import annotations

from collections.abc import Iterator

from prbot.core.health import Finding
from prbot.doctor import forge, machine, reach
from prbot.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as it is made. What stops one check does not stop the next."""
    yield from machine.examine(settings)
    yield from forge.examine(settings)
    yield from reach.examine(settings)
