"""What can be said of an apply whose worker was lost: from the state before and now, and from Terraform's own lock."""

from __future__ import annotations

from prbot.core.plans import StatePosition


def what_became(before: StatePosition, now: StatePosition) -> str:
    """A sentence for people on what the state tells of an apply that began at `before`."""
    if now.lineage is None:
        if before.lineage is None:
            return "There was no state before, and there is none now: nothing that the apply did is recorded."
        return f"The state was at serial {before.serial} before, and is gone now."
    if before.lineage is None:
        return f"There was no state before, and it is at serial {now.serial} now: written by the apply or since."
    if before.lineage != now.lineage:
        return "The state is another one now than before: its lineage is not the same. Somebody has replaced it."
    if before.serial == now.serial:
        return f"The state was at serial {before.serial} before, and still is: nothing of the apply is recorded in it."
    return (
        f"The state was at serial {before.serial} before, and is at serial {now.serial} now, of the same lineage: "
        "the apply, or somebody else since, wrote to it."
    )


def who_holds(lock_id: str, who: str, operation: str, created: str) -> str:
    """A sentence on who holds Terraform's lock on the state. Any part may be empty."""
    by = f" by {who}" if who else ""
    since = f" since {created}" if created else ""
    doing = f" for {operation}" if operation else ""
    return (
        f"Terraform's own lock on the state is held{by}{since}{doing}: the engine of the lost worker may still run. "
        f"Once nothing does, `terraform force-unlock {lock_id or 'ID'}` frees it."
    )
