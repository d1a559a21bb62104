"""The one mutation that prbot uses: `minimizeComment`."""

from __future__ import annotations

import re

from flask import Blueprint, Response

from prbot.sandbox.current import current_hub
from prbot.sandbox.rest.web import body, login, reply
from prbot.sandbox.shapes import Json
from prbot.sandbox.state import Comment, Repository

_REASONS = ("ABUSE", "DUPLICATE", "LOW_QUALITY", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM")


def add_to(routes: Blueprint) -> None:
    """Add this route."""
    routes.add_url_rule("/graphql", "graphql", graphql, methods=["POST"])


def graphql() -> Response:
    sent = body()
    query = str(sent.get("query", ""))
    if not re.search(r"\bminimizeComment\b", query):
        current_hub().unknown_routes.append("POST /graphql " + " ".join(query.split())[:80])
        return reply({"message": "The stand-in knows no such query"}, 501)
    if current_hub().graphql_refusal is not None:
        return reply(_errors("FORBIDDEN", current_hub().graphql_refusal or ""))
    subject, reason = _input(query, sent.get("variables") or {})
    found = _comment(subject)
    if found is None:
        return reply(_errors("NOT_FOUND", f"Could not resolve to a node with the global id of '{subject}'"))
    repo, comment = found
    if reason not in _REASONS:
        return reply(_errors("INVALID_ARGUMENT", "classifier is not a ReportedContentClassifiers"))
    if comment.user != login() and not repo.allows(login(), "triage"):
        return reply(_errors("FORBIDDEN", f"{login()} does not have permission to minimize this comment"))
    comment.minimized = reason.lower()
    minimized = {"isMinimized": True, "minimizedReason": comment.minimized, "viewerCanMinimize": True}
    return reply({"data": {"minimizeComment": {"clientMutationId": None, "minimizedComment": minimized}}})


def _input(query: str, variables: Json) -> tuple[str, str]:
    """The comment's node id and the reason, from the variables (as one object or one by one) or the query's text."""
    for value in variables.values():
        if isinstance(value, dict) and "subjectId" in value:
            return str(value["subjectId"]), str(value.get("classifier", ""))
    subject = next((str(value) for value in variables.values() if str(value).startswith("IC_")), "")
    reason = next((str(value) for value in variables.values() if value in _REASONS), "")
    inline_subject = re.search(r'subjectId:\s*"([^"]+)"', query)
    inline_reason = re.search(r"classifier:\s*([A-Z_]+)", query)
    return (
        subject or (inline_subject[1] if inline_subject else ""),
        reason or (inline_reason[1] if inline_reason else ""),
    )


def _comment(node_id: str) -> tuple[Repository, Comment] | None:
    for repo in current_hub().state.repos.values():
        for comment in repo.comments.values():
            if comment.node_id == node_id and repo.allows(login(), "read"):
                return repo, comment
    return None


def _errors(kind: str, message: str) -> Json:
    return {
        "data": {"minimizeComment": None},
        "errors": [{"type": kind, "path": ["minimizeComment"], "message": message}],
    }
