"""Webhook payloads, in the shapes of GitHub's published descriptions of them."""

from __future__ import annotations

from prbot.sandbox.apps import App
from prbot.sandbox.clock import iso
from prbot.sandbox.gitrepos import EMPTY_TREE, NO_COMMIT, CommitInfo, Signature
from prbot.sandbox.hub import Hub
from prbot.sandbox.shapes import Json, apps, commits, pulls, repos, talk
from prbot.sandbox.shapes.people import simple_user
from prbot.sandbox.state import Activity, CheckRun, Comment, CommitStatus, Hook, Pull, Repository, Review


def ping(hub: Hub, repo: Repository, hook: Hook) -> Json:
    """What a new webhook is greeted with."""
    return {
        "zen": "Approachable is better than simple.",
        "hook_id": hook.id,
        "hook": repos.hook(hub, repo, hook),
        **_about(hub, repo, repo.owner),
    }


def pull_request(hub: Hub, repo: Repository, pull: Pull, action: str, sender: str) -> Json:
    """`pull_request`; the caller adds what only some actions carry."""
    return {
        "action": action,
        "number": pull.number,
        "pull_request": pulls.pull_full(hub, repo, pull),
        **_about(hub, repo, sender),
    }


def issue_comment(hub: Hub, repo: Repository, comment: Comment, action: str, sender: str) -> Json:
    """`issue_comment`; the caller adds `changes` to an edit."""
    return {
        "action": action,
        "issue": talk.issue(hub, repo, repo.pulls[comment.number]),
        "comment": talk.comment(hub, repo, comment),
        **_about(hub, repo, sender),
    }


def pull_request_review(hub: Hub, repo: Repository, pull: Pull, review: Review, action: str, sender: str) -> Json:
    """`pull_request_review`; here GitHub writes the state in lower case."""
    shape = talk.review(hub, repo, pull, review)
    return {
        "action": action,
        "review": {**shape, "state": review.state.lower(), "updated_at": shape["submitted_at"]},
        "pull_request": pulls.pull_simple(hub, repo, pull),
        **_about(hub, repo, sender),
    }


def push(hub: Hub, repo: Repository, entry: Activity, new: list[CommitInfo]) -> Json:
    """`push`, with the commits that the ref did not hold before."""
    pusher = hub.state.users[entry.actor]
    listed = [_pushed_commit(hub, repo, info) for info in new]
    return {
        "ref": entry.ref,
        "before": entry.before,
        "after": entry.after,
        "created": entry.before == NO_COMMIT,
        "deleted": entry.after == NO_COMMIT,
        "forced": entry.kind == "force_push",
        "base_ref": None,
        "compare": f"{repos.repo_html(hub, repo)}/compare/{entry.before[:12]}...{entry.after[:12]}",
        "commits": listed,
        "head_commit": listed[-1] if listed else None,
        "pusher": {"name": pusher.login, "email": pusher.email},
        **_about(hub, repo, entry.actor),
        "repository": _pushed_repository(hub, repo),
    }


def merge_group(hub: Hub, repo: Repository, pull: Pull, ref: str, head: CommitInfo, sender: str) -> Json:
    """`merge_group` that asks for checks of `head`, the commit of the queue's branch `ref`."""
    return {
        "action": "checks_requested",
        "merge_group": {
            "head_sha": head.sha,
            "head_ref": ref,
            "base_sha": head.parents[0],
            "base_ref": f"refs/heads/{pull.base_ref}",
            "head_commit": {
                "id": head.sha,
                "tree_id": head.tree,
                "message": head.message,
                "timestamp": iso(head.committer.at),
                "author": {"name": head.author.name, "email": head.author.email},
                "committer": {"name": head.committer.name, "email": head.committer.email},
            },
        },
        **_about(hub, repo, sender),
    }


def status(hub: Hub, repo: Repository, one: CommitStatus) -> Json:
    """`status`."""
    info = repo.git.info(one.sha)
    holding = [ref for ref, sha in repo.git.refs("refs/heads").items() if sha == one.sha]
    at = iso(one.created_at)
    return {
        "id": one.id,
        "sha": one.sha,
        "name": repo.full_name,
        "avatar_url": simple_user(hub, one.creator)["avatar_url"],
        "target_url": one.target_url,
        "context": one.context,
        "description": one.description,
        "state": one.state,
        "commit": commits.commit(hub, repo, info),
        "branches": [_branch(hub, repo, ref, one.sha) for ref in holding],
        "created_at": at,
        "updated_at": at,
        **_about(hub, repo, one.creator),
    }


def check_run(hub: Hub, repo: Repository, one: CheckRun, action: str, sender: str) -> Json:
    """`check_run`; the caller adds `requested_action` to one of those."""
    shape = {**apps.check_run(hub, repo, one), "check_suite": apps.check_suite(hub, repo, one)}
    return {"action": action, "check_run": shape, **_about(hub, repo, sender)}


def check_suite(hub: Hub, repo: Repository, one: CheckRun, sender: str) -> Json:
    """`check_suite`, rerequested: the suite of this check run."""
    return {"action": "rerequested", "check_suite": apps.check_suite(hub, repo, one), **_about(hub, repo, sender)}


def app_ping(hub: Hub, hook: Hook, app: App) -> Json:
    """What a new webhook of an App is greeted with."""
    return {"zen": "Approachable is better than simple.", "hook_id": hook.id, "hook": repos.app_hook(hub, hook, app)}


def _about(hub: Hub, repo: Repository, sender: str) -> Json:
    return {"repository": repos.repository(hub, repo), "sender": simple_user(hub, sender)}


def _branch(hub: Hub, repo: Repository, ref: str, sha: str) -> Json:
    commit = {"sha": sha, "url": f"{repos.repo_api(hub, repo)}/commits/{sha}"}
    return {"name": ref.removeprefix("refs/heads/"), "commit": commit, "protected": False}


def _pushed_commit(hub: Hub, repo: Repository, info: CommitInfo) -> Json:
    changes = repo.git.changes(info.parents[0] if info.parents else EMPTY_TREE, info.sha)
    by_kind = {
        key: [change.path for change in changes if change.status in kinds]
        for key, kinds in (("added", {"added"}), ("removed", {"removed"}), ("modified", {"modified", "renamed"}))
    }
    return {
        "id": info.sha,
        "tree_id": info.tree,
        "distinct": True,
        "message": info.message,
        "timestamp": iso(info.committer.at),
        "url": f"{repos.repo_html(hub, repo)}/commit/{info.sha}",
        "author": _pushed_by(hub, info.author),
        "committer": _pushed_by(hub, info.committer),
        **by_kind,
    }


def _pushed_by(hub: Hub, who: Signature) -> Json:
    user = hub.state.user_by_email(who.email)
    return {"name": who.name, "email": who.email, **({"username": user.login} if user else {})}


def _pushed_repository(hub: Hub, repo: Repository) -> Json:
    """In pushes alone, GitHub gives the times of the repository in Unix seconds, and branches of its own."""
    return {
        **repos.repository(hub, repo),
        "created_at": int(repo.created_at.timestamp()),
        "pushed_at": int(repo.pushed_at.timestamp()),
        "stargazers": 0,
        "master_branch": repo.default_branch,
    }
