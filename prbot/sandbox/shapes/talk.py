"""What people say: comments, reactions, reviews, labels, and the issue behind a pull request."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote

from prbot.sandbox.clock import iso
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes.people import association, simple_user
from prbot.sandbox.shapes.repos import repo_api, repo_html
from prbot.sandbox.state import Comment, Label, Pull, Reaction, Repository, Review

REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def pull_html(hub: Hub, repo: Repository, number: int) -> str:
    """The address of a pull request for people."""
    return f"{repo_html(hub, repo)}/pull/{number}"


def comment(hub: Hub, repo: Repository, one: Comment) -> Json:
    """`issue-comment`."""
    api = f"{repo_api(hub, repo)}/issues/comments/{one.id}"
    return {
        "url": api,
        "html_url": f"{pull_html(hub, repo, one.number)}#issuecomment-{one.id}",
        "issue_url": f"{repo_api(hub, repo)}/issues/{one.number}",
        "id": one.id,
        "node_id": one.node_id,
        "user": simple_user(hub, one.user),
        "created_at": iso(one.created_at),
        "updated_at": iso(one.updated_at),
        "author_association": association(hub, repo, one.user),
        "body": one.body,
        "reactions": _rollup(f"{api}/reactions", one.reactions),
        "performed_via_github_app": None,
    }


def reaction(hub: Hub, one: Reaction) -> Json:
    """`reaction`."""
    return {
        "id": one.id,
        "node_id": f"REA_{one.id}",
        "user": simple_user(hub, one.user),
        "content": one.content,
        "created_at": iso(one.created_at),
    }


def review(hub: Hub, repo: Repository, pull: Pull, one: Review) -> Json:
    """`pull-request-review`."""
    html = f"{pull_html(hub, repo, pull.number)}#pullrequestreview-{one.id}"
    api = f"{repo_api(hub, repo)}/pulls/{pull.number}"
    return {
        "id": one.id,
        "node_id": f"PRR_kwDO{one.id}",
        "user": simple_user(hub, one.user),
        "body": one.body,
        "state": one.state,
        "html_url": html,
        "pull_request_url": api,
        "author_association": association(hub, repo, one.user),
        "_links": {"html": {"href": html}, "pull_request": {"href": api}},
        "submitted_at": iso(one.submitted_at),
        "commit_id": one.commit_id,
    }


def label(hub: Hub, repo: Repository, one: Label) -> Json:
    """`label`."""
    return {
        "id": one.id,
        "node_id": f"LA_kwDO{one.id}",
        "url": f"{repo_api(hub, repo)}/labels/{quote(one.name)}",
        "name": one.name,
        "color": "ededed",
        "default": False,
        "description": "",
    }


def issue(hub: Hub, repo: Repository, pull: Pull) -> Json:
    """`issue`, as comment webhooks carry it: the pull request seen as the issue that it also is."""
    api = f"{repo_api(hub, repo)}/issues/{pull.number}"
    html = pull_html(hub, repo, pull.number)
    return {
        "url": api,
        "repository_url": repo_api(hub, repo),
        "labels_url": f"{api}/labels{{/name}}",
        "comments_url": f"{api}/comments",
        "events_url": f"{api}/events",
        "html_url": html,
        "id": pull.id,
        "node_id": f"PR_kwDO{pull.id}",
        "number": pull.number,
        "title": pull.title,
        "user": simple_user(hub, pull.user),
        "labels": [label(hub, repo, one) for one in pull.labels],
        "state": pull.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(repo.conversation(pull.number)),
        "created_at": iso(pull.created_at),
        "updated_at": iso(pull.updated_at),
        "closed_at": iso(pull.closed_at) if pull.closed_at else None,
        "author_association": association(hub, repo, pull.user),
        "active_lock_reason": None,
        "draft": pull.draft,
        "pull_request": {
            "url": f"{repo_api(hub, repo)}/pulls/{pull.number}",
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": iso(pull.merged_at) if pull.merged_at else None,
        },
        "body": pull.body,
        "reactions": _rollup(f"{api}/reactions", []),
        "timeline_url": f"{api}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }


def _rollup(url: str, reactions: list[Reaction]) -> Json:
    counts = Counter(one.content for one in reactions)
    return {"url": url, "total_count": len(reactions), **{name: counts[name] for name in REACTIONS}}
