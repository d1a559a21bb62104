"""How a run ended is known to one thread alone until it is recorded, so that thread keeps at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoTurn

from prbot.flows.services import Services
from prbot.store.tables import Run

log = structlog.get_logger(__name__)
P = ParamSpec("P")
PAUSE = 2.0


def recorded(record: Callable[Concatenate[Services, Run, P], None]) -> Callable[Concatenate[Services, Run, P], None]:
    """Have what records an ending, in one transaction, try again while the database cannot take it: a full disk, say.

    The run keeps its slot meanwhile. A process that is told to stop gives up, and the run is then a dead worker's.
    """

    @wraps(record)
    def until_it_is(services: Services, run: Run, /, *args: P.args, **kwargs: P.kwargs) -> None:
        while True:
            try:
                record(services, run, *args, **kwargs)
            except (OperationalError, NoTurn) as problem:
                log.error("an ending cannot be recorded yet", run=run.id, why=str(problem).splitlines()[0])
                if services.running.stopping.wait(PAUSE):
                    raise
            else:
                return

    return until_it_is
