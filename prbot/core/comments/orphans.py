"""The comment on a merged pull request that removed projects: what stays behind of each, until that is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prbot.core.commands import to_paste
from prbot.core.comments import words
from prbot.core.comments.blocks import Document, Table, Text
from prbot.core.comments.text import code, listed, plural, prose
from prbot.core.ids import ProjectKey
from prbot.core.marks import marked


@dataclass(frozen=True, slots=True)
class Left:
    """A project that a merge removed. `settled` says what has become of it since; empty while it is orphaned."""

    key: ProjectKey
    settled: str = ""


def orphans_document(
    projects: Sequence[Left], merge_sha: str, before_sha: str, base_branch: str, prefix: str = "prbot"
) -> Document:
    """What a merge left behind, and for as long as it is orphaned, the ways on."""
    rows = tuple((code(each.key.label), prose(each.settled) or words.ORPHANED) for each in projects)
    orphaned = [each.key for each in projects if not each.settled]
    title = f"{plural(len(orphaned), 'project')} orphaned" if orphaned else "No project is orphaned any more"
    merged = f"Merged as {code(merge_sha[:7])} on {code(base_branch)}, which removed what is listed here."
    top = (Text(f"## {title}\n\n{merged}"), Table(("Project", "What became of it"), rows))
    if not orphaned:
        return (top,)
    named = listed([code(key.label) for key in orphaned])
    typed = listed([code(to_paste("forget", key, prefix)) for key in orphaned])
    steps = (
        f"What {named} made still exists, and nothing manages it any more.\n\n### What to do next\n\n"
        "- To manage it again, or to destroy it: bring the directory back in a new pull request, as it is in "
        f"{code(before_sha[:7])}, with the backend that it has there; and without its resources, to destroy them.\n"
        f"- To leave it as it is, for good: somebody with maintain access types {typed}."
    )
    return (top, (Text(steps),))


def nothing_to_forget(open_ones: Sequence[ProjectKey], prefix: str) -> str:
    """Why `forget` names nothing, as a sentence for people."""
    if not open_ones:
        return "No project of this repository is orphaned, so that there is nothing to forget."
    listing = ", ".join(marked(to_paste("forget", key, prefix)) for key in open_ones)
    return f"Say which orphaned project is to be forgotten: {listing}."
