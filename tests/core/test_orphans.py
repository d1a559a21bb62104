"""Whether a project that is removed leaves something behind."""

from __future__ import annotations

import pytest

from prbot.core.orphans import Last, leaves_something
from prbot.core.runs import RunStatus

S = RunStatus


@pytest.mark.parametrize(
    ("last", "leaves"),
    [
        (None, True),  # nobody knows
        (Last(S.APPLIED, True, True, 3), True),
        (Last(S.APPLIED, True, True, None), True),
        (Last(S.APPLIED, True, True, 0), False),
        (Last(S.NO_CHANGES, True, False, 0), False),
        (Last(S.NO_CHANGES, True, False, 1), True),
        (Last(S.PLANNED, False, False, 3), False),  # it was never applied
        (Last(S.PLANNED, True, False, 0), True),  # what the plan would destroy is there still
        (Last(S.SUPERSEDED, False, False, 3), False),
        (Last(S.ERRORED, False, True, 3), True),  # half of it may be there
        (Last(S.UNKNOWN, False, True, 3), True),
        (Last(S.DISCARDED, False, True, 3), True),
    ],
)
def test_what_was_applied_or_is_not_known_leaves_something(last: Last | None, leaves: bool) -> None:
    assert leaves_something(last) is leaves
