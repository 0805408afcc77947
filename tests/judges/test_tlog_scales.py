"""An independent reader, PyPI's tlog-scales, believes our checkpoints, cosignatures, tiles and proofs."""

import pytest
from cryptography.exceptions import InvalidSignature
from tlog_scales import tiles as their_tiles
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tlog import Checkpoint as TheirCheckpoint
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from sync.merkle import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion
from sync.proof import parse
from tests.data.sample_log import LOG, WITNESSES, SampleLog, members

SIZES = [1, 255, 256, 257, 65_536, 70_000]


class Files:
    """Their backend over a bundle's members."""

    def __init__(self, files):
        self.files = files

    def get(self, *path):
        return self.files.get("/".join(path))


@pytest.fixture(scope="module", params=SIZES)
def log(request):
    size = request.param
    return SampleLog.of(size) if size < 1_000 else SampleLog([b"entry %d" % i for i in range(size)])


@pytest.fixture(scope="module")
def reader(log):
    return TilesReader(Files(members(log.bundle(proofs={}))))


def some(size):
    return sorted({0, size // 3, size // 2, size - 1})


def test_they_verify_our_signature_and_both_cosignatures(log, reader):
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(str(LOG.vkey)))
    keys = VkeySet(*(Vkey.from_string(str(signer.vkey)) for signer in (LOG, *WITNESSES)))
    assert len(keys.verify(checkpoint.signatures, checkpoint)) == 3
    forged = TheirCheckpoint(checkpoint.origin, checkpoint.size + 1, checkpoint.root_hash, checkpoint.signatures)
    with pytest.raises(InvalidSignature):
        forged.verify(Vkey.from_string(str(LOG.vkey)))


def test_they_compute_our_root_from_our_tiles_and_find_our_entries(log, reader):
    checkpoint = reader.get_checkpoint()
    assert (checkpoint.size, reader.calculate_root_hash()) == (log.size, checkpoint.root_hash)
    assert [reader.get_entry(index) for index in some(log.size)] == [log.bodies[index] for index in some(log.size)]


def test_they_accept_our_inclusion_proofs_and_make_the_same(log, reader):
    root = reader.get_checkpoint().root_hash
    for index in some(log.size):
        ours = inclusion_proof(log, index, log.size)
        leaf = their_tiles.leaf_hash(log.bodies[index])
        InclusionProof(index, log.size, ours).check(leaf, root)
        assert reader.get_inclusion_proof(index, log.size).node_hashes == ours
        verify_inclusion(leaf, index, log.size, reader.get_inclusion_proof(index, log.size).node_hashes, root)
        if ours:
            with pytest.raises(InclusionProofInvalid):
                InclusionProof(index, log.size, [*ours[:-1], bytes(32)]).check(leaf, root)


def test_they_accept_our_consistency_proofs_and_make_the_same(log, reader):
    root = reader.get_checkpoint().root_hash
    for old in sorted({1, log.size // 2 + 1, log.size}):
        ours = consistency_proof(log, old, log.size)
        old_root = log.checkpoint(old).root
        ConsistencyProof(old, log.size, list(ours)).check(old_root, root)
        theirs = reader.get_consistency_proof(old, log.size).node_hashes
        assert theirs == ours
        verify_consistency(old, old_root, log.size, root, theirs)
        if ours:
            with pytest.raises(ConsistencyProofInvalid):
                ConsistencyProof(old, log.size, list(ours)).check(bytes(32), root)


def test_they_accept_what_a_receipt_holds(log, reader):
    index = log.size // 2
    proof = parse(log.proof(index))
    checkpoint = TheirCheckpoint.from_text(proof.checkpoint.decode())
    checkpoint.verify(Vkey.from_string(str(LOG.vkey)))
    leaf = their_tiles.leaf_hash(log.bodies[index])
    InclusionProof(proof.index, checkpoint.size, list(proof.hashes)).check(leaf, checkpoint.root_hash)
