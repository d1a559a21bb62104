"""What the base branch brought between the approved plan and the merge, and which of it nobody reviewed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prbot.core.ids import ProjectKey
from prbot.core.runs import DONE, RunStatus

_MOST_NAMED = 5
_SINCE = "Since the approved plan was made, "


@dataclass(frozen=True, slots=True)
class Merge:
    """A merged pull request that prbot has handled: what it put on the base branch, and how its applies stand."""

    pull: int
    commits: frozenset[str]
    applies: Mapping[ProjectKey, RunStatus]
    """The newest run of each of its projects; none means that it was found to have nothing to apply."""
    approved: bool = False
    """Whether all that it changes had been approved when it was merged."""

    def reviewed_for(self, project: ProjectKey) -> bool:
        """Whether its code counts as reviewed where `project` reads it: that very project was approved with it and
        applied, or all of it had been approved and came to its end. What was given up, waits or failed was reviewed by
        nobody, nor what somebody merged that had nothing to apply and that nobody had approved."""
        done = set(self.applies.values()) <= DONE
        return self.applies.get(project) is RunStatus.APPLIED or (self.approved and done)


@dataclass(frozen=True, slots=True)
class Unreviewed:
    """A commit on the base branch that changed what a project reads, and that counts as reviewed by nobody."""

    commit: str
    merge: Merge | None
    """What brought it; None for one that came with no pull request that prbot has handled."""


def unreviewed(touching: Sequence[str], merges: Sequence[Merge], project: ProjectKey) -> tuple[Unreviewed, ...]:
    """Those of the commits that changed what `project` reads which no reviewed merge brought."""
    found = []
    for commit in touching:
        brought = [each for each in merges if commit in each.commits]
        if not any(each.reviewed_for(project) for each in brought):
            found.append(Unreviewed(commit, brought[0] if brought else None))
    return tuple(found)


def base_moved(base_branch: str, found: Sequence[Unreviewed], authors: Mapping[str, str]) -> str:
    """A sentence for people on commits that nobody reviewed; `authors` are names by commit."""
    named = [_named(each, authors) for each in found[:_MOST_NAMED]]
    more = [f"{len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return f"{_SINCE}{base_branch} changed what this project reads, without a review: {'; '.join([*named, *more])}."


def _named(each: Unreviewed, authors: Mapping[str, str]) -> str:
    by = f" by {authors[each.commit]}" if authors.get(each.commit) else ""
    if each.merge is None:
        return f"{each.commit[:7]}{by}"
    open_ones = sorted({status.replace("_", " ") for status in each.merge.applies.values() if status not in DONE})
    what = f"is {' and '.join(open_ones)}" if open_ones else "nobody had approved"
    return f"{each.commit[:7]}{by}, of #{each.merge.pull}, which {what}"


def rewritten(base_branch: str) -> str:
    """A sentence for people on a base branch that does not hold any more what the approved plan was made on."""
    return f"{_SINCE}{base_branch} was set back or rewritten, which changed what this project reads."


def other_changes(head_sha: str, approved_head: str, base_branch: str) -> str:
    """A sentence for people on a head that took over the approvals of another one, and that by now changes more."""
    return (
        f"On {base_branch} as it was just before the merge, {head_sha[:7]} changes something else than "
        f"{approved_head[:7]}, which was approved."
    )


def other_content(base_branch: str, merge_sha: str, head_sha: str, author: str) -> str:
    """A sentence for people on a merge that holds what neither the base branch nor the reviewed head has."""
    by = f" by {author}" if author else ""
    return (
        f"The merge {merge_sha[:7]}{by} holds other content than {head_sha[:7]} merged into {base_branch} gives, and "
        "nobody reviewed that."
    )
