from __future__ import annotations

import pytest

from prbot.core.aftermath import what_became, who_holds
from prbot.core.plans import StatePosition

NONE = StatePosition(None, None)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (NONE, NONE, "no state before, and there is none now"),
        (StatePosition("a", 4), NONE, "is gone now"),
        (NONE, StatePosition("a", 1), "no state before, and it is at serial 1 now"),
        (StatePosition("a", 4), StatePosition("b", 4), "lineage is not the same"),
        (StatePosition("a", 4), StatePosition("a", 4), "still is: nothing"),
        (StatePosition("a", 4), StatePosition("a", 6), "at serial 4 before, and is at serial 6 now"),
    ],
)
def test_the_state_tells_what_became_of_an_apply(before: StatePosition, now: StatePosition, said: str) -> None:
    assert said in what_became(before, now)


def test_the_locks_holder_is_named_with_the_way_to_free_it() -> None:
    said = who_holds("1-2", "al@host", "OperationTypeApply", "2026-01-01")
    assert "held by al@host since 2026-01-01 for OperationTypeApply" in said
    assert "`terraform force-unlock 1-2`" in said
    assert "`terraform force-unlock ID`" in who_holds("", "", "", "")
