"""Applies: a merge begins them, a fresh plan is held against the approved one, and that very file is applied.

The corridor is the plan's, with the apply's environment and in the merge commit's checkout; all facts are read again at
the moment of acting, and `apply.authorized` is in the audit log, under a signed checkpoint, before the engine starts.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from prbot.audit.entries import PRBOT
from prbot.core.approvals import ApprovalVerdict
from prbot.core.comments.diff import extract_changes
from prbot.core.comparison import Verdict, difference, marked_again, within
from prbot.core.credentials import Phase
from prbot.core.decision import ApplyDecision, decide_apply, decide_unmet
from prbot.core.gate_facts import GateFacts, facts_digest
from prbot.core.gates import GateReport, evaluate
from prbot.core.plans import CanonicalPlan
from prbot.core.runs import Goal, RunStatus
from prbot.core.states import elsewhere
from prbot.flows import gather, reviewed
from prbot.flows.apply_ends import Outcome, applied, begun_anew, converged, ended, state_moved, tell_of
from prbot.flows.approved import Reference, reference_of
from prbot.flows.nudge import report_soon
from prbot.flows.patience import patiently
from prbot.flows.services import Services
from prbot.flows.steps import Bench, Made, StepFailed, against, bench, differences_of, seal_of
from prbot.ports import Unavailable
from prbot.store import runs, slots
from prbot.store.tables import PullRow, Run

log = structlog.get_logger(__name__)
COVER_SECONDS = 30.0
"""How long an apply waits for its authorization to be in the audit log before it does not start."""


# -- one run ----------------------------------------------------------------------------------------------------------
def execute(services: Services, run_id: str, held: slots.Held) -> None:
    """Plan afresh in the merge commit's checkout, compare, and apply or hold. The caller has taken the slot."""
    with services.db.read() as tx:
        run = tx.get_one(Run, run_id)
        row = tx.get_one(PullRow, (run.repo, run.pull))
    try:
        reference = reference_of(services, run)
        phase = patiently(services, run.id, lambda: _phase(services, run, reference))
        with bench(services, run, row, phase, services.rules.now) as work:
            _put_lock_file_back(work, reference.run)
            made = work.plan()
            if not made.summary.applyable:
                ended(services, run, held, Outcome(RunStatus.NO_CHANGES, made=made, plan_key=_kept(work, made)))
                return
            facts = patiently(services, run.id, lambda: _facts(services, run))
            report = evaluate(facts)
            decision = _decide(services, run, reference, made, facts, report)
            if decision.action == "apply" and phase == "plan":  # its gates were met only just now
                begun_anew(services, run, held)
            elif decision.action == "apply" and run.auto:
                _apply(services, run, held, work, made, (facts, report, decision))
            else:
                ended(services, run, held, _outcome(work, made, decision, reference))
    except StepFailed as failed:
        ending = RunStatus.CANCELLED if failed.result.ending == "cancelled" else RunStatus.ERRORED
        ended(services, run, held, Outcome(ending, failed.said))
    except Unavailable as failed:
        ended(services, run, held, Outcome(RunStatus.ERRORED, str(failed)))


def _outcome(work: Bench, made: Made, decision: ApplyDecision, reference: Reference) -> Outcome:
    """Nothing is applied now: the run waits for a person, and the comment says for what."""
    if decision.action == "apply":
        why = "The plan lies within what was approved."
        return Outcome(RunStatus.PLANNED, why, made, _kept(work, made))
    if decision.action == "refuse":
        return Outcome(RunStatus.ERRORED, decision.reason, made)
    differs = None if reference.plan is None else difference(reference.plan, made.canonical)
    if differs and reference.run is not None and reference.run.difference:
        differs = marked_again(differs, differences_of(reference.run), made.canonical)
    if not differs and work.run.held_for and reference.run is not None:  # the plan that was held, and not approved yet
        differs = differences_of(reference.run)
    status = RunStatus.HELD if decision.action == "hold" else RunStatus.AWAITING_APPROVAL
    return Outcome(status, decision.reason, made, work.keep(made), differs)


def _kept(work: Bench, made: Made) -> str:
    """Keep a plan that may be applied; not where the run's own, which it lies within, stays what is kept of it."""
    return "" if work.run.reference == work.run.id else work.keep(made)


def _phase(services: Services, run: Run, reference: Reference) -> Phase:
    """Apply credentials are for what may be applied. What somebody merged past the gates is planned as it would be
    before the merge: enough to show what waits for an approval."""
    facts = _facts(services, run)
    return "apply" if reference.plan is not None and evaluate(facts).may_apply else "plan"


def _facts(services: Services, run: Run) -> GateFacts:
    """What is so at this moment: asked before the plan, and again after it, as much may have changed."""
    pull = services.forge.pull(run.pull_key)
    base, on_base = gather.base_of_merged(services, pull, [run.head_sha, run.base_sha])
    return gather.gate_facts(services, pull, base, merge_on_base=on_base, only=run.project)


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
    unmet = decide_unmet(report)
    if unmet is not None and unmet.action == "refuse":
        return unmet
    if reference.plan is None or reference.run is None:
        return ApplyDecision("await_approval", reference.problem)
    if unmet is not None and run.held_for:  # to plan again answers nothing of that
        return replace(unmet, reason=f"{unmet.reason} It was held before: {run.held_for}")
    if unmet is not None:
        return unmet
    retry = _began_before(services, run)
    tainted = _may_be_tainted(reference.plan) if retry else frozenset()
    verdict = within(reference.plan, made.canonical, tainted=tainted) if made.summary.complete else Verdict.DIFFERENT
    counted = report.verdicts.get(run.project, ApprovalVerdict())
    return decide_apply(
        verdict,
        unreviewed=reviewed.what_is_not(services, facts.pull, run, reference.run, counted),
        rules=facts.rules,
        retry=retry,
        state_elsewhere=elsewhere(against(reference.run), against(run, made.seal)),
    )


def _began_before(services: Services, run: Run) -> bool:
    """Whether an earlier attempt at the same approved plan came to tell the engine to apply it."""
    with services.db.read() as tx:
        every = runs.of_pull(tx, run.pull_key, Goal.APPLY)
    return any(
        each.applying_at is not None
        for each in every
        if each.project == run.project and each.reference == run.reference and each.attempt < run.attempt
    )


def _may_be_tainted(approved: CanonicalPlan) -> frozenset[str]:
    """The objects that the failed run was to create: those, and no others, it can have left tainted."""
    return frozenset(entry["address"] for entry in approved["entries"] if "create" in entry.get("actions", ()))


# -- applying ---------------------------------------------------------------------------------------------------------
def _apply(
    services: Services,
    run: Run,
    held: slots.Held,
    work: Bench,
    made: Made,
    grounds: tuple[GateFacts, GateReport, ApplyDecision],
) -> None:
    """Authorize, on record, and apply exactly the file that was compared. Then see whether anything is left."""
    _authorize(services, run, held, made, _kept(work, made), grounds)
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.applying_at = services.clock.now()
        runs.step(tx, mine, RunStatus.APPLYING, services.clock.now())
        report_soon(services, tx, run.pull_key)
    result = services.engine.apply(
        work.site,
        made.file,
        work.limits,
        work.on_line("apply"),
        slot=held.proof,
        seal=made.seal,
        var_files=run.var_files or (),
        extra_args=run.extra_args or (),
    )
    if services.engine.stale(result):
        state_moved(services, run, held)
        return
    applied(services, run, held, result, work.masks.redact(result.output))
    if result.ok:
        converged(services, run, held, _convergence(services, work))


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
        tell_of(services, tx, mine, made, key)
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
                extra_args=work.run.extra_args or (),
                lock=work.rules.plan_lock,
            )
        )
    except (StepFailed, Unavailable):
        return ""
    return "clean" if result.exit_code == 0 else work.masks.redact(extract_changes(result.output))
