"""Check runs, which Apps alone may write, and deployments."""

from __future__ import annotations

from flask import Blueprint, Response

from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import ApiError, body, invalid, login, minted, page, reply, repo_for, text_field
from prbot.sandbox.shapes import Json, apps
from prbot.sandbox.state import CheckRun, Deployment, DeploymentStatus, Repository

LONGEST_OUTPUT = 65_535
_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
_STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    base = "/repos/<owner>/<name>"
    deployment = f"{base}/deployments/<int:deployment_id>"
    for method, rule, view in (
        ("POST", f"{base}/check-runs", create_check),
        ("PATCH", f"{base}/check-runs/<int:check_id>", update_check),
        ("GET", f"{base}/check-runs/<int:check_id>", get_check),
        ("GET", f"{base}/commits/<sha>/check-runs", list_checks),
        ("POST", f"{base}/deployments", create_deployment),
        ("POST", f"{deployment}/statuses", create_deployment_status),
    ):
        routes.add_url_rule(rule, view.__name__, view, methods=[method])


def create_check(owner: str, name: str) -> Response:
    repo = repo_for(owner, name, "write")
    hub, app, sent = current_hub(), minted().installation.app, body()
    sha = text_field(sent, "CheckRun", "head_sha", 64)
    if repo.git.resolve(sha) != sha:
        raise ApiError(422, f"No commit found for SHA: {sha}")
    same = (one.suite for one in repo.checks.values() if (one.head_sha, one.app) == (sha, app))
    suite = next(same, None) or hub.state.new_id()
    title = text_field(sent, "CheckRun", "name", 255)
    one = CheckRun(hub.state.new_id(), suite, app, sha, title, hub.clock.now())
    _write(one, sent)
    repo.checks[one.id] = one
    return reply(apps.check_run(hub, repo, one), 201)


def update_check(owner: str, name: str, check_id: int) -> Response:
    repo = repo_for(owner, name, "write")
    one = _check(repo, check_id)
    if one.app is not minted().installation.app:
        raise ApiError(403, "Invalid app_id `0` - check run can only be modified by the GitHub App that created it.")
    _write(one, body())
    return reply(apps.check_run(current_hub(), repo, one))


def get_check(owner: str, name: str, check_id: int) -> Response:
    repo = repo_for(owner, name)
    return reply(apps.check_run(current_hub(), repo, _check(repo, check_id)))


def list_checks(owner: str, name: str, sha: str) -> Response:
    """The newest of each name."""
    repo = repo_for(owner, name)
    latest = {one.name: one for one in repo.checks.values() if one.head_sha == sha}
    listed = page(apps.check_run(current_hub(), repo, one) for one in latest.values())
    return reply({"total_count": len(latest), "check_runs": listed.get_json()})


def _check(repo: Repository, check_id: int) -> CheckRun:
    if check_id not in repo.checks:
        raise ApiError(404, "Not Found")
    return repo.checks[check_id]


def _write(one: CheckRun, sent: Json) -> None:
    output = sent.get("output", one.output)
    if output:
        text_field(output, "CheckRun", "title", 255)
        text_field(output, "CheckRun", "summary", LONGEST_OUTPUT)
        if output.get("text"):
            text_field(output, "CheckRun", "text", LONGEST_OUTPUT)
    actions = sent.get("actions", one.actions)
    for action in actions:
        for field, limit in (("label", 20), ("description", 40), ("identifier", 20)):
            text_field(action, "CheckRun", field, limit)
    conclusion = sent.get("conclusion")
    status = "completed" if conclusion else sent.get("status", one.status)
    if status not in _STATUSES or (status == "completed" and (conclusion or one.conclusion) not in _CONCLUSIONS):
        raise invalid("CheckRun", "conclusion", "invalid")
    one.status, one.output, one.actions = status, output, actions
    one.conclusion = (conclusion or one.conclusion) if status == "completed" else None
    one.completed_at = current_hub().clock.now() if status == "completed" else None
    one.external_id = sent.get("external_id", one.external_id)
    one.details_url = sent.get("details_url", one.details_url)


def create_deployment(owner: str, name: str) -> Response:
    repo = repo_for(owner, name, "write")
    hub, sent = current_hub(), body()
    ref = text_field(sent, "Deployment", "ref", 255)
    sha = repo.git.resolve(ref) or repo.git.resolve(f"refs/heads/{ref}")
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    if sent.get("auto_merge", True) or sent.get("required_contexts") != []:
        raise ApiError(409, "Conflict: Commit status checks failed for this ref.")
    environment = text_field({"environment": "production", **sent}, "Deployment", "environment", 255)
    description = sent.get("description") or ""
    one = Deployment(hub.state.new_id(), sha, ref, environment, description, login(), hub.clock.now())
    repo.deployments[one.id] = one
    return reply(apps.deployment(hub, repo, one), 201)


def create_deployment_status(owner: str, name: str, deployment_id: int) -> Response:
    repo = repo_for(owner, name, "write")
    hub, sent = current_hub(), body()
    if deployment_id not in repo.deployments:
        raise ApiError(404, "Not Found")
    if sent.get("state") not in _STATES:
        raise invalid("DeploymentStatus", "state", "invalid")
    description = sent.get("description") or ""
    if description:
        text_field(sent, "DeploymentStatus", "description", 140)
    of = repo.deployments[deployment_id]
    log_url = sent.get("log_url") or ""
    of.statuses.append(DeploymentStatus(hub.state.new_id(), sent["state"], description, log_url, hub.clock.now()))
    return reply(apps.deployment_status(hub, repo, of, of.statuses[-1]), 201)
