"""What all parts of the stand-in share: its state, clock, webhooks, failures, addresses, and what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prbot.sandbox.apps import App
from prbot.sandbox.clock import Clock
from prbot.sandbox.faults import Faults
from prbot.sandbox.gitrepos import BareRepo
from prbot.sandbox.hooks import Hooks
from prbot.sandbox.state import WEB_FLOW, Hook, Repository, Role, State, User, UserKind
from prbot.sandbox.tfstate import StateBackend


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request to the API or to git. `route` is the name that faults are armed with; `user` whose token it bore."""

    method: str
    route: str
    path: str
    status: int
    user: str | None


@dataclass(frozen=True, slots=True)
class HookTarget:
    """Where the webhooks of all repositories go."""

    url: str
    secret: str
    form: bool = False


@dataclass
class Hub:
    """The stand-in without its server. `bot` is the login that prbot's token speaks as."""

    root: Path
    bot: str
    bot_role: Role
    clock: Clock = field(default_factory=Clock)
    state: State = field(default_factory=State)
    faults: Faults = field(default_factory=Faults)
    states: StateBackend = field(default_factory=StateBackend)
    url: str = ""
    requests: list[RecordedRequest] = field(default_factory=list)
    unknown_routes: list[str] = field(default_factory=list)
    graphql_refusal: str | None = None
    spent: int = 0
    """Requests of the hourly allowance that are used up."""
    hook_target: HookTarget | None = None
    app_hooks: list[Hook] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hooks = Hooks(self.clock, self.state.new_id)
        self.add_user(WEB_FLOW)
        self.add_user(self.bot, "Bot" if self.bot.endswith("[bot]") else "User")

    @property
    def api_url(self) -> str:
        """The base of the REST API."""
        return f"{self.url}/api/v3"

    def add_user(self, login: str, kind: UserKind = "User") -> User:
        """The account of that name; made when there is none yet."""
        with self.state.lock:
            if login not in self.state.users:
                self.state.users[login] = User(self.state.new_id(), login, self.clock.now(), kind)
            return self.state.users[login]

    def add_repo(self, full_name: str, *, private: bool, default_branch: str, parent: str | None = None) -> Repository:
        """A new, empty repository, or a fork with all branches of its `parent`."""
        now = self.clock.now()
        with self.state.lock:
            origin = self.state.repos[parent] if parent else None
            path = self.root / "git" / f"{full_name}.git"
            git = BareRepo.create(path, default_branch, origin.git if origin else None)
            for ref, sha in origin.git.refs("refs/heads").items() if origin else ():
                git.set_ref(ref, sha)
            repo = Repository(self.state.new_id(), full_name, private, default_branch, git, now, now, parent)
            if origin is None:
                repo.grants[self.bot] = self.bot_role
            if self.add_user(repo.owner, "Organization").kind == "User":
                repo.grants[repo.owner] = "admin"
            self.state.repos[full_name] = repo
        return repo

    def spend(self, status: int) -> int:
        """Count a request that was answered so, and say how many there were: "nothing new" is free, as at GitHub."""
        with self.state.lock:
            self.spent += status != 304
            return self.spent

    def hook_up(self, repo: Repository, target: HookTarget) -> Hook:
        """Give a repository a webhook. The caller sends the ping."""
        hook = Hook(self.state.new_id(), target.url, target.secret, target.form, self.clock.now())
        repo.hooks.append(hook)
        return hook

    def emit(self, repo: Repository, event: str, payload: dict[str, Any], only: App | None = None) -> None:
        """Send an event to the webhooks of a repository, and of the Apps on it, that want it; or to `only` one App."""
        for hook in repo.hooks if only is None else ():
            if hook.active and event in ("ping", *hook.events):
                self.hooks.send(hook, event, payload, repo.id)
        for hook in self.app_hooks:
            if hook.app is None or (only is not None and hook.app is not only) or event not in hook.events:
                continue
            on = self.state.apps.on(hook.app, repo.full_name)
            if on is not None:
                about = {"installation": {"id": on.id, "node_id": f"MDIz{on.id}"}}
                self.hooks.send(hook, event, {**payload, **about}, repo.id)
