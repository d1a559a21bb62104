"""`prbot doctor`: what is right and wrong with this installation, and what to do next."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from prbot.core.health import Finding, failed, ok
from prbot.settings import PREFIX, WrongSettings

_ORDER = ("failed", "warning", "skipped", "ok")


def doctor(config: Path | None, *, as_json: bool) -> int:
    """Print every finding as it is made. The exit code: 0 if nothing failed, 1 otherwise, 2 for unusable settings."""
    from prbot.doctor import examine
    from prbot.wiring import read_settings

    try:
        settings = read_settings(config)
    except WrongSettings as wrong:
        for line in str(wrong).splitlines():
            _show(failed("settings", line, _settings_advice(config)), as_json=as_json)
        return 2
    source = f"from {config} and the environment" if config else "from the environment"
    counts: Counter[str] = Counter()
    for finding in chain([ok("settings", f"can be used ({source})")], examine(settings)):
        _show(finding, as_json=as_json)
        counts[finding.verdict] += 1
    if not as_json:
        print("\n" + ", ".join(f"{counts[each]} {each}" for each in _ORDER if counts[each]))
    return 1 if counts["failed"] else 0


def _settings_advice(config: Path | None) -> str:
    if config is None and not any(name.startswith(PREFIX) for name in os.environ):
        return "No settings were given. Make some with: prbot init. Then: prbot doctor --config prbot.yaml"
    return "Correct it; docs/settings.md lists every setting, and `prbot init` writes a set that works."


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(finding)), flush=True)
        return
    first, *more = finding.said.splitlines()
    print(f"{finding.verdict:<8} {finding.check}: {first}", flush=True)
    for line in more:
        print(f"{'':<8} {line}")
    if finding.advice:
        print(f"{'':<8} → {finding.advice}", flush=True)
