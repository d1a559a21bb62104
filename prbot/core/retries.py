"""When something that was refused is tried again: soon, as a forge may be seconds behind itself, then ever later."""

from __future__ import annotations

from datetime import datetime, timedelta

MOST_TRIES = 8
"""Of what somebody waits for: one try, and seven more within about two minutes."""
FIRST_PAUSE = 1.0
"""Seconds; each pause after it is twice the one before."""
LONGEST_PAUSE = timedelta(hours=1)
MOST_UNANSWERED = 125
"""Where nobody answers, which says nothing of what was asked: for two hours …"""
LONGEST_UNANSWERED = timedelta(minutes=1)
"""… and so often that what waits is done soon after somebody answers again."""


def next_try(tries: int, now: datetime, most: int = MOST_TRIES, longest: timedelta = LONGEST_PAUSE) -> datetime | None:
    """When to try again what was tried so many times, of at most `most`; None to give it up."""
    pause = timedelta(seconds=FIRST_PAUSE * 2.0 ** min(tries - 1, 24))
    return None if tries >= most else now + min(longest, pause)


def next_try_unanswered(tries: int, now: datetime) -> datetime | None:
    """When to try again what nobody answered so many times; None to give it up."""
    return next_try(tries, now, MOST_UNANSWERED, LONGEST_UNANSWERED)


def is_due(at: datetime | None, now: datetime) -> bool:
    """Whether what waits until `at` may be tried now; also when the clock was set back since that was said."""
    return at is None or at <= now or at > now + LONGEST_PAUSE
