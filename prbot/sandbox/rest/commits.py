"""Commits and commit statuses."""

from __future__ import annotations

from flask import Blueprint, Response, request

from prbot.sandbox.acts import talk
from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import ApiError, body, invalid, login, page, reply, repo_for, text_field
from prbot.sandbox.shapes import commits
from prbot.sandbox.state import Repository

_STATES = ("error", "failure", "pending", "success")
_LONGEST_DESCRIPTION = 140
_LONGEST_CONTEXT = 255


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    base = "/repos/<owner>/<name>"
    routes.add_url_rule(f"{base}/commits/<path:ref>/status", "combined_status", combined_status)
    routes.add_url_rule(f"{base}/commits/<path:ref>/statuses", "list_statuses", list_statuses)
    routes.add_url_rule(f"{base}/commits/<path:ref>", "get_commit", get_commit)
    routes.add_url_rule(f"{base}/compare/<path:basehead>", "compare_commits", compare_commits)
    routes.add_url_rule(f"{base}/statuses/<sha>", "set_status", set_status, methods=["POST"])


def get_commit(owner: str, name: str, ref: str) -> Response:
    repo = repo_for(owner, name)
    return reply(commits.commit(current_hub(), repo, repo.git.info(_sha(repo, ref))))


def compare_commits(owner: str, name: str, basehead: str) -> Response:
    """`BASE...HEAD`: the commits of HEAD that BASE does not hold, oldest first, however many there are."""
    repo = repo_for(owner, name)
    base, dots, head = basehead.partition("...")
    if not dots:
        raise ApiError(404, "Not Found")
    hub, base_sha, head_sha = current_hub(), _sha(repo, base), _sha(repo, head)
    fork_point = repo.git.merge_base(base_sha, head_sha)
    found, behind = repo.git.log(base_sha, head_sha), len(repo.git.log(head_sha, base_sha))
    status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind", (1, 1): "diverged"}
    url = f"{request.url_root}{repo.full_name}/compare/{basehead}"
    about = {
        "url": request.base_url, "html_url": url, "permalink_url": url, "diff_url": f"{url}.diff",
        "patch_url": f"{url}.patch", "base_commit": commits.commit(hub, repo, repo.git.info(base_sha)),
        "merge_base_commit": commits.commit(hub, repo, repo.git.info(fork_point)),
        "status": status[min(1, len(found)), min(1, behind)], "ahead_by": len(found), "behind_by": behind,
        "total_commits": len(found),
    }  # fmt: skip
    return page((commits.commit(hub, repo, info) for info in found), lambda shown: {**about, "commits": shown})


def combined_status(owner: str, name: str, ref: str) -> Response:
    repo = repo_for(owner, name)
    return reply(commits.combined_status(current_hub(), repo, _sha(repo, ref)))


def list_statuses(owner: str, name: str, ref: str) -> Response:
    repo = repo_for(owner, name)
    newest_first = reversed(repo.statuses.get(_sha(repo, ref), []))
    return page(commits.status(current_hub(), repo, one) for one in newest_first)


def set_status(owner: str, name: str, sha: str) -> Response:
    repo = repo_for(owner, name, "write")
    sent = body()
    if sent.get("state") not in _STATES:
        raise invalid("Status", "state", "invalid")
    context = text_field({"context": "default", **sent}, "Status", "context", _LONGEST_CONTEXT)
    description = sent.get("description")
    if description:
        text_field(sent, "Status", "description", _LONGEST_DESCRIPTION)
    if repo.git.resolve(sha) != sha:
        raise ApiError(422, f"No commit found for SHA: {sha}")
    verdict = talk.Verdict(context, sent["state"], description, sent.get("target_url"))
    return reply(commits.status(current_hub(), repo, talk.set_status(current_hub(), repo, sha, verdict, login())), 201)


def _sha(repo: Repository, ref: str) -> str:
    sha = repo.git.resolve(f"refs/heads/{ref}") or repo.git.resolve(ref)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    return sha
