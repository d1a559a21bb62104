"""Applies: a merge begins them, a fresh plan is held against the approved one, and that very file is applied.

The corridor is the plan's, with the apply's environment and in the merge commit's checkout; all facts are read again at
the moment of acting, and `apply.authorized` is in the audit log, under a signed checkpoint, before the engine starts.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import structlog
from sqlmodel import Session

from prbot.audit.entries import PRBOT
from prbot.core.comments.diff import extract_changes
from prbot.core.comparison import Verdict, difference, within
from prbot.core.credentials import Phase
from prbot.core.gate_facts import GateFacts, facts_digest
from prbot.core.gates import ApplyDecision, GateReport, decide_apply, evaluate
from prbot.core.plans import CanonicalPlan
from prbot.core.projects import project_at, reads
from prbot.core.pulls import Pull
from prbot.core.runs import Goal, RunStatus
from prbot.flows import gather
from prbot.flows.admission import admit_runs
from prbot.flows.locks import give_up
from prbot.flows.nudge import report_soon
from prbot.flows.plan import describe
from prbot.flows.services import Services
from prbot.flows.steps import Bench, Made, StepFailed, bench, seal_of, stored_plan
from prbot.ports import NotFound, StepResult, Unavailable
from prbot.store import runs, slots
from prbot.store.tables import Operation, PullRow, Run

log = structlog.get_logger(__name__)
COVER_SECONDS = 30.0
"""How long an apply waits for its authorization to be in the audit log before it does not start."""
TRIES_ON_A_MOVING_STATE = 5


# -- one run ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Reference:
    """What was approved: the run whose plan it is, and its canonical form; None where nothing usable was planned."""

    run: Run | None
    plan: CanonicalPlan | None


def execute(services: Services, run_id: str, held: slots.Held) -> None:
    """Plan afresh in the merge commit's checkout, compare, and apply or hold. The caller has taken the slot."""
    with services.db.read() as tx:
        run = tx.get_one(Run, run_id)
        row = tx.get_one(PullRow, (run.repo, run.pull))
        every = runs.of_pull(tx, run.pull_key)
    reference = _reference(services, run, every)
    try:
        pull = services.forge.pull(run.pull_key)
        base = gather.fetched(services, pull)
        phase = _phase(services, pull, base, run, reference)
        with bench(services, run, row, phase, services.rules.now) as work:
            _put_lock_file_back(work, reference.run)
            made = work.plan()
            key = work.keep(made)
            if not made.summary.applyable:
                _end(services, run, held, RunStatus.NO_CHANGES, made=made, plan_key=key)
                return
            facts = _facts(services, pull, base, run)
            report = evaluate(facts)
            decision = _decide(services, run, reference, made, facts, report)
            if decision.action == "apply" and phase == "plan":  # its gates were met only just now
                _plan_again(services, run, held)
            elif decision.action == "apply" and run.auto:
                _apply(services, run, held, work, made, key, (facts, report, decision))
            else:
                _stop(services, run, held, made, key, decision, reference)
    except StepFailed as failed:
        ending = RunStatus.CANCELLED if failed.result.ending == "cancelled" else RunStatus.ERRORED
        _end(services, run, held, ending, error=failed.said)
    except Unavailable as failed:
        _end(services, run, held, RunStatus.ERRORED, error=str(failed))


def _phase(services: Services, pull: Pull, base: str, run: Run, reference: Reference) -> Phase:
    """Apply credentials are for what may be applied. What somebody merged past the gates is planned as it would be
    before the merge: enough to show what waits for an approval."""
    if reference.plan is None:
        return "plan"
    return "apply" if evaluate(_facts(services, pull, base, run)).may_apply else "plan"


def _facts(services: Services, pull: Pull, base: str, run: Run) -> GateFacts:
    on_base = services.git.is_ancestor(pull.repo, run.commit, base)
    return gather.gate_facts(services, pull, base, merge_on_base=on_base, only=run.project)


def _reference(services: Services, run: Run, every: list[Run]) -> Reference:
    approved = next((each for each in every if each.id == run.reference), None)
    if approved is None or not approved.plan_key:
        return Reference(None, None)
    try:
        return Reference(approved, stored_plan(services, approved))
    except NotFound:
        return Reference(None, None)


def _put_lock_file_back(work: Bench, approved: Run | None) -> None:
    """The providers are those of the approved plan, also where the repository has no lock file."""
    seal = seal_of(approved) if approved is not None else None
    if seal is not None and seal.lock_file is not None:
        place = work.site.dir / ".terraform.lock.hcl"
        place.unlink(missing_ok=True)  # a link there would lead the writing out of the checkout
        place.write_text(seal.lock_file, encoding="utf-8")


def _decide(
    services: Services, run: Run, reference: Reference, made: Made, facts: GateFacts, report: GateReport
) -> ApplyDecision:
    if reference.plan is None or reference.run is None:
        return ApplyDecision("await_approval", "No plan of this head was shown before the merge, so none was approved.")
    if not report.may_apply:
        lacking = "; ".join(f"{gate.name}: {gate.why}" for gate in report.unmet if gate.name != "planned")
        return ApplyDecision("await_approval", lacking or "Not every requirement is met.")
    retry = run.attempt > 1 and reference.run.id != run.id
    tainted = _may_be_tainted(reference.plan) if run.attempt > 1 else frozenset()
    verdict = within(reference.plan, made.canonical, tainted=tainted) if made.summary.complete else Verdict.DIFFERENT
    moved = (
        reference.run.id != run.id
        and reference.run.input_digest != run.input_digest
        and _moved_unreviewed(services, facts.pull, run, reference.run)
    )
    return decide_apply(verdict, inputs_moved_unreviewed=moved, rules=facts.rules, approved=True, retry=retry)


def _may_be_tainted(approved: CanonicalPlan) -> frozenset[str]:
    """The objects that the failed run was to create: those, and no others, it can have left tainted."""
    return frozenset(entry["address"] for entry in approved["entries"] if "create" in entry.get("actions", ()))


def _moved_unreviewed(services: Services, pull: Pull, run: Run, approved: Run) -> bool:
    """Whether a commit that no merged pull request of ours brought changed what the project reads, since the plan."""
    git = services.git
    after = gather.change_between(services, pull.repo, run.base_sha, run.commit).after
    takes = reads(project_at(after, run.project))
    before = approved.base_sha
    for commit in git.first_parents(pull.repo, approved.base_sha, run.base_sha):
        touched = any(takes(path) for path in git.changed_paths(pull.repo, before, commit))
        before = commit
        if touched:
            with services.db.read() as tx:
                known = gather.newest_of_repo(tx, run.repo, commit)
            if known is None:
                log.info("base moved without review", repository=run.repo, commit=commit)
                return True
    return False


# -- endings ----------------------------------------------------------------------------------------------------------
def _apply(
    services: Services,
    run: Run,
    held: slots.Held,
    work: Bench,
    made: Made,
    key: str,
    grounds: tuple[GateFacts, GateReport, ApplyDecision],
) -> None:
    """Authorize, on record, and apply exactly the file that was compared. Then see whether anything is left."""
    _authorize(services, run, held, made, key, grounds)
    with services.db.write() as tx:
        slots.check(tx, held)
        runs.step(tx, tx.get_one(Run, run.id), RunStatus.APPLYING, services.clock.now())
        report_soon(services, tx, run.pull_key)
    result = services.engine.apply(
        work.site, made.file, work.limits, work.on_line("apply"), slot=held.proof, seal=made.seal
    )
    said = work.masks.redact(result.output)
    if services.engine.stale(result):
        _plan_again(services, run, held)
        return
    left = "" if not result.ok else _convergence(services, work)
    _applied(services, run, held, result, said, left)


def _authorize(
    services: Services,
    run: Run,
    held: slots.Held,
    made: Made,
    key: str,
    grounds: tuple[GateFacts, GateReport, ApplyDecision],
) -> None:
    facts, report, decision = grounds
    seal = made.seal
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        describe(mine, made, key)
        tx.add(mine)
        entry = services.audit.append(
            tx,
            "apply.authorized",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            head=run.head_sha,
            base=run.base_sha,
            merge=run.commit,
            facts_digest=facts_digest(facts),
            resources=[address for address, _ in made.summary.resources],
            facts={
                "approved_run": run.reference or "",
                "fingerprint": made.fingerprint,
                "why": decision.reason,
                "plan_file_digest": seal.plan_file_digest,
                "rules_digest": seal.rules_digest,
                "lineage": seal.state.lineage or "",
                "serial": seal.state.serial or 0,
                "attempt": run.attempt,
                "approvals": [
                    f"{each.user} {each.via} {each.id} {each.raw_digest}"
                    for verdict in report.verdicts.values()
                    for each in verdict.counted
                ],
            },
        )
    services.audit.ensure_covered(entry, COVER_SECONDS)


def _convergence(services: Services, work: Bench) -> str:
    """`clean` if a plan right after the apply is empty, else what it still wants; empty when it could not be made."""
    try:
        result = work.must(
            services.engine.plan(
                work.site,
                work.site.data_dir / "after.tfplan",
                work.limits,
                work.on_line("convergence"),
                var_files=work.run.var_files or (),
                lock=work.rules.plan_lock,
            )
        )
    except (StepFailed, Unavailable):
        return ""
    return "clean" if result.exit_code == 0 else work.masks.redact(extract_changes(result.output))


def _applied(services: Services, run: Run, held: slots.Held, result: StepResult, said: str, left: str) -> None:
    ending = RunStatus.APPLIED if result.ok else RunStatus.ERRORED
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.applied_output, mine.convergence = said[-60_000:], left
        mine.error = "" if result.ok else said[-20_000:]
        services.audit.append(
            tx,
            "apply.finished",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            merge=run.commit,
            outcome="ok" if result.ok else "failed",
            facts={
                "exit_code": result.exit_code,
                "ending": result.ending,
                "milliseconds": int(result.seconds * 1000),
                "log_digest": "sha256:" + hashlib.sha256(said.encode()).hexdigest(),
            },
        )
        if result.ok:
            services.audit.append(
                tx,
                "convergence.checked",
                actor=PRBOT,
                project=run.project,
                pull=run.pull,
                run=run.id,
                outcome="ok" if left == "clean" else "unknown" if not left else "failed",
                facts={"result": "clean" if left == "clean" else "differences" if left else "not checked"},
            )
        _finish(services, tx, mine, held, ending)


def _plan_again(services: Services, run: Run, held: slots.Held) -> None:
    """The state moved between plan and apply, so that nothing was done: the run begins anew."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        runs.step(tx, mine, RunStatus.PENDING, services.clock.now())
        slots.free(tx, held)
        tx.flush()
        admit_runs(services, tx)


def _stop(
    services: Services, run: Run, held: slots.Held, made: Made, key: str, decision: ApplyDecision, reference: Reference
) -> None:
    """Nothing is applied now: the run waits for a person, and the comment says for what."""
    if decision.action == "apply":
        _end(
            services,
            run,
            held,
            RunStatus.PLANNED,
            made=made,
            plan_key=key,
            error="The plan lies within what was approved; `prbot apply` applies it.",
        )
        return
    ending = RunStatus.HELD if decision.action == "hold" else RunStatus.AWAITING_APPROVAL
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.difference = (
            [asdict(each) for each in difference(reference.plan, made.canonical)] if reference.plan else None
        )
        tx.add(mine)
        services.audit.append(
            tx,
            "run.held",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            merge=run.commit,
            outcome="refused",
            facts={"why": decision.reason, "fingerprint": made.fingerprint, "approved_run": run.reference or ""},
        )
    _end(services, run, held, ending, made=made, plan_key=key, error=decision.reason)


def _end(
    services: Services,
    run: Run,
    held: slots.Held,
    ending: RunStatus,
    *,
    made: Made | None = None,
    plan_key: str = "",
    error: str = "",
) -> None:
    """Record an end that changed nothing in the world."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        if made is not None:
            if mine.fingerprint != made.fingerprint:
                mine.shown_at = None
            describe(mine, made, plan_key)
            if ending in (RunStatus.HELD, RunStatus.AWAITING_APPROVAL):
                mine.reference = mine.id
        mine.error = error
        services.audit.append(
            tx,
            "apply.refused",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            merge=run.commit,
            outcome="failed" if ending is RunStatus.ERRORED else "refused",
            facts={"why": error[:1000], "now": ending.value},
        )
        _finish(services, tx, mine, held, ending)


def _finish(services: Services, tx: Session, run: Run, held: slots.Held, ending: RunStatus) -> None:
    """The run's last transaction: its status, the slot, the lock, and who is next."""
    if run.status is RunStatus.APPLYING and ending is RunStatus.ERRORED:
        runs.step(tx, run, ending, services.clock.now())
        _plan_what_is_left(services, tx, run)
    else:
        runs.step(tx, run, ending, services.clock.now())
    slots.free(tx, held)
    if ending in (RunStatus.APPLIED, RunStatus.NO_CHANGES):
        give_up(services, tx, run.project, run.pull)
    tx.flush()
    admit_runs(services, tx)
    report_soon(services, tx, run.pull_key)


def _plan_what_is_left(services: Services, tx: Session, failed: Run) -> None:
    """After a failed apply, the same commit is planned again at once; it goes no further by itself."""
    operation = Operation(
        id=services.new_id(),
        repo=failed.repo,
        pull=failed.pull,
        goal=Goal.APPLY,
        trigger="retry",
        actor="prbot",
        head_sha=failed.head_sha,
        base_sha=failed.base_sha,
        created_at=services.clock.now(),
    )
    tx.add(operation)
    tx.flush()
    tx.add(another_attempt(services, failed, operation))


def another_attempt(services: Services, failed: Run, operation: Operation) -> Run:
    """The same project at the same commit, once more, up to its plan."""
    return Run(
        id=services.new_id(),
        operation=operation.id,
        repo=failed.repo,
        pull=failed.pull,
        dir=failed.dir,
        workspace=failed.workspace,
        goal=Goal.APPLY,
        trigger="retry",
        head_sha=failed.head_sha,
        base_sha=failed.base_sha,
        commit=failed.commit,
        tree=failed.tree,
        var_files=failed.var_files,
        extra_args=failed.extra_args,
        reason=failed.reason,
        auto=False,
        reference=failed.reference,
        attempt=failed.attempt + 1,
        comes_after=failed.comes_after,
        input_digest=failed.input_digest,
        created_at=services.clock.now(),
    )
