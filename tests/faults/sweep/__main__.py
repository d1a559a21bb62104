"""`python -m tests.faults.sweep`: try every point, print the table, and say with the exit code whether all held.

Each argument is a part of `scenario: point` (`merge and apply: after engine.apply`, `retry`); what holds one of them
is tried, or everything. `--kills` and `--refusals` take one list alone, `--quick` the few that are tried with every
change, and `--every N` each N-th point. `--jobs N` says how many processes share the work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.sweep.quick import QUICK
from tests.faults.sweep.scenarios import SCENARIOS
from tests.faults.sweep.shard import KILLS, REFUSALS, Choice, lines, sweep
from tests.faults.sweep.table import Table


def main(arguments: Sequence[str]) -> int:
    asked = _parsed(arguments)
    if asked.share is not None:
        _share(json.loads(asked.share.read_text()))
        return 0
    names = [each.name for each in SCENARIOS if _concerns(asked, each.name)]
    if not names:
        sys.stderr.write(f"no scenario is called so; there are: {', '.join(each.name for each in SCENARIOS)}\n")
        return 2
    table = Table(sys.stderr)
    everything = {"scenarios": names, "asked": _plain(asked)}
    if asked.jobs == 1:
        _run([everything], table)
    else:  # first which points there are, then a share of each scenario's to each process
        listed = Table()
        _run([{**everything, "scenarios": names[at :: asked.jobs], "list": True} for at in range(asked.jobs)], listed)
        _run([{**everything, "points": listed.share(at, asked.jobs)} for at in range(asked.jobs)], table)
        table.expect(listed)
    sys.stdout.write(f"{table.text()}\n")
    return 0 if table.ok else 1


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweep", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kills", action="store_const", dest="kind", const=KILLS)
    parser.add_argument("--refusals", action="store_const", dest="kind", const=REFUSALS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--share", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _plain(asked: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in ("parts", "quick", "kind", "every")}


def _concerns(asked: argparse.Namespace, scenario: str) -> bool:
    if asked.quick and scenario not in QUICK:
        return False
    return not asked.parts or any(part.split(":")[0] in scenario for part in asked.parts)


def _run(shares: Sequence[dict[str, Any]], table: Table) -> None:
    """Have each share done by a process of its own, and put what they say into the table."""
    with tempfile.TemporaryDirectory() as place:
        threads = []
        for number, share in enumerate(shares):
            path = Path(place) / f"{number}.json"
            path.write_text(json.dumps(share))
            threads.append(threading.Thread(target=_one, args=(path, table)))
            threads[-1].start()
        for thread in threads:
            thread.join()


def _one(share: Path, table: Table) -> None:
    command = [sys.executable, "-m", "tests.faults.sweep", "--share", str(share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for said in lines(process.stdout):
            table.add(said)
    if process.returncode:
        table.broken.append(f"a process of the sweep ended with {process.returncode}")


def _share(share: dict[str, Any]) -> None:
    if share.get("list"):
        sweep(share["scenarios"], lambda scenario, kind, points: [])
        return
    asked = argparse.Namespace(**share["asked"])
    given = share.get("points")

    def choose(scenario: str, kind: str, points: list[str]) -> list[str]:
        if given is not None:
            points = given[scenario][kind]
        return _chosen(asked)(scenario, kind, points)

    sweep(share["scenarios"], choose)


def _chosen(asked: argparse.Namespace) -> Choice:
    def choose(scenario: str, kind: str, points: list[str]) -> list[str]:
        if asked.kind not in (None, kind):
            return []
        if asked.quick:
            points = QUICK[scenario](kind, points)
        if asked.parts:
            points = [each for each in points if any(part in f"{scenario}: {each}" for part in asked.parts)]
        return points[:: asked.every]

    return choose


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
