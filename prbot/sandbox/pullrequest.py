"""A pull request of the stand-in, as the demo and the tests hold it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from prbot.sandbox.acts import apps, pulls, pushes, talk
from prbot.sandbox.gitrepos import Files
from prbot.sandbox.shapes.pulls import pull_full
from prbot.sandbox.state import CheckRun, Comment, CommitStatus, Pull, Repository

if TYPE_CHECKING:
    from prbot.sandbox.world import World


@dataclass(frozen=True, slots=True)
class SeenComment:
    """A comment as it is now. `minimized` is the reason why it is hidden; `reactions` are (login, content)."""

    id: int
    user: str
    body: str
    created_at: datetime
    updated_at: datetime
    minimized: str | None
    reactions: tuple[tuple[str, str], ...]


class SandboxPull:
    """One pull request. People's acts move GitHub's clock on by a second, and check no permissions."""

    def __init__(self, world: World, repo: Repository, data: Pull) -> None:
        self._world = world
        self._hub = world.hub
        self._repo = repo
        self.data = data

    @property
    def number(self) -> int:
        return self.data.number

    @property
    def repo_name(self) -> str:
        """`owner/name` of the repository that it is to be merged into."""
        return self._repo.full_name

    @property
    def head_sha(self) -> str:
        """The head as it is now."""
        return self.data.head_sha

    @property
    def merge_sha(self) -> str | None:
        """The commit that the merge made, None unless merged."""
        return self.data.merge_sha

    @property
    def state(self) -> str:
        """`open`, `closed` or `merged`."""
        return "merged" if self.data.merged else self.data.state

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self._hub.url}/{self._repo.full_name}/pull/{self.number}"

    # -- pushes -------------------------------------------------------------------------------------------------------
    def push(self, by: str, files: Files, message: str = "Change", author: str | None = None) -> str:
        """Commit files (None deletes one) on top of the head and push; the new head. `author` wrote it, `by` pushed."""
        self._world.act(by)
        return pushes.commit(self._hub, self._head_repo, self.data.head_ref, pushes.Change(files, message, author), by)

    def force_push(self, by: str, files: Files, message: str = "Change", author: str | None = None) -> str:
        """Put a single commit on top of the merge base in place of all that was pushed; the new head."""
        self._world.act(by)
        fork_point = self._repo.git.merge_base(self.data.base_sha, self.head_sha)
        onto = pushes.RefChange(self.data.head_ref, self.head_sha, fork_point, "force_push")
        return pushes.commit_onto(self._hub, self._head_repo, onto, pushes.Change(files, message, author), by)

    def update_branch(self, by: str) -> str:
        """Merge the base into the head, as the button does; the new head."""
        self._world.act(by)
        return pulls.update_branch(self._hub, self._repo, self.data, by)

    def rebase(self, by: str) -> str:
        """Rebase onto the base and force-push; the new head."""
        self._world.act(by)
        return pulls.rebase_branch(self._hub, self._repo, self.data, by)

    # -- talk ---------------------------------------------------------------------------------------------------------
    def comment(self, by: str, body: str) -> int:
        """Write a comment; its id."""
        self._world.act(by)
        return talk.comment(self._hub, self._repo, self.number, by, body).id

    def edit_comment(self, comment_id: int, by: str, body: str) -> None:
        """Replace a comment's text."""
        self._world.act(by)
        talk.edit_comment(self._hub, self._repo, self._repo.comments[comment_id], by, body)

    def delete_comment(self, comment_id: int, by: str) -> None:
        """Delete a comment."""
        self._world.act(by)
        talk.delete_comment(self._hub, self._repo, self._repo.comments[comment_id], by)

    def comments(self) -> list[SeenComment]:
        """The conversation, oldest first. This does not count as reading."""
        with self._hub.state.lock:
            return [_seen(one) for one in self._repo.conversation(self.number)]

    def next_comment(self) -> str:
        """The present text of the oldest of prbot's comments here that was not read yet; waits for nothing.

        LookupError when all were read. A comment that is edited after it was read does not come again.
        """
        unread = self.unread_comments()
        if not unread:
            raise LookupError(f"{self._hub.bot} has said nothing new on {self._repo.full_name}#{self.number}")
        self._world.mark_read(unread[0].id)
        return unread[0].body

    def unread_comments(self) -> list[SeenComment]:
        """prbot's comments here that nobody read, oldest first."""
        return [one for one in self.comments() if self._world.is_unread(one.id)]

    # -- reviews ------------------------------------------------------------------------------------------------------
    def review(self, by: str, state: str, commit: str | None = None, body: str = "") -> int:
        """Submit a review, of the head unless `commit` says otherwise; its id. Authors may, unlike on GitHub."""
        self._world.act(by)
        return talk.review(self._hub, self._repo, self.data, by, talk.Opinion(state, body, commit)).id

    def approve(self, by: str) -> int:
        """Approve the head; the review's id."""
        return self.review(by, "APPROVED")

    def dismiss(self, review_id: int, by: str) -> None:
        """Dismiss a review. StopIteration if there is none of that id."""
        self._world.act(by)
        review = next(one for one in self.data.reviews if one.id == review_id)
        talk.dismiss(self._hub, self._repo, self.data, review, by)

    # -- its life -----------------------------------------------------------------------------------------------------
    def merge(self, by: str, method: str = "merge") -> str:
        """Merge, whatever the branch's rules say; the commit that it made. `Refused` on a conflict."""
        self._world.act(by)
        return pulls.merge(self._hub, self._repo, self.data, by, method)

    def enqueue(self, by: str, behind: str = "") -> str:
        """Put it into the merge queue, behind one of its commits or as the first; the commit that the queue wants
        checked."""
        self._world.act(by)
        return pulls.enqueue(self._hub, self._repo, self.data, by, behind)

    def close(self, by: str) -> None:
        """Close without merging."""
        self._world.act(by)
        pulls.close(self._hub, self._repo, self.data, by)

    def reopen(self, by: str) -> None:
        """Open again."""
        self._world.act(by)
        pulls.reopen(self._hub, self._repo, self.data, by)

    def ready(self, by: str) -> None:
        """Mark as ready for review."""
        self._world.act(by)
        pulls.set_draft(self._hub, self._repo, self.data, by, draft=False)

    def to_draft(self, by: str) -> None:
        """Convert to a draft."""
        self._world.act(by)
        pulls.set_draft(self._hub, self._repo, self.data, by, draft=True)

    def retarget(self, by: str, base: str) -> None:
        """Change the base branch."""
        self._world.act(by)
        pulls.retarget(self._hub, self._repo, self.data, by, base)

    def label(self, by: str, name: str) -> None:
        """Add a label."""
        self._world.act(by)
        pulls.add_label(self._hub, self._repo, self.data, by, name)

    def unlabel(self, by: str, name: str) -> None:
        """Take a label away."""
        self._world.act(by)
        pulls.remove_label(self._hub, self._repo, self.data, by, name)

    def hide_mergeable(self, reads: int = 1) -> None:
        """Let the next `reads` answers say that GitHub does not know yet whether it merges."""
        self.data.unknown_reads = reads

    def lag(self, reads: int = 1) -> None:
        """Let the next `reads` answers tell of it as it is now, whatever happens to it meanwhile."""
        with self._hub.state.lock:
            self.data.old_document = pull_full(self._hub, self._repo, self.data)
            self.data.old_reads = reads

    # -- statuses -----------------------------------------------------------------------------------------------------
    def statuses(self, sha: str | None = None) -> dict[str, dict[str, str | None]]:
        """The newest status of each context of a commit (the head): state, description, target_url."""
        with self._hub.state.lock:
            latest = self._repo.latest_statuses(sha or self.head_sha)
            return {context: _told(status) for context, status in latest.items()}

    def status(self, context: str, sha: str | None = None) -> dict[str, str | None] | None:
        """The newest status of one context, or None."""
        return self.statuses(sha).get(context)

    def status_history(self, context: str, sha: str | None = None) -> list[str]:
        """The states that a context went through, oldest first."""
        with self._hub.state.lock:
            return [one.state for one in self._repo.statuses.get(sha or self.head_sha, []) if one.context == context]

    # -- check runs ---------------------------------------------------------------------------------------------------
    def check(self, name: str, sha: str | None = None) -> CheckRun | None:
        """The newest check run of that name on a commit (the head)."""
        wanted = (name, sha or self.head_sha)
        with self._hub.state.lock:
            found = [one for one in self._repo.checks.values() if (one.name, one.head_sha) == wanted]
        return found[-1] if found else None

    def rerun(self, by: str, name: str, sha: str | None = None) -> None:
        """Press “Re-run” at a check run. LookupError if there is none."""
        self._world.act(by)
        apps.rerun(self._hub, self._repo, self._shown(name, sha), by)

    def rerun_all(self, by: str, name: str) -> None:
        """Press “Re-run all checks” of the App whose check run this is."""
        self._world.act(by)
        apps.rerun_all(self._hub, self._repo, self._shown(name), by)

    def press(self, by: str, name: str, identifier: str) -> None:
        """Press a button of the App's own at its check run. LookupError if it has no such button."""
        self._world.act(by)
        check = self._shown(name)
        if identifier not in {action["identifier"] for action in check.actions}:
            raise LookupError(identifier)
        apps.press(self._hub, self._repo, check, by, identifier)

    def _shown(self, name: str, sha: str | None = None) -> CheckRun:
        check = self.check(name, sha)
        if check is None:
            raise LookupError(name)
        return check

    @property
    def _head_repo(self) -> Repository:
        return self._hub.state.repos[self.data.head_repo]


def _seen(one: Comment) -> SeenComment:
    reactions = tuple((reaction.user, reaction.content) for reaction in one.reactions)
    return SeenComment(one.id, one.user, one.body, one.created_at, one.updated_at, one.minimized, reactions)


def _told(status: CommitStatus) -> dict[str, str | None]:
    return {"state": status.state, "description": status.description, "target_url": status.target_url}
