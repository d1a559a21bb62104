"""Repositories, their branches, activity and webhooks."""

from __future__ import annotations

from prbot.sandbox.apps import App
from prbot.sandbox.clock import iso
from prbot.sandbox.hooks import Delivery
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes.people import permissions, simple_user
from prbot.sandbox.state import Activity, Hook, Repository

_API_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def repo_api(hub: Hub, repo: Repository) -> str:
    """The address of a repository in the API."""
    return f"{hub.api_url}/repos/{repo.full_name}"


def repo_html(hub: Hub, repo: Repository) -> str:
    """The address of a repository for people."""
    return f"{hub.url}/{repo.full_name}"


def clone_url(hub: Hub, repo: Repository) -> str:
    """Where git reads a repository from."""
    return f"{hub.url}/{repo.full_name}.git"


def minimal_repository(hub: Hub, repo: Repository) -> Json:
    """`minimal-repository`."""
    api = repo_api(hub, repo)
    return {
        "id": repo.id,
        "node_id": f"R_kgDO{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": simple_user(hub, repo.owner),
        "html_url": repo_html(hub, repo),
        "description": None,
        "fork": repo.parent is not None,
        "url": api,
        **{key: api + path for key, path in _API_LINKS.items()},
    }


def repository(hub: Hub, repo: Repository) -> Json:
    """`repository`, as pull requests and webhooks carry it."""
    open_pulls = sum(pull.state == "open" for pull in repo.pulls.values())
    return {
        **minimal_repository(hub, repo),
        "git_url": clone_url(hub, repo).replace("http://", "git://"),
        "ssh_url": f"git@localhost:{repo.full_name}.git",
        "clone_url": clone_url(hub, repo),
        "svn_url": repo_html(hub, repo),
        "mirror_url": None,
        "homepage": None,
        "language": "HCL",
        "license": None,
        "default_branch": repo.default_branch,
        "created_at": iso(repo.created_at),
        "updated_at": iso(repo.pushed_at),
        "pushed_at": iso(repo.pushed_at),
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "forks_count": 0,
        "forks": 0,
        "open_issues_count": open_pulls,
        "open_issues": open_pulls,
        "has_issues": True,
        "has_projects": False,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private" if repo.private else "public",
    }


def full_repository(hub: Hub, repo: Repository, login: str) -> Json:
    """`full-repository`, as seen by `login`."""
    return {
        **repository(hub, repo),
        "network_count": 0,
        "subscribers_count": 0,
        "permissions": permissions(repo, login),
        "allow_merge_commit": True,
        "allow_squash_merge": True,
        "allow_rebase_merge": True,
        "allow_auto_merge": False,
        "delete_branch_on_merge": False,
    }


def activity(hub: Hub, entry: Activity) -> Json:
    """`activity`."""
    return {
        "id": entry.id,
        "node_id": f"PSH_{entry.id}",
        "before": entry.before,
        "after": entry.after,
        "ref": entry.ref,
        "timestamp": iso(entry.at),
        "activity_type": entry.kind,
        "actor": simple_user(hub, entry.actor),
    }


def hook(hub: Hub, repo: Repository, one: Hook) -> Json:
    """`hook`. The secret is never told."""
    api = f"{repo_api(hub, repo)}/hooks/{one.id}"
    return {
        "type": "Repository",
        "id": one.id,
        "name": "web",
        "active": one.active,
        "events": list(one.events),
        "config": {
            "content_type": "form" if one.form else "json",
            "insecure_ssl": "0",
            "secret": "********",
            "url": one.url,
        },
        "updated_at": iso(one.created_at),
        "created_at": iso(one.created_at),
        "url": api,
        "test_url": f"{api}/test",
        "ping_url": f"{api}/pings",
        "deliveries_url": f"{api}/deliveries",
        "last_response": _last_response(hub, one),
    }


def app_hook(hub: Hub, one: Hook, app: App) -> Json:
    """The webhook of an App."""
    api = f"{hub.api_url}/app/hook"
    config = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": one.url}
    told = {"type": "App", "id": one.id, "name": "web", "active": one.active, "events": list(one.events)}
    at = {"updated_at": iso(one.created_at), "created_at": iso(one.created_at)}
    return {**told, **at, "config": config, "app_id": app.id, "deliveries_url": f"{api}/deliveries"}


def _last_response(hub: Hub, one: Hook) -> Json:
    answered = next((each for each in reversed(hub.hooks.deliveries) if each.hook is one and each.status_code), None)
    if answered is None:
        return {"code": None, "status": "unused", "message": None}
    return {"code": answered.status_code, "status": "active", "message": answered.status}


def delivery_item(one: Delivery) -> Json:
    """`hook-delivery-item`."""
    return {
        "id": one.id,
        "guid": one.guid,
        "delivered_at": iso(one.delivered_at),
        "redelivery": one.redelivery,
        "duration": one.duration,
        "status": one.status,
        "status_code": one.status_code,
        "event": one.event,
        "action": one.action,
        "installation_id": None,
        "repository_id": one.repository_id,
        "throttled_at": None,
    }


def delivery(one: Delivery) -> Json:
    """`hook-delivery`: with what was sent and answered."""
    return {
        **delivery_item(one),
        "url": one.hook.url,
        "request": {"headers": one.headers(one.body()), "payload": one.payload},
        "response": {"headers": one.response_headers, "payload": one.response},
    }
