"""GitHub as prbot's forge, on github.com or a server of one's own: https://docs.github.com/rest."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from prbot.core.ids import PullKey
from prbot.core.pulls import (
    CheckRun,
    Comment,
    Commit,
    Deployment,
    Posted,
    Pull,
    Push,
    Review,
    Role,
    Status,
    Undelivered,
)
from prbot.github import bodies, replies
from prbot.github.auth import TokenSource
from prbot.github.budget import RateLimit
from prbot.github.connections import Connections
from prbot.github.fields import ID, LOGIN, REPO_NAME, WrongField, required
from prbot.github.remembered import RememberedLists
from prbot.github.survey import GitHubSurvey
from prbot.github.transport import OnRequest, Transport, documented
from prbot.ports import Denied, NotFound, Transient, Unavailable

T = TypeVar("T")

_PULL = "/repos/{repo}/pulls/{number}"
_COMMENTS = "/repos/{repo}/issues/{number}/comments"
_HOOKS = "/repos/{repo}/hooks"
_COMPARE = "/repos/{repo}/compare/{base}...{head}"
_MOST_COMMITS = 250
"""So many of a pull request's commits its own list holds."""
_MOVED_PAGE = 30
"""Pull requests moved last; each is some 20 kB, and few move between two looks."""
_NOBODY = re.compile("is not a user$|has no such address")
_BELIEVED_AFTER = 60.0
"""Seconds; within a minute, GitHub has caught up with itself."""
_FORGOTTEN_AFTER = 5 * _BELIEVED_AFTER
_COMMENT = "/repos/{repo}/issues/comments/{comment}"
_CHECKS = "/repos/{repo}/check-runs"
_CHECK = "/repos/{repo}/check-runs/{check}"
_DEPLOYMENTS = "/repos/{repo}/deployments"

_MINIMIZE = """\
mutation($id: ID!) {
  minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized } }
}"""


class GitHubForge:
    """Implements prbot.ports.Forge. Safe to use from many threads.

    Each method makes one request, and lists one for each hundred items; `clone_token` makes none, and `me` one for each
    new token. A question may be asked up to three times when GitHub does not answer or answers 5xx; a write is sent
    once. Every failure is one of Unavailable's kinds, and none shows the token:

    - Outage: no answer, 5xx; Transient: an answer that is not as documented; either rate limit, and our own budget of
      writes, with `retry_after`;
    - Denied: 401, 403, 451; NotFound: 404, 410, and a repository that has moved; Conflict: any other 4xx, with
      GitHub's reasons.
    """

    def __init__(
        self,
        connections: Connections,
        tokens: TokenSource,
        *,
        on_request: OnRequest | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds from any start."""
        self._connections = connections
        self._github = Transport(connections, tokens, on_request, sleep, clock)
        self._moved = RememberedLists(self._github, lambda documents: _read_all(replies.pull, documents))
        self._tokens = tokens
        self._me: tuple[str, str] | None = None
        self._said: set[tuple[str, type[Unavailable]]] = set()
        self._missing: dict[tuple[str, str], float] = {}
        """Since when GitHub says of somebody that there is no such thing."""
        self._clock = clock
        self._lock = threading.Lock()

    def me(self) -> str:
        known, token = self._me, self._tokens.token("")
        return known[1] if known is not None and known[0] == token else self.check()

    def check(self) -> str:
        token = self._tokens.token("")
        login = _read(lambda user: required(user, "login", LOGIN), self._github.get("/user"))
        self._me = token, login
        return login

    def clone_token(self, repo: str, refused: str = "") -> str:
        return self._tokens.clone_token(repo, refused)

    def budget(self, repo: str = "") -> RateLimit | None:
        """GitHub's hourly allowance as of its latest reply; None before the first."""
        return self._github.allowance(repo)

    def left(self, repo: str) -> float:
        known = self.budget(repo)
        if known is None or known.limit <= 0 or known.reset_at <= datetime.now(UTC):
            return 1.0
        return known.remaining / known.limit

    def survey(self) -> GitHubSurvey:
        """What an installation is like from here, with the same token and connections."""
        return GitHubSurvey(self._github)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    # -- questions ----------------------------------------------------------------------------------------------------
    def pull(self, key: PullKey) -> Pull:
        return _read(replies.pull, self._github.get(_PULL, key.repo, number=key.number))

    def pulls_open(self, repo: str, base: str | None = None) -> list[Pull]:
        """As the port says. GitHub's list tells nothing of merging; see prbot.github.replies.pull."""
        query = {"state": "open", "sort": "created", "direction": "asc"} | ({"base": base} if base else {})
        pulls = _read_all(replies.pull, self._github.get_all("/repos/{repo}/pulls", repo, query))
        # said once more, as the query is lost where GitHub redirects because the repository was renamed
        return [pull for pull in pulls if pull.state == "open" and base in (None, pull.base_branch)]

    def pulls_moved(self, repo: str) -> Iterator[list[Pull]]:
        """As the port says, and the less is asked the less has moved: nothing of the allowance while nothing has."""
        query = {"state": "all", "sort": "updated", "direction": "desc", "per_page": str(_MOVED_PAGE)}
        return self._moved.pages("/repos/{repo}/pulls", repo, query)

    def repositories(self) -> list[str]:
        listed = self._github.get_all("/user/repos", "")
        return _read_all(lambda document: required(document, "full_name", REPO_NAME), listed)

    def reviews(self, key: PullKey) -> list[Review]:
        return _read(replies.reviews, self._github.get_all(_PULL + "/reviews", key.repo, number=key.number))

    def commits(self, key: PullKey) -> list[Commit]:
        """As the port says. Of a pull request's commits GitHub lists the first 250; where there may be more, all that
        its head has and its base has not are asked for. Transient if some are missing after all."""
        listed = _read_all(replies.commit, self._github.get_all(_PULL + "/commits", key.repo, number=key.number))
        if len(listed) < _MOST_COMMITS:
            return listed
        pull = self.pull(key)
        between = self._github.get_all(_COMPARE, key.repo, inside="commits", base=pull.base_sha, head=pull.head_sha)
        every = {commit.sha: commit for commit in (*listed, *_read_all(replies.commit, between))}
        if len(every) < pull.commits:
            raise Transient(f"GitHub lists {len(every)} of the {pull.commits} commits of {key}")
        return list(every.values())

    def role(self, repo: str, login: str) -> Role:
        """As the port says. Who is nobody's login has none. Any other 404 may be one of a moment, and is believed once
        it has been the only answer for a minute: NotFound until then."""
        who = (repo, login.casefold())
        try:
            found = self._github.get("/repos/{repo}/collaborators/{login}/permission", repo, login=login)
        except NotFound as missing:
            now = self._clock()
            since = self._missing.get(who, now)
            if now - since > _FORGOTTEN_AFTER:  # of another time: it says nothing of this one
                since = now
            self._missing[who] = since
            if _NOBODY.search(str(missing)) or now - since >= _BELIEVED_AFTER:
                return "none"
            raise
        self._missing.pop(who, None)
        return _read(replies.role, found)

    def pushes(self, repo: str, branch: str) -> list[Push]:
        query = {"ref": f"refs/heads/{branch}", "per_page": "100"}
        try:
            found = self._github.get("/repos/{repo}/activity", repo, query)
        except (Denied, NotFound) as refusal:
            self._degrade("activity", "the repository's activity cannot be read: pushers are told by commits", refusal)
            return []
        return _read(lambda entries: replies.pushes(entries, branch), found)

    def last_pusher(self, repo: str, branch: str, head_sha: str) -> str | None:
        newest_first = reversed(self.pushes(repo, branch))
        return next((push.by or None for push in newest_first if push.after == head_sha), None)

    def comments(self, key: PullKey, since: datetime | None = None) -> list[Comment]:
        query = {} if since is None else {"since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        return _read_all(replies.comment, self._github.get_all(_COMMENTS, key.repo, query, number=key.number))

    # -- writes -------------------------------------------------------------------------------------------------------
    def create_comment(self, key: PullKey, body: str) -> Posted:
        written = self._github.write("POST", _COMMENTS, key.repo, {"body": body}, number=key.number)
        return _read(replies.posted, written)

    def edit_comment(self, repo: str, comment_id: int, body: str) -> Posted:
        written = self._github.write("PATCH", _COMMENT, repo, {"body": body}, comment=comment_id)
        return _read(replies.posted, written)

    def hide_comment(self, repo: str, node_id: str) -> bool:
        try:
            self._github.mutate(repo, _MINIMIZE, {"id": node_id})
        except Unavailable as refusal:
            self._degrade("minimize", "old comments cannot be hidden: they stay as they are", refusal)
            return False
        return True

    def react(self, repo: str, comment_id: int, reaction: str) -> None:
        self._github.write("POST", _COMMENT + "/reactions", repo, {"content": reaction}, comment=comment_id)

    def set_status(self, repo: str, sha: str, status: Status) -> None:
        body = {"state": status.state, "context": status.context, "description": status.description}
        if status.target_url:
            body["target_url"] = status.target_url
        self._github.write("POST", "/repos/{repo}/statuses/{sha}", repo, body, sha=sha)

    def shows_checks(self, repo: str) -> bool:
        """No: GitHub lets Apps alone write them. See prbot.github.app_forge."""
        return False

    def write_check(self, key: PullKey, sha: str, check: CheckRun, check_id: int | None = None) -> int:
        body = bodies.check_run(key.number, check)
        if check_id is not None:
            written = self._github.write("PATCH", _CHECK, key.repo, body, check=check_id)
        else:
            written = self._github.write("POST", _CHECKS, key.repo, {**body, "head_sha": sha})
        return documented(written, "id", ID)

    def create_deployment(self, repo: str, deployment: Deployment) -> int | None:
        try:
            made = self._github.write("POST", _DEPLOYMENTS, repo, bodies.deployment(deployment))
        except (Denied, NotFound) as refusal:
            self._degrade("deployments", "applies are not shown as deployments", refusal)
            return None
        return documented(made, "id", ID)

    def set_deployment(self, repo: str, deployment_id: int, deployment: Deployment) -> None:
        body = bodies.deployment_status(deployment)
        self._github.write("POST", _DEPLOYMENTS + "/{deployment}/statuses", repo, body, deployment=deployment_id)

    # -- deliveries ---------------------------------------------------------------------------------------------------
    def undelivered(self, repo: str, url: str) -> list[Undelivered]:
        found: list[Undelivered] = []
        try:
            for hook in _read(lambda hooks: replies.hooks_to(hooks, url), self._github.get_all(_HOOKS, repo)):
                listed = self._github.get(_HOOKS + "/{hook}/deliveries", repo, {"per_page": "100"}, hook=hook)
                found += _read(partial(replies.undelivered, repo=repo, hook=hook), listed)
        except (Denied, NotFound) as refusal:
            self._degrade("hooks", "failed deliveries cannot be asked for again: what they told is polled", refusal)
        return found

    def redeliver(self, delivery: Undelivered) -> None:
        parts = {"hook": delivery.hook, "delivery": delivery.id}
        self._github.write("POST", _HOOKS + "/{hook}/deliveries/{delivery}/attempts", delivery.repo, {}, **parts)

    def _degrade(self, what: str, consequence: str, refusal: Unavailable) -> None:
        """Say that we do without something that GitHub does not let us have; once for each kind of refusal."""
        kind = (what, type(refusal))
        with self._lock:
            if kind in self._said:
                return
            self._said.add(kind)
        structlog.get_logger().warning("github.degraded", what=what, consequence=consequence, refusal=str(refusal))


def _read_all(mapping: Callable[[Any], T], documents: list[Any]) -> list[T]:
    return _read(lambda items: [mapping(item) for item in items], documents)


def _read(mapping: Callable[[Any], T], document: Any) -> T:
    """Map a reply. Transient if it is not as documented: a broken server or proxy more likely than a changed API."""
    try:
        return mapping(document)
    except WrongField as wrong:
        raise Transient(f"GitHub's reply is not as documented: {wrong}") from None
