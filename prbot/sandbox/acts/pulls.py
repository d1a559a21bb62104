"""The life of a pull request, apart from pushes and talk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prbot.sandbox import payloads
from prbot.sandbox.acts import Refused
from prbot.sandbox.acts.pushes import RefChange, move_branch, pushed
from prbot.sandbox.gitrepos import NewCommit
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes.talk import label as label_shape
from prbot.sandbox.state import WEB_FLOW, Label, Pull, Repository

METHODS = ("merge", "squash", "rebase")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pull request to open. `head_repo` is where the head's branch lives."""

    title: str
    head_repo: str
    head_ref: str
    base_ref: str
    body: str | None = None
    draft: bool = False


def open_pull(hub: Hub, repo: Repository, proposal: Proposal, by: str) -> Pull:
    """Open a pull request. Refused where there is nothing to merge."""
    with hub.state.lock:
        at = hub.clock.now()
        hub.add_user(by)
        head = hub.state.repos[proposal.head_repo].git.resolve(f"refs/heads/{proposal.head_ref}")
        base = repo.git.resolve(f"refs/heads/{proposal.base_ref}")
        if head is None or base is None:
            raise Refused("Validation Failed: head or base is no branch")
        if repo.git.merge_base(base, head) == head:
            raise Refused(f"No commits between {proposal.base_ref} and {proposal.head_ref}")
        number = len(repo.pulls) + 1
        pull = Pull(
            hub.state.new_id(), number, proposal.title, proposal.body, by, proposal.draft,
            proposal.head_repo, proposal.head_ref, head, proposal.base_ref, base, at, at,
        )  # fmt: skip
        repo.pulls[number] = pull
        repo.git.set_ref(f"refs/pull/{number}/head", head)
        _tell(hub, repo, pull, "opened", by)
        return pull


def merge(hub: Hub, repo: Repository, pull: Pull, by: str, method: str = "merge") -> str:
    """Merge into the base, and say which commit that made. Refused on a conflict."""
    with hub.state.lock:
        if pull.state != "open":
            raise Refused("Pull Request is not mergeable")
        base = repo.git.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
        at = hub.clock.now()
        sha = _merged_commit(hub, repo, pull, base, by, method)
        if sha is None:
            raise Refused("Pull Request is not mergeable")
        repo.git.set_ref(f"refs/heads/{pull.base_ref}", sha)
        pull.state, pull.merged_at, pull.closed_at, pull.updated_at = "closed", at, at, at
        pull.merged_by, pull.merge_sha, pull.base_sha = by, sha, base
        pull.events.append((at, by, f"merged {sha[:7]} into {pull.base_ref}"))
        pushed(hub, repo, RefChange(pull.base_ref, base, sha, "pr_merge"), by)
        _tell(hub, repo, pull, "closed", by)
        return sha


def enqueue(hub: Hub, repo: Repository, pull: Pull, by: str, behind: str = "") -> str:
    """Put it into the base's merge queue, which asks for checks of the commit returned, on the base branch or on the
    queue's commit `behind` which it comes. Refused on a conflict."""
    with hub.state.lock:
        base = behind or repo.git.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
        sha = _merged_commit(hub, repo, pull, base, by, "merge")
        if sha is None:
            raise Refused("Pull Request is not mergeable")
        ref = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base}"
        repo.git.set_ref(ref, sha)
        _touch(hub, pull, by, "added this to the merge queue")
        hub.emit(repo, "merge_group", payloads.merge_group(hub, repo, pull, ref, repo.git.info(sha), by))
        return sha


def _merged_commit(hub: Hub, repo: Repository, pull: Pull, base: str, by: str, method: str) -> str | None:
    at = hub.clock.now()
    merger, github = (hub.add_user(login).signs(at) for login in (by, WEB_FLOW))
    if method == "rebase":
        return repo.git.rebased(base, pull.head_sha, merger)
    tree = repo.git.merged_tree(base, pull.head_sha)
    if tree is None:
        return None
    if method == "squash":
        author = hub.state.users[pull.user].signs(at)
        return repo.git.commit_tree(tree, [base], NewCommit(f"{pull.title} (#{pull.number})", author, github))
    origin = f"{pull.head_repo.split('/')[0]}/{pull.head_ref}"
    message = f"Merge pull request #{pull.number} from {origin}\n\n{pull.title}"
    return repo.git.commit_tree(tree, [base, pull.head_sha], NewCommit(message, merger, github))


def update_branch(hub: Hub, repo: Repository, pull: Pull, by: str) -> str:
    """Merge the base into the head, as the button does; the new head. Refused on a conflict."""
    with hub.state.lock:
        base = repo.git.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
        at = hub.clock.now()
        tree = repo.git.merged_tree(pull.head_sha, base)
        if tree is None:
            raise Refused("merge conflict between base and head")
        user, github = (hub.add_user(login).signs(at) for login in (by, WEB_FLOW))
        message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}"
        sha = repo.git.commit_tree(tree, [pull.head_sha, base], NewCommit(message, user, github))
        move_branch(hub, hub.state.repos[pull.head_repo], RefChange(pull.head_ref, pull.head_sha, sha), by)
        return sha


def rebase_branch(hub: Hub, repo: Repository, pull: Pull, by: str) -> str:
    """Rebase the head onto the base and force-push it; the new head. Refused on a conflict."""
    with hub.state.lock:
        base = repo.git.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
        sha = repo.git.rebased(base, pull.head_sha, hub.add_user(by).signs(hub.clock.now()))
        if sha is None:
            raise Refused("merge conflict between base and head")
        change = RefChange(pull.head_ref, pull.head_sha, sha, "force_push")
        move_branch(hub, hub.state.repos[pull.head_repo], change, by)
        return sha


def close(hub: Hub, repo: Repository, pull: Pull, by: str) -> None:
    """Close without merging. Nothing happens when it is closed."""
    with hub.state.lock:
        if pull.state == "open":
            pull.state, pull.closed_at = "closed", _touch(hub, pull, by, "closed this")
            _tell(hub, repo, pull, "closed", by)


def reopen(hub: Hub, repo: Repository, pull: Pull, by: str) -> None:
    """Open again what was closed without merging, at its branch's present commit. Refused when it was merged."""
    with hub.state.lock:
        if pull.merged:
            raise Refused("A merged pull request cannot be reopened")
        if pull.state == "closed":
            pull.state, pull.closed_at = "open", None
            _touch(hub, pull, by, "reopened this")
            head = hub.state.repos[pull.head_repo].git.resolve(f"refs/heads/{pull.head_ref}")
            pull.head_sha = head or pull.head_sha
            repo.git.set_ref(f"refs/pull/{pull.number}/head", pull.head_sha)
            _tell(hub, repo, pull, "reopened", by)


def set_draft(hub: Hub, repo: Repository, pull: Pull, by: str, *, draft: bool) -> None:
    """Make it a draft, or ready for review."""
    with hub.state.lock:
        if pull.draft != draft:
            pull.draft = draft
            _touch(hub, pull, by, "made this a draft" if draft else "marked this as ready for review")
            _tell(hub, repo, pull, "converted_to_draft" if draft else "ready_for_review", by)


def retarget(hub: Hub, repo: Repository, pull: Pull, by: str, base: str) -> None:
    """Change the base branch. Refused where there is no such branch."""
    with hub.state.lock:
        sha = repo.git.resolve(f"refs/heads/{base}")
        if sha is None:
            raise Refused(f"Proposed base branch '{base}' was not found")
        changes = {"base": {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}}
        pull.base_ref, pull.base_sha = base, sha
        _touch(hub, pull, by, f"changed the base branch to {base}")
        _tell(hub, repo, pull, "edited", by, changes=changes)


def retitle(hub: Hub, repo: Repository, pull: Pull, by: str, title: str) -> None:
    """Change the title."""
    with hub.state.lock:
        changes = {"title": {"from": pull.title}}
        pull.title = title
        _touch(hub, pull, by, "changed the title")
        _tell(hub, repo, pull, "edited", by, changes=changes)


def add_label(hub: Hub, repo: Repository, pull: Pull, by: str, name: str) -> None:
    """Add a label, made in the repository when it is new. Nothing happens when it is there."""
    with hub.state.lock:
        label = repo.labels.setdefault(name, Label(hub.state.new_id(), name))
        if label not in pull.labels:
            pull.labels.append(label)
            _touch(hub, pull, by, f"added the label {name}")
            _tell(hub, repo, pull, "labeled", by, label=label_shape(hub, repo, label))


def remove_label(hub: Hub, repo: Repository, pull: Pull, by: str, name: str) -> None:
    """Take a label away. KeyError when it is not there."""
    with hub.state.lock:
        label = repo.labels[name]
        if label not in pull.labels:
            raise KeyError(name)
        pull.labels.remove(label)
        _touch(hub, pull, by, f"removed the label {name}")
        _tell(hub, repo, pull, "unlabeled", by, label=label_shape(hub, repo, label))


def _touch(hub: Hub, pull: Pull, by: str, what: str) -> datetime:
    hub.add_user(by)
    pull.updated_at = hub.clock.now()
    pull.events.append((pull.updated_at, by, what))
    return pull.updated_at


def _tell(hub: Hub, repo: Repository, pull: Pull, action: str, by: str, **more: object) -> None:
    hub.emit(repo, "pull_request", {**payloads.pull_request(hub, repo, pull, action, by), **more})
