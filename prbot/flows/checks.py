"""The plan as a check with a page of its own, where the forge lets us write one.

There, it stands in place of the commit status of the same name: both would be two lines that say the same, and a rule
that requires it is met by either.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import structlog
from sqlmodel import Session

from prbot.core.comments import replies
from prbot.core.comments.blocks import Document
from prbot.core.comments.check import check_page
from prbot.core.comments.plan import plan_document
from prbot.core.ids import PullKey
from prbot.core.pulls import CheckConclusion, CheckRun, Status
from prbot.core.runs import Goal
from prbot.flows import sharing, views
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import NotFound
from prbot.store import posts, runs
from prbot.store.tables import Operation, Post, PullRow, Run

log = structlog.get_logger(__name__)
PLAN = "prbot/plan"
BUTTON = "Plan this commit"


# -- wanting ----------------------------------------------------------------------------------------------------------
def in_place_of(tx: Session, pull: PullKey, sha: str, status: Status) -> bool:
    """Whether, where we may write checks, one stands in place of this status: not where the status stands already."""
    return status.context == PLAN and not posts.of_key(tx, pull, posts.STATUS, f"{sha} {PLAN}")


def of_plan(
    services: Services, tx: Session, pull: PullRow, plan: Operation, members: Sequence[Run], status: Status
) -> CheckRun:
    """What `status` says, as a check whose page shows these runs of a plan."""
    check = CheckRun(PLAN, None, status.description, f"{status.description}.", target_url=status.target_url)
    if status.state == "pending":
        return check
    summary, text = check_page(_document(services, tx, pull, plan, members), pull.url)
    conclusion: CheckConclusion = "success" if status.state == "success" else "failure"
    return replace(check, conclusion=conclusion, summary=summary or check.summary, text=text)


def want_permission(services: Services, tx: Session, pull: PullRow) -> None:
    """Where a stranger's head waits for somebody who may write: a check with a button by which they allow it."""
    told = posts.of_key(tx, pull.key, posts.COMMENT, views.stranger_notice(pull.head_sha))
    planned = any(each.goal is Goal.PLAN and each.head_sha == pull.head_sha for each in runs.operations(tx, pull.key))
    if not told or planned:
        return
    said = "A plan runs the pull request's code, and this commit is not by somebody who may write. Read it first."
    title = "somebody with write access must allow this commit"
    want(services, tx, pull.key, pull.head_sha, CheckRun(PLAN, "action_required", title, said, button=BUTTON))


def want(services: Services, tx: Session, pull: PullKey, sha: str, check: CheckRun) -> None:
    """Say which check should stand on a commit."""
    masks = services.secrets()
    masked = replace(check, summary=masks.redact(check.summary), text=masks.redact(check.text))
    posts.want(tx, pull, posts.CHECK, f"{sha} {check.name}", [json.dumps(asdict(masked), sort_keys=True)])


def begin_anew(services: Services, tx: Session, pull: PullKey, sha: str) -> None:
    """Have a commit's check written again as it should be: the forge opens it by itself when its button is pressed."""
    for post in posts.of_key(tx, pull, posts.CHECK, f"{sha} {PLAN}"):
        post.sent = ""
        tx.add(post)
    report_soon(services, tx, pull)


def _document(services: Services, tx: Session, pull: PullRow, plan: Operation, members: Sequence[Run]) -> Document:
    if plan.conflict:
        return replies.conflict(plan.head_sha, pull.base_branch, plan.conflict)
    if not (members or plan.refusals or plan.orphans or plan.notes):
        return ()
    view = views.plan_view(tx, pull, plan, services.rules(pull.repo), services.identity.prefixes[0], ())
    return plan_document(replace(view, projects=views.planned(tx, members)))


# -- sending ----------------------------------------------------------------------------------------------------------
def send(services: Services, pull: PullKey, post: Post) -> int:
    """Write a check run, or write it anew. One that was written though we never heard of it is written once more: of
    several of the same name the forge shows the latest."""
    sha, check = post.key.split(" ", 1)[0], sharing.check_of(services, post)
    if post.external_id is not None:
        try:
            return services.forge.write_check(pull, sha, check, post.external_id)
        except NotFound:
            log.info("our check run is gone; it is written again", repository=pull.repo, pull=pull.number)
    return services.forge.write_check(pull, sha, check)
