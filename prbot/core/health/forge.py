"""Verdicts on GitHub: its clock, the token, and each repository's permissions, webhooks and branch rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prbot.core.health import Finding, failed, ok, skipped, warning

NEEDED_EVENTS = frozenset({"pull_request", "pull_request_review", "issue_comment"})
GATE = "prbot/gate"
CLOCK_WARNING, CLOCK_FAILURE = 5.0, 60.0
_ROOMY_SCOPES = frozenset({"admin:org", "delete_repo", "site_admin", "admin:enterprise"})


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a repository. `last_status` is what its latest delivery was answered, 0 if that is not known."""

    url: str
    active: bool
    events: frozenset[str]
    verifies_tls: bool
    last_status: int


@dataclass(frozen=True, slots=True)
class RepositorySetup:
    """What a repository is like for our token."""

    name: str
    default_branch: str
    may_push: bool
    archived: bool
    missing: tuple[str, ...]
    """Permissions that reading showed to be missing, in GitHub's words: `pull requests: read`."""
    hooks: tuple[Hook, ...] | None
    """None where the token may not read them."""
    required: frozenset[str] | None
    """The statuses that the default branch requires before a merge. None where the token may not read the rules."""
    merge_queue: bool
    """Whether the default branch has one."""


def clock(ours: datetime, theirs: datetime) -> Finding:
    """Our time and GitHub's, of the same moment to the second."""
    apart = abs((ours - theirs).total_seconds())
    said = f"{apart:.0f} s apart from GitHub's"
    advice = "Let the host set its clock (NTP): approvals and tokens go by time."
    if apart > CLOCK_FAILURE:
        return failed("clock", said, advice)
    return warning("clock", said, advice) if apart > CLOCK_WARNING else ok("clock", said)


def token(login: str, scopes: frozenset[str] | None) -> Finding:
    """Who the token speaks as; `scopes` are a classic token's, None for other kinds."""
    said = f"speaks as {login}"
    if scopes is None:
        return ok("token", said)
    said += f", scopes: {', '.join(sorted(scopes)) or 'none'}"
    if not scopes & {"repo", "public_repo"}:
        advice = "Give the token the scope `repo`, or make a fine-grained one with the permissions in README.md."
        return failed("token", said, advice)
    if scopes & _ROOMY_SCOPES:
        roomy = ", ".join(sorted(scopes & _ROOMY_SCOPES))
        return warning("token", said, f"It can do more than prbot needs: take {roomy} away.")
    return ok("token", said)


def globs(patterns: Sequence[str], fitting: int) -> Finding:
    """How many of the repositories that the token sees fit the allow-list's globs."""
    shown = ", ".join(patterns)
    if fitting:
        return ok("allow-list", f"{shown}: {fitting} {'repository fits' if fitting == 1 else 'repositories fit'}")
    advice = "Correct PRBOT_REPO_ALLOWLIST, or let the token (its owner) into the repositories."
    return failed("allow-list", f"no repository that the token sees fits {shown}", advice)


def unreachable(repo: str, why: str) -> Finding:
    """A repository that the allow-list names and the token cannot see."""
    advice = "Correct the name in PRBOT_REPO_ALLOWLIST, or give the token (its owner) access to that repository."
    return failed(repo, f"cannot be read: {why}", advice)


def repository(setup: RepositorySetup, hook_urls: tuple[str, ...]) -> list[Finding]:
    """Everything about one repository. `hook_urls` are the addresses that a webhook of ours may have, if known."""
    return [_access(setup), _webhook(setup, hook_urls), *_branch_rules(setup)]


def _access(setup: RepositorySetup) -> Finding:
    check = setup.name
    if setup.archived:
        return failed(
            check, "is archived: nothing can be written to it", "Unarchive it, or take it off the allow-list."
        )
    if setup.missing:
        said = f"the token lacks {', '.join(setup.missing)}"
        return failed(check, said, "Add what is missing to the token; README.md lists all that prbot needs.")
    if not setup.may_push:
        said = "the token's owner has no write access: no status can be set, and nobody's role be read"
        return failed(check, said, "Give that account the role Write in this repository.")
    return ok(check, f"can be read and written to; default branch {setup.default_branch}")


def _webhook(setup: RepositorySetup, hook_urls: tuple[str, ...]) -> Finding:
    check = f"{setup.name} webhook"
    if not hook_urls:
        return skipped(check, "without a public URL nothing tells which webhook is ours", "Set PRBOT_PUBLIC_URL.")
    wanted = hook_urls[0]
    needed = NEEDED_EVENTS | {"merge_group"} if setup.merge_queue else NEEDED_EVENTS
    if setup.hooks is None:
        said = "the token may not read the repository's webhooks"
        return skipped(check, said, f"Look yourself (Settings, Webhooks): one must point to {wanted}.")
    ours = [hook for hook in setup.hooks if hook.url.rstrip("/") in hook_urls]
    if not ours:
        advice = f"Add one that points to {wanted} (JSON; {_listed(needed)}). One of the organisation is as good."
        return warning(check, "no webhook of this repository points to this server", advice)
    found = [_hook(check, hook, needed) for hook in ours]
    return next((finding for finding in found if finding.verdict != "ok"), found[0])


def _hook(check: str, hook: Hook, needed: frozenset[str]) -> Finding:
    lacking = needed - hook.events
    if not hook.active:
        return failed(check, f"the webhook to {hook.url} is switched off", "Tick Active in its settings.")
    if lacking and "*" not in hook.events:
        return failed(
            check, f"{hook.url} is not told of {_listed(lacking)}", "Tick these events in the webhook's settings."
        )
    if hook.last_status >= 300:
        said = f"GitHub's latest delivery to {hook.url} was answered {hook.last_status}"
        return warning(check, said, "Look at Recent Deliveries in the webhook's settings, and at prbot's log.")
    if not hook.verifies_tls and hook.url.startswith("https:"):
        return warning(check, f"GitHub does not verify {hook.url}'s certificate", "Enable SSL verification there.")
    return ok(check, f"{hook.url}, with the events that are needed")


def _branch_rules(setup: RepositorySetup) -> list[Finding]:
    check, branch = f"{setup.name} branch rules", setup.default_branch
    if setup.required is None:
        said = f"the token may not read the rules of {branch}"
        return [skipped(check, said, f"See to it that {GATE} is a required status, and no other of prbot's.")]
    late = sorted(name for name in setup.required if name == "prbot/apply" or name.startswith("prbot/plan:"))
    found = [
        failed(check, f"{branch} requires {name}: {_why_never(name)}", f"Take {name} off the required statuses.")
        for name in late
    ]
    if GATE not in setup.required:
        said = f"{branch} does not require {GATE}: anybody who may merge can merge what nobody approved"
        found.append(warning(check, said, f"Make {GATE} a required status of {branch} (Settings, Rules or Branches)."))
    return found or [ok(check, f"{branch} requires {GATE}")]


def _why_never(name: str) -> str:
    if name == "prbot/apply":
        return "it is set only after the merge, so that nothing can be merged"
    return "it is set only where that project is affected, so that other pull requests cannot be merged"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
