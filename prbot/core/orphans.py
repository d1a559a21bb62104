"""Whether a project that is removed leaves something behind."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.core.runs import DONE, RunStatus


@dataclass(frozen=True, slots=True)
class Last:
    """The newest run that made a plan of a project, or came to tell the engine to apply one."""

    status: RunStatus
    has_state: bool
    """Whether its plan found a state."""
    applying: bool = False
    """Whether the engine was told to apply."""
    remaining: int | None = None
    """How many resources there are once its plan is carried out; None where that is not known."""


def leaves_something(last: Last | None) -> bool:
    """Whether a project's state may hold something. What is not known, may."""
    if last is None:
        return True
    if last.status in DONE:
        return last.remaining != 0
    return last.applying or last.has_state
