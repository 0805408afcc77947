"""Every way of tampering with a bundle has its own name, and the verifier says that name."""

import hashlib
import io
import struct
import zipfile

import pytest

from sync.bundle import ZipMembers
from sync.checkpoint import Checkpoint, sign
from sync.codec import encode
from sync.note import COSIGNATURE, NoteSignature, SignedNote, Signer, encode_base64
from sync.policy import Party, Policy
from sync.tampered import Problem, Tampered
from sync.tiles import decode_bundle, encode_bundle
from sync.verify import Verdict, trust_of, verdict_of, verify_bundle
from tests.data.sample_log import (
    BLOB,
    LOG,
    ORIGIN,
    WITNESSES,
    SampleLog,
    members,
    policy_of,
    resigned,
    sample_entry,
    zipped,
)

HONEST = SampleLog.of(300)
FILES = members(HONEST.bundle())
BLOB_NAME = f"blobs/{hashlib.sha256(BLOB).hexdigest()}"


def verdict(bundle: bytes, policy: Policy | None = None, seen: bytes | None = None) -> Verdict:
    try:
        return verify_bundle(ZipMembers(io.BytesIO(bundle)), policy, seen)
    except Tampered as tampered:
        return verdict_of(tampered, trust_of(policy))


def changed(name: str, at: int, data: bytes, mask: int = 1) -> dict[str, bytes]:
    return {name: data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]}


def without(*names: str) -> dict[str, bytes]:
    return {name: data for name, data in FILES.items() if name not in names}


def entries(n: int, width: str, change) -> dict[str, bytes]:
    """The honest files with one entry bundle changed by a function of its list of entries."""
    name = f"tile/entries/{n:03d}{width}"
    return FILES | {name: encode_bundle(change(decode_bundle(FILES[name])))}


def rebuilt(bodies: list[bytes], note: bytes | None = None) -> dict[str, bytes]:
    """Bundle and tiles made anew over other entries, under the honest note, as a careful forger would."""
    files = members(SampleLog(bodies).bundle(proofs={}))
    return files | {"checkpoint": note or HONEST.note()}


def noted(text: str, *signatures: NoteSignature) -> bytes:
    return bytes(SignedNote(text, signatures))


def shuffled(bodies: list[bytes], one: int, other: int) -> list[bytes]:
    bodies = list(bodies)
    bodies[one], bodies[other] = bodies[other], bodies[one]
    return bodies


def flipped(signature: NoteSignature) -> NoteSignature:
    blob = signature.blob[:-1] + bytes([signature.blob[-1] ^ 1])
    return NoteSignature(signature.name, signature.key_id, blob)


STRANGER = Signer.from_seed(ORIGIN, b"\x77" * 32)
OTHER_LOG = Signer.from_seed("elsewhere.example/log", b"\x05" * 32)
TEXT = HONEST.checkpoint().text()
LINES = SignedNote.parse(HONEST.note()).signatures
OWN, FIRST, SECOND = LINES
BRANCH = SampleLog([*HONEST.bodies[:290], *(encode(sample_entry(seq, origin=ORIGIN + "x")) for seq in range(290, 300))])
NO_QUORUM = bytes(Policy((Party(LOG.vkey),), {}, {}, None))
SIGNED_WRONG_SEQ = SampleLog([*HONEST.bodies[:299], encode(sample_entry(300))])
SIGNED_OTHER_ORIGIN = SampleLog([encode(sample_entry(seq, origin="other.example/log")) for seq in range(3)])
SIGNED_NONSENSE = SampleLog([*HONEST.bodies[:4], b"\xcb" + bytes(8)])
OTHER_PROOF = SampleLog(HONEST.bodies, OTHER_LOG.name, OTHER_LOG).proof(5)
BAD_TEXT = f"{ORIGIN}\n300\n{encode_base64(HONEST.checkpoint().root)[:-2]}t=\n"
TWO_SIZES = {"tile/entries/001.p/43": FILES["tile/entries/001.p/44"]}

TAMPERINGS: list[tuple[str, dict[str, bytes], Problem]] = [
    ("one byte of an entry", FILES | changed("tile/entries/000", 40, FILES["tile/entries/000"]), Problem.CHANGED_ENTRY),
    ("an entry dropped from its bundle", entries(0, "", lambda e: e[:9] + e[10:]), Problem.DROPPED_ENTRY),
    ("the last entry dropped", entries(1, ".p/44", lambda e: e[:-1]), Problem.DROPPED_ENTRY),
    (
        "an entry dropped, the last one doubled",
        entries(0, "", lambda e: [*e[:9], *e[10:], e[-1]]),
        Problem.DROPPED_ENTRY,
    ),
    ("an entry added", entries(1, ".p/44", lambda e: [*e, e[0]]), Problem.EXTRA_ENTRY),
    ("two entries swapped", entries(0, "", lambda e: shuffled(e, 7, 8)), Problem.SWAPPED_ENTRIES),
    (
        "two entries swapped across tiles",
        entries(0, "", lambda e: [*e[:3], HONEST.bodies[260], *e[4:]])
        | {"tile/entries/001.p/44": encode_bundle([*HONEST.bodies[256:260], HONEST.bodies[3], *HONEST.bodies[261:]])},
        Problem.SWAPPED_ENTRIES,
    ),
    ("two entries swapped, all tiles made anew", rebuilt(shuffled(HONEST.bodies, 7, 270)), Problem.SWAPPED_ENTRIES),
    (
        "an entry changed, all tiles made anew",
        rebuilt([*HONEST.bodies[:9], encode(sample_entry(9))[:-1] + b"\x91\xa0", *HONEST.bodies[10:]]),
        Problem.ROOT_MISMATCH,
    ),
    (
        "an entry dropped and the rest moved up, all made anew",
        rebuilt([*HONEST.bodies[:9], *HONEST.bodies[10:], encode(sample_entry(300))]),
        Problem.MISPLACED_ENTRY,
    ),
    ("fewer entries than signed", rebuilt(HONEST.bodies[:299]), Problem.MISSING_ENTRIES),
    ("the last bundle left out", without("tile/entries/001.p/44"), Problem.MISSING_ENTRIES),
    ("all entries left out", without("tile/entries/000", "tile/entries/001.p/44"), Problem.MISSING_ENTRIES),
    ("the first bundle left out", without("tile/entries/000"), Problem.MISSING_TILE),
    ("a tile of hashes left out", without("tile/0/001.p/44"), Problem.MISSING_TILE),
    ("a higher tile left out", without("tile/1/000.p/1"), Problem.MISSING_TILE),
    (
        "a tile under another width",
        without("tile/0/001.p/44") | {"tile/0/001.p/45": FILES["tile/0/001.p/44"]},
        Problem.WRONG_WIDTH,
    ),
    (
        "a bundle under another width",
        without("tile/entries/001.p/44") | {"tile/entries/001.p/45": FILES["tile/entries/001.p/44"]},
        Problem.WRONG_WIDTH,
    ),
    (
        "a tile too short for its name",
        FILES | {"tile/0/001.p/44": FILES["tile/0/001.p/44"][:-32]},
        Problem.MALFORMED_TILE,
    ),
    ("half a hash in a tile", FILES | {"tile/0/001.p/44": FILES["tile/0/001.p/44"][:-1]}, Problem.MALFORMED_TILE),
    (
        "a bundle cut within an entry",
        FILES | {"tile/entries/000": FILES["tile/entries/000"][:-3]},
        Problem.MALFORMED_TILE,
    ),
    ("a hash of level 0 changed", FILES | changed("tile/0/000", 33, FILES["tile/0/000"]), Problem.CHANGED_TILE),
    ("a hash of level 1 changed", FILES | changed("tile/1/000.p/1", 5, FILES["tile/1/000.p/1"]), Problem.CHANGED_TILE),
    ("a tile of an older size kept", FILES | TWO_SIZES, Problem.UNKNOWN_MEMBER),
    ("a tile beyond the size", FILES | {"tile/2/000.p/1": bytes(32)}, Problem.UNKNOWN_MEMBER),
    ("a file that does not belong", FILES | {"README.txt": b"hello"}, Problem.UNKNOWN_MEMBER),
    ("a blob with a capital in its name", without(BLOB_NAME) | {BLOB_NAME.upper(): BLOB}, Problem.UNKNOWN_MEMBER),
    ("a blob changed", FILES | changed(BLOB_NAME, 0, BLOB), Problem.CHANGED_BLOB),
    ("a blob left out", without(BLOB_NAME), Problem.MISSING_BLOB),
    ("a blob too many, under a false name", FILES | {f"blobs/{'0' * 64}": b"x"}, Problem.CHANGED_BLOB),
    ("no checkpoint", without("checkpoint"), Problem.MISSING_CHECKPOINT),
    ("no policy", without("policy"), Problem.MISSING_POLICY),
    ("a policy that cannot be read", FILES | {"policy": b"quorum nobody\n"}, Problem.MALFORMED_POLICY),
    ("an empty checkpoint", FILES | {"checkpoint": b""}, Problem.MALFORMED_CHECKPOINT),
    ("a checkpoint that is not UTF-8", FILES | {"checkpoint": b"\xff" + HONEST.note()}, Problem.MALFORMED_CHECKPOINT),
    (
        "base64 in another spelling",
        FILES | {"checkpoint": noted(BAD_TEXT, LOG.sign(BAD_TEXT))},
        Problem.MALFORMED_CHECKPOINT,
    ),
    (
        "the size in another spelling",
        FILES | {"checkpoint": noted(TEXT.replace("300", "0300"), OWN)},
        Problem.MALFORMED_CHECKPOINT,
    ),
    ("an extension line", FILES | {"checkpoint": noted(TEXT + "more\n", OWN)}, Problem.MALFORMED_CHECKPOINT),
    ("the size changed", FILES | {"checkpoint": noted(TEXT.replace("300", "299"), *LINES)}, Problem.FORGED_SIGNATURE),
    (
        "the log's signature forged",
        FILES | {"checkpoint": resigned(HONEST.note(), flipped(OWN), FIRST)},
        Problem.FORGED_SIGNATURE,
    ),
    (
        "a second, forged line of the log beside the good one",
        FILES | {"checkpoint": resigned(HONEST.note(), OWN, FIRST, flipped(OWN))},
        Problem.FORGED_SIGNATURE,
    ),
    (
        "signed by a stranger's key",
        FILES | {"checkpoint": noted(TEXT, STRANGER.sign(TEXT), FIRST)},
        Problem.FOREIGN_KEY,
    ),
    ("only cosigned", FILES | {"checkpoint": noted(TEXT, FIRST, SECOND)}, Problem.FOREIGN_KEY),
    (
        "a cosignature forged",
        FILES | {"checkpoint": noted(TEXT, OWN, FIRST, flipped(SECOND))},
        Problem.FORGED_COSIGNATURE,
    ),
    (
        "a cosignature's time changed",
        FILES | {"checkpoint": noted(TEXT, OWN, NoteSignature(FIRST.name, FIRST.key_id, bytes(8) + FIRST.blob[8:]))},
        Problem.FORGED_COSIGNATURE,
    ),
    ("no cosignature", FILES | {"checkpoint": noted(TEXT, OWN)}, Problem.QUORUM_NOT_MET),
    (
        "cosigned by somebody the policy does not name",
        FILES
        | {"checkpoint": noted(TEXT, OWN, Signer.from_seed("x.example/w", b"\x09" * 32, COSIGNATURE).cosign(TEXT, 1))},
        Problem.QUORUM_NOT_MET,
    ),
    (
        "an empty log with a root",
        {"policy": NO_QUORUM, "checkpoint": sign(Checkpoint(ORIGIN, 0, bytes(32)), LOG)},
        Problem.ROOT_MISMATCH,
    ),
    (
        "a log of absurd size",
        {"policy": NO_QUORUM, "checkpoint": sign(Checkpoint(ORIGIN, 2**63 - 1, bytes(32)), LOG)},
        Problem.MISSING_ENTRIES,
    ),
    ("signed, but an entry claims another place", members(SIGNED_WRONG_SEQ.bundle(proofs={})), Problem.MISPLACED_ENTRY),
    ("signed, but entries of another log", members(SIGNED_OTHER_ORIGIN.bundle(proofs={})), Problem.MISPLACED_ENTRY),
    ("signed, but no entry", members(SIGNED_NONSENSE.bundle(proofs={})), Problem.MALFORMED_ENTRY),
    (
        "a proof that cannot be read",
        FILES | {"proofs/5.tlog-proof": b"c2sp.org/tlog-proof@v2\n"},
        Problem.MALFORMED_PROOF,
    ),
    (
        "a proof's hash in another spelling",
        FILES | {"proofs/5.tlog-proof": FILES["proofs/5.tlog-proof"].replace(b"=\n", b"\n", 1)},
        Problem.MALFORMED_PROOF,
    ),
    (
        "a proof for another entry",
        FILES | {"proofs/5.tlog-proof": FILES["proofs/5.tlog-proof"].replace(b"index 5", b"index 6")},
        Problem.WRONG_PROOF,
    ),
    (
        "a proof for no entry",
        FILES | {"proofs/5.tlog-proof": FILES["proofs/5.tlog-proof"].replace(b"index 5", b"index 300")},
        Problem.WRONG_PROOF,
    ),
    (
        "a proof one hash short",
        FILES
        | {
            "proofs/5.tlog-proof": b"\n".join(
                FILES["proofs/5.tlog-proof"].split(b"\n")[:2] + FILES["proofs/5.tlog-proof"].split(b"\n")[3:]
            )
        },
        Problem.WRONG_PROOF,
    ),
    ("a proof of another log", FILES | {"proofs/5.tlog-proof": OTHER_PROOF}, Problem.FOREIGN_PROOF),
    ("a proof for the root of another branch", FILES | {"proofs/5.tlog-proof": BRANCH.proof(5)}, Problem.TWO_BRANCHES),
    (
        "a proof for an older root of another branch",
        FILES | {"proofs/5.tlog-proof": BRANCH.proof(5, 295)},
        Problem.INCONSISTENT_HISTORY,
    ),
    ("a proof from a larger log", FILES | {"proofs/5.tlog-proof": SampleLog.of(301).proof(5)}, Problem.ROLLED_BACK),
    (
        "a proof under a forged signature",
        FILES
        | {"proofs/5.tlog-proof": FILES["proofs/5.tlog-proof"].replace(str(OWN).encode(), str(flipped(OWN)).encode())},
        Problem.FORGED_SIGNATURE,
    ),
]


@pytest.mark.parametrize(("files", "problem"), [case[1:] for case in TAMPERINGS], ids=[case[0] for case in TAMPERINGS])
def test_each_tampering_is_found_and_named(files, problem):
    found = verdict(zipped(files))
    assert (found.ok, found.problem) == (False, problem), found


def test_the_honest_bundle_is_good_and_says_where_its_trust_comes_from():
    own, given = verdict(HONEST.bundle()), verdict(zipped(FILES), policy_of())
    assert (own.ok, own.problem, own.trust, own.size) == (True, None, "bundled", 300)
    assert (given.ok, given.trust, given.cosigners) == (True, "policy", tuple(one.name for one in WITNESSES))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257])
def test_honest_bundles_of_awkward_sizes_are_good(size):
    assert verdict(SampleLog.of(size).bundle()).ok


SEEN: list[tuple[str, bytes, Problem | None]] = [
    ("the same checkpoint", HONEST.note(), None),
    ("an older one of this history", HONEST.note(17), None),
    ("the empty log", HONEST.note(0), None),
    ("a larger one: entries were taken back", SampleLog.of(301).note(), Problem.ROLLED_BACK),
    ("the same size with another root", BRANCH.note(), Problem.TWO_BRANCHES),
    ("an older one of another branch", BRANCH.note(295), Problem.INCONSISTENT_HISTORY),
    ("one of another log", SampleLog(HONEST.bodies, OTHER_LOG.name, OTHER_LOG).note(), Problem.WRONG_LOG),
    ("one that the log did not sign", noted(TEXT, STRANGER.sign(TEXT)), Problem.FOREIGN_KEY),
    ("one with a forged signature", noted(TEXT, flipped(OWN)), Problem.FORGED_SIGNATURE),
]


@pytest.mark.parametrize(("seen", "problem"), [case[1:] for case in SEEN], ids=[case[0] for case in SEEN])
def test_a_bundle_is_held_against_the_checkpoint_seen_before(seen, problem):
    assert verdict(HONEST.bundle(), policy_of(), seen).problem == problem


def test_a_policy_that_trusts_another_log_is_not_satisfied():
    other = Policy((Party(OTHER_LOG.vkey),), {}, {}, None)
    found = verdict(HONEST.bundle(), other)
    assert (found.problem, found.expected, found.got, found.trust) == (
        Problem.WRONG_LOG,
        OTHER_LOG.name,
        ORIGIN,
        "policy",
    )


def test_a_policy_that_asks_for_more_cosigners_is_not_satisfied():
    files = FILES | {"checkpoint": HONEST.note(cosigners=WITNESSES[:1])}
    assert verdict(zipped(files), policy_of(quorum=1)).ok
    assert verdict(zipped(files), policy_of(quorum=2)).problem == Problem.QUORUM_NOT_MET


def test_the_verdict_names_origin_place_and_both_values():
    found = verdict(zipped(FILES | changed("tile/entries/001.p/44", 40, FILES["tile/entries/001.p/44"])))
    assert (found.origin, found.seq) == (ORIGIN, 256)
    assert found.expected == HONEST.hashes(0, 256, 257)[0].hex()
    assert found.got != found.expected
    missing = verdict(zipped(without("tile/0/001.p/44")))
    assert (missing.expected, missing.seq) == ("tile/0/001.p/44", 256)


# -- the container ---------------------------------------------------------------------------------------------------


def archive(*files: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        for name, data in files:
            made.writestr(name, data)
    return target.getvalue()


def patched(data: bytes, find: bytes, put: bytes, *, last: bool = False) -> bytes:
    at = data.rindex(find) if last else data.index(find)
    return data[:at] + put + data[at + len(put) :]


GOOD = HONEST.bundle()
CENTRAL = GOOD.index(b"PK\1\2")
BOMB = archive(("checkpoint", bytes(20_000_000)), method=zipfile.ZIP_DEFLATED)
HUGE = archive(("tile/0/000", bytes(8_193)))
PATHS = [
    "../checkpoint",
    "/checkpoint",
    "tile/../../x",
    "tile//0",
    "C:/x",
    "a\\b",
    "tile/0/.",
    "检查点",
    "a\x01b",
    "x" * 200,
]
CONTAINERS: list[tuple[str, bytes, Problem]] = [
    ("no ZIP at all", b"hello, world" * 10, Problem.UNREADABLE),
    ("nothing", b"", Problem.UNREADABLE),
    ("a ZIP cut in the middle", GOOD[: len(GOOD) // 2], Problem.UNREADABLE),
    ("a ZIP without its last byte", GOOD[:-1], Problem.HIDDEN_BYTES),
    ("bytes behind the end", GOOD + b"!", Problem.HIDDEN_BYTES),
    ("bytes before the start", b"#!/bin/sh\n" + GOOD, Problem.HIDDEN_BYTES),
    ("bytes between members and directory", GOOD[:CENTRAL] + b"!" + GOOD[CENTRAL:], Problem.HIDDEN_BYTES),
    ("a comment", GOOD[:-2] + b"\x05\x00hello", Problem.HIDDEN_BYTES),
    ("a member's name differs in its header", patched(GOOD, b"checkpoint", b"checkpoinT"), Problem.HEADER_MISMATCH),
    (
        "a member's size differs in its header",
        patched(GOOD, b"PK\3\4", GOOD[:18] + b"\xff\xff\xff\xff"),
        Problem.HEADER_MISMATCH,
    ),
    ("two members of one name", archive(("checkpoint", HONEST.note()), ("checkpoint", b"x")), Problem.DUPLICATE_MEMBER),
    (
        "a compressed member",
        archive(("checkpoint", HONEST.note()), method=zipfile.ZIP_DEFLATED),
        Problem.COMPRESSED_MEMBER,
    ),
    ("a ZIP bomb", BOMB, Problem.COMPRESSED_MEMBER),
    (
        "an encrypted member",
        patched(GOOD, b"PK\1\2\x14\x03\x14\0\0", b"PK\1\2\x14\x03\x14\0\1"),
        Problem.COMPRESSED_MEMBER,
    ),
    ("a tile over its size", HUGE, Problem.OVERSIZE_MEMBER),
    ("a checkpoint over its size", archive(("checkpoint", bytes(300_000))), Problem.OVERSIZE_MEMBER),
    ("a directory over its size", GOOD[:-10] + struct.pack("<LLH", 2**30, CENTRAL, 0), Problem.OVERSIZE_MEMBER),
    (
        "a member that says it has 4 GB",
        patched(HUGE, b"\x01\x20\0\0\x01\x20\0\0", b"\xfe\xff\xff\xff" * 2, last=True),
        Problem.OVERSIZE_MEMBER,
    ),
    ("a checksum changed", GOOD, Problem.DAMAGED_MEMBER),
    *((f"the name {name!r}", archive((name, b"x")), Problem.UNSAFE_NAME) for name in PATHS),
]


def with_bad_checksum(bundle: bytes) -> bytes:
    """Both headers of the policy with the same wrong checksum: nothing else can tell."""
    crc = bytes(bundle[(start := bundle.index(b"policy") - 30) + 14 : start + 18])
    return bundle.replace(crc, bytes(4))


@pytest.mark.parametrize(("bundle", "problem"), [case[1:] for case in CONTAINERS], ids=[case[0] for case in CONTAINERS])
def test_a_hostile_container_is_refused_by_name(bundle, problem):
    if problem is Problem.DAMAGED_MEMBER:
        bundle = with_bad_checksum(bundle)
    assert verdict(bundle).problem == problem


def test_overlapping_members_are_refused():
    """The trick by which a small ZIP unpacks to a huge one: many directory rows that share one body."""
    one = archive(("tile/0/000", bytes(8_000)))
    row = one[one.index(b"PK\1\2") : one.rindex(b"PK\5\6")]
    rows = b"".join(row.replace(b"tile/0/000", b"tile/0/%03d" % n) for n in range(500))
    start = one.index(b"PK\1\2")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 500, 500, len(rows), start, 0)
    assert verdict(one[:start] + rows + end).problem == Problem.HIDDEN_BYTES


def test_folders_of_their_own_do_no_harm():
    files = [("tile/", b""), *FILES.items()]
    assert verdict(archive(*files)).ok


def test_any_changed_byte_of_a_member_or_its_header_is_found():
    """One bit of every byte up to the directory: no byte of the evidence is free."""
    bundle = bytearray(SampleLog.of(4).bundle())
    for at in range(bundle.index(b"PK\1\2")):
        bundle[at] ^= 1 << at % 8
        assert not verdict(bytes(bundle)).ok, at
        bundle[at] ^= 1 << at % 8


def test_hostile_text_in_evidence_reaches_no_terminal():
    text = f"dali\x9b31mx\n3\n{encode_base64(bytes(32))}\n"
    found = verdict(zipped(FILES | {"checkpoint": noted(text, OWN)}))
    assert (found.problem, found.got) == (Problem.WRONG_LOG, "dali\\x9b31mx")


def test_enough_kinds_are_told_apart():
    named = {problem for *_, problem in (*TAMPERINGS, *SEEN, *CONTAINERS) if problem is not None}
    assert named == set(Problem)
