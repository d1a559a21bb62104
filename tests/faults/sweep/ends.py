"""How a scenario ended, told so that two ends can be compared: by what people see, and by what is left over."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import select

from prbot.audit.keys import AuditKeys
from prbot.audit.verify import verify
from prbot.core.runs import RunStatus
from prbot.sandbox.pullrequest import SandboxPull
from prbot.store.tables import Claim, Post, Run
from tests.faults.sweep.points import Doing
from tests.faults.sweep.scenarios import infra
from tests.flows.app import Story

_MADE_UP = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?"), "<time>"),
    (re.compile(r"after \d+s"), "after <n>s"),
    (re.compile(r"\| (< )?\d+ s \|"), "| <n> s |"),
)
BY_THE_WAY = frozenset({"server.started", "rules.loaded", "worker.lost", "late_result", "run.superseded"})
"""Audit entries that a kill may add, and that are no part of the end."""


@dataclass(frozen=True, slots=True)
class End:
    """`seen` is compared with the good run's, `left` must be empty."""

    seen: dict[str, Any] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)
    unknown: bool = False
    """Whether an apply's outcome is not known, and its pull request says so."""


def end_of(app: Story) -> End:
    pulls = infra(app).pulls()
    runs = app.every_run()
    unknown = {run.pull for run in runs if run.status is RunStatus.UNKNOWN}
    seen: dict[str, Any] = {"state": (infra(app).state("net"), infra(app).state_serial("net"))}
    for pull in pulls:
        seen[f"comments of #{pull.number}"] = _comments(pull)
        seen[f"statuses of #{pull.number}"] = _statuses(pull)
    seen |= {
        "runs": _newest(runs), "locks": _locks(app), "audit": sorted(_actions(app)),
        "reactions": sorted(reaction for pull in pulls for each in pull.comments() for reaction in each.reactions),
    }  # fmt: skip
    return End(
        seen, _left(app, runs), unknown=bool(unknown) and all(_says_unknown(infra(app).pull(n)) for n in unknown)
    )


def _left(app: Story, runs: list[Run]) -> dict[str, Any]:
    """What ought to have gone with whoever made it."""
    data = app.settings.data_dir
    maybe_at_work = {run.id for run in runs if run.status is RunStatus.UNKNOWN}
    kept = {f"{run.plan_key}/plan.json" for run in runs if run.plan_key}
    stored = {str(path.relative_to(data / "plans")) for path in (data / "plans").rglob("*") if path.is_file()}
    places = [*(data / "git" / "checkouts").glob("*"), *(data / "scratch").glob("*")]
    with app.services.db.read() as tx:
        refused = [f"{each.kind} {each.key}: {each.failure}" for each in tx.exec(select(Post)) if each.failure]
    keys = AuditKeys.load(data / "audit.key")
    audit = verify(app.services.db, keys.verifiers, now=app.services.clock.now())
    left = {
        "to do": app.left_to_do(),
        "slots": app.slots_taken(),
        "workers too many": app.workers() - 1,
        "checkouts": [path.name for path in places if path.name.removesuffix("-look") not in maybe_at_work],
        "plans that no run names": sorted(stored - kept),
        "plans that are gone": sorted(kept - stored),
        "not posted": refused,
        "Terraform's lock": infra(app).state_locked("net") and not maybe_at_work,
        "routes that the stand-in does not know": app.world.unknown_routes,
        "problems of the audit log": audit.problems,
    }
    return {name: what for name, what in left.items() if what}


def differences(good: End, now: End, doing: Doing = Doing.NOTHING) -> list[str]:
    """Why an end is not the good one, or one that admits what a kill left open."""
    found = [f"{name}: {_short(what)}" for name, what in now.left.items()]
    if doing is Doing.APPLYING and now.unknown:
        return found
    for name in sorted(good.seen.keys() | now.seen.keys()):
        should, is_ = good.seen.get(name), now.seen.get(name)
        if should != is_ and not (doing is Doing.CHECKING and _unchecked(should) == _unchecked(is_)):
            found.append(f"{name}: {_apart(should, is_)}")
    return found


def explained(good: End, now: End) -> bool:
    """Whether an end that is not the good one says so where people look: in a comment, or by a status with a reason."""
    for name, what in now.seen.items():
        if name.startswith("comments") and set(what) - set(good.seen.get(name, ())):
            return True
        if name.startswith("statuses"):
            told = {(part, context): said for part, each in what.items() for context, said in each.items()}
            for (part, context), said in told.items():
                state = said.split(":", 1)[0]
                if good.seen[name][part].get(context) != said and (state in ("failure", "error") or _waits(context)):
                    return True
    return False


def _waits(context: str) -> bool:
    """Whether a status says, while it is pending, what it waits for."""
    return context == "prbot/gate"


def _unchecked(told: Any) -> list[str]:
    """Without what the plans after applies found."""
    found = r"✅ nothing left to do|not checked|convergence.checked (ok|unknown)"
    parts = told if isinstance(told, list) else [told]
    texts = (re.sub(found, "", json.dumps(each, ensure_ascii=False)) for each in parts)
    return [text for text in texts if text != '""']


def _comments(pull: SandboxPull) -> list[str]:
    """In order of the alphabet, and so their lines: engines and workers do, and tell, several things at once."""
    return sorted(
        "\n".join([f"{each.user}{' (hidden)' if each.minimized else ''}", *sorted(_told(each.body).splitlines())])
        for each in pull.comments()
    )


def _statuses(pull: SandboxPull) -> dict[str, dict[str, str]]:
    """By the commit's part in it, so that commits of two worlds can be compared."""
    named = {"head": pull.head_sha, "merge": pull.merge_sha}
    found = {}
    for name, sha in named.items():
        found[name] = {
            context: f"{each['state']}: {_told(str(each['description']))}"
            for context, each in (pull.statuses(sha) if sha else {}).items()
        }
    return found


def _newest(runs: list[Run]) -> list[str]:
    """The newest run of each pull request, project and goal; those that gave way to others do not count."""
    last = {
        (run.pull, run.dir, run.workspace, run.goal.value): run
        for run in sorted(runs, key=lambda each: each.seq)
        if run.status is not RunStatus.SUPERSEDED
    }
    return sorted(
        f"#{pull} {directory} {workspace} {goal}: {run.status}"
        + (" (speculative)" if run.speculative else "")
        + (f" {_told(run.error)[:200]}" if run.error else "")
        for (pull, directory, workspace, goal), run in last.items()
    )


def _locks(app: Story) -> list[str]:
    with app.services.db.read() as tx:
        claims = list(tx.exec(select(Claim)))
    ordered = sorted(claims, key=lambda each: (each.dir, each.workspace, each.merged_position is None, each.since))
    return [
        f"{each.dir} {each.workspace} #{each.pull}{'' if each.merged_position is None else ' merged'}"
        for each in ordered
    ]


def _actions(app: Story) -> set[str]:
    return {f"{entry['action']} {entry.get('outcome', '')}" for entry in app.audit()} - {
        f"{action} {outcome}" for action in BY_THE_WAY for outcome in ("", "ok", "unknown", "refused", "failed")
    }


def _says_unknown(pull: SandboxPull) -> bool:
    comments = [each for each in pull.comments() if "Outcome unknown" in each.body]
    status = pull.status("prbot/apply")
    return len(comments) == 1 and status is not None and status["state"] != "success"


def _told(text: str) -> str:
    for pattern, name in _MADE_UP:
        text = pattern.sub(name, text)
    return text


def _apart(should: Any, is_: Any) -> str:
    if isinstance(should, list) and isinstance(is_, list):
        if len(should) == len(is_) and all(isinstance(each, str) for each in (*should, *is_)):
            return "; ".join(_between(*pair) for pair in zip(should, is_, strict=True) if pair[0] != pair[1])
        less = [each for each in should if each not in is_]
        more = [each for each in is_ if each not in should]
        if not less and not more:
            return f"{len(is_)} in place of {len(should)}, or in another order"
        return f"lacks {_short(less)}, has {_short(more)}"
    if isinstance(should, dict) and isinstance(is_, dict):
        parts: list[str] = [
            f"{key}: {_apart(should.get(key), is_.get(key))}"
            for key in sorted(should.keys() | is_.keys())
            if should.get(key) != is_.get(key)
        ]
        return "; ".join(parts)
    return f"{_short(is_)} in place of {_short(should)}"


def _between(should: str, is_: str) -> str:
    """The lines that differ."""
    lines = difflib.unified_diff(should.splitlines(), is_.splitlines(), lineterm="", n=0)
    return _short(" / ".join(line for line in lines if not line.startswith(("---", "+++", "@@"))))


def _short(what: Any) -> str:
    text = str(what)
    return text if len(text) <= 700 else f"{text[:700]}…"
