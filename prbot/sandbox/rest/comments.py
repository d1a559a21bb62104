"""Comments on the conversation, reactions and labels: the issue side of pull requests."""

from __future__ import annotations

from flask import Blueprint, Response, request

from prbot.sandbox.acts import pulls, talk
from prbot.sandbox.clock import iso
from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import (
    ApiError,
    body,
    comment_for,
    invalid,
    login,
    page,
    pull_for,
    reply,
    repo_for,
    text_field,
)
from prbot.sandbox.shapes import talk as shapes
from prbot.sandbox.state import Comment, Repository

LONGEST_COMMENT = 65_536


def add_to(routes: Blueprint) -> None:
    """Add these routes."""
    issue = "/repos/<owner>/<name>/issues/<int:number>"
    comment = "/repos/<owner>/<name>/issues/comments/<int:comment_id>"
    for method, rule, view in (
        ("GET", f"{issue}/comments", list_comments),
        ("POST", f"{issue}/comments", create_comment),
        ("GET", comment, get_comment),
        ("PATCH", comment, edit_comment),
        ("DELETE", comment, delete_comment),
        ("GET", f"{comment}/reactions", list_reactions),
        ("POST", f"{comment}/reactions", create_reaction),
        ("DELETE", f"{comment}/reactions/<int:reaction_id>", delete_reaction),
        ("GET", issue, get_issue),
        ("GET", f"{issue}/labels", list_labels),
        ("POST", f"{issue}/labels", add_labels),
        ("DELETE", f"{issue}/labels/<label>", remove_label),
    ):
        routes.add_url_rule(rule, view.__name__, view, methods=[method])


def get_issue(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    return reply(shapes.issue(current_hub(), repo, pull_for(repo, number)))


def list_comments(owner: str, name: str, number: int) -> Response:
    """Oldest first; with `since`, those that were updated then or later."""
    repo = repo_for(owner, name)
    pull_for(repo, number)
    since = request.args.get("since", "")
    found = [one for one in repo.conversation(number) if iso(one.updated_at) >= since]
    return page(shapes.comment(current_hub(), repo, one) for one in found)


def create_comment(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    pull_for(repo, number)
    text = text_field(body(), "IssueComment", "body", LONGEST_COMMENT)
    return reply(shapes.comment(current_hub(), repo, talk.comment(current_hub(), repo, number, login(), text)), 201)


def get_comment(owner: str, name: str, comment_id: int) -> Response:
    repo = repo_for(owner, name)
    return reply(shapes.comment(current_hub(), repo, comment_for(repo, comment_id)))


def edit_comment(owner: str, name: str, comment_id: int) -> Response:
    repo, one = _own_comment(owner, name, comment_id)
    talk.edit_comment(current_hub(), repo, one, login(), text_field(body(), "IssueComment", "body", LONGEST_COMMENT))
    return reply(shapes.comment(current_hub(), repo, one))


def delete_comment(owner: str, name: str, comment_id: int) -> Response:
    repo, one = _own_comment(owner, name, comment_id)
    talk.delete_comment(current_hub(), repo, one, login())
    return Response(status=204)


def list_reactions(owner: str, name: str, comment_id: int) -> Response:
    reactions = comment_for(repo_for(owner, name), comment_id).reactions
    return page(shapes.reaction(current_hub(), one) for one in reactions)


def create_reaction(owner: str, name: str, comment_id: int) -> Response:
    one = comment_for(repo_for(owner, name), comment_id)
    content = body().get("content")
    if content not in shapes.REACTIONS:
        raise invalid("Reaction", "content", "invalid")
    reaction, is_new = talk.react(current_hub(), one, login(), content)
    return reply(shapes.reaction(current_hub(), reaction), 201 if is_new else 200)


def delete_reaction(owner: str, name: str, comment_id: int, reaction_id: int) -> Response:
    one = comment_for(repo_for(owner, name), comment_id)
    mine = next((old for old in one.reactions if old.id == reaction_id and old.user == login()), None)
    if mine is None:
        raise ApiError(404, "Not Found")
    one.reactions.remove(mine)
    return Response(status=204)


def list_labels(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name)
    return page(shapes.label(current_hub(), repo, one) for one in pull_for(repo, number).labels)


def add_labels(owner: str, name: str, number: int) -> Response:
    repo = repo_for(owner, name, "triage")
    pull = pull_for(repo, number)
    sent = request.get_json(force=True, silent=True)
    names = sent.get("labels") if isinstance(sent, dict) else sent
    if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
        raise invalid("Label", "name", "missing_field")
    for one in names:
        pulls.add_label(current_hub(), repo, pull, login(), one)
    return reply([shapes.label(current_hub(), repo, one) for one in pull.labels])


def remove_label(owner: str, name: str, number: int, label: str) -> Response:
    repo = repo_for(owner, name, "triage")
    pull = pull_for(repo, number)
    try:
        pulls.remove_label(current_hub(), repo, pull, login(), label)
    except KeyError:
        raise ApiError(404, "Label does not exist") from None
    return reply([shapes.label(current_hub(), repo, one) for one in pull.labels])


def _own_comment(owner: str, name: str, comment_id: int) -> tuple[Repository, Comment]:
    repo = repo_for(owner, name)
    one = comment_for(repo, comment_id)
    if one.user != login() and not repo.allows(login(), "write"):
        raise ApiError(403, "Must have admin rights to Repository.")
    return repo, one
