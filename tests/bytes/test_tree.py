"""Properties of the tree: proofs of every size hold, and nothing that was changed holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.merkle import (
    Frontier,
    MemoryHashes,
    consistency_proof,
    inclusion_proof,
    is_subtree,
    leaf_hash,
    node_hash,
    subtree_hash,
    subtree_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
    verify_subtree,
)
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import TileHashes, decode_tile, parse_tile_path, tile_path, tiles_of

LEAVES = [leaf_hash(b"entry %d" % i) for i in range(600)]
READER = MemoryHashes(LEAVES)
SIZES = st.integers(1, len(LEAVES))


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962 2.1.2, word for word."""
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(leaves)]
    k = 1
    while 2 * k < n:
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


@settings(max_examples=40)
@given(SIZES)
def test_the_root_is_that_of_the_rfc_however_it_is_computed(size):
    one_by_one = Frontier()
    for leaf in LEAVES[:size]:
        one_by_one = one_by_one.append(leaf)
    assert one_by_one == Frontier().extend(LEAVES[:size])
    assert one_by_one.root() == tree_root(READER, size) == mth(LEAVES[:size])


@settings(max_examples=40)
@given(st.data(), SIZES)
def test_proofs_are_those_of_the_rfc_and_hold(data, size):
    root = tree_root(READER, size)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    inclusion, consistency = inclusion_proof(READER, index, size), consistency_proof(READER, old, size)
    assert inclusion == path(index, LEAVES[:size])
    assert consistency == (subproof(old, LEAVES[:size]) if old else [])
    verify_inclusion(LEAVES[index], index, size, inclusion, root)
    verify_consistency(old, tree_root(READER, old), size, root, consistency)


@settings(max_examples=40)
@given(st.data(), SIZES)
def test_every_package_of_256_has_a_proof_that_holds(data, size):
    start = data.draw(st.integers(0, (size - 1) // 256)) * 256
    end = data.draw(st.integers(start + 1, min(start + 256, size)))
    subtree = Frontier().extend(LEAVES[start:end]).root()
    assert subtree == subtree_hash(READER, start, end)
    verify_subtree(start, end, subtree, size, tree_root(READER, size), subtree_proof(READER, start, end, size))


@given(st.data(), st.integers(2, len(LEAVES)))
def test_a_proof_with_any_changed_bit_does_not_hold(data, size):
    root, index = tree_root(READER, size), data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(READER, index, size)
    which, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    bad = list(proof)
    bad[which] = bytes(byte ^ ((1 << bit % 8) if i == bit // 8 else 0) for i, byte in enumerate(bad[which]))
    for wrong in (bad, proof[:-1], [*proof, proof[0]], proof[::-1] if proof != proof[::-1] else proof[1:]):
        with pytest.raises(Tampered):
            verify_inclusion(LEAVES[index], index, size, wrong, root)
    with pytest.raises(Tampered):
        verify_inclusion(LEAVES[index - 1], index, size, proof, root)


@given(st.data(), st.integers(2, len(LEAVES)))
def test_a_consistency_proof_holds_for_no_other_history(data, size):
    old = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(READER, old, size)
    branch = MemoryHashes([*LEAVES[: old - 1], leaf_hash(b"forged")])
    with pytest.raises(Tampered) as caught:
        verify_consistency(old, tree_root(branch, old), size, tree_root(READER, size), proof)
    assert caught.value.problem is Problem.WRONG_PROOF
    for bit in data.draw(st.lists(st.integers(0, len(proof) * 256 - 1), min_size=1, max_size=4)):
        bad = bytearray(b"".join(proof))
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Tampered):
            verify_consistency(
                old,
                tree_root(READER, old),
                size,
                tree_root(READER, size),
                [bytes(bad[i : i + 32]) for i in range(0, len(bad), 32)],
            )


HISTORIES = [
    ((5, LEAVES[0], 4, LEAVES[0], []), Problem.ROLLED_BACK),
    ((5, LEAVES[0], 5, LEAVES[1], []), Problem.TWO_BRANCHES),
    ((5, LEAVES[0], 5, LEAVES[0], [LEAVES[2]]), Problem.WRONG_PROOF),
    ((0, Frontier().root(), 5, LEAVES[0], [LEAVES[2]]), Problem.WRONG_PROOF),
    ((0, LEAVES[0], 5, LEAVES[0], []), Problem.INCONSISTENT_HISTORY),
    ((0, Frontier().root(), 0, LEAVES[0], []), Problem.INCONSISTENT_HISTORY),
    ((1, LEAVES[0], 2**63, LEAVES[0], [LEAVES[0]]), Problem.WRONG_PROOF),
    ((1, LEAVES[0], 2**62, LEAVES[0], [LEAVES[0]] * 64), Problem.WRONG_PROOF),
]


@pytest.mark.parametrize(("history", "problem"), HISTORIES)
def test_histories_that_cannot_be_are_named(history, problem):
    with pytest.raises(Tampered) as caught:
        verify_consistency(*history)
    assert caught.value.problem is problem


@given(st.integers(0, 600))
def test_a_frontier_survives_packing(size):
    frontier = Frontier().extend(LEAVES[:size])
    assert Frontier.unpack(size, frontier.pack()) == frontier
    with pytest.raises(Malformed):
        Frontier.unpack(size, frontier.pack() + b"x")


@given(st.integers(0, 80), st.integers(1, 80))
def test_a_subtree_starts_where_its_width_divides(start, width):
    aligned = 1
    while aligned < width:
        aligned *= 2
    assert is_subtree(start, start + width) == (start % aligned == 0)


@settings(max_examples=40)
@given(SIZES)
def test_tiles_carry_the_whole_tree(size):
    tiles = {}
    for tile in tiles_of(size):
        if tile.level is not None:
            unit = 256**tile.level
            firsts = range(tile.n * 256 * unit, (tile.n * 256 + tile.width) * unit, unit)
            tiles[str(tile)] = b"".join(mth(LEAVES[first : first + unit]) for first in firsts)
        assert parse_tile_path(str(tile)) == tile
    reader = TileHashes(tiles.__getitem__, size)
    assert tree_root(reader, size) == mth(LEAVES[:size])
    assert sum(len(decode_tile(data)) for name, data in tiles.items() if name.startswith("tile/0/")) == size


def test_tiles_have_the_published_names():
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    partial = [str(tile) for tile in tiles_of(70_000) if tile.width < 256]
    assert partial == ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert len(list(tiles_of(70_000))) == 2 * 274 + 2 + 1


BAD_PATHS = [
    "tile/0/1", "tile/00/001", "tile/64/001", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/01", "tile/0/x000/001",
    "tile/0/001/x002", "tile/0/001/", "tile/x/001", "tile/entries/x01/001", "/tile/0/001", "tile/0/٠٠١", "tile/0/001\n",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_tile_has_one_name(path):
    with pytest.raises(Malformed):
        parse_tile_path(path)
