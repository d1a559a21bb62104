"""What the demo says as it goes: lines for people, or JSON objects."""

from __future__ import annotations

import json
import textwrap
import time
from typing import TextIO


class Narrator:
    """Prints each step at once, with the seconds since the beginning."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._began, 2)

    def say(self, step: str, text: str, **facts: object) -> None:
        """One step: its name and facts for programs, `text` for people."""
        if self._as_json:
            self._line(json.dumps({"step": step, "seconds": self.seconds, **facts}))
        else:
            self._line(f"{self.seconds:6.2f} s  {text}")

    def quote(self, step: str, text: str, said: str, **facts: object) -> None:
        """One step that shows what somebody said, or what a file holds."""
        self.say(step, text, said=said, **facts)
        if not self._as_json:
            self._line(textwrap.indent(said.rstrip(), "          │ ", lambda _line: True))

    def end(self, facts: dict[str, object]) -> None:
        """The last line."""
        if self._as_json:
            self._line(json.dumps(facts))
        else:
            verdict = "It all held" if facts["ok"] else f"It did NOT hold: {facts.get('problem', '')}"
            counted = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if name in _COUNTS)
            self._line(f"{self.seconds:6.2f} s  {verdict}" + (f" ({counted})." if counted else "."))

    def _line(self, text: str) -> None:
        print(text, file=self._out, flush=True)


_COUNTS = ("comments", "applied", "audit_entries")
