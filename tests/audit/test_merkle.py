"""The tree, against published vectors and against the definition in RFC 6962 written down once more."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.audit import merkle
from prbot.audit.merkle import Frontier

# The vectors of the certificate-transparency reference implementation: 8 leaves, the root of each size, and proofs.
LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {  # (leaf from 0, size)
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


# -- the definition, as RFC 6962 section 2.1 writes it ----------------------------------------------------------------
def mth(data: list[bytes]) -> bytes:
    if not data:
        return sha256().digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = below(len(data))
    return sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = below(len(data))
    return [*path(m, data[:k]), mth(data[k:])] if m < k else [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], known: bool) -> list[bytes]:
    if m == len(data):
        return [] if known else [mth(data)]
    k = below(len(data))
    if m <= k:
        return [*subproof(m, data[:k], known), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def below(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


class Stored:
    """What a log would store of its tree, and how often it is asked."""

    def __init__(self, data: list[bytes]) -> None:
        leaves = [merkle.leaf_hash(each) for each in data]
        self.frontier, nodes = Frontier().extended(leaves)
        self.hashes = {(0, index): leaf for index, leaf in enumerate(leaves)}
        self.hashes |= {(node.level, node.index): node.hash for node in nodes}
        self.reads = 0

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.hashes[level, index]


def test_roots_are_those_of_the_reference_implementation() -> None:
    frontier = Frontier()
    assert frontier.root().hex() == sha256().hexdigest()
    for size, expected in enumerate(ROOTS, start=1):
        frontier, _ = frontier.extended([merkle.leaf_hash(LEAVES[size - 1])])
        assert frontier.root().hex() == expected
        assert merkle.root(size, Stored(LEAVES).read).hex() == expected


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference_implementation(index: int, size: int) -> None:
    proof = merkle.inclusion_proof(index, size, Stored(LEAVES).read)
    assert [each.hex() for each in proof] == INCLUSION[index, size]
    leaf, root = merkle.leaf_hash(LEAVES[index]), bytes.fromhex(ROOTS[size - 1])
    assert merkle.verify_inclusion(index, size, leaf, proof, root)


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference_implementation(old: int, new: int) -> None:
    proof = merkle.consistency_proof(old, new, Stored(LEAVES).read)
    assert [each.hex() for each in proof] == CONSISTENCY[old, new]
    assert merkle.verify_consistency(old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), proof)


data = st.lists(st.binary(max_size=3), min_size=1, max_size=70)
different = st.lists(st.binary(max_size=3), min_size=1, max_size=70, unique=True)


@given(data, st.data())
def test_trees_and_proofs_are_what_the_definition_says(leaves: list[bytes], draw: st.DataObject) -> None:
    stored = Stored(leaves)
    new = draw.draw(st.integers(1, len(leaves)), "new")
    old = draw.draw(st.integers(1, new), "old")
    index = draw.draw(st.integers(0, new - 1), "index")
    assert stored.frontier.root() == mth(leaves)
    assert merkle.root(new, stored.read) == mth(leaves[:new])
    inclusion = merkle.inclusion_proof(index, new, stored.read)
    assert inclusion == path(index, leaves[:new])
    assert merkle.verify_inclusion(index, new, merkle.leaf_hash(leaves[index]), inclusion, mth(leaves[:new]))
    consistency = merkle.consistency_proof(old, new, stored.read)
    assert consistency == ([] if old == new else subproof(old, leaves[:new], True))
    assert merkle.verify_consistency(old, new, mth(leaves[:old]), mth(leaves[:new]), consistency)


@given(data, st.integers(0, 70))
def test_appending_in_two_goes_is_appending_in_one(leaves: list[bytes], cut: int) -> None:
    hashes = [merkle.leaf_hash(each) for each in leaves]
    whole, nodes = Frontier().extended(hashes)
    half, first = Frontier().extended(hashes[:cut])
    rest, second = half.extended(hashes[cut:])
    assert (rest, first + second) == (whole, nodes)
    assert len(nodes) == len({(node.level, node.index) for node in nodes}) == len(leaves) - len(leaves).bit_count()


def spoiled(proof: list[bytes], root: bytes) -> list[list[bytes]]:
    """Proofs that are almost this one."""
    flipped = [[*proof[:i], bytes([each[0] ^ 8, *each[1:]]), *proof[i + 1 :]] for i, each in enumerate(proof)]
    return [*flipped, [*proof, root], [root, *proof], [*proof, b""], [b"", *proof], *([proof[:-1]] if proof else [])]


@given(different, st.data())
def test_an_inclusion_proof_shows_nothing_else(leaves: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(leaves) - 1), "index")
    size, root, leaf = len(leaves), mth(leaves), merkle.leaf_hash(leaves[index])
    proof = path(index, leaves)
    assert not any(merkle.verify_inclusion(index, size, leaf, each, root) for each in spoiled(proof, root))
    assert not merkle.verify_inclusion(index, size, merkle.leaf_hash(b"other"), proof, root)
    assert not merkle.verify_inclusion(index, size, leaf, proof, merkle.EMPTY_ROOT)
    assert not merkle.verify_inclusion(index, size * 2, leaf, proof, root)
    for other in {index - 1, index + 1, index ^ 2, size, -1} - {index}:
        assert not merkle.verify_inclusion(other, size, leaf, proof, root)


@given(different, st.data())
def test_a_consistency_proof_shows_nothing_else(leaves: list[bytes], draw: st.DataObject) -> None:
    new = len(leaves)
    old = draw.draw(st.integers(1, new), "old")
    before, after, proof = mth(leaves[:old]), mth(leaves), merkle.consistency_proof(old, new, Stored(leaves).read)
    assert not any(merkle.verify_consistency(old, new, before, after, each) for each in spoiled(proof, after))
    other = merkle.leaf_hash(b"other")
    assert not merkle.verify_consistency(old, new, other, after, proof)
    assert not merkle.verify_consistency(old, new, before, other, proof)
    assert not merkle.verify_consistency(old, new * 2, before, after, proof)
    for wrong in {old - 1, old + 1, new + 1} - {old}:
        assert not merkle.verify_consistency(wrong, new, before, after, proof)


def test_every_log_begins_with_the_empty_one_and_none_with_a_longer_one() -> None:
    root = bytes.fromhex(ROOTS[7])
    assert merkle.consistency_proof(0, 8, Stored(LEAVES).read) == []
    assert merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [])
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not merkle.verify_consistency(0, 8, root, root, [])
    assert not merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [root])
    assert not merkle.verify_consistency(8, 7, root, bytes.fromhex(ROOTS[6]), [])
    assert not merkle.verify_consistency(1, 2, root, root, [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (8, 8), (-1, 8)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"no leaf {index} in a tree of {size}"):
        merkle.inclusion_proof(index, size, Stored(LEAVES).read)


@pytest.mark.parametrize(("old", "new"), [(8, 7), (-1, 8)])
def test_there_is_no_proof_that_a_log_shrank(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="cannot begin with"):
        merkle.consistency_proof(old, new, Stored(LEAVES).read)


def test_a_frontier_has_as_many_hashes_as_its_size_has_ones() -> None:
    with pytest.raises(ValueError, match="a tree of 3 leaves does not have 1"):
        Frontier(3, (b"x" * 32,))


def test_proofs_read_few_hashes_of_a_large_log() -> None:
    stored = Stored([str(number).encode() for number in range(5000)])
    for size in (4095, 4097, 5000):
        stored.reads = 0
        merkle.inclusion_proof(17, size, stored.read)
        merkle.consistency_proof(1234, size, stored.read)
        assert stored.reads <= 2 * 2 * 13
