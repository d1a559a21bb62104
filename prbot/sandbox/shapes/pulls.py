"""Pull requests."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.sandbox.clock import iso
from prbot.sandbox.hub import Hub
from prbot.sandbox.mergeability import mergeability
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes.people import association, simple_user
from prbot.sandbox.shapes.repos import repo_api, repository
from prbot.sandbox.shapes.talk import label, pull_html
from prbot.sandbox.state import Pull, Repository


@dataclass(frozen=True, slots=True)
class Merging:
    """What a reply says about merging: null and `unknown` in webhooks, where GitHub has not looked yet."""

    mergeable: bool | None = None
    state: str = "unknown"
    test_commit: str | None = None


def pull_simple(hub: Hub, repo: Repository, pull: Pull, merging: Merging = Merging()) -> Json:
    """`pull-request-simple`, as lists carry it."""
    api, issue = (f"{repo_api(hub, repo)}/{kind}/{pull.number}" for kind in ("pulls", "issues"))
    html = pull_html(hub, repo, pull.number)
    links = {
        "commits": f"{api}/commits",
        "review_comments": f"{api}/comments",
        "review_comment": f"{repo_api(hub, repo)}/pulls/comments{{/number}}",
        "comments": f"{issue}/comments",
        "statuses": f"{repo_api(hub, repo)}/statuses/{pull.head_sha}",
    }
    itself = {"self": api, "html": html, "issue": issue}
    return {
        "url": api,
        "id": pull.id,
        "node_id": f"PR_kwDO{pull.id}",
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        **{f"{name}_url": href for name, href in links.items()},
        "_links": {name: {"href": href} for name, href in {**itself, **links}.items()},
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": simple_user(hub, pull.user),
        "body": pull.body,
        "created_at": iso(pull.created_at),
        "updated_at": iso(pull.updated_at),
        "closed_at": iso(pull.closed_at) if pull.closed_at else None,
        "merged_at": iso(pull.merged_at) if pull.merged_at else None,
        "merge_commit_sha": pull.merge_sha if pull.merged else merging.test_commit,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [label(hub, repo, one) for one in pull.labels],
        "milestone": None,
        "draft": pull.draft,
        "head": _side(hub, hub.state.repos.get(pull.head_repo), pull.head_ref, pull.head_sha, pull.head_repo),
        "base": _side(hub, repo, pull.base_ref, pull.base_sha, repo.full_name),
        "author_association": association(hub, repo, pull.user),
        "auto_merge": None,
        "active_lock_reason": None,
    }


def pull_full(hub: Hub, repo: Repository, pull: Pull, merging: Merging = Merging()) -> Json:
    """`pull-request`, with counts and what is known about merging."""
    changes = repo.git.changes(repo.git.merge_base(pull.base_sha, pull.head_sha), pull.head_sha)
    return {
        **pull_simple(hub, repo, pull, merging),
        "merged": pull.merged,
        "mergeable": merging.mergeable,
        "rebaseable": merging.mergeable,
        "mergeable_state": merging.state,
        "merged_by": simple_user(hub, pull.merged_by) if pull.merged_by else None,
        "comments": len(repo.conversation(pull.number)),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(repo.git.log(pull.base_sha, pull.head_sha)),
        "additions": sum(change.additions for change in changes),
        "deletions": sum(change.deletions for change in changes),
        "changed_files": len(changes),
    }


def pull_read(hub: Hub, repo: Repository, pull: Pull) -> Json:
    """`pull-request` as somebody who asks for it gets it: asking makes GitHub find out whether it merges."""
    if pull.old_reads:
        pull.old_reads -= 1
        return pull.old_document
    if pull.state != "open":
        return pull_full(hub, repo, pull)
    if pull.unknown_reads:
        pull.unknown_reads -= 1
        return pull_full(hub, repo, pull)
    found = mergeability(hub, repo, pull)
    return pull_full(hub, repo, pull, Merging(found.test_commit is not None, found.state, found.test_commit))


def _side(hub: Hub, repo: Repository | None, ref: str, sha: str, full_name: str) -> Json:
    owner = full_name.partition("/")[0]
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": simple_user(hub, owner),
        "repo": repository(hub, repo) if repo else None,
    }
