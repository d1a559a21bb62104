"""Comments, reactions, reviews and commit statuses."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.sandbox import payloads
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import Comment, CommitStatus, Pull, Reaction, Repository, Review

OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "COMMENTED")


def comment(hub: Hub, repo: Repository, number: int, by: str, body: str) -> Comment:
    """Comment on a pull request."""
    with hub.state.lock:
        at = hub.clock.now()
        hub.add_user(by)
        new = Comment(hub.state.new_id(), number, by, body, at, at)
        repo.comments[new.id] = new
        repo.pulls[number].updated_at = at
        hub.emit(repo, "issue_comment", payloads.issue_comment(hub, repo, new, "created", by))
        return new


def edit_comment(hub: Hub, repo: Repository, one: Comment, by: str, body: str) -> None:
    """Replace a comment's text."""
    with hub.state.lock:
        changes = {"body": {"from": one.body}}
        one.body, one.updated_at = body, hub.clock.now()
        repo.pulls[one.number].updated_at = one.updated_at
        payload = payloads.issue_comment(hub, repo, one, "edited", by)
        hub.emit(repo, "issue_comment", {**payload, "changes": changes})


def delete_comment(hub: Hub, repo: Repository, one: Comment, by: str) -> None:
    """Delete a comment."""
    with hub.state.lock:
        payload = payloads.issue_comment(hub, repo, one, "deleted", by)
        del repo.comments[one.id]
        hub.emit(repo, "issue_comment", payload)


def react(hub: Hub, one: Comment, by: str, content: str) -> tuple[Reaction, bool]:
    """Add a reaction, and say whether it is new: the same one twice is one."""
    with hub.state.lock:
        known = next((old for old in one.reactions if (old.user, old.content) == (by, content)), None)
        if known is not None:
            return known, False
        new = Reaction(hub.state.new_id(), by, content, hub.clock.now())
        one.reactions.append(new)
        return new, True


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a review says. `commit` is the head where it is None."""

    state: str
    body: str = ""
    commit: str | None = None


def review(hub: Hub, repo: Repository, pull: Pull, by: str, opinion: Opinion) -> Review:
    """Submit a review."""
    with hub.state.lock:
        at = hub.clock.now()
        hub.add_user(by)
        new = Review(hub.state.new_id(), by, opinion.state, opinion.body, opinion.commit or pull.head_sha, at)
        pull.reviews.append(new)
        pull.updated_at = at
        hub.emit(repo, "pull_request_review", payloads.pull_request_review(hub, repo, pull, new, "submitted", by))
        return new


def dismiss(hub: Hub, repo: Repository, pull: Pull, one: Review, by: str) -> None:
    """Dismiss a review; its time stays that of its submission."""
    with hub.state.lock:
        one.state = "DISMISSED"
        pull.updated_at = hub.clock.now()
        hub.emit(repo, "pull_request_review", payloads.pull_request_review(hub, repo, pull, one, "dismissed", by))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A commit status to set."""

    context: str
    state: str
    description: str | None = None
    target_url: str | None = None


def set_status(hub: Hub, repo: Repository, sha: str, verdict: Verdict, by: str) -> CommitStatus:
    """Set a commit status."""
    with hub.state.lock:
        new = CommitStatus(
            hub.state.new_id(), sha, verdict.context, verdict.state, verdict.description, verdict.target_url,
            by, hub.clock.now(),
        )  # fmt: skip
        repo.statuses[sha].append(new)
        hub.emit(repo, "status", payloads.status(hub, repo, new))
        return new
