"""The points that are tried with every change: those where most is at stake, and at which all is known to hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from tests.faults.sweep.shard import KILLS

Pick = Callable[[str, list[str]], list[str]]


def around(*parts: str, refused: Collection[str] = ()) -> Pick:
    """The kills at the points that hold one of these, and these refusals."""

    def pick(kind: str, points: list[str]) -> list[str]:
        if kind != KILLS:
            return [each for each in points if each in refused]
        return [each for each in points if any(part in each for part in parts)]

    return pick


QUICK: Mapping[str, Pick] = {
    "plan": around("after flows.plan.", "after forge.create_comment"),
    "merge and apply": around(
        "after flows.apply", "engine.apply", "plans.put", "flows.merges.", "create_comment",
        refused=("edit_comment #1: 403 twice", "git #4: no answer once", "list_reviews #1: 404 once"),
    ),
    "retry": around("after flows.applying."),
    "unlock": around("after flows.giving_up."),
}  # fmt: skip
