"""Apps, installations, check runs and deployments."""

from __future__ import annotations

from prbot.sandbox.apps import App, Installation
from prbot.sandbox.clock import iso
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes.people import simple_user
from prbot.sandbox.shapes.repos import repo_api, repo_html
from prbot.sandbox.state import CheckRun, Deployment, DeploymentStatus, Repository


def app(hub: Hub, one: App) -> Json:
    """`integration`."""
    return {
        "id": one.id,
        "slug": one.slug,
        "client_id": f"Iv{one.id}",
        "node_id": f"A_kwDO{one.id}",
        "owner": simple_user(hub, one.owner),
        "name": one.slug,
        "description": None,
        "external_url": hub.url,
        "html_url": f"{hub.url}/apps/{one.slug}",
        "created_at": iso(one.created_at),
        "updated_at": iso(one.created_at),
        "permissions": dict(one.permissions),
        "events": list(one.events),
    }


def installation(hub: Hub, one: Installation) -> Json:
    """`installation`."""
    account = simple_user(hub, one.account)
    return {
        "id": one.id,
        "account": account,
        "repository_selection": "all" if one.chosen is None else "selected",
        "access_tokens_url": f"{hub.api_url}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{hub.api_url}/installation/repositories",
        "html_url": f"{hub.url}/organizations/{one.account}/settings/installations/{one.id}",
        "app_id": one.app.id,
        "app_slug": one.app.slug,
        "target_id": account["id"],
        "target_type": account["type"],
        "permissions": dict(one.app.permissions),
        "events": list(one.app.events),
        "created_at": iso(one.created_at),
        "updated_at": iso(one.created_at),
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }


def check_run(hub: Hub, repo: Repository, one: CheckRun) -> Json:
    """`check-run`."""
    api = f"{repo_api(hub, repo)}/check-runs/{one.id}"
    return {
        "id": one.id,
        "head_sha": one.head_sha,
        "node_id": f"CR_kwDO{one.id}",
        "external_id": one.external_id,
        "url": api,
        "html_url": f"{repo_html(hub, repo)}/runs/{one.id}",
        "details_url": one.details_url or hub.url,
        "status": one.status,
        "conclusion": one.conclusion,
        "started_at": iso(one.started_at),
        "completed_at": iso(one.completed_at) if one.completed_at else None,
        "output": {
            **{name: one.output.get(name) for name in ("title", "summary", "text")},
            "annotations_count": 0,
            "annotations_url": f"{api}/annotations",
        },
        "name": one.name,
        "check_suite": {"id": one.suite},
        "app": app(hub, one.app),
        "pull_requests": pulls_of(hub, repo, one.head_sha),
    }


def check_suite(hub: Hub, repo: Repository, one: CheckRun) -> Json:
    """The suite of a check run, as webhooks carry it."""
    info = repo.git.info(one.head_sha)
    api = f"{repo_api(hub, repo)}/check-suites/{one.suite}"
    # GitHub's description of this payload lists the events that there are, and is older than merge queues
    about = {**app(hub, one.app), "events": [name for name in one.app.events if name != "merge_group"]}
    return {
        "id": one.suite,
        "node_id": f"CS_kwDO{one.suite}",
        "head_branch": None,
        "head_sha": one.head_sha,
        "status": "queued",
        "conclusion": None,
        "url": api,
        "before": None,
        "after": one.head_sha,
        "pull_requests": pulls_of(hub, repo, one.head_sha),
        "app": about,
        "created_at": iso(one.started_at),
        "updated_at": iso(one.started_at),
        "latest_check_runs_count": 1,
        "check_runs_url": f"{api}/check-runs",
        "head_commit": {
            "id": info.sha,
            "tree_id": info.tree,
            "message": info.message,
            "timestamp": iso(info.committer.at),
            "author": {"name": info.author.name, "email": info.author.email},
            "committer": {"name": info.committer.name, "email": info.committer.email},
        },
    }


def pulls_of(hub: Hub, repo: Repository, sha: str) -> list[Json]:
    """`pull-request-minimal` of the open pull requests with this head; none of those from forks, as on GitHub."""
    here = {"id": repo.id, "url": repo_api(hub, repo), "name": repo.name}
    return [
        {
            "id": pull.id,
            "number": pull.number,
            "url": f"{repo_api(hub, repo)}/pulls/{pull.number}",
            "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": here},
            "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": here},
        }
        for pull in repo.pulls.values()
        if pull.head_sha == sha and pull.state == "open" and pull.head_repo == repo.full_name
    ]


def deployment(hub: Hub, repo: Repository, one: Deployment) -> Json:
    """`deployment`."""
    api = f"{repo_api(hub, repo)}/deployments/{one.id}"
    return {
        "url": api,
        "id": one.id,
        "node_id": f"DE_kwDO{one.id}",
        "sha": one.sha,
        "ref": one.ref,
        "task": "deploy",
        "payload": {},
        "original_environment": one.environment,
        "environment": one.environment,
        "description": one.description,
        "creator": simple_user(hub, one.creator),
        "created_at": iso(one.created_at),
        "updated_at": iso(one.created_at),
        "statuses_url": f"{api}/statuses",
        "repository_url": repo_api(hub, repo),
    }


def deployment_status(hub: Hub, repo: Repository, of: Deployment, one: DeploymentStatus) -> Json:
    """`deployment-status`."""
    api = f"{repo_api(hub, repo)}/deployments/{of.id}"
    return {
        "url": f"{api}/statuses/{one.id}",
        "id": one.id,
        "node_id": f"DES_kwDO{one.id}",
        "state": one.state,
        "creator": simple_user(hub, of.creator),
        "description": one.description,
        "environment": of.environment,
        "target_url": one.log_url,
        "log_url": one.log_url,
        "created_at": iso(one.created_at),
        "updated_at": iso(one.created_at),
        "deployment_url": api,
        "repository_url": repo_api(hub, repo),
    }
