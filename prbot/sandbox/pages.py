"""Pages on which a person plays any user: read, comment, review, change files, merge.

There is no login: whoever opens the page chooses who to be. That is why the stand-in listens on loopback only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for

from prbot.sandbox.acts import Refused, pulls, pushes, talk
from prbot.sandbox.current import current_hub
from prbot.sandbox.hub import Hub
from prbot.sandbox.markdown import diff_lines, render
from prbot.sandbox.mergeability import mergeability
from prbot.sandbox.state import Comment, CommitStatus, Pull, Repository, Role

routes = Blueprint("pages", __name__, template_folder="templates")
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'"
)


class Entry(NamedTuple):
    """One thing in a conversation. `kind` is comment, review or event."""

    at: datetime
    kind: str
    user: str
    what: str
    html: str = ""
    comment: Comment | None = None


@routes.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@routes.get("/")
def index() -> Response:
    return _show("index.html", repositories=sorted(current_hub().state.repos.values(), key=lambda repo: repo.full_name))


@routes.get("/<owner>/<name>")
def repository(owner: str, name: str) -> Response:
    return _show_repository(_repo(owner, name))


@routes.get("/<owner>/<name>/pull/<int:number>")
def pull_request(owner: str, name: str, number: int) -> Response:
    repo, pull = _pull(owner, name, number)
    return _show_pull(repo, pull)


@routes.get("/<owner>/<name>/pull/<int:number>/version")
def version(owner: str, name: str, number: int) -> Response:
    """Changes whenever the page would: what the page's script asks for to know when to load it again."""
    repo, pull = _pull(owner, name, number)
    seen = (pull, repo.conversation(number), [list(repo.latest_statuses(sha).values()) for sha in _shas(pull)])
    return Response(hashlib.sha256(repr(seen).encode()).hexdigest(), content_type="text/plain")


@routes.post("/<owner>/<name>/propose")
def propose(owner: str, name: str) -> Response:
    """Change one file on a new branch, and open a pull request for it."""
    repo = _repo(owner, name)
    user = _begin(repo, "write")
    path = _text("path")
    count = len(repo.pulls) + 1
    branch, title = f"{user}-patch-{count}", request.form.get("title") or f"Change {path}"
    base = repo.git.resolve(f"refs/heads/{repo.default_branch}") or ""
    onto = pushes.RefChange(branch, base, base, "branch_creation")
    try:
        pushes.commit_onto(current_hub(), repo, onto, pushes.Change({path: _content()}, title), user)
        proposal = pulls.Proposal(title, repo.full_name, branch, repo.default_branch)
        pull = pulls.open_pull(current_hub(), repo, proposal, user)
    except Refused as refused:
        return _show_repository(repo, str(refused))
    return _back(repo, pull, user)


@routes.post("/<owner>/<name>/pull/<int:number>/<act>")
def act(owner: str, name: str, number: int, act: str) -> Response:
    """Do what a button says as the chosen user, and show the page again; with the reason where it was refused."""
    repo, pull = _pull(owner, name, number)
    if act not in _ACTS:
        abort(404)
    needed, do = _ACTS[act]
    user = _begin(repo, needed)
    try:
        do(repo, pull, user)
    except Refused as refused:
        return _show_pull(repo, pull, str(refused))
    return _back(repo, pull, user)


# -- what the buttons do ----------------------------------------------------------------------------------------------
def _comment(repo: Repository, pull: Pull, user: str) -> None:
    talk.comment(current_hub(), repo, pull.number, user, _text("body"))


def _review(repo: Repository, pull: Pull, user: str) -> None:
    state = request.form.get("state", "")
    if state not in talk.OPINIONS:
        abort(400)
    if user == pull.user and state != "COMMENTED":
        raise Refused("Pull request authors can't approve or request changes on their own pull request.")
    talk.review(current_hub(), repo, pull, user, talk.Opinion(state, request.form.get("body", "")))


def _merge(repo: Repository, pull: Pull, user: str) -> None:
    method = request.form.get("method", "merge")
    if method not in pulls.METHODS:
        abort(400)
    found = mergeability(current_hub(), repo, pull)
    if pull.draft:
        raise Refused("This pull request is still a draft.")
    if found.missing_checks or found.missing_approvals:
        raise Refused("Merging is blocked by the branch's rules.")
    pulls.merge(current_hub(), repo, pull, user, method)


def _commit(repo: Repository, pull: Pull, user: str) -> None:
    path = _text("path")
    head = current_hub().state.repos[pull.head_repo]
    change = pushes.Change({path: _content()}, request.form.get("message") or f"Change {path}")
    pushes.commit(current_hub(), head, pull.head_ref, change, user)


def _act_of(do: Callable[[Hub, Repository, Pull, str], object]) -> Callable[[Repository, Pull, str], object]:
    return lambda repo, pull, user: do(current_hub(), repo, pull, user)


_ACTS: dict[str, tuple[Role, Callable[[Repository, Pull, str], object]]] = {
    "comment": ("read", _comment),
    "review": ("read", _review),
    "merge": ("write", _merge),
    "commit": ("write", _commit),
    "close": ("write", _act_of(pulls.close)),
    "reopen": ("write", _act_of(pulls.reopen)),
    "update": ("write", _act_of(pulls.update_branch)),
    "ready": ("write", lambda repo, pull, user: pulls.set_draft(current_hub(), repo, pull, user, draft=False)),
    "draft": ("write", lambda repo, pull, user: pulls.set_draft(current_hub(), repo, pull, user, draft=True)),
}


# -- showing ----------------------------------------------------------------------------------------------------------
def _show_repository(repo: Repository, problem: str = "") -> Response:
    head = repo.git.resolve(f"refs/heads/{repo.default_branch}")
    path = request.args.get("path", "")
    shown = {
        "pulls": sorted(repo.pulls.values(), key=lambda pull: -pull.number),
        "files": repo.git.files(head) if head else [],
        "path": path,
        "content": repo.git.read(head, path) if head and path else None,
    }
    return _show("repository.html", repo, problem, **shown)


def _show_pull(repo: Repository, pull: Pull, problem: str = "") -> Response:
    base = pull.base_sha
    path = request.args.get("path", "")
    shown = {
        "pull": pull,
        "entries": _conversation(repo, pull),
        "statuses": [(sha, _statuses(repo, sha)) for sha in _shas(pull)],
        "diff": diff_lines(repo.git.diff(repo.git.merge_base(base, pull.head_sha), pull.head_sha)),
        "files": repo.git.files(pull.head_sha),
        "path": path,
        "content": repo.git.read(pull.head_sha, path) if path else None,
        "methods": pulls.METHODS,
        "merging": mergeability(current_hub(), repo, pull) if pull.state == "open" else None,
        "version": version(repo.owner, repo.name, pull.number).get_data(as_text=True),
    }
    return _show("pull.html", repo, problem, **shown)


def _show(template: str, repo: Repository | None = None, problem: str = "", **shown: Any) -> Response:
    people = [user for user in current_hub().state.users.values() if repo is None or _plays(repo, user.login)]
    logins = [user.login for user in people if user.kind == "User"]
    chosen = request.form.get("as") or request.cookies.get("as") or ""
    page = render_template(
        template, repo=repo, problem=problem, logins=logins, chosen=chosen, bot=current_hub().bot,
        role=repo.role if repo else None, **shown,
    )  # fmt: skip
    return make_response(page, 422 if problem else 200)


def _plays(repo: Repository, login: str) -> bool:
    return login not in (current_hub().bot, "web-flow") and repo.allows(login, "read")


def _conversation(repo: Repository, pull: Pull) -> list[Entry]:
    said = {"APPROVED": "approved", "CHANGES_REQUESTED": "requested changes on", "DISMISSED": "(dismissed) reviewed"}
    entries = [
        Entry(pull.created_at, "comment", pull.user, "opened this", render(pull.body or "*No description.*")),
        *(
            Entry(one.created_at, "comment", one.user, "commented", render(one.body), one)
            for one in repo.conversation(pull.number)
        ),
        *(
            Entry(
                one.submitted_at,
                "review",
                one.user,
                f"{said.get(one.state, 'reviewed')} {one.commit_id[:7]}",
                render(one.body),
            )
            for one in pull.reviews
        ),
        *(Entry(at, "event", user, what) for at, user, what in pull.events),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _shas(pull: Pull) -> list[str]:
    return [pull.head_sha] if pull.merge_sha in (None, pull.head_sha) else [pull.head_sha, pull.merge_sha or ""]


def _statuses(repo: Repository, sha: str) -> list[CommitStatus]:
    return sorted(repo.latest_statuses(sha).values(), key=lambda status: status.context)


# -- asking -----------------------------------------------------------------------------------------------------------


def _repo(owner: str, name: str) -> Repository:
    found = current_hub().state.repos.get(f"{owner}/{name}")
    if found is None:
        abort(404)
    return found


def _pull(owner: str, name: str, number: int) -> tuple[Repository, Pull]:
    repo = _repo(owner, name)
    if number not in repo.pulls:
        abort(404)
    return repo, repo.pulls[number]


def _begin(repo: Repository, needed: Role) -> str:
    """The user who acts now; 403 where they may not. A person's act moves GitHub's clock on."""
    user = request.form.get("as", "")
    if not _plays(repo, user) or not repo.allows(user, needed):
        abort(403, f"{user or 'nobody'} may not do that in {repo.full_name}.")
    current_hub().clock.act()
    return user


def _text(field: str) -> str:
    value = request.form.get(field, "").strip()
    if not value:
        abort(400, f"{field} is missing.")
    return value


def _content() -> str:
    return request.form.get("content", "").replace("\r\n", "\n")


def _back(repo: Repository, pull: Pull, user: str) -> Response:
    to = url_for("pages.pull_request", owner=repo.owner, name=repo.name, number=pull.number)
    response = make_response(redirect(to, 303))
    response.set_cookie("as", user, httponly=True, samesite="Strict")
    return response
