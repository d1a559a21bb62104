"""The hash tree of RFC 6962 (section 2.1) and RFC 9162 (section 2.1), over SHA-256. Pure, and knows nothing of entries.

A tree of n leaves is stored as its leaf hashes and the hashes of all its *perfect subtrees*: the node `(level, index)`
stands above the 2**level leaves from index * 2**level on. Those never change as the log grows, so that each is
written once, and a proof for any size can be put together from O(log n) of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of a zero byte and the data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of a one byte and its children's hashes."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A perfect subtree of at least two leaves, and its hash."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree to append to it: its perfect subtrees that no larger perfect one contains.

    One for each one-bit of `size`, from left to right, which is from large to small.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves does not have {len(self.hashes)} subtrees at its edge")

    def root(self) -> bytes:
        """The root hash of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        *others, result = self.hashes
        for left in reversed(others):
            result = node_hash(left, result)
        return result

    def extended(self, leaves: Iterable[bytes]) -> tuple[Frontier, list[Node]]:
        """The frontier after appending these leaf hashes, and the perfect subtrees that they completed."""
        size, edge, completed = self.size, list(self.hashes), list[Node]()
        for leaf in leaves:
            right = leaf
            for level in range(_trailing_ones(size)):
                right = node_hash(edge.pop(), right)
                completed.append(Node(level + 1, size >> (level + 1), right))
            edge.append(right)
            size += 1
        return Frontier(size, tuple(edge)), completed


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1


# -- proofs, from stored hashes ---------------------------------------------------------------------------------------
Read = Callable[[int, int], bytes]
"""Gives the stored hash of the perfect subtree (level, index); level 0 is the leaves."""


def root(size: int, read: Read) -> bytes:
    """The root that the tree had when it had `size` leaves."""
    return _range_root(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Read) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962: shows that a leaf is in the tree of that size. ValueError if it is not."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, read: Read) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962: shows that the tree of size `new` begins with the one of size `old`.

    Empty when `old` is 0 or `new`. ValueError when there can be no such proof.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a log of {new} cannot begin with one of {old}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    if start:  # else what is left is the old tree itself, whose root the verifier has
        proof.append(_range_root(start, end, read))
    return proof[::-1]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(start: int, end: int, read: Read) -> bytes:
    """The root over the leaves from `start` to before `end`, where `start` is a multiple of what the RFC splits by."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(count)
    return node_hash(_range_root(start, middle, read), _range_root(middle, end, read))


# -- verification, which needs nothing else ---------------------------------------------------------------------------
def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf hash is leaf `index` of that tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _hashes(leaf, root, *proof):
        return False
    node, last, result = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(step, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, step)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree `new` begins with the tree `old` (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one.
    """
    if not 0 <= old <= new or not _hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    shift = _trailing_ones(old - 1)
    node, last = (old - 1) >> shift, (new - 1) >> shift
    was = now = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            was, now = node_hash(step, was), node_hash(step, now)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            now = node_hash(now, step)
        node, last = node >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
