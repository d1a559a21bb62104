"""The points that are tried with every change: those where most is at stake, and at which all is known to hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.faults.sweep.shard import KILLS

Pick = Callable[[str, list[str]], list[str]]


def around(*parts: str) -> Pick:
    """The kills at the points that hold one of these."""
    return lambda kind, points: [each for each in points if kind == KILLS and any(part in each for part in parts)]


QUICK: Mapping[str, Pick] = {
    "plan": around("after flows.plan.", "after forge.create_comment"),
    "merge and apply": around("after flows.apply", "engine.apply", "plans.put", "flows.merges.", "create_comment"),
    "retry": around("after flows.applying."),
    "unlock": around("after flows.giving_up."),
}
