"""Which pending runs may start now: class first, then repositories in turn, one run of a project at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import count

from prbot.core.ids import ProjectKey
from prbot.core.runs import Goal


class RunClass(IntEnum):
    """How urgent a run is; a lower one always goes first."""

    APPLY = 0
    MANUAL = 1
    AUTO = 2
    DRIFT = 3


def class_of(goal: Goal, trigger: str) -> RunClass:
    """The class of a run by its goal and by what caused it (`comment`, `drift`, or one of prbot's own triggers)."""
    if goal is Goal.APPLY:
        return RunClass.APPLY
    return {"comment": RunClass.MANUAL, "drift": RunClass.DRIFT}.get(trigger, RunClass.AUTO)


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run that could start."""

    id: str
    kind: RunClass
    project: ProjectKey


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many runs may be under way at once, in all and, where a repository is named, in that one."""

    total: int
    per_repo: Mapping[str, int] = field(default_factory=dict)


def admit(
    pending: Sequence[PendingRun],
    running: Collection[ProjectKey],
    limits: AdmissionLimits,
    last_admitted: Mapping[str, datetime],
) -> list[str]:
    """The ids of the pending runs that may start, in the order in which they should.

    `pending` is in the order in which they were made. `running` holds the project of each run that was admitted and has
    not ended. `last_admitted` says when each repository last had its turn; the one that has waited longest is next, so
    that none can starve another of its class.
    """
    busy = set(running)
    load = Counter(project.repo for project in running)
    turns = count()
    turn = {repo: next(turns) for repo in sorted(last_admitted, key=lambda repo: (last_admitted[repo], repo))}
    admitted: list[str] = []
    while len(running) + len(admitted) < limits.total:
        ready = [run for run in pending if run.project not in busy and _has_room(run.project.repo, load, limits)]
        if not ready:
            break
        run = min(ready, key=lambda each: (each.kind, turn.get(each.project.repo, -1)))
        admitted.append(run.id)
        busy.add(run.project)
        load[run.project.repo] += 1
        turn[run.project.repo] = next(turns)
    return admitted


def _has_room(repo: str, load: Mapping[str, int], limits: AdmissionLimits) -> bool:
    most = limits.per_repo.get(repo)
    return most is None or load[repo] < most
