"""What is right and wrong with an installation: facts in, findings out. Every finding that is not `ok` says what to do.

`machine` judges what is on the host, `forge` what GitHub says of the token and the repositories, `reach` whether
deliveries come through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed", "skipped"]
"""warning: works, but not as it should. failed: prbot cannot start, or not do its job. skipped: not looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one thing. `said` and `advice` are sentences for people, free of secrets."""

    check: str
    verdict: Verdict
    said: str
    advice: str = ""
    """What to do next. Empty for `ok` alone."""

    def __post_init__(self) -> None:
        if (self.verdict == "ok") != (not self.advice):
            raise ValueError(f"{self.check}: {self.verdict} {'without' if not self.advice else 'with'} advice")


def ok(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def warning(check: str, said: str, advice: str) -> Finding:
    return Finding(check, "warning", said, advice)


def failed(check: str, said: str, advice: str) -> Finding:
    return Finding(check, "failed", said, advice)


def skipped(check: str, said: str, advice: str) -> Finding:
    return Finding(check, "skipped", said, advice)
