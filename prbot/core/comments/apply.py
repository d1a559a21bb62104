"""The apply comment: what became of each project after the merge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prbot.core.commands import approving, to_paste
from prbot.core.comments import words
from prbot.core.comments.blocks import Block, Details, Document, Fence, Table, Text
from prbot.core.comments.diff import to_diff
from prbot.core.comments.text import code, html_code, listed, person, prose
from prbot.core.comparison import EntryDifference
from prbot.core.ids import ProjectKey
from prbot.core.plans import Counts
from prbot.core.runs import DONE, RunStatus

_WAITING = frozenset({RunStatus.HELD, RunStatus.AWAITING_APPROVAL})

CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class AppliedProject:
    """A project as the apply comment shows it. Its texts are masked, and anybody's."""

    key: ProjectKey
    status: RunStatus
    counts: Counts = words.NOTHING
    """What the plan that was made after the merge does."""
    seconds: float | None = None
    """How long the apply took; None when nothing was applied."""
    output: str = ""
    """What the engine printed as it applied."""
    error: str = ""
    """What went wrong before anything was applied."""
    convergence: str = ""
    """`clean`, or what a plan still wants to do afterwards; empty when that was not checked."""
    reason: str = ""
    """Why it is held, waits, failed or is unknown, and what was found out: sentences."""
    difference: tuple[EntryDifference, ...] = ()
    """How the fresh plan differs from the approved one."""
    fingerprint: str = ""
    """Of the fresh plan, for one that waits for an approval."""
    changes: str = ""
    """The fresh plan, as `extract_changes` gives it, for one that waits for somebody, or was given up."""
    is_retry: bool = False
    """Whether an apply of it failed before."""
    ended_by: str = ""
    """Who cancelled it or gave it up."""


@dataclass(frozen=True, slots=True)
class ApplyView:
    """What became of the projects of a merged pull request, whose merge made `merge_sha` on `base_branch`."""

    merge_sha: str
    base_branch: str
    projects: tuple[AppliedProject, ...]
    notes: tuple[str, ...] = ()
    prefix: str = "prbot"


def apply_document(view: ApplyView) -> Document:
    """The apply comment: the table first, then what each project needs from people, its output and what is left."""
    header = ("Project", "Result", "Plan", "Time", "Afterwards")
    table = Table(header, tuple(map(_row, view.projects)), frozenset({3}))
    top: list[Block] = [
        Text(f"## {_headline(view)}\n\nMerged as {code(view.merge_sha[:7])} on {code(view.base_branch)}."),
        table,
    ]
    if view.notes:
        top.append(Text("\n".join(f"- {prose(note)}" for note in view.notes)))
    return (tuple(top), *(tuple(_project(each, view)) for each in view.projects))


# -- the table --------------------------------------------------------------------------------------------------------
def _headline(view: ApplyView) -> str:
    by_status = Counter(each.status for each in view.projects)
    if by_status.keys() <= DONE:
        return "Applied" if RunStatus.APPLIED in by_status else "Nothing to apply"
    for status in _TITLES:
        if status in by_status:
            some = f" for {by_status[status]} of {len(view.projects)} projects" if len(view.projects) > 1 else ""
            return _title(status, view.projects) + some
    return (
        "Applying" if by_status.keys() & {RunStatus.APPLYING, RunStatus.PLANNING, RunStatus.PENDING} else "Not applied"
    )


_TITLES = {
    RunStatus.UNKNOWN: "Outcome unknown",
    RunStatus.ERRORED: "Apply failed",
    RunStatus.HELD: "Apply held",
    RunStatus.AWAITING_APPROVAL: "Apply awaits approval",
    RunStatus.PLANNED: "Ready to apply",
    RunStatus.WAITING: "Apply waits for its turn",
    RunStatus.CANCELLED: "Apply cancelled",
    RunStatus.DISCARDED: "Discarded",
}
"""The first of these that is there is the title."""


def _title(status: RunStatus, projects: tuple[AppliedProject, ...]) -> str:
    those = [each for each in projects if each.status is status]
    if status is RunStatus.ERRORED and not any(each.output for each in those):
        planned = all(each.counts != words.NOTHING for each in those)
        return "Not applied" if planned else "Plan before the apply failed"
    if status is RunStatus.PLANNED and all(each.is_retry for each in those):
        return "Retry is ready"
    return _TITLES[status]


def _row(project: AppliedProject) -> tuple[str, ...]:
    return (
        code(project.key.label),
        _READY if project.status is RunStatus.PLANNED else words.STATUS[project.status],
        _plan(project),
        "–" if project.seconds is None else words.duration(project.seconds),
        _afterwards(project),
    )


_READY = "🟢 ready to apply"


def _plan(project: AppliedProject) -> str:
    """What the plan does; where there is none, not `no changes`."""
    has_plan = project.counts != words.NOTHING or project.changes or project.status in DONE
    return words.in_words(project.counts) if has_plan else "–"


def _afterwards(project: AppliedProject) -> str:
    if project.status not in DONE or (project.status is RunStatus.NO_CHANGES and not project.convergence):
        return "–"
    if not project.convergence:
        return "not checked"
    return "✅ nothing left to do" if project.convergence == CLEAN else "⚠️ something is left"


# -- one project ------------------------------------------------------------------------------------------------------
def _project(project: AppliedProject, view: ApplyView) -> Iterator[Block]:
    told = [*_told(project, view)]
    if told:
        yield Text(f"### {code(project.key.label)}\n\n" + "\n\n".join(told))
    if project.difference:
        yield Table(("Resource", "Approved", "Now", "Where they differ"), tuple(map(_compared, project.difference)))
    yield from _volatile(project, view.prefix)
    label = html_code(project.key.label)
    if project.status in _SHOWN and project.changes.strip():
        summary = f"{label}: {_SHOWN[project.status]}, {words.in_words(project.counts)}"
        yield Details(summary, (Fence(to_diff(project.changes), "diff"),))
    if project.error.strip():
        yield Details(f"{label}: what went wrong", (Fence(project.error),), is_open=True)
    if project.output.strip():
        failed = project.status not in DONE
        yield Details(f"{label}: what the engine printed", (Fence(project.output),), is_open=failed)
    if project.convergence not in ("", CLEAN):
        yield Details(f"{label}: what a plan still wants to do", (Fence(to_diff(project.convergence), "diff"),))


_SHOWN = {
    RunStatus.HELD: "the plan as it is now",
    RunStatus.AWAITING_APPROVAL: "the plan as it is now",
    RunStatus.PLANNED: "what is left to do",
    RunStatus.DISCARDED: "what was not applied",
}
"""Whose plan is shown, and as what."""


def _compared(entry: EntryDifference) -> tuple[str, ...]:
    where = ", ".join((*map(code, entry.paths), *map(prose, entry.aspects)))
    return (code(entry.address), _action(entry.approved), _action(entry.now), where or "–")


def _action(action: str | None) -> str:
    return "nothing" if action is None else f"**{prose(action)}**"


def _volatile(project: AppliedProject, prefix: str) -> Iterator[Block]:
    """What differs from plan to plan, so that approving leads to the next hold: how it is left out."""
    again = list(dict.fromkeys(path for entry in project.difference for path in entry.again))
    if not again or project.status not in _WAITING:
        return
    named = listed([*map(code, again)])
    yield Text(
        f"**This may never settle:** {named} differed when the plan before was made as well. Whoever approves is then "
        "asked again, each time. If it is only the time of the plan, or the like, the operator of prbot can leave it "
        "out of what is compared, by this line in the rules of this repository:"
    )
    yield Fence(f"volatile: {json.dumps(again, ensure_ascii=False)}", "yaml")
    yield Text(f"After that, {code(to_paste('plan', project.key, prefix))} shows a plan that an approval holds for.")


def _approve(project: AppliedProject, view: ApplyView) -> str:
    waiting = [each for each in view.projects if each.status in _WAITING and each.fingerprint]
    lines = approving([(each.key, each.fingerprint) for each in waiting], view.prefix)
    return code(lines[waiting.index(project)])


def _told(project: AppliedProject, view: ApplyView) -> Iterator[str]:
    """The paragraphs that people need, the reason first."""
    if project.reason:
        yield f"**Why:** {prose(project.reason)}"
    prefix = view.prefix
    typed = {name: code(to_paste(name, project.key, prefix)) for name in ("plan", "apply", "unlock")}
    by = person(project.ended_by) if project.ended_by else "somebody"
    gives_up = f"somebody with maintain access gives it up with {typed['unlock']}, and a new pull request mends it"
    match project.status:
        case RunStatus.HELD | RunStatus.AWAITING_APPROVAL if project.fingerprint:
            yield (
                "Nothing was applied, and the lock is kept. Look at the plan below; somebody whose approval counts can "
                f"release it: {_approve(project, view)}. Or {gives_up}."
            )
        case RunStatus.PLANNED:
            lies = "What the failed apply left to do" if project.is_retry else "It"
            yield f"{lies} lies within what was approved. Look at it below: {typed['apply']} applies it. Or {gives_up}."
        case RunStatus.ERRORED if project.output:
            stopped = f"{by} cancelled it. " if project.ended_by else ""
            yield (
                f"{stopped}The lock is kept, so that no other pull request builds on it. What is left is planned "
                "again at once: the next comment shows it. Where that fails too, "
                f"{typed['apply']} tries again; or {gives_up}."
            )
        case RunStatus.ERRORED:
            yield f"Nothing was applied, and the lock is kept. {typed['apply']} tries again; or {gives_up}."
        case RunStatus.WAITING:
            yield "It goes on by itself then."
        case RunStatus.CANCELLED:
            yield f"{by} cancelled it. The lock is kept. {typed['apply']} begins it again; or {gives_up}."
        case RunStatus.DISCARDED:
            yield (
                f"{by} discarded it: what was merged and is not applied yet is not applied any more, and nobody is "
                "kept waiting for it. The code stays as it was merged, so that the next plan of this project shows it "
                "again."
            )
        case RunStatus.UNKNOWN:
            yield (
                "It was being applied when its worker was lost. It is not applied again by itself, and the lock is "
                "kept. Compare the resources and the state with the plan. Then there are two ways on: "
                f"{typed['plan']} here plans what is left, and {typed['apply']} then applies what "
                f"lies within what was approved; {typed['unlock']}, by somebody with maintain access, gives "
                "the change up."
            )
        case RunStatus.APPLIED if project.convergence not in ("", CLEAN):
            yield (
                "It was applied, and a plan still shows differences. Some resources never settle; if this one should, "
                "look at what is left below."
            )
        case _:
            return
