"""The words and signs that several comments share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

from prbot.core.comments.text import plural
from prbot.core.plans import Counts
from prbot.core.runs import RunStatus

STATUS = {
    RunStatus.PENDING: "⏳ queued",
    RunStatus.WAITING: "⏳ waiting for its turn",
    RunStatus.PLANNING: "🔄 planning",
    RunStatus.PLANNED: "🟢 planned",
    RunStatus.NO_CHANGES: "⚪ no changes",
    RunStatus.POLICY_FAILED: "❌ policy failed",
    RunStatus.AWAITING_APPROVAL: "🟡 awaiting approval",
    RunStatus.HELD: "🟠 held",
    RunStatus.APPLYING: "🔄 applying",
    RunStatus.APPLIED: "✅ applied",
    RunStatus.ERRORED: "❌ error",
    RunStatus.CANCELLED: "⏹️ cancelled",
    RunStatus.DISCARDED: "🗑️ discarded",
    RunStatus.SUPERSEDED: "↪️ put aside",
    RunStatus.UNKNOWN: "❓ unknown",
}
NOTHING = Counts()
REFUSED = "⛔ refused"
CONFLICT = "⚔️ conflict"
SPECULATIVE = "🟡 speculative"
ORPHANED = "🗂️ orphaned"


def in_words(counts: Counts) -> str:
    """`2 to add, 1 to destroy`; `no changes` for none."""
    each = {
        "add": counts.add,
        "change": counts.change,
        "destroy": counts.destroy,
        "replace": counts.replace,
        "import": counts.imports,
        "move": counts.move,
        "forget": counts.forget,
    }
    words = [f"{number} to {verb}" for verb, number in each.items() if number]
    if counts.outputs:
        words.append(f"{plural(counts.outputs, 'output')} to change")
    return ", ".join(words) or "no changes"


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    return Counts(*(sum(column) for column in zip(*map(astuple, (Counts(), *counts)), strict=True)))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, …"""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """`3 s`, `4 min 5 s`, `2 h 3 min`; less than one second is `< 1 s`."""
    whole = int(seconds)
    if whole < 1:
        return "< 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
