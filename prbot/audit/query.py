"""Finding entries of the log. Only entries that have their place in it are found."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from prbot.audit.entries import Entry, EntryRefused
from prbot.audit.merkle import leaf_hash
from prbot.store import audit_log as store
from prbot.store.audit_log import AuditEntry, Filter
from prbot.store.database import Database

__all__ = ["Filter", "Logged", "find"]


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry at its place in the log."""

    seq: int
    leaf_hash: bytes
    body: bytes
    entry: Entry | None
    """None when the stored bytes are not what was hashed, or no entry: the log is damaged, and `verify` says how."""

    def as_json(self) -> str:
        """One line: `seq`, `leaf_hash` in base64, and as `entry` exactly the bytes that were hashed, or null."""
        body = self.body.decode() if self.entry else "null"
        return f'{{"seq":{self.seq},"leaf_hash":"{base64.b64encode(self.leaf_hash).decode()}","entry":{body}}}'


def find(db: Database, wanted: Filter, *, before: int | None = None, limit: int = 100) -> list[Logged]:
    """The entries that fit, newest first, at most `limit`.

    The next page is `before` the last one's `seq`; entries that are written meanwhile do not move it.
    """
    with db.read() as tx:
        return [_logged(row) for row in store.find(tx, wanted, before=before, limit=limit)]


def _logged(row: AuditEntry) -> Logged:
    try:
        entry = Entry.parse(row.body) if leaf_hash(row.body) == row.leaf_hash else None
    except EntryRefused:
        entry = None
    return Logged(row.seq, row.leaf_hash, row.body, entry)
