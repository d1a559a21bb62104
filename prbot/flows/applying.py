"""`apply`, and `plan` on a merged pull request: what was merged and not applied is planned again, and applied.

Nothing is decided here on whether it may be applied: the run that begins reads everything afresh.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from sqlmodel import Session

from prbot.core.branches import governed
from prbot.core.commands import to_paste
from prbot.core.comments import replies
from prbot.core.comments.blocks import Document
from prbot.core.gate_facts import GateFacts, facts_digest
from prbot.core.gates import GateReport, evaluate
from prbot.core.marks import marked
from prbot.core.runs import BLOCKS_PROJECT, DONE, LIVE, RELEASABLE, Goal, RunStatus
from prbot.flows import gather
from prbot.flows.admission import admit_runs
from prbot.flows.apply_ends import another_attempt
from prbot.flows.asks import Ask, answer, chosen, done
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import inbox, orphans, runs
from prbot.store.tables import Operation, Run

_FAILED = frozenset({RunStatus.ERRORED, RunStatus.CANCELLED})
_PLANNED_AGAIN = frozenset({*_FAILED, *RELEASABLE, RunStatus.UNKNOWN, RunStatus.PLANNED})


# -- plan -------------------------------------------------------------------------------------------------------------
def plan_merged(services: Services, ask: Ask) -> None:
    """See what is left of what was merged and not applied. It goes no further than the plan."""
    with services.db.write() as tx:
        members = chosen(services, tx, ask, runs.newest(runs.of_pull(tx, ask.pull.key, Goal.APPLY)).values())
        if members is None:
            return
        again = [run for run in members if run.status in _PLANNED_AGAIN]
        if not again:
            answer(services, tx, ask, _nothing_left(services, tx, ask, members, "plan"))
            return
        _begin_anew(services, tx, ask, again, auto=False)


_STANDS: Mapping[str, Collection[RunStatus]] = MappingProxyType(
    {
        "under way.": LIVE,
        "discarded, so that it is not applied any more. A new pull request that changes it is.": {RunStatus.DISCARDED},
        "applied, or nothing of it was to be applied.": DONE,
    }
)


def _nothing_left(services: Services, tx: Session, ask: Ask, members: Sequence[Run], what: str) -> Document:
    """Why there is nothing to plan, or to apply, of a merged pull request: how each of its projects stands."""
    pull, prefix = ask.pull, services.identity.prefixes[0]
    merges = [each for each in runs.operations(tx, pull.key) if each.goal is Goal.APPLY]
    said = []
    for stands, statuses in _STANDS.items():
        those = [marked(run.project.label) for run in members if run.status in statuses]
        said += [f"{', '.join(those)}: {stands}"] if those else []
    said += why_waiting(members)
    refused = sorted({marked(str(each["dir"])) for operation in merges for each in operation.refusals or ()})
    if refused:
        said.append(f"{', '.join(refused)}: refused, so that nothing of it is applied. The comment on it says more.")
    for row in orphans.of_merge(tx, pull.key):
        if row.ended_at is None:
            leaves = marked(to_paste("forget", row.project, prefix))
            said.append(f"{marked(row.project.label)}: orphaned. {leaves} leaves it so.")
    if not merges and governed(services.rules(pull.key.repo), pull):
        said.append("The merge was not looked at yet: what becomes of it is told here.")
    return replies.notice(f"Nothing to {what}", said or ["This merge changes no project that prbot applies."])


def why_waiting(members: Iterable[Run]) -> list[str]:
    """Of those among some runs that wait for others: for which, as sentences."""
    return [f"{marked(run.project.label)} waits. {run.error}" for run in members if run.status is RunStatus.WAITING]


def _begin_anew(services: Services, tx: Session, ask: Ask, again: Sequence[Run], *, auto: bool) -> None:
    """The same projects at the same commits once more, in place of these runs; with `auto`, on to the apply."""
    done(tx, ask)
    operation = Operation(
        id=services.new_id(),
        repo=ask.pull.key.repo,
        pull=ask.pull.key.number,
        goal=Goal.APPLY,
        trigger="comment",
        actor=ask.event.sender,
        comment_id=ask.event.comment_id,
        head_sha=ask.pull.head_sha,
        base_sha=again[0].base_sha,
        created_at=services.clock.now(),
    )
    tx.add(operation)
    tx.flush()
    for run in again:
        if run.status is RunStatus.UNKNOWN:
            services.audit.append(
                tx,
                "run.resolved",
                actor=ask.actor,
                project=run.project,
                pull=run.pull,
                run=run.id,
                outcome="unknown",
                facts={"by": "a new plan"},
            )
        runs.step(tx, run, RunStatus.SUPERSEDED, services.clock.now())
        attempt = another_attempt(services, run, operation)
        attempt.auto = auto
        tx.add(attempt)
    tx.flush()
    admit_runs(services, tx)
    report_soon(services, tx, ask.pull.key)


# -- apply ------------------------------------------------------------------------------------------------------------
def apply(services: Services, ask: Ask) -> None:
    """Apply what waits for it. Where nothing does: every requirement, and what would meet it."""
    pull = ask.pull
    base, on_base = gather.base_of_merged(services, pull)
    facts = gather.gate_facts(services, pull, base, merge_on_base=on_base)
    verdict = evaluate(facts)
    with services.db.write() as tx:
        members = chosen(services, tx, ask, runs.newest(runs.of_pull(tx, pull.key)).values())
        if members is None:
            return
        merged = [run for run in members if run.goal is Goal.APPLY] if pull.merged else []
        ready = [run for run in merged if run.status is RunStatus.PLANNED]
        failed = [run for run in merged if run.status in _FAILED]
        if ready or failed:
            for run in merged:
                run.auto = run.auto or run.status is RunStatus.WAITING  # asked for as well: its turn comes by itself
            _go_on(services, tx, ask, ready, failed)
        elif pull.merged and not any(run.status in BLOCKS_PROJECT for run in merged):
            answer(services, tx, ask, _nothing_left(services, tx, ask, merged, "apply"))
        else:
            _refused(services, tx, ask, facts, verdict)


def _go_on(services: Services, tx: Session, ask: Ask, ready: Sequence[Run], failed: Sequence[Run]) -> None:
    """What is planned within what was approved goes on to its apply; what failed begins anew."""
    done(tx, ask)
    for run in ready:
        run.auto = True
        runs.step(tx, run, RunStatus.PENDING, services.clock.now())
    if failed:
        _begin_anew(services, tx, ask, failed, auto=True)
    tx.flush()
    admit_runs(services, tx)
    report_soon(services, tx, ask.pull.key)


def _refused(services: Services, tx: Session, ask: Ask, facts: GateFacts, verdict: GateReport) -> None:
    services.audit.append(
        tx,
        "apply.refused",
        actor=ask.actor,
        repo=ask.pull.key.repo,
        pull=ask.pull.key.number,
        head=ask.pull.head_sha,
        outcome="refused",
        facts_digest=facts_digest(facts),
        facts={"unmet": [gate.name for gate in verdict.unmet]},
    )
    inbox.note_refused(tx, ask.event.comment_id)
    answer(services, tx, ask, replies.gates(verdict.gates, merged=ask.pull.merged))
