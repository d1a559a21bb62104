"""The apply comment: what became of each project after the merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prbot.core.commands import Command
from prbot.core.comments import words
from prbot.core.comments.blocks import Block, Details, Document, Fence, Table, Text
from prbot.core.comments.diff import to_diff
from prbot.core.comments.text import code, html_code, prose
from prbot.core.comparison import EntryDifference
from prbot.core.ids import ProjectKey
from prbot.core.plans import Counts
from prbot.core.runs import RunStatus
from prbot.core.shown import short_fingerprint

_STOPPED = frozenset({RunStatus.HELD, RunStatus.AWAITING_APPROVAL})
_DONE = frozenset({RunStatus.APPLIED, RunStatus.NO_CHANGES})

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
    """What the engine said when it failed before anything was applied."""
    convergence: str = ""
    """`clean`, or what a plan still wants to do afterwards; empty when that was not checked."""
    reason: str = ""
    """Why it is held, waits, failed or is unknown, and what was found out: sentences."""
    difference: tuple[EntryDifference, ...] = ()
    """How the fresh plan differs from the approved one."""
    fingerprint: str = ""
    """Of the fresh plan, for one that waits for an approval."""
    changes: str = ""
    """The fresh plan, as `extract_changes` gives it, for one that waits for an approval."""


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
    return (tuple(top), *(tuple(_project(each, view.prefix)) for each in view.projects))


# -- the table --------------------------------------------------------------------------------------------------------
def _headline(view: ApplyView) -> str:
    by_status = Counter(each.status for each in view.projects)
    if by_status.keys() <= _DONE:
        return "Applied" if RunStatus.APPLIED in by_status else "Nothing to apply"
    order = (RunStatus.UNKNOWN, RunStatus.ERRORED, RunStatus.HELD, RunStatus.AWAITING_APPROVAL)
    titles = ("Outcome unknown", "Apply failed", "Apply held", "Apply awaits approval")
    for status, title in zip(order, titles, strict=True):
        if status in by_status:
            some = f" for {by_status[status]} of {len(view.projects)} projects" if len(view.projects) > 1 else ""
            return title + some
    return (
        "Applying" if by_status.keys() & {RunStatus.APPLYING, RunStatus.PLANNING, RunStatus.PENDING} else "Not applied"
    )


def _row(project: AppliedProject) -> tuple[str, ...]:
    return (
        code(project.key.label),
        words.STATUS[project.status],
        words.in_words(project.counts),
        "–" if project.seconds is None else words.duration(project.seconds),
        _afterwards(project),
    )


def _afterwards(project: AppliedProject) -> str:
    if project.status not in _DONE or (project.status is RunStatus.NO_CHANGES and not project.convergence):
        return "–"
    if not project.convergence:
        return "not checked"
    return "✅ nothing left to do" if project.convergence == CLEAN else "⚠️ something is left"


# -- one project ------------------------------------------------------------------------------------------------------
def _project(project: AppliedProject, prefix: str) -> Iterator[Block]:
    told = [*_told(project, prefix)]
    if told:
        yield Text(f"### {code(project.key.label)}\n\n" + "\n\n".join(told))
    if project.difference:
        yield Table(("Resource", "Approved", "Now", "Where they differ"), tuple(map(_compared, project.difference)))
    label = html_code(project.key.label)
    if project.status in _STOPPED and project.changes.strip():
        summary = f"{label}: the plan as it is now, {words.in_words(project.counts)}"
        yield Details(summary, (Fence(to_diff(project.changes), "diff"),))
    if project.error.strip():
        yield Details(f"{label}: what the engine said", (Fence(project.error),), is_open=True)
    if project.output.strip():
        failed = project.status not in _DONE
        yield Details(f"{label}: what the engine printed", (Fence(project.output),), is_open=failed)
    if project.convergence not in ("", CLEAN):
        yield Details(f"{label}: what a plan still wants to do", (Fence(to_diff(project.convergence), "diff"),))


def _compared(entry: EntryDifference) -> tuple[str, ...]:
    where = ", ".join((*map(code, entry.paths), *map(prose, entry.aspects)))
    return (code(entry.address), _action(entry.approved), _action(entry.now), where or "–")


def _action(action: str | None) -> str:
    return "nothing" if action is None else f"**{prose(action)}**"


def _told(project: AppliedProject, prefix: str) -> Iterator[str]:
    """The paragraphs that people need, the reason first."""
    if project.reason:
        yield f"**Why:** {prose(project.reason)}"
    match project.status:
        case RunStatus.HELD | RunStatus.AWAITING_APPROVAL:
            if project.fingerprint:
                yield (
                    "Nothing was applied, and the lock is kept. Compare below; somebody whose approval counts can "
                    f"release it: `{prefix} approve {short_fingerprint(project.fingerprint)}`."
                )
        case RunStatus.ERRORED:
            yield (
                f"The lock is kept, so that no other pull request builds on it. {_retry(project.key, prefix)} "
                "plans what is left and applies it, if it lies within what was approved. Otherwise it asks for an "
                "approval; or mend it with a new pull request."
            )
        case RunStatus.UNKNOWN:
            yield (
                "It was being applied when its worker was lost. It is not applied again by itself, and the lock is "
                "kept. Compare the resources and the state with the plan. Then there are two ways on: "
                f"{code(f'{prefix} plan')} here plans what is left, and {code(f'{prefix} apply')} then applies what "
                f"lies within what was approved; {code(f'{prefix} unlock')}, by somebody with maintain access, gives "
                "the change up."
            )
        case RunStatus.APPLIED if project.convergence not in ("", CLEAN):
            yield (
                "It was applied, and a plan still shows differences. Some resources never settle; if this one should, "
                "look at what is left below."
            )
        case _:
            return


def _retry(key: ProjectKey, prefix: str) -> str:
    workspace = None if key.workspace == "default" else key.workspace
    return code(Command("apply", dirs=(key.dir,), workspace=workspace).to_line(prefix))
