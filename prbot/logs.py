"""How the server logs: one event a line on stderr, JSON or text, with prbot's own secrets masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from prbot.core.redact import Redactor


def configure_logging(form: str, level: str, secrets: Callable[[], Redactor]) -> None:
    """Set up structlog for this process. `form`: json or text; `secrets`: what must never show."""
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=False)
    if form == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask(secrets),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _mask(secrets: Callable[[], Redactor]) -> Processor:
    def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        redactor = secrets()
        return {name: _masked(redactor, value) for name, value in event.items()}

    return mask


def _masked(redactor: Redactor, value: Any) -> Any:
    if isinstance(value, str):
        return redactor.redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): _masked(redactor, each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(redactor, each) for each in value]
    return redactor.redact(str(value))
