"""Pull requests: reading, merging, closing, reviews."""

from __future__ import annotations

from flask import Blueprint, Response, request

from prbot.sandbox.acts import Refused, pulls, talk
from prbot.sandbox.current import current_hub
from prbot.sandbox.mergeability import Mergeability, mergeability
from prbot.sandbox.rest.web import ApiError, body, invalid, login, page, pull_for, reply, repo_for, text_field
from prbot.sandbox.shapes import Json
from prbot.sandbox.shapes import commits as commit_shapes
from prbot.sandbox.shapes import pulls as shapes
from prbot.sandbox.shapes import talk as talk_shapes
from prbot.sandbox.state import Pull, Repository, Review

_MOST_COMMITS = 250
_REVIEW_EVENTS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    many = "/repos/<owner>/<name>/pulls"
    one = f"{many}/<int:number>"
    for method, rule, view in (
        ("GET", many, list_pulls),
        ("POST", many, create_pull),
        ("GET", one, get_pull),
        ("PATCH", one, edit_pull),
        ("GET", f"{one}/commits", pull_commits),
        ("GET", f"{one}/files", pull_files),
        ("PUT", f"{one}/merge", merge_pull),
        ("PUT", f"{one}/update-branch", update_branch),
        ("GET", f"{one}/reviews", list_reviews),
        ("POST", f"{one}/reviews", create_review),
        ("GET", f"{one}/reviews/<int:review_id>", get_review),
        ("PUT", f"{one}/reviews/<int:review_id>/dismissals", dismiss_review),
    ):
        routes.add_url_rule(rule, view.__name__, view, methods=[method])


def list_pulls(owner: str, name: str) -> Response:
    """By `state` (open), `base` and `head` (`owner:branch`); newest first, or as `sort` and `direction` say."""
    repo = repo_for(owner, name)
    asked = request.args
    state, base, head = asked.get("state", "open"), asked.get("base"), asked.get("head")
    found = [
        pull
        for pull in repo.pulls.values()
        if state in ("all", pull.state)
        and base in (None, pull.base_ref)
        and head in (None, f"{pull.head_repo.split('/')[0]}:{pull.head_ref}")
    ]
    by_update = asked.get("sort") == "updated"
    descending = asked.get("direction", "asc" if "sort" in asked and not by_update else "desc") == "desc"
    found.sort(key=lambda pull: (pull.updated_at if by_update else pull.created_at, pull.number), reverse=descending)
    return page(shapes.pull_simple(current_hub(), repo, pull) for pull in found)


def create_pull(owner: str, name: str) -> Response:
    repo = repo_for(owner, name)
    sent = body()
    title = text_field(sent, "PullRequest", "title", 256)
    head_owner, _, head_ref = text_field(sent, "PullRequest", "head", 512).rpartition(":")
    base_ref = text_field(sent, "PullRequest", "base", 256)
    head_repo = repo.full_name if head_owner in ("", repo.owner) else f"{head_owner}/{repo.name}"
    if head_repo not in current_hub().state.repos:
        raise invalid("PullRequest", "head", "invalid")
    proposal = pulls.Proposal(title, head_repo, head_ref, base_ref, sent.get("body"), bool(sent.get("draft")))
    try:
        pull = pulls.open_pull(current_hub(), repo, proposal, login())
    except Refused as refused:
        raise ApiError(422, "Validation Failed", [{"resource": "PullRequest", "message": str(refused)}]) from None
    return reply(shapes.pull_full(current_hub(), repo, pull), 201)


def get_pull(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    return reply(shapes.pull_read(current_hub(), repo, pull_for(repo, number)))


def edit_pull(owner: str, name: str, number: int) -> Response:
    """Title, base, and state; a body is taken as it comes."""
    repo = repo_for(owner, name, "write")
    pull = pull_for(repo, number)
    sent = body()
    try:
        if "title" in sent:
            pulls.retitle(current_hub(), repo, pull, login(), text_field(sent, "PullRequest", "title", 256))
        if "body" in sent:
            pull.body = sent["body"]
        if "base" in sent:
            pulls.retarget(current_hub(), repo, pull, login(), text_field(sent, "PullRequest", "base", 256))
        if "state" in sent:
            _set_state(repo, pull, sent)
    except Refused as refused:
        raise ApiError(422, "Validation Failed", [{"resource": "PullRequest", "message": str(refused)}]) from None
    return reply(shapes.pull_read(current_hub(), repo, pull))


def _set_state(repo: Repository, pull: Pull, sent: Json) -> None:
    if sent["state"] not in ("open", "closed"):
        raise invalid("PullRequest", "state", "invalid")
    act = pulls.reopen if sent["state"] == "open" else pulls.close
    act(current_hub(), repo, pull, login())


def pull_commits(owner: str, name: str, number: int) -> Response:
    """Oldest first; GitHub lists 250 at most."""
    repo = repo_for(owner, name)
    pull = pull_for(repo, number)
    found = repo.git.log(pull.base_sha, pull.head_sha)[:_MOST_COMMITS]
    return page(commit_shapes.commit(current_hub(), repo, info) for info in found)


def pull_files(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    pull = pull_for(repo, number)
    changes = repo.git.changes(repo.git.merge_base(pull.base_sha, pull.head_sha), pull.head_sha)
    return page(commit_shapes.changed_file(current_hub(), repo, pull.head_sha, change) for change in changes)


def merge_pull(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name, "write")
    pull = pull_for(repo, number)
    sent = body()
    method = sent.get("merge_method", "merge")
    if method not in pulls.METHODS:
        raise invalid("PullRequest", "merge_method", "invalid")
    if sent.get("sha") not in (None, pull.head_sha):
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    if pull.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable")
    _demand_mergeable(mergeability(current_hub(), repo, pull))
    sha = pulls.merge(current_hub(), repo, pull, login(), method)
    return reply({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _demand_mergeable(found: Mergeability) -> None:
    if found.test_commit is None:
        raise ApiError(405, "Pull Request is not mergeable")
    if found.missing_checks:
        raise ApiError(405, f'Required status check "{found.missing_checks[0]}" is expected.')
    if found.missing_approvals:
        wanted = found.missing_approvals
        raise ApiError(405, f"At least {wanted} approving review is required by reviewers with write access.")


def update_branch(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name, "write")
    pull = pull_for(repo, number)
    if body().get("expected_head_sha") not in (None, pull.head_sha):
        raise ApiError(422, "expected_head_sha does not match the current head")
    try:
        pulls.update_branch(current_hub(), repo, pull, login())
    except Refused as refused:
        raise ApiError(422, str(refused)) from None
    address = f"{request.url_root}{repo.full_name}/pull/{number}"
    return reply({"message": "Updating pull request branch.", "url": address}, 202)


def list_reviews(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    pull = pull_for(repo, number)
    return page(talk_shapes.review(current_hub(), repo, pull, one) for one in pull.reviews)


def get_review(owner: str, name: str, number: int, review_id: int) -> Response:
    repo = repo_for(owner, name)
    pull = pull_for(repo, number)
    return reply(talk_shapes.review(current_hub(), repo, pull, _review(pull, review_id)))


def create_review(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    pull = pull_for(repo, number)
    sent = body()
    state = _REVIEW_EVENTS.get(sent.get("event", ""))
    if state is None:
        raise invalid("PullRequestReview", "event", "invalid")
    if pull.user == login() and state != "COMMENTED":
        raise ApiError(422, "Unprocessable Entity", ["Can not approve or request changes on your own pull request"])
    if state != "APPROVED":
        text_field(sent, "PullRequestReview", "body", 65_536)
    opinion = talk.Opinion(state, sent.get("body") or "", sent.get("commit_id"))
    return reply(
        talk_shapes.review(current_hub(), repo, pull, talk.review(current_hub(), repo, pull, login(), opinion))
    )


def dismiss_review(owner: str, name: str, number: int, review_id: int) -> Response:
    repo = repo_for(owner, name, "write")
    pull = pull_for(repo, number)
    text_field(body(), "PullRequestReview", "message", 65_536)
    one = _review(pull, review_id)
    if one.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(422, "Validation Failed", ["Can not dismiss a commented or dismissed pull request review"])
    talk.dismiss(current_hub(), repo, pull, one, login())
    return reply(talk_shapes.review(current_hub(), repo, pull, one))


def _review(pull: Pull, review_id: int) -> Review:
    found = next((one for one in pull.reviews if one.id == review_id), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return found
