"""New rules while the server runs: in force all at once and on record, or not at all."""

from __future__ import annotations

import structlog
from sqlmodel import Session, select

from prbot.audit.entries import PRBOT
from prbot.core.rule_sets import RuleSet
from prbot.flows.admission import admit_runs
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store.tables import PullRow

log = structlog.get_logger(__name__)
_MOST_PROBLEMS, _LONGEST_PROBLEM = 50, 500
"""What an audit entry holds of them; the log has all."""


def loaded(services: Services, found: RuleSet) -> None:
    """Have `found` in force, and what it changes shown: the gates of all open pull requests are evaluated anew."""
    before = services.rules.now
    changed = found.digest != before.digest
    try:
        with services.db.write() as tx:
            services.audit.append(
                tx, "rules.loaded", actor=PRBOT, facts={"digest": found.digest, "before": before.digest}
            )
            # Within the transaction: no other one that writes is under way then, so that none sees old and new rules.
            services.rules.put(found)
            if changed:
                _look_again(services, tx)
    except BaseException:
        services.rules.put(before)
        raise
    log.info("rules.loaded", digest=found.digest, changed=changed)


def _look_again(services: Services, tx: Session) -> None:
    for pull in tx.exec(select(PullRow).where(PullRow.state == "open")):
        report_soon(services, tx, pull.key)
    admit_runs(services, tx)


def refused(services: Services, problems: str) -> None:
    """Keep the rules that are in force, and say what is wrong with the new ones: a problem a line, free of secrets."""
    in_force, lines = services.rules.now.digest, problems.splitlines()
    kept = [line[:_LONGEST_PROBLEM] for line in lines[:_MOST_PROBLEMS]]
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "rules.refused",
            actor=PRBOT,
            outcome="refused",
            facts={"in_force": in_force, "problems": kept, "problem_count": len(lines)},
        )
    log.error("rules.refused", in_force=in_force, problems=lines)
