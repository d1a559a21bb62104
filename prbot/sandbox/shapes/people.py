"""Accounts."""

from __future__ import annotations

from prbot.sandbox.clock import iso
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.state import Repository, Role, User

_API_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}

_OLD_PERMISSION: dict[Role, str] = {"maintain": "write", "triage": "read"}
"""What `permission` says for the roles that are younger than the field."""


def simple_user(hub: Hub, login: str) -> Json:
    """`simple-user`."""
    return _user(hub, hub.state.users[login])


def _user(hub: Hub, user: User) -> Json:
    api = f"{hub.api_url}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": f"U_kgDO{user.id}",
        "avatar_url": f"{hub.url}/avatars/{user.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{hub.url}/{user.login}",
        **{key: api + path for key, path in _API_LINKS.items()},
        "type": user.kind,
        "site_admin": False,
    }


def own_user(hub: Hub, login: str) -> Json:
    """`public-user`: what GET /user answers."""
    user = hub.state.users[login]
    return {
        **_user(hub, user),
        "name": user.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": iso(user.created_at),
        "updated_at": iso(user.created_at),
    }


def permission(hub: Hub, repo: Repository, user: User) -> Json:
    """`repository-collaborator-permission`."""
    role = repo.role(user.login)
    return {
        "permission": _OLD_PERMISSION.get(role, role),
        "role_name": role,
        "user": {**_user(hub, user), "role_name": role, "permissions": permissions(repo, user.login)},
    }


def permissions(repo: Repository, login: str) -> Json:
    """What somebody may do in a repository, as flags."""
    names: dict[str, Role] = {
        "admin": "admin",
        "maintain": "maintain",
        "push": "write",
        "triage": "triage",
        "pull": "read",
    }
    return {name: repo.allows(login, role) for name, role in names.items()}


def association(hub: Hub, repo: Repository, login: str) -> str:
    """How an author belongs to a repository."""
    if repo.owner == login:
        return "OWNER"
    return "COLLABORATOR" if repo.grants.get(login, "none") != "none" else "NONE"
