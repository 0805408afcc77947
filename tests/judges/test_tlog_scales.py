"""An independent reader, PyPI's tlog-scales, believes our checkpoints, cosignatures, tiles and proofs."""

import pytest
from cryptography.exceptions import InvalidSignature
from tlog_scales import tiles as their_tiles
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tlog import Checkpoint as TheirCheckpoint
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from sync.merkle import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion
from sync.note import SignedNote, Signer
from sync.proof import parse
from tests.data.sample_log import LOG, ORIGIN, WITNESSES, SampleLog, members

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


# -- planted damage --------------------------------------------------------------------------------------------------


def flip(files, name, at):
    data = bytearray(files[name])
    data[at] ^= 1
    files[name] = bytes(data)


def judged(files):
    """What a reader of ours would do with theirs: signatures, root, then every asked entry under its proof."""
    reader = TilesReader(Files(files))
    checkpoint = reader.get_checkpoint()
    VkeySet(Vkey.from_string(str(LOG.vkey))).verify(checkpoint.signatures, checkpoint)
    if reader.calculate_root_hash() != checkpoint.root_hash:
        return "root"
    for index in (0, 300, 599):
        leaf = their_tiles.leaf_hash(reader.get_entry(index))
        try:
            reader.get_inclusion_proof(index, checkpoint.size).check(leaf, checkpoint.root_hash)
        except InclusionProofInvalid:
            return f"entry {index}"
    return "ok"


@pytest.fixture(scope="module")
def sound():
    return members(SampleLog.of(600).bundle(proofs={}))


def test_they_find_nothing_in_a_sound_log(sound):
    assert judged(sound) == "ok"


@pytest.mark.parametrize(
    ("name", "at", "found"),
    [
        ("tile/0/002.p/88", 87 * 32, "root"),
        ("tile/1/000.p/2", 33, "root"),
        ("tile/entries/002.p/88", -1, "entry 599"),
        ("tile/0/000", 40, "entry 0"),  # its neighbour, in whose proof the hash stands
    ],
)
def test_they_find_the_changed_byte(sound, name, at, found):
    files = dict(sound)
    flip(files, name, at)
    assert judged(files) == found


@pytest.mark.parametrize("name", ["tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001"])
def test_they_name_the_missing_tile(sound, name):
    files = {other: data for other, data in sound.items() if other != name}
    level, n = {"tile/0/002.p/88": (0, 2), "tile/1/000.p/2": (1, 0), "tile/entries/001": (-1, 1)}[name]
    with pytest.raises(RuntimeError, match=f"could not get tile at L={level}, N={n}"):
        judged(files)


def test_a_tile_under_the_name_of_another_width_is_not_read(sound):
    files = dict(sound)
    files["tile/0/002.p/87"] = files.pop("tile/0/002.p/88")
    with pytest.raises(RuntimeError, match="could not get tile at L=0, N=2"):
        judged(files)


def test_a_foreign_signature_is_not_believed(sound):
    files = dict(sound)
    stranger = Signer.from_seed(ORIGIN, b"\x09" * 32)
    note = SignedNote.parse(files["checkpoint"])
    files["checkpoint"] = bytes(SignedNote(note.text, (stranger.sign(note.text),)))
    checkpoint = TilesReader(Files(files)).get_checkpoint()
    assert VkeySet(Vkey.from_string(str(LOG.vkey))).verify(checkpoint.signatures, checkpoint) == set()
