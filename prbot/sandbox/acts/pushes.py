"""Commits and pushes."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.sandbox import payloads
from prbot.sandbox.gitrepos import NO_COMMIT, Files, NewCommit
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import Activity, Pull, Repository


@dataclass(frozen=True, slots=True)
class RefChange:
    """A branch that moved, by its short name. `kind` is the activity's: push, force_push, pr_merge, …"""

    branch: str
    before: str
    after: str
    kind: str = "push"


@dataclass(frozen=True, slots=True)
class Change:
    """Files to commit. `author` is who wrote it, where that is not who pushes it."""

    files: Files
    message: str = "Change"
    author: str | None = None


def commit(hub: Hub, repo: Repository, branch: str, change: Change, by: str) -> str:
    """Commit on top of a branch, made off the default one when there is none, and push; the new commit's id."""
    with hub.state.lock:
        before = repo.git.resolve(f"refs/heads/{branch}")
        parent = before or repo.git.resolve(f"refs/heads/{repo.default_branch}")
        return commit_onto(hub, repo, RefChange(branch, before or NO_COMMIT, parent or NO_COMMIT), change, by)


def commit_onto(hub: Hub, repo: Repository, onto: RefChange, change: Change, by: str) -> str:
    """Commit on top of `onto.after` and push that to the branch in place of `onto.before`; the new commit's id."""
    with hub.state.lock:
        at = hub.clock.now()
        author = hub.add_user(change.author or by).signs(at)
        hub.add_user(by)
        parent = None if onto.after == NO_COMMIT else onto.after
        new = NewCommit(change.message, author, author)
        sha = repo.git.commit(f"refs/heads/{onto.branch}", change.files, new, parent)
        kind = "branch_creation" if onto.before == NO_COMMIT else onto.kind
        pushed(hub, repo, RefChange(onto.branch, onto.before, sha, kind), by)
        return sha


def move_branch(hub: Hub, repo: Repository, change: RefChange, by: str) -> None:
    """Let a branch point to `change.after`, as a push does."""
    with hub.state.lock:
        repo.git.set_ref(f"refs/heads/{change.branch}", change.after)
        pushed(hub, repo, change, by)


def pushed(hub: Hub, repo: Repository, change: RefChange, by: str) -> None:
    """Record a branch that has moved already, and tell the webhooks: the push, then each pull request from there."""
    with hub.state.lock:
        at = hub.clock.now()
        ref = f"refs/heads/{change.branch}"
        entry = Activity(hub.state.new_id(), by, ref, change.before, change.after, change.kind, at)
        repo.activity.append(entry)
        repo.pushed_at = at
        known = change.before if change.before != NO_COMMIT else repo.git.resolve(f"refs/heads/{repo.default_branch}")
        gone = change.after == NO_COMMIT
        new = [] if gone or known is None else repo.git.log(known, change.after)
        hub.emit(repo, "push", payloads.push(hub, repo, entry, new))
        for base in list(hub.state.repos.values()):
            for pull in base.pulls.values():
                comes_from_here = (pull.head_repo, pull.head_ref) == (repo.full_name, change.branch)
                if pull.state == "open" and comes_from_here and not gone:
                    _synchronize(hub, base, pull, change, by)


def _synchronize(hub: Hub, repo: Repository, pull: Pull, change: RefChange, by: str) -> None:
    pull.head_sha = change.after
    pull.base_sha = repo.git.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
    pull.updated_at = hub.clock.now()
    pull.events.append((pull.updated_at, by, f"pushed {change.after[:7]}"))
    repo.git.set_ref(f"refs/pull/{pull.number}/head", pull.head_sha)
    payload = payloads.pull_request(hub, repo, pull, "synchronize", by)
    hub.emit(repo, "pull_request", {**payload, "before": change.before, "after": change.after})
