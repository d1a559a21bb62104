"""GitHub's REST documents as prbot's facts. Pure; raises WrongField for a document that is not as GitHub's docs say.

Accounts that were deleted are null there and `ghost` here.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, get_args

import rfc8785

from prbot.core.ids import PullKey, Repo
from prbot.core.pulls import ROLES, Comment, Commit, Posted, Pull, Push, Review, ReviewState, Role, Undelivered
from prbot.github import fields
from prbot.github.fields import Kind, WrongField, account, find, one_of, optional, required
from prbot.github.payloads import EVENTS

_STATE: Kind[Literal["open", "closed"]] = one_of(("open", "closed"))
_REVIEW_STATE: Kind[ReviewState] = one_of(get_args(ReviewState))
_ROLE: Kind[Role] = one_of(ROLES)
_PERMISSION: Kind[Role] = one_of(("admin", "write", "read", "none"))


def pull(document: object) -> Pull:
    """A pull request, from `pull-request` or, with less in it, from the `pull-request-simple` of a list.

    A list says nothing of merging: there `mergeable` is None, `mergeable_state` is `unknown` and `commits` is 0.
    """
    repo = Repo(
        required(document, "base.repo.full_name", fields.REPO_NAME),
        required(document, "base.repo.clone_url", fields.CLONE_URL),
    )
    author = account(document, "user")
    merged = optional(document, "merged", fields.FLAG) or optional(document, "merged_at", fields.TIME) is not None
    return Pull(
        key=PullKey(repo.name, required(document, "number", fields.ID)),
        repo=repo,
        title=required(document, "title", fields.PROSE),
        author=author.login,
        author_is_bot=author.is_bot,
        state=required(document, "state", _STATE),
        draft=optional(document, "draft", fields.FLAG) or False,
        merged=merged,
        merge_sha=required(document, "merge_commit_sha", fields.SHA) if merged else None,
        merged_by=optional(document, "merged_by.login", fields.LOGIN),
        head_sha=required(document, "head.sha", fields.SHA),
        head_branch=required(document, "head.ref", fields.BRANCH),
        head_repo=optional(document, "head.repo.full_name", fields.REPO_NAME),
        base_branch=required(document, "base.ref", fields.BRANCH),
        base_sha=required(document, "base.sha", fields.SHA),
        default_branch=required(document, "base.repo.default_branch", fields.BRANCH),
        labels=tuple(required(label, "name", fields.PROSE) for label in required(document, "labels", fields.LIST)),
        commits=optional(document, "commits", fields.ID) or 0,
        mergeable=optional(document, "mergeable", fields.FLAG),
        mergeable_state=optional(document, "mergeable_state", fields.WORD) or "unknown",
        url=required(document, "html_url", fields.TEXT),
        created_at=required(document, "created_at", fields.TIME),
        updated_at=required(document, "updated_at", fields.TIME),
        merged_at=required(document, "merged_at", fields.TIME) if merged else None,
    )


def reviews(documents: list[Any]) -> list[Review]:
    """The submitted reviews of a list. One that its author has not submitted yet (PENDING) is no review so far."""
    return [_review(document) for document in documents if find(document, "state") != "PENDING"]


def commit(document: object) -> Commit:
    """A commit of a pull request's list."""
    return Commit(
        sha=required(document, "sha", fields.SHA),
        # null for an address that no account has; an empty object has been seen too
        author=optional(document, "author.login", fields.LOGIN),
        committer=optional(document, "committer.login", fields.LOGIN),
        parents=tuple(required(parent, "sha", fields.SHA) for parent in required(document, "parents", fields.LIST)),
    )


def comment(document: object) -> Comment:
    """An issue comment."""
    author = account(document, "user")
    return Comment(
        id=required(document, "id", fields.ID),
        user=author.login,
        user_is_bot=author.is_bot,
        body=optional(document, "body", fields.PROSE) or "",
        created_at=required(document, "created_at", fields.TIME),
        updated_at=required(document, "updated_at", fields.TIME),
    )


def posted(document: object) -> Posted:
    """The answer to writing an issue comment."""
    return Posted(
        id=required(document, "id", fields.ID),
        node_id=required(document, "node_id", fields.TEXT),
        at=required(document, "updated_at", fields.TIME),
    )


def role(document: object) -> Role:
    """A collaborator's role. Custom ones count as `permission` says, which knows admin, write, read and none alone."""
    if find(document, "role_name") in ROLES:
        return required(document, "role_name", _ROLE)
    return required(document, "permission", _PERMISSION)


def pushes(document: object, branch: str) -> list[Push]:
    """What a repository's activity, newest first, says of a branch's pushes; oldest first."""
    if not isinstance(document, list):
        raise WrongField("the document", "a list", missing=False)
    return [
        Push(
            required(entry, "before", fields.SHA),
            required(entry, "after", fields.SHA),
            optional(entry, "actor.login", fields.LOGIN) or "",
        )
        for entry in reversed(document)
        if find(entry, "ref") == f"refs/heads/{branch}"
    ]


def hooks_to(documents: list[Any], url: str) -> list[int]:
    """The ids of the webhooks, in a list of them, whose address is below `url`."""
    below = url.rstrip("/") + "/"
    return [
        required(document, "id", fields.ID)
        for document in documents
        if required(document, "config.url", fields.TEXT).startswith(below)
    ]


def undelivered(documents: object, *, repo: str, hook: int) -> list[Undelivered]:
    """The deliveries in a webhook's list, newest first, that are of use and have not arrived by any attempt."""
    if not isinstance(documents, list):
        raise WrongField("the document", "a list", missing=False)
    arrived = {find(each, "guid") for each in documents if find(each, "status") == "OK"}
    first = {required(each, "guid", fields.TEXT): each for each in documents if find(each, "event") in EVENTS}
    return [
        Undelivered(repo, hook, required(each, "id", fields.ID), guid, required(each, "delivered_at", fields.MOMENT))
        for guid, each in first.items()
        if guid not in arrived
    ]


def _review(document: object) -> Review:
    reviewer = account(document, "user")
    return Review(
        id=required(document, "id", fields.ID),
        user=reviewer.login,
        user_is_bot=reviewer.is_bot,
        state=required(document, "state", _REVIEW_STATE),
        commit_id=optional(document, "commit_id", fields.SHA) or "",  # null once the commit is gone: it is no head's
        submitted_at=required(document, "submitted_at", fields.TIME),
        raw_digest=_digest(document),
    )


def _digest(document: Any) -> str:
    try:
        return "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeError):
        raise WrongField("the document", "JSON that RFC 8785 can put in canonical form", missing=False) from None
