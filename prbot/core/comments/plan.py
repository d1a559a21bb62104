"""The plan comment: everything that one operation planned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prbot.core.commands import approving
from prbot.core.comments import words
from prbot.core.comments.blocks import Block, Details, Document, Fence, Table, Text
from prbot.core.comments.diff import to_diff
from prbot.core.comments.text import code, html_code, listed, mention, plural, prose
from prbot.core.ids import ProjectKey
from prbot.core.marks import first_of, marked
from prbot.core.plans import Counts
from prbot.core.projects import Orphan
from prbot.core.refusals import Refusal
from prbot.core.runs import RunStatus
from prbot.core.shown import short_fingerprint

FOLDED_FROM = 13
"""A diff of so many lines or more is folded away at first, an error of three times as many."""

_NAMED = 3
_COLUMNS = ("Project", "Result", "Add", "Change", "Destroy", "Replace", "Import", "Move", "Lock", "Fingerprint")
_NUMBERS = frozenset(range(2, 8))
_READY = frozenset({RunStatus.PLANNED, RunStatus.AWAITING_APPROVAL})
_UNDER_WAY = frozenset({RunStatus.PENDING, RunStatus.PLANNING})
_FAILED = frozenset({RunStatus.ERRORED, RunStatus.POLICY_FAILED})


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a project. `holder` is None when this pull request does; else `place` is how many are before it."""

    holder: int | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class PlannedProject:
    """A project as the plan comment shows it. Its texts are masked, and anybody's."""

    key: ProjectKey
    status: RunStatus
    counts: Counts = words.NOTHING
    fingerprint: str = ""
    """`<key id>:<hex>`; empty without a plan."""
    lock: Lock | None = None
    """None when it claims no lock."""
    speculative: bool = False
    changes: str = ""
    """What `extract_changes` makes of the engine's output."""
    error: str = ""
    """What went wrong when it failed."""
    output: str = ""
    """All that the engine printed, for `--verbose`."""
    carry_note: str = ""
    """Whether earlier approvals count for this plan, as a sentence."""
    notes: tuple[str, ...] = ()
    """More sentences, such as why its plan cannot be applied."""
    partial: bool = False
    """It leaves something out, so that it cannot be applied; `notes` say what."""
    unapplied: tuple[int, ...] = ()
    """Pull requests that the planned base holds merged and not applied."""


@dataclass(frozen=True, slots=True)
class PlanView:
    """What one operation planned: `head_sha` merged into `base_branch` at `base_sha`."""

    head_sha: str
    base_branch: str
    base_sha: str
    projects: tuple[PlannedProject, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    reviewers: tuple[str, ...] = ()
    """Logins to call: their approvals came before this plan was shown."""
    notes: tuple[str, ...] = ()
    applies_by_itself: bool = True
    """Whether a merge is applied without `prbot apply`."""
    prefix: str = "prbot"


def plan_document(view: PlanView) -> Document:
    """The plan comment: the table of all projects first, what to know about them, their diffs, and what to do."""
    source = f"{code(view.head_sha[:7])} merged into {code(view.base_branch)} at {code(view.base_sha[:7])}."
    top: list[Block] = [Text(f"## {_headline(view)}\n\nThis is {source}")]
    rows = (*map(_row, view.projects), *map(_refused_row, view.refusals), *map(_orphan_row, view.orphans))
    if rows:
        top.append(Table(_COLUMNS, rows, _NUMBERS))
    if view.reviewers:
        called = listed([mention(login) for login in view.reviewers])
        top.append(Text(f"You approved before this plan was here, {called}: please look at it, and approve again."))
    notes = [*_notes(view)]
    if notes:
        top.append(Text("\n".join(f"- {note}" for note in notes)))
    sections = [(tuple(top)), *((block,) for project in view.projects for block in _project(project))]
    return (*sections, (Text("\n".join(_next_steps(view))),))


# -- the table --------------------------------------------------------------------------------------------------------
def _headline(view: PlanView) -> str:
    every = view.projects
    if not every:
        if view.refusals:
            return f"Plan refused for {_named([each.dir for each in view.refusals])}"
        gone = [each.dir for each in view.orphans]
        return f"Plan: {_named(gone)} removed" if gone else "Plan: no project is affected"
    if any(each.status in _UNDER_WAY for each in every):
        return f"Planning {plural(len(every), 'project')}"
    failed = [each for each in every if each.status in _FAILED]
    if failed:
        return "Plan failed" if len(every) == 1 else f"Plan failed for {len(failed)} of {len(every)} projects"
    lacking = [each for each in every if not each.fingerprint]
    if lacking:
        which = "" if len(lacking) == len(every) else f" for {len(lacking)} of {len(every)} projects"
        cancelled = all(each.status is RunStatus.CANCELLED for each in lacking)
        return f"Plan {'cancelled' if cancelled else 'put aside'}{which}"
    counts = words.total(each.counts for each in every)
    where = f" in {len(every)} projects" if len(every) > 1 else ""
    return f"Plan: {words.in_words(counts)}{where}"


def _named(dirs: Sequence[str]) -> str:
    more = f" and {len(dirs) - _NAMED} more" if len(dirs) > _NAMED else ""
    return listed([code(each) for each in dirs[:_NAMED]]) + more


def _row(project: PlannedProject) -> tuple[str, ...]:
    counts = project.counts
    numbers = (counts.add, counts.change, counts.destroy, counts.replace, counts.imports, counts.move)
    has_plan = bool(project.fingerprint)
    return (
        code(project.key.label),
        words.SPECULATIVE if project.speculative and project.status in _READY else words.STATUS[project.status],
        *((f"**{number}**" if number else "0") if has_plan else "–" for number in numbers),
        _lock(project.lock),
        code(short_fingerprint(project.fingerprint)) if has_plan else "–",
    )


def _lock(lock: Lock | None) -> str:
    if lock is None:
        return "–"
    if lock.holder is None:
        return "held by this pull request"
    return f"#{lock.holder} holds it, this one is {words.ordinal(lock.place + 1)}"


def _refused_row(refusal: Refusal) -> tuple[str, ...]:
    return (code(refusal.dir), words.REFUSED, *(["–"] * 8))


def _orphan_row(orphan: Orphan) -> tuple[str, ...]:
    return (code(orphan.dir), words.ORPHANED, *(["–"] * 8))


# -- what to know -----------------------------------------------------------------------------------------------------
def _notes(view: PlanView) -> Iterator[str]:
    for refusal in view.refusals:
        yield f"⛔ {prose(refusal.reason)} {prose(refusal.fix)}"
    for orphan in view.orphans:
        yield _orphan_note(orphan)
    for project in view.projects:
        about = f"{code(project.key.label)}: "
        if project.unapplied:
            held = listed([f"#{number}" for number in project.unapplied])
            waiting = f"{code(view.base_branch)} holds changes that are merged and not applied yet, of {held}"
            yield f"{about}{waiting}. This plan is speculative until they are."
        for note in filter(None, (project.carry_note, *project.notes)):
            yield about + prose(note)
    yield from map(prose, view.notes)


def _orphan_note(orphan: Orphan) -> str:
    if orphan.moved_to is not None:
        return (
            f"🗂️ {code(orphan.dir)} is gone; its state now belongs to {code(orphan.moved_to)}, and nothing is destroyed."
        )
    if not orphan.workspaces:
        return f"🗂️ {code(orphan.dir)} is gone, and nothing is left in its state."
    named = listed([code(ProjectKey("", orphan.dir, name).label) for name in orphan.workspaces])
    return (
        f"🗂️ {code(orphan.dir)} is gone, and what it made is left as it is: a merge does not destroy it. After the "
        f"merge nothing manages it, and {named} is listed as orphaned until it is brought back, or forgotten by "
        "command. That needs an approval, whatever the rules say."
    )


def provisional(labels: Sequence[str], *, failed: bool = False) -> str:
    """What to know of a project that reads others of the same pull request, and whose plan perhaps failed for that."""
    named, they = listed([marked(label) for label in labels]), "that is" if len(labels) == 1 else "these are"
    if failed:
        return (
            f"It reads {named}, which this pull request changes as well. If it cannot be planned before {they} "
            "applied, leave it to a pull request of its own after this one."
        )
    return (
        f"It reads {named}, which this pull request changes as well: once {they} applied, it is planned anew, applied "
        "if the plan is the same, and held for an approval if not."
    )


# -- the diffs --------------------------------------------------------------------------------------------------------
def _project(project: PlannedProject) -> Iterator[Block]:
    label = html_code(project.key.label)
    if project.error.strip():
        is_open = _lines(project.error) < 3 * FOLDED_FROM
        yield Details(f"{label}: what went wrong", (Fence(project.error),), is_open)
    if project.changes.strip() and project.status is not RunStatus.NO_CHANGES:
        summary = f"{label}: {words.in_words(project.counts)}{_warnings(project.changes)}"
        yield Details(summary, (Fence(to_diff(project.changes), "diff"),), _lines(project.changes) < FOLDED_FROM)
    elif _warnings(project.changes):
        yield Details(f"{label}: no changes{_warnings(project.changes)}", (Fence(project.changes),))
    if project.output.strip():
        yield Details(f"{label}: all that the engine printed", (Fence(project.output),))


def _lines(text: str) -> int:
    return text.strip("\n").count("\n") + 1


def _warnings(changes: str) -> str:
    found = len(re.findall(r"^Warning: ", changes, re.MULTILINE))
    return f", {plural(found, 'warning')}" if found else ""


def _is_empty(project: PlannedProject) -> bool:
    """Whether it was found to have nothing to apply."""
    return project.status is RunStatus.NO_CHANGES and not project.partial


# -- what to do -------------------------------------------------------------------------------------------------------
def _next_steps(view: PlanView) -> Iterator[str]:
    yield "### What to do next"
    yield ""
    prefix = view.prefix
    ready = [each for each in view.projects if each.status in _READY and not (each.speculative or each.partial)]
    if any(each.status in _UNDER_WAY for each in view.projects):
        yield "- Wait: this comment is completed when all plans are there."
    if any(each.status in _FAILED for each in view.projects):
        yield f"- Push a fix for what failed, or type `{prefix} plan` to try again."
    if any(each.status is RunStatus.CANCELLED for each in view.projects):
        yield f"- Type `{prefix} plan` to plan what was cancelled."
    if view.refusals:
        yield "- Change what is refused as it says above, and push."
    left = [each for each in view.orphans if each.workspaces and each.moved_to is None]
    if left:
        named = listed([code(each.dir) for each in left])
        yield (
            f"- To destroy what {named} made: do not merge this. Remove the resources in a pull request that keeps the "
            "directory and its backend; once that is applied, remove the directory."
        )
        yield f"- To leave what {named} made behind: approve this pull request by a review, and merge."
    if ready:
        lines = approving([(each.key, each.fingerprint) for each in ready], prefix)
        named = listed(first_of([code(line) for line in lines]))
        yield f"- To approve: review the plans above, then approve this pull request, or type {named}."
        by_itself = "it is then applied, if it still does exactly this"
        yield (
            f"- To apply: merge; {by_itself}."
            if view.applies_by_itself
            else f"- To apply: merge, and type `{prefix} apply`."
        )
    elif view.projects and not left and all(map(_is_empty, view.projects)):
        yield "- There is nothing to apply: review and merge as usual."
    elif not view.projects and not view.refusals and not left:
        yield "- Nothing is planned, and so nothing will be applied."
    if any(each.partial for each in view.projects):
        yield f"- A plan that leaves something out is only to be looked at: `{prefix} plan` alone plans all of it."
    if any(each.speculative and not _is_empty(each) for each in view.projects):
        yield "- A speculative plan cannot be applied. It is made again, by itself, when nothing is before it any more."
    yield ""
    yield f"`{prefix} plan` plans again · `{prefix} unlock` gives up the locks · `{prefix} help` shows all commands"
