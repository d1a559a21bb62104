"""Commits, statuses and changed files."""

from __future__ import annotations

from urllib.parse import quote

from prbot.sandbox.clock import iso
from prbot.sandbox.gitrepos import CommitInfo, FileChange, Signature
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes.people import simple_user
from prbot.sandbox.shapes.repos import minimal_repository, repo_api, repo_html
from prbot.sandbox.state import CommitStatus, Repository


def commit(hub: Hub, repo: Repository, info: CommitInfo) -> Json:
    """`commit`. Author and committer are null where no account has the address."""
    api = repo_api(hub, repo)
    return {
        "sha": info.sha,
        "node_id": f"C_kwDO{info.sha}",
        "commit": {
            "author": _git_user(info.author),
            "committer": _git_user(info.committer),
            "message": info.message,
            "tree": {"sha": info.tree, "url": f"{api}/git/trees/{info.tree}"},
            "url": f"{api}/git/commits/{info.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "url": f"{api}/commits/{info.sha}",
        "html_url": f"{repo_html(hub, repo)}/commit/{info.sha}",
        "comments_url": f"{api}/commits/{info.sha}/comments",
        "author": _account(hub, info.author),
        "committer": _account(hub, info.committer),
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{repo_html(hub, repo)}/commit/{sha}"}
            for sha in info.parents
        ],
    }


def branch(hub: Hub, repo: Repository, name: str, info: CommitInfo) -> Json:
    """`branch-with-protection`."""
    api = f"{repo_api(hub, repo)}/branches/{quote(name)}"
    protection = repo.protection.get(name)
    return {
        "name": name,
        "commit": commit(hub, repo, info),
        "_links": {"self": api, "html": f"{repo_html(hub, repo)}/tree/{quote(name)}"},
        "protected": protection is not None,
        "protection": {"enabled": protection is not None, **(protection or {})},
        "protection_url": f"{api}/protection",
    }


def status(hub: Hub, repo: Repository, one: CommitStatus) -> Json:
    """`status`."""
    creator = simple_user(hub, one.creator)
    return {
        "url": f"{repo_api(hub, repo)}/statuses/{one.sha}",
        "avatar_url": creator["avatar_url"],
        "id": one.id,
        "node_id": f"SC_kwDO{one.id}",
        "state": one.state,
        "description": one.description,
        "target_url": one.target_url,
        "context": one.context,
        "created_at": iso(one.created_at),
        "updated_at": iso(one.created_at),
        "creator": creator,
    }


def combined_status(hub: Hub, repo: Repository, sha: str) -> Json:
    """`combined-commit-status`: one state for all contexts."""
    latest = list(repo.latest_statuses(sha).values())
    simple = [{key: value for key, value in status(hub, repo, one).items() if key != "creator"} for one in latest]
    api = f"{repo_api(hub, repo)}/commits/{sha}"
    return {
        "state": combined_state(latest),
        "statuses": simple,
        "sha": sha,
        "total_count": len(latest),
        "repository": minimal_repository(hub, repo),
        "commit_url": api,
        "url": f"{api}/status",
    }


def combined_state(statuses: list[CommitStatus]) -> str:
    """`failure` if any failed, `pending` if any is open or there is none, else `success`."""
    states = {one.state for one in statuses}
    if states & {"failure", "error"}:
        return "failure"
    return "success" if states == {"success"} else "pending"


def changed_file(hub: Hub, repo: Repository, head: str, change: FileChange) -> Json:
    """`diff-entry`. The patch is left out: whatever matters about content is read from git."""
    path = quote(change.path)
    renamed = {"previous_filename": change.previous} if change.previous else {}
    return {
        "sha": change.blob,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{repo_html(hub, repo)}/blob/{head}/{path}",
        "raw_url": f"{repo_html(hub, repo)}/raw/{head}/{path}",
        "contents_url": f"{repo_api(hub, repo)}/contents/{path}?ref={head}",
        **renamed,
    }


def _git_user(who: Signature) -> Json:
    return {"name": who.name, "email": who.email, "date": iso(who.at)}


def _account(hub: Hub, who: Signature) -> Json | None:
    user = hub.state.user_by_email(who.email)
    return simple_user(hub, user.login) if user else None
