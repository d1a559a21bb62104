"""Whether a pull request could be merged now, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.sandbox.gitrepos import NewCommit
from prbot.sandbox.hub import Hub
from prbot.sandbox.state import WEB_FLOW, Pull, Repository


@dataclass(frozen=True, slots=True)
class Mergeability:
    """`test_commit` is the merge that GitHub tries out, None on a conflict; `state` is `mergeable_state`."""

    test_commit: str | None
    state: str
    missing_checks: tuple[str, ...] = ()
    missing_approvals: int = 0


def mergeability(hub: Hub, repo: Repository, pull: Pull) -> Mergeability:
    """Try the merge of the head into the base as both are now; nobody's ref moves but `refs/pull/N/merge`."""
    base = repo.git.resolve(f"refs/heads/{pull.base_ref}")
    if base is None:
        return Mergeability(None, "dirty")
    tree = repo.git.merged_tree(base, pull.head_sha)
    if tree is None:
        return Mergeability(None, "dirty")
    who = hub.state.users[WEB_FLOW].signs(pull.updated_at)
    test = NewCommit(f"Merge {pull.head_sha} into {base}", hub.state.users[pull.user].signs(pull.updated_at), who)
    commit = repo.git.commit_tree(tree, [base, pull.head_sha], test)
    repo.git.set_ref(f"refs/pull/{pull.number}/merge", commit)
    checks, approvals = _missing_checks(repo, pull), _missing_approvals(repo, pull)
    return Mergeability(commit, _state(repo, pull, blocked=bool(checks or approvals)), checks, approvals)


def _state(repo: Repository, pull: Pull, *, blocked: bool) -> str:
    if pull.draft:
        return "draft"
    if blocked:
        return "blocked"
    statuses = repo.latest_statuses(pull.head_sha).values()
    return "unstable" if any(status.state != "success" for status in statuses) else "clean"


def _missing_checks(repo: Repository, pull: Pull) -> tuple[str, ...]:
    required = repo.protection.get(pull.base_ref, {}).get("required_status_checks") or {}
    wanted = set(required.get("contexts", []))
    for rule in repo.rules.get(pull.base_ref, []):
        if rule["type"] == "required_status_checks":
            wanted |= {check["context"] for check in rule["parameters"]["required_status_checks"]}
    statuses = repo.latest_statuses(pull.head_sha)
    good = {context for context, status in statuses.items() if status.state == "success"}
    return tuple(sorted(wanted - good))


def _missing_approvals(repo: Repository, pull: Pull) -> int:
    required = repo.protection.get(pull.base_ref, {}).get("required_pull_request_reviews") or {}
    wanted = int(required.get("required_approving_review_count", 0))
    newest = {review.user: review.state for review in pull.reviews if review.state != "COMMENTED"}
    given = sum(state == "APPROVED" and repo.allows(login, "write") for login, state in newest.items())
    return max(0, wanted - given)
