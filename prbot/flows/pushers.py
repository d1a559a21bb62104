"""Who pushed last, where the newest push only merged the base, or was told out of turn."""

from __future__ import annotations

from prbot.core.missed import pushes_missed
from prbot.core.pulls import Pull
from prbot.flows import gather
from prbot.flows.services import Services
from prbot.ports import Conflict, Denied, Merged, NotFound
from prbot.store.tables import PullRow


def keep(services: Services, pull: Pull) -> None:
    """A push that only merged base makes nobody a pusher: who pushed the head before it stays the last one, also where
    that was before the pull request was opened."""
    with services.db.read() as tx:
        known = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
    if not known.earlier_sha and known.pusher is not None:
        return
    try:
        if known.earlier_sha and not _only_base_came(services, pull, known.earlier_sha, known.pushed_sha):
            return
        who = known.earlier_pusher or _asked(services, pull, known.earlier_sha or known.pushed_sha)
    except (Denied, NotFound, Conflict):  # pushed over, and gone from the forge
        return
    with services.db.write() as tx:
        mine = tx.get_one(PullRow, (pull.key.repo, pull.key.number))
        mine.pusher = who or ("" if known.earlier_sha else None)
        tx.add(mine)


def _only_base_came(services: Services, pull: Pull, earlier: str, pushed: str) -> bool:
    base = gather.fetched(services, pull, [pushed, earlier])
    merged = services.git.merge(pull.repo, base, pushed)
    return isinstance(merged, Merged) and gather.same_on_base(services, pull, base, earlier, merged)


def _asked(services: Services, pull: Pull, sha: str) -> str:
    """Who pushed a commit of the head's branch, or the one that it merges base into; empty where nobody says."""
    pushes = services.forge.pushes(pull.head_repo, pull.head_branch) if pull.head_repo else []
    led_there = pushes_missed(pushes, "", sha)
    for push in led_there[:0:-1]:  # the first one is its pusher's, whatever it brought
        if not push.before or not _only_base_came(services, pull, push.before, push.after):
            return push.by
    return led_there[0].by
