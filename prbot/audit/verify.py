"""Verification of the whole log from what is stored, reading only.

Everything is computed anew from the entries' bytes and compared with what is stored beside them. The root at the size
of each checkpoint comes from one and the same sequence of entries, so that checkpoints whose roots agree with it are
also consistent with each other; the same goes for checkpoints that somebody kept outside.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from prbot.audit import checkpoints
from prbot.audit.checkpoints import BadCheckpoint, Checkpoint
from prbot.audit.entries import Entry, EntryRefused, utc_milliseconds
from prbot.audit.keys import VerifierKey
from prbot.audit.merkle import Frontier, Node, leaf_hash
from prbot.store import audit_log as store
from prbot.store.database import Database

PENDING_LIMIT = timedelta(seconds=10)
"""Entries get their place right after their transaction. One that waits longer says that nobody gives places."""
LISTED = 1000
"""Problems that a report lists; those above are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be; at entry `seq` where it is about one."""

    seq: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.seq is None else f"entry {self.seq}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. All but the problems is None when the database could not be read to the end."""

    size: int | None
    """How many entries there are."""
    root: bytes | None
    """The root hash over them; None when some are missing."""
    checkpoints: int | None
    """How many checkpoints are stored."""
    checkpoint: str | None
    """The newest signed note: what is worth keeping outside."""
    problems: tuple[Problem, ...]
    unlisted: int
    """Further problems."""

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "size": self.size,
            "root": None if self.root is None else base64.b64encode(self.root).decode(),
            "checkpoints": self.checkpoints,
            "checkpoint": self.checkpoint,
            "problems": [{"seq": each.seq, "what": each.what} for each in self.problems],
            "unlisted": self.unlisted,
        }


def verify(
    db: Database, verifiers: Sequence[VerifierKey], *, now: datetime, kept: Mapping[str, str] | None = None
) -> Report:
    """Verify the log as it is stored.

    `verifiers` are the keys whose signatures count, `kept` notes that were kept outside of the database, by what they
    are to be called in problems. An empty log is a problem: from the first start on there is an entry.
    """
    found = _Problems()
    try:
        with db.read() as tx:
            return _verify(tx, verifiers, now, kept or {}, found)
    except SQLAlchemyError as error:
        found.add(None, f"the log can't be read any further: {getattr(error, 'orig', None) or error}")
        return Report(None, None, None, None, tuple(found.listed), found.unlisted)


def _verify(
    tx: Session, verifiers: Sequence[VerifierKey], now: datetime, kept: Mapping[str, str], found: _Problems
) -> Report:
    stored = store.checkpoints(tx)
    walk = _Walk(tx, _claims(stored, verifiers, kept, found), found)
    for page in store.pages(tx):
        walk.go_on(page)
    walk.finish(max((row.size for row in stored), default=0))
    _check_head(tx, walk, found)
    _check_pending(tx, now, found)
    return Report(
        size=walk.entries,
        root=walk.frontier.root() if walk.whole else None,
        checkpoints=len(stored),
        checkpoint=stored[-1].note if stored else None,
        problems=tuple(found.listed),
        unlisted=found.unlisted,
    )


@dataclass(slots=True)
class _Problems:
    listed: list[Problem] = field(default_factory=list)
    unlisted: int = 0

    def add(self, seq: int | None, what: str) -> None:
        if len(self.listed) < LISTED:
            self.listed.append(Problem(seq, what))
        else:
            self.unlisted += 1


# -- checkpoints ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Claim:
    """A checkpoint whose signature holds, and what to call it."""

    name: str
    checkpoint: Checkpoint


def _claims(
    stored: Iterable[store.AuditCheckpoint],
    verifiers: Sequence[VerifierKey],
    kept: Mapping[str, str],
    found: _Problems,
) -> Iterator[_Claim]:
    origin: str | None = None
    notes = [(f"the checkpoint at size {row.size}", row.note, row.size) for row in stored]
    for name, note, size in [*notes, *((name, note, None) for name, note in kept.items())]:
        try:
            checkpoint = checkpoints.verify(note, verifiers)
        except BadCheckpoint as error:
            found.add(None, f"{name}: {error}")
            continue
        origin = origin or checkpoint.origin
        if checkpoint.origin != origin:
            found.add(None, f"{name} is of the log {checkpoint.origin}, and this one is {origin}")
        elif size is not None and size != checkpoint.size:
            found.add(None, f"{name} was signed for size {checkpoint.size}")
        else:
            yield _Claim(name, checkpoint)


# -- entries and their tree -------------------------------------------------------------------------------------------
class _Walk:
    """Goes through the entries in their order, and builds the tree anew on the way.

    The tree is built from the stored leaf hashes, each of which is compared with its entry's bytes: so one changed
    entry is one problem, and not also one for each hash above it.
    """

    def __init__(self, tx: Session, claims: Iterable[_Claim], found: _Problems) -> None:
        self._tx = tx
        self._found = found
        self._claims: dict[int, list[_Claim]] = defaultdict(list)
        for claim in claims:
            self._claims[claim.checkpoint.size].append(claim)
        self._wrong: set[tuple[int, int]] = set()
        self._subtrees = 0
        self._resources = 0
        self.frontier = Frontier()
        self.entries = 0
        self.whole = True
        """False once an entry is missing: nothing can be said of the tree from there on."""
        self._check_claims()

    def go_on(self, page: Sequence[store.AuditEntry]) -> None:
        """Check the next entries."""
        addresses = defaultdict[int, list[str]](list)
        for resource in store.resources(self._tx, page[0].seq, page[-1].seq):
            addresses[resource.seq].append(resource.address)
            self._resources += 1
        expected = self.frontier.size if self.whole else page[0].seq
        stored = self._stored_subtrees(expected, expected + len(page))
        for row in page:
            self.entries += 1
            for what in _entry_problems(row, addresses[row.seq]):
                self._found.add(row.seq, what)
            if self.whole and row.seq != expected:
                self.whole = False
                self._found.add(expected, f"it is missing, and what comes next is entry {row.seq}")
            expected = row.seq + 1
            if self.whole:
                self._append(row.leaf_hash, stored)

    def finish(self, covered: int) -> None:
        """Check what is left over once the last entry has been read; `covered` is what checkpoints speak of."""
        size = self.frontier.size
        if self.entries == 0:
            self._found.add(None, "the log is empty: there is nothing to verify")
        beyond = sorted(each for each in self._claims if each > size)
        if not self.whole:
            if beyond:
                self._found.add(None, f"checkpoints from size {beyond[0]} on can't be checked: entries are missing")
            return
        for each in beyond:
            for claim in self._claims[each]:
                self._found.add(size, f"it is missing, with all up to {each - 1}: {claim.name} covers them")
        if covered < size:
            self._found.add(covered, f"from here to {size - 1} the entries are under no checkpoint")
        if (surplus := store.count_subtrees(self._tx) - self._subtrees) > 0:
            self._found.add(None, f"{surplus} subtree hashes are of no entries")
        if (surplus := store.count_resources(self._tx) - self._resources) > 0:
            self._found.add(None, f"{surplus} resource addresses are of no entry")

    def _append(self, leaf: bytes, stored: Mapping[tuple[int, int], bytes]) -> None:
        self.frontier, completed = self.frontier.extended([leaf])
        for node in completed:
            self._check_subtree(node, stored.get((node.level, node.index)))
        self._check_claims()

    def _stored_subtrees(self, start: int, end: int) -> dict[tuple[int, int], bytes]:
        """The stored hashes of the subtrees that are completed by the entries from `start` to before `end`."""
        hashes: dict[tuple[int, int], bytes] = {}
        for level in range(1, end.bit_length()):
            for row in store.subtrees(self._tx, level, start >> level, (end >> level) - 1):
                hashes[level, row.position] = row.hash
        self._subtrees += len(hashes)
        return hashes

    def _check_subtree(self, node: Node, stored: bytes | None) -> None:
        if stored == node.hash:
            return
        self._wrong.add((node.level, node.index))
        below = {(node.level - 1, 2 * node.index), (node.level - 1, 2 * node.index + 1)}
        if below & self._wrong and stored is not None:
            return  # the reason was named further down
        first, last = node.index << node.level, ((node.index + 1) << node.level) - 1
        what = "is missing" if stored is None else "is not the one of those entries"
        self._found.add(first, f"the stored hash over the entries {first} to {last} {what}")

    def _check_claims(self) -> None:
        claims = self._claims.get(self.frontier.size)
        if not claims:
            return
        root = self.frontier.root()
        for claim in claims:
            if claim.checkpoint.root != root:
                self._found.add(None, f"{claim.name} was signed over other entries than the first {self.frontier.size}")


def _entry_problems(row: store.AuditEntry, addresses: Sequence[str]) -> Iterator[str]:
    if leaf_hash(row.body) != row.leaf_hash:
        yield "its bytes do not have its leaf hash"
    try:
        entry = Entry.parse(row.body)
    except EntryRefused as error:
        yield f"its bytes are no entry: {error}"
        return
    for name, value in entry.columns().items():
        if (stored := getattr(row, name)) != value:
            yield f"its column {name} says {stored!r}, and its bytes {value!r}"
    if set(addresses) != set(entry.resources):
        yield "its resource addresses are not those in its bytes"


# -- the rest ---------------------------------------------------------------------------------------------------------
def _check_head(tx: Session, walk: _Walk, found: _Problems) -> None:
    head = store.head(tx)
    size, frontier = (head.size, head.frontier) if head else (0, b"")
    if size != walk.entries:
        found.add(None, f"the head says {size} entries, and there are {walk.entries}")
    elif walk.whole and frontier != b"".join(walk.frontier.hashes):
        found.add(None, "the head's hashes are not those of the log")


def _check_pending(tx: Session, now: datetime, found: _Problems) -> None:
    for row in store.all_pending(tx):
        if leaf_hash(row.body) != row.leaf_hash:
            found.add(None, f"the waiting entry {row.id}: its bytes do not have its leaf hash")
        try:
            entry = Entry.parse(row.body)
        except EntryRefused as error:
            found.add(None, f"the waiting entry {row.id}: its bytes are no entry: {error}")
            continue
        if entry.time < utc_milliseconds(now - PENDING_LIMIT):
            found.add(None, f"the entry {row.id} waits for its place since {entry.time}: it is not protected yet")
