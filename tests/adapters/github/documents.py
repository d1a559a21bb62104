"""GitHub's documents as its API and webhooks send them, shortened to a realistic width."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
BASE = "c3d0be41ecbe669545ee3e94d31ed9a4bc91ee3c"
MERGE = "e5bd3914e2e596debea16f433f57875b5b90bcd6"


def user(login: str, kind: str = "User") -> Json:
    return {
        "login": login,
        "id": 583231,
        "node_id": "MDQ6VXNlcjU4MzIzMQ==",
        "type": kind,
        "site_admin": False,
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "url": f"https://api.github.com/users/{login}",
    }


def repository(full_name: str = "acme/infra") -> Json:
    owner, _, name = full_name.partition("/")
    return {
        "id": 1296269,
        "node_id": "MDEwOlJlcG9zaXRvcnkxMjk2MjY5",
        "name": name,
        "full_name": full_name,
        "owner": user(owner, "Organization"),
        "private": True,
        "fork": False,
        "default_branch": "main",
        "clone_url": f"https://github.com/{full_name}.git",
        "html_url": f"https://github.com/{full_name}",
    }


def pull_simple(number: int = 7, **changes: Any) -> Json:
    """An element of the list of pull requests: nothing about merging."""
    return {
        "id": 1,
        "node_id": "PR_kwDOABCD",
        "number": number,
        "state": "open",
        "locked": False,
        "draft": False,
        "title": "Raise the limit",
        "user": user("al"),
        "body": None,
        "labels": [{"id": 9, "name": "infra", "color": "ededed"}],
        "html_url": f"https://github.com/acme/infra/pull/{number}",
        "merge_commit_sha": MERGE,
        "merged_at": None,
        "head": {"label": "acme:limit", "ref": "limit", "sha": HEAD, "user": user("acme"), "repo": repository()},
        "base": {"label": "acme:main", "ref": "main", "sha": BASE, "user": user("acme"), "repo": repository()},
        "created_at": "2026-11-20T11:00:00Z",
        "updated_at": "2026-11-20T12:00:00Z",
        "author_association": "MEMBER",
    } | changes


def pull(number: int = 7, **changes: Any) -> Json:
    """A pull request asked for by its number."""
    return (
        pull_simple(number)
        | {
            "merged": False,
            "mergeable": True,
            "mergeable_state": "blocked",
            "merged_by": None,
            "comments": 3,
            "commits": 2,
            "additions": 10,
            "deletions": 1,
            "changed_files": 1,
        }
        | changes
    )


def review(number: int, state: str, **changes: Any) -> Json:
    return {
        "id": number,
        "node_id": f"PRR_{number}",
        "user": user("bo"),
        "body": "",
        "state": state,
        "commit_id": HEAD,
        "submitted_at": "2026-11-20T12:00:03Z",
        "author_association": "MEMBER",
        "html_url": f"https://github.com/acme/infra/pull/7#pullrequestreview-{number}",
    } | changes


def commit(sha: str = HEAD, **changes: Any) -> Json:
    person = {"name": "Al", "email": "al@acme.example", "date": "2026-11-20T10:00:00Z"}
    return {
        "sha": sha,
        "node_id": "C_kwDO",
        "author": user("al"),
        "committer": user("web-flow"),
        "parents": [{"sha": BASE}],
        "commit": {"message": "Raise the limit", "author": person, "committer": person, "tree": {"sha": MERGE}},
    } | changes


def comment(number: int, body: str, **changes: Any) -> Json:
    return {
        "id": number,
        "node_id": f"IC_kwDO{number}",
        "user": user("al"),
        "body": body,
        "author_association": "MEMBER",
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-20T12:00:01Z",
        "html_url": f"https://github.com/acme/infra/pull/7#issuecomment-{number}",
    } | changes


def activity(after: str, actor: Json | None, **changes: Any) -> Json:
    return {
        "id": 15,
        "node_id": "PSH_kwLO",
        "before": BASE,
        "after": after,
        "ref": "refs/heads/limit",
        "timestamp": "2026-11-20T11:59:00Z",
        "activity_type": "push",
        "actor": actor,
    } | changes


def pull_payload(action: str, **changes: Any) -> Json:
    """A `pull_request` delivery."""
    return {
        "action": action,
        "number": 7,
        "pull_request": pull(),
        "repository": repository(),
        "sender": user("cy"),
        "organization": {"login": "acme", "id": 2},
    } | changes


def comment_payload(action: str = "created", **changes: Any) -> Json:
    """An `issue_comment` delivery about a pull request."""
    issue = {
        "number": 7,
        "title": "Raise the limit",
        "state": "open",
        "pull_request": {"url": "https://api.github.com/…"},
    }
    return {
        "action": action,
        "issue": issue,
        "comment": comment(41, "prbot plan"),
        "repository": repository(),
        "sender": user("al"),
    } | changes


def review_payload(action: str, **changes: Any) -> Json:
    """A `pull_request_review` delivery."""
    return {
        "action": action,
        "review": review(80, "approved"),
        "pull_request": pull_simple(),
        "repository": repository(),
        "sender": user("bo"),
    } | changes
