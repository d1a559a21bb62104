"""Commits and commit statuses."""

from __future__ import annotations

from flask import Blueprint, Response

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
    routes.add_url_rule(f"{base}/statuses/<sha>", "set_status", set_status, methods=["POST"])


def get_commit(owner: str, name: str, ref: str) -> Response:
    repo = repo_for(owner, name)
    return reply(commits.commit(current_hub(), repo, repo.git.info(_sha(repo, ref))))


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
