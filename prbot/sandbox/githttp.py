"""Git over smart HTTP: git's own `http-backend`, run as CGI, behind GitHub's way of asking for a token."""

from __future__ import annotations

import subprocess

from flask import Blueprint, Response, g, request

from prbot.sandbox.acts.pushes import RefChange, pushed
from prbot.sandbox.apps import Minted
from prbot.sandbox.current import current_hub
from prbot.sandbox.gitrepos import NO_COMMIT, git_environment
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import Repository

routes = Blueprint("git_http", __name__)
_READ = "git-upload-pack"
_WRITE = "git-receive-pack"


@routes.get("/<owner>/<name>.git/info/refs", endpoint="git")
@routes.post("/<owner>/<name>.git/<any('git-upload-pack','git-receive-pack'):service>", endpoint="git")
def git(owner: str, name: str, service: str = "") -> Response:
    """Public repositories are read by all; everything else takes a token of somebody who may."""
    hub = current_hub()
    asked = service or request.args.get("service", _READ)
    repo = hub.state.repos.get(f"{owner}/{name}")
    token = _token(hub)
    user = token.installation.app.bot if token is not None else _who(hub)
    if user is None and (_token_sent() or repo is None or repo.private or asked == _WRITE):
        return Response("Bad credentials\n", 401, {"WWW-Authenticate": 'Basic realm="GitHub"'})
    g.login = user
    if token is not None:
        seen = repo is not None and token.has(repo.full_name) and token.allows("contents", "read")
        writes = token.allows("contents", "write")
    else:
        seen = repo is not None and repo.allows(user or "", "read")
        writes = repo is not None and repo.allows(user or "", "write")
    if repo is None or not seen:
        return Response("Repository not found.\n", 404)
    if asked == _WRITE and not writes:
        return Response(f"Permission to {repo.full_name}.git denied to {user}.\n", 403)
    if service == _WRITE and user is not None:
        return _receive(hub, repo, user)
    return _run_backend(repo)


def _receive(hub: Hub, repo: Repository, user: str) -> Response:
    """A push over HTTP: when git has moved the branches, say so to pull requests and webhooks."""
    with hub.state.lock:
        before = repo.git.refs("refs/heads")
        response = _run_backend(repo)
        after = repo.git.refs("refs/heads")
        for ref in sorted({*before, *after}):
            old, new = before.get(ref, NO_COMMIT), after.get(ref, NO_COMMIT)
            if old != new:
                hub.clock.act()
                pushed(hub, repo, RefChange(ref.removeprefix("refs/heads/"), old, new, _kind(repo, old, new)), user)
    return response


def _kind(repo: Repository, old: str, new: str) -> str:
    if old == NO_COMMIT:
        return "branch_creation"
    if new == NO_COMMIT:
        return "branch_deletion"
    return "push" if repo.git.is_ancestor(old, new) else "force_push"


def _run_backend(repo: Repository) -> Response:
    content = request.get_data()
    environment = {
        **git_environment(),
        "GIT_PROJECT_ROOT": str(repo.git.path),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": request.path.split(".git", 1)[1],
        "QUERY_STRING": request.query_string.decode(),
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.content_type or "",
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": g.login or "",
        "REMOTE_ADDR": request.remote_addr or "",
    }
    done = subprocess.run(
        ["git", "http-backend"], input=content, capture_output=True, env=environment, timeout=120, check=False
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200" if headers else "500").split(" ")[0])
    return Response(content, status, headers)


def _token_sent() -> bool:
    return "Authorization" in request.headers


def _token(hub: Hub) -> Minted | None:
    sent = request.authorization
    return hub.state.apps.of_token(sent.password or sent.token or "", hub.clock.now()) if sent is not None else None


def _who(hub: Hub) -> str | None:
    """The user of the token, sent as GitHub takes it: as the password, or as a bearer token."""
    sent = request.authorization
    if sent is None:
        return None
    return hub.state.tokens.get(sent.password or sent.token or "")
