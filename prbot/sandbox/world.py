"""The way into the stand-in: a GitHub on this machine, for the length of a `with` block."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from prbot.sandbox import payloads, samples
from prbot.sandbox.acts.apps import create_app
from prbot.sandbox.acts.pushes import Change, commit
from prbot.sandbox.app import APP_EVENTS, APP_PERMISSIONS, SandboxApp
from prbot.sandbox.clock import Clock
from prbot.sandbox.faults import Fault, rate_limited
from prbot.sandbox.gitrepos import Files
from prbot.sandbox.hooks import Delivery, Hooks
from prbot.sandbox.hub import HookTarget, Hub, RecordedRequest
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.server import Server
from prbot.sandbox.state import Role, User

SAMPLE_USERS: Mapping[str, Role] = {
    "al": "write",
    "bo": "write",
    "mo": "maintain",
    "root": "admin",
    "ro": "read",
    "stranger": "none",
}
"""Who exists in every world, and what they may do in each repository that is made there."""


class World:
    """A GitHub with users, repositories and webhooks, on a free port of 127.0.0.1 unless `port` says which.

    `bot` is the login that `token` speaks as (a name in `[bot]` makes it an App's); `bot_role` is what it may do in
    each repository. `real_time` (Unix seconds) replaces the machine's clock under GitHub's.

    Once left it can be entered again, at the same address, and goes on where it was.
    """

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        bot: str = "prbot-bot",
        bot_role: Role = "admin",
        webhook_secret: str = "sandbox-webhook-secret",
        real_time: Callable[[], float] = time.time,
    ) -> None:
        self.hub = Hub(root.resolve(), bot, bot_role, Clock(real_time))
        self.bot = bot
        self.webhook_secret = webhook_secret
        self.token = self.hub.state.token_of(bot)
        self.state_dir = self.hub.root / "states"
        self._read: set[int] = set()
        for login in SAMPLE_USERS:
            self.hub.add_user(login)
        self._server = Server(self.hub, port=port)
        self.hub.url = self._server.url

    def __enter__(self) -> Self:
        if self._server.stopped:
            self._server = Server(self.hub, port=self._server.port)
        self._server.start()
        self.hub.hooks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hub.hooks.stop()
        self._server.stop()

    # -- addresses ----------------------------------------------------------------------------------------------------
    @property
    def url(self) -> str:
        """The pages, e.g. `http://127.0.0.1:4300`. The API also answers here, as api.github.com does."""
        return self.hub.url

    @property
    def api_url(self) -> str:
        """The API's base as on GitHub Enterprise Server: `…/api/v3`."""
        return self.hub.api_url

    # -- people and repositories --------------------------------------------------------------------------------------
    def repo(self, full_name: str, files: Files, *, private: bool = True, default_branch: str = "main") -> SandboxRepo:
        """A new repository with one commit, the sample users, and the webhook if `connect` was called."""
        self.act("root")
        data = self.hub.add_repo(full_name, private=private, default_branch=default_branch)
        data.grants.update({login: role for login, role in SAMPLE_USERS.items() if login not in data.grants})
        commit(self.hub, data, default_branch, Change(files, "First commit"), "root")
        if self.hub.hook_target is not None:
            self._hook_up(data.full_name, self.hub.hook_target)
        return SandboxRepo(self, data)

    def user(self, login: str) -> User:
        """The account of that name, made if need be (a name in `[bot]` makes a bot)."""
        return self.hub.add_user(login, "Bot" if login.endswith("[bot]") else "User")

    def token_for(self, login: str, scopes: tuple[str, ...] | None = None) -> str:
        """A token that speaks as somebody; with `scopes` a classic one, which tells them and is not bound by them."""
        token = self.hub.state.token_of(self.user(login).login)
        if scopes is not None:
            self.hub.state.scopes[token] = scopes
        return token

    def revoke(self, token: str) -> None:
        """Make a token worthless."""
        self.hub.state.tokens.pop(token, None)

    def app(self, *accounts: str, slug: str = "prbot", lacking: tuple[str, ...] = ()) -> SandboxApp:
        """A GitHub App with all that prbot asks for but what is `lacking`, on all repositories of these accounts.

        To be `bot`, its slug must be that name without `[bot]`.
        """
        granted = {name: level for name, level in APP_PERMISSIONS.items() if name not in lacking}
        manifest = {"name": slug, "default_permissions": granted, "default_events": APP_EVENTS}
        made = SandboxApp(self.hub, create_app(self.hub, manifest))
        for account in accounts or ("acme",):
            made.install(account)
        return made

    def backend(self, repo: str, directory: str, kind: str = "http") -> str:
        """The `terraform` block for a directory's state: at the stand-in (`http`) or in files (`local`)."""
        if kind == "local":
            return samples.local_backend(self.state_dir, repo, directory)
        return samples.http_backend(self.url, repo, directory)

    # -- time ---------------------------------------------------------------------------------------------------------
    @property
    def clock(self) -> Clock:
        """GitHub's clock. `clock.same_second()` makes what happens in a block simultaneous."""
        return self.hub.clock

    def tick(self, seconds: int) -> None:
        """Let time pass at GitHub."""
        self.hub.clock.tick(seconds)

    def act(self, login: str) -> None:
        """Begin something that a person does: make the account if need be and move GitHub's clock on."""
        self.user(login)
        self.hub.clock.act()

    # -- webhooks -----------------------------------------------------------------------------------------------------
    def connect(self, hook_url: str, *, secret: str | None = None, form: bool = False) -> None:
        """Send the webhooks of all repositories, also of later ones, to a URL; each begins with a ping."""
        self.hub.hook_target = HookTarget(hook_url, secret or self.webhook_secret, form)
        for full_name in self.hub.state.repos:
            self._hook_up(full_name, self.hub.hook_target)

    @property
    def hooks(self) -> Hooks:
        """What can go wrong with deliveries: `lose_next`, `double_next`, `slow`, `hold`, `release`, `redeliver`."""
        return self.hub.hooks

    @property
    def deliveries(self) -> list[Delivery]:
        """All deliveries, in the order in which they were made."""
        return list(self.hub.hooks.deliveries)

    def settle_hooks(self, timeout: float = 30.0) -> None:
        """Wait until every delivery that is not held back was sent and answered. TimeoutError after `timeout` s."""
        self.hub.hooks.settle(timeout)

    def _hook_up(self, full_name: str, target: HookTarget) -> None:
        with self.hub.state.lock:
            repo = self.hub.state.repos[full_name]
            repo.hooks.clear()
            hook = self.hub.hook_up(repo, target)
            self.hub.emit(repo, "ping", payloads.ping(self.hub, repo, hook))

    # -- failures -----------------------------------------------------------------------------------------------------
    def fail_next(
        self,
        route: str,
        status: int,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        *,
        after_effect: bool = False,
    ) -> None:
        """Answer the next requests to a route (`create_comment`, `git`, …; `*` is any) with an error.

        With `after_effect` each does its work first.
        """
        message = {401: "Bad credentials", 403: "Forbidden", 404: "Not Found"}.get(status, "Server Error")
        self.hub.faults.arm(route, Fault(status, message, headers or {}, after_effect), times)

    def rate_limit_next(
        self, route: str = "*", *, retry_after: int = 1, status: int = 403, secondary: bool = False, times: int = 1
    ) -> None:
        """Refuse the next requests as too many; `retry_after` seconds are said in GitHub's way."""
        limited = rate_limited(status, retry_after, int(time.time()) + retry_after, secondary=secondary)
        self.hub.faults.arm(route, limited, times)

    def use_up(self, requests: int) -> None:
        """Let so many requests of the hourly 5,000 be used by somebody else."""
        self.hub.spent += requests

    def slow_next(self, route: str, seconds: float, times: int = 1) -> None:
        """Answer the next requests late."""
        self.hub.faults.arm(route, Fault(delay=seconds), times)

    def drop_next(self, route: str, times: int = 1, *, after_effect: bool = False) -> None:
        """Close the connection of the next requests without an answer; with `after_effect` once their work is done."""
        self.hub.faults.arm(route, Fault(drop=True, after_effect=after_effect), times)

    @property
    def pending_faults(self) -> list[str]:
        """The routes whose ordered failures no request has met yet."""
        return self.hub.faults.pending()

    def refuse_graphql(self, message: str = "Resource not accessible by personal access token") -> None:
        """From now on, refuse to hide comments."""
        self.hub.graphql_refusal = message

    # -- what happened ------------------------------------------------------------------------------------------------
    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to the API and to git, oldest first."""
        return list(self.hub.requests)

    @property
    def unknown_routes(self) -> list[str]:
        """What was asked that the stand-in does not know: `GET /repos/…`."""
        return list(self.hub.unknown_routes)

    def unread_comments(self) -> list[tuple[str, str]]:
        """prbot's comments that `next_comment` has not read: (`owner/name#1`, text)."""
        return [
            (f"{repo.full_name}#{number}", comment.body)
            for repo in self.hub.state.repos.values()
            for number, pull in sorted(repo.pulls.items())
            for comment in SandboxPull(self, repo, pull).unread_comments()
        ]

    def mark_read(self, comment_id: int) -> None:
        """Count a comment as read."""
        self._read.add(comment_id)

    def is_unread(self, comment_id: int) -> bool:
        """Whether a comment is prbot's and was not read. When prbot runs with a person's token, theirs count too."""
        written_by = next(
            repo.comments[comment_id].user for repo in self.hub.state.repos.values() if comment_id in repo.comments
        )
        return written_by == self.bot and comment_id not in self._read
