"""`unlock` and `cancel`: what a pull request holds, and what runs for it, is given up."""

from __future__ import annotations

from prbot.core.comments import replies
from prbot.core.marks import marked
from prbot.core.runs import BLOCKS_PROJECT, BUSY, LIVE, Goal, RunStatus
from prbot.flows import plan
from prbot.flows.admission import admit_runs
from prbot.flows.asks import Ask, answer, chosen
from prbot.flows.locks import claimed_by, give_up
from prbot.flows.nudge import stop
from prbot.flows.services import Services
from prbot.store import runs


def unlock(services: Services, ask: Ask) -> None:
    """Give up this pull request's locks; of what is merged and not applied, the change as well."""
    freed, pull = [], ask.pull
    with services.db.write() as tx:
        members = chosen(services, tx, ask, runs.newest(runs.of_pull(tx, pull.key)).values())
        if members is None:
            return
        busy = [marked(run.project.label) for run in members if run.status in BUSY]
        if busy:
            stops = f"`{services.identity.prefixes[0]} cancel` stops it"
            said = f"{', '.join(busy)}: a run is under way. {stops}; or wait until it has ended."
            answer(services, tx, ask, replies.notice("Not unlocked", [said]))
            return
        claimed = claimed_by(tx, pull.key)
        for run in members:
            project, unapplied = run.project, run.goal is Goal.APPLY and run.status in BLOCKS_PROJECT
            if project not in claimed and not unapplied:
                continue
            if unapplied:
                runs.step(tx, run, RunStatus.DISCARDED, services.clock.now())
                run.ended_by = ask.event.sender
                services.audit.append(
                    tx,
                    "run.discarded",
                    actor=ask.actor,
                    project=project,
                    pull=run.pull,
                    run=run.id,
                    merge=run.commit,
                    facts={"exception": "merged and not applied", "comment": ask.event.comment_id},
                )
            elif run.goal is Goal.PLAN:
                plan.supersede(services, tx, pull.key, {project})
            given = give_up(services, tx, project, pull.key.number, ask.actor)
            freed.append(given or replies.Freed(project.label))
        tx.flush()
        admit_runs(services, tx)
        answer(services, tx, ask, replies.unlocked(freed))


def cancel(services: Services, ask: Ask) -> None:
    """Stop what is running or queued; the engine is told to stop, and is given time for it."""
    with services.db.write() as tx:
        members = chosen(services, tx, ask, runs.of_pull(tx, ask.pull.key))
        if members is None:
            return
        live = [run for run in members if run.status in LIVE]
        for run in live:
            run.ended_by = ask.event.sender
            if run.status in BUSY:
                stop(services, tx, run)
            else:
                runs.step(tx, run, RunStatus.CANCELLED, services.clock.now())
                if run.goal is Goal.PLAN:
                    give_up(services, tx, run.project, run.pull, ask.actor)
            services.audit.append(tx, "run.cancelled", actor=ask.actor, project=run.project, pull=run.pull, run=run.id)
        named = ", ".join(marked(run.project.label) for run in live)
        title, said = ("Cancelling", f"Stopping {named}.") if live else ("Nothing to cancel", "Nothing runs here.")
        answer(services, tx, ask, replies.notice(title, [said]))
