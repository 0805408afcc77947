"""The mirror's rules without sockets: whatever is sent, what is stored is an exact prefix of the signed log."""

from functools import cache

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.checkpoint import Checkpoint, Opened, open_checkpoint, sign
from sync.log import LOG_SCHEMA, head, open_log, read_bodies
from sync.merkle import (
    EMPTY_ROOT,
    Frontier,
    MemoryHashes,
    consistency_proof,
    frontier_of,
    leaf_hash,
    left_of,
    subtree_proof,
    tree_root,
)
from sync.mirror import AnotherBranch, Before, Checked, Held, before, freeze_forked, held_of, judge_upload, store_upload
from sync.note import COSIGNATURE, NoteSignature, Signer
from sync.tampered import Problem, Tampered
from sync.wire import AddCheckpoint, EntriesHead, MirrorInfo, Package, decode_lines, decode_size, spans
from sync.witness import Answer, judge, keep_promise, misbehaviours, take_checkpoint

ORIGIN = "dali.erhai/532924/room-1/a/e1"
LOG = Signer.from_seed(ORIGIN, b"\x01" * 32)
MIRROR = Signer.from_seed("dali.erhai/532924/room-1/b/m", b"\x02" * 32, COSIGNATURE)
WITNESS = Signer.from_seed("dali.erhai/532924/room-1/b/w", b"\x03" * 32, COSIGNATURE)
SIZE = 1_200
NOW_MS = 1_790_000_000_000


class Log:
    """A whole log in memory."""

    def __init__(self, size: int = SIZE, salt: bytes = b"entry") -> None:
        self.bodies = [b"%s %d" % (salt, seq) for seq in range(size)]
        self.hashes = MemoryHashes(map(leaf_hash, self.bodies))

    def at(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, tree_root(self.hashes, size) if size else EMPTY_ROOT)

    def note(self, size: int) -> bytes:
        return sign(self.at(size), LOG)

    def opened(self, size: int) -> Opened:
        return open_checkpoint(self.note(size), [LOG.vkey])

    def grow(self, old: int, new: int) -> AddCheckpoint:
        return AddCheckpoint(old, tuple(consistency_proof(self.hashes, old, new)), self.note(new))

    def packages(self, start: int, end: int) -> list[Package]:
        return [
            Package(
                span,
                tuple(self.bodies[span.first : span.end]),
                tuple(subtree_proof(self.hashes, span.aligned, span.end, end)),
            )
            for span in spans(start, end)
        ]


@cache
def honest() -> Log:
    return Log()


@cache
def forked() -> Log:
    """Shares the first 300 entries."""
    other = Log(salt=b"other")
    other.bodies[:300] = honest().bodies[:300]
    other.hashes = MemoryHashes(map(leaf_hash, other.bodies))
    return other


def fresh() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    db.execute(LOG_SCHEMA)
    return db


def offer(db: apsw.Connection, log: Log, old: int, new: int, *, owner: bool = True, witness=None) -> Answer:
    return take_checkpoint(
        db, log.grow(old, new), log.opened(new), shown_by="a", owner=owner, witness=witness, now_ms=NOW_MS
    )


def upload(db: apsw.Connection, packages: list[Package], start: int, end: int) -> Answer:
    """What the endpoint does with an upload, without its bytes."""
    verdict = judge_upload(EntriesHead(ORIGIN, start, end), held_of(db, ORIGIN))
    if isinstance(verdict, Answer):
        return verdict
    checked = Checked(verdict, start, before(db, ORIGIN, start))
    try:
        for package in packages:
            checked.take(package)
    except AnotherBranch as forked_log:
        return freeze_forked(db, forked_log.promise, shown_by="a", now_ms=NOW_MS)
    except Tampered as tampered:
        if not checked.received:
            return Answer(422, str(tampered).encode())
    return store_upload(db, checked.verified(), cosigner=MIRROR, now_ms=NOW_MS)


def stored(db: apsw.Connection) -> list[bytes]:
    return [body for _, body in read_bodies(db, ORIGIN, 0, 1 << 40)]


# -- add-checkpoint: the table of C2SP tlog-witness ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "old", "new", "proof", "expected"),
    [
        (0, 0, 5, "right", (200, None)),
        (5, 5, 9, "right", (200, None)),
        (5, 5, 5, "right", (200, None)),
        (5, 9, 5, "right", (400, None)),
        (5, 0, 9, "right", (409, None)),
        (5, 4, 9, "right", (409, None)),
        (0, 0, 5, "some", (422, None)),
        (5, 5, 5, "some", (422, None)),
        (5, 5, 9, "none", (422, Problem.INCONSISTENT_HISTORY)),
        (5, 5, 9, "some", (422, Problem.INCONSISTENT_HISTORY)),
    ],
)
def test_a_checkpoint_is_judged_as_the_specification_says(known, old, new, proof, expected) -> None:
    log = honest()
    proofs = {"right": log.grow(min(old, new), new).proof, "some": (b"x" * 32,), "none": ()}
    request = AddCheckpoint(old, proofs[proof], log.note(new))
    found = judge(request, log.at(new), known=log.at(known), root_at=lambda size: log.at(size).root)
    assert (found.status, found.problem) == expected


@pytest.mark.parametrize(("old", "new", "status"), [(700, 700, 422), (700, 500, 400), (0, 500, 409), (0, 700, 409)])
def test_another_root_at_a_known_size_is_a_branch_whatever_else_is_asked(old: int, new: int, status: int) -> None:
    db = fresh()
    offer(db, honest(), 0, 700)
    upload(db, honest().packages(0, 700), 0, 700)
    request = AddCheckpoint(old, (), forked().note(new))
    answer = take_checkpoint(db, request, forked().opened(new), shown_by="c", owner=False, witness=None, now_ms=NOW_MS)
    assert answer.status == status
    evidence = misbehaviours(db)
    assert [(one.problem, one.shown_by) for one in evidence] == [("two-branches", "c")]
    for note in (evidence[0].held, evidence[0].shown):
        open_checkpoint(note, [LOG.vkey])
    assert offer(db, honest(), 700, 900).status == 403
    assert upload(db, honest().packages(700, 900), 700, 900).status == 403
    assert head(db, ORIGIN).frozen == "two-branches"


def test_only_the_owner_can_freeze_its_log_by_a_proof_that_fails() -> None:
    for owner, frozen in ((False, None), (True, "inconsistent-history")):
        db = fresh()
        offer(db, honest(), 0, 700)
        assert offer(db, forked(), 700, 900, owner=owner).status == 422
        assert [one.problem for one in misbehaviours(db)] == ["inconsistent-history"]
        assert head(db, ORIGIN).frozen == frozen
        assert offer(db, honest(), 700, 900).status == (403 if owner else 200)


def test_evidence_is_kept_once_and_in_bounds() -> None:
    db = fresh()
    offer(db, honest(), 0, 400)
    for new in [*range(401, 500), 401, 402]:
        offer(db, forked(), 400, new, owner=False)
    assert len(misbehaviours(db)) == 64


def test_a_conflict_names_the_recorded_size() -> None:
    db = fresh()
    offer(db, honest(), 0, 700)
    answer = offer(db, honest(), 0, 900)
    assert (answer.status, answer.content_type, decode_size(answer.body)) == (409, "text/x.tlog.size", 700)


def test_the_time_of_a_cosignature_never_decreases() -> None:
    db = fresh()
    times = []
    for old, new, now_ms in ((0, 3, 9_000_000), (3, 4, 5_000_000), (4, 4, 12_000_000)):
        answer = take_checkpoint(
            db,
            honest().grow(old, new),
            honest().opened(new),
            shown_by="a",
            owner=True,
            witness=WITNESS,
            now_ms=now_ms,
        )
        (line,) = decode_lines(answer.body)
        assert WITNESS.vkey.verifies(honest().at(new).text(), line.blob)
        times.append(int.from_bytes(line.blob[:8]))
    assert times == [9_000, 9_000, 12_000]


def test_the_mirror_key_does_not_sign_a_checkpoint_without_its_entries() -> None:
    db = fresh()
    assert offer(db, honest(), 0, 700).body == b""
    answer = upload(db, honest().packages(0, 700)[:1], 0, 700)
    assert answer.status == 202
    assert head(db, ORIGIN).cosignatures == ()


# -- add-entries -----------------------------------------------------------------------------------------------------

PROMISES = {size: Checkpoint(ORIGIN, size, bytes([size % 251]) * 32) for size in (600, 1_000)}


@pytest.mark.parametrize(
    ("start", "end", "held", "expected"),
    [
        (300, 1_000, Held(ORIGIN, PROMISES, 300, 0, None), PROMISES[1_000]),
        (300, 600, Held(ORIGIN, PROMISES, 300, 0, None), PROMISES[600]),
        (44, 1_000, Held(ORIGIN, PROMISES, 300, 0, None), PROMISES[1_000]),
        (43, 1_000, Held(ORIGIN, PROMISES, 300, 0, None), (409, MirrorInfo(1_000, 300))),
        (301, 1_000, Held(ORIGIN, PROMISES, 300, 0, None), (409, MirrorInfo(1_000, 300))),
        (301, 600, Held(ORIGIN, PROMISES, 300, 0, None), (409, MirrorInfo(600, 300))),
        (300, 999, Held(ORIGIN, PROMISES, 300, 0, None), (409, MirrorInfo(1_000, 300))),
        (900, 600, Held(ORIGIN, PROMISES, 900, 700, None), (409, MirrorInfo(1_000, 900))),
        (0, 0, Held(ORIGIN, PROMISES, 300, 0, None), (409, MirrorInfo(1_000, 300))),
        (0, 0, Held(ORIGIN, {}, 0, 0, None), (422, None)),
        (300, 1_000, Held(ORIGIN, PROMISES, 300, 0, "two-branches"), (403, None)),
    ],
)
def test_an_upload_is_judged_by_what_is_held(start, end, held, expected) -> None:
    verdict = judge_upload(EntriesHead(ORIGIN, start, end), held)
    if isinstance(expected, Checkpoint):
        assert verdict == expected
        return
    assert isinstance(verdict, Answer)
    assert verdict.status == expected[0]
    if expected[1] is not None:
        assert verdict.content_type == "text/x.tlog.mirror-info"
        assert MirrorInfo.parse(verdict.body) == expected[1]


def test_a_complete_upload_is_cosigned_by_the_mirror() -> None:
    db = fresh()
    offer(db, honest(), 0, SIZE)
    answer = upload(db, honest().packages(0, SIZE), 0, SIZE)
    assert answer.status == 200
    (line,) = decode_lines(answer.body)
    assert isinstance(line, NoteSignature)
    assert MIRROR.vkey.verifies(honest().at(SIZE).text(), line.blob)
    held = head(db, ORIGIN)
    assert (held.size, held.root, held.checkpoint) == (SIZE, honest().at(SIZE).root, honest().note(SIZE))
    assert stored(db) == honest().bodies
    again = upload(db, [], SIZE, SIZE)
    assert (again.status, len(decode_lines(again.body))) == (200, 1)


def test_a_second_upload_of_the_same_entries_changes_nothing() -> None:
    """Two relays race: both were judged at the same state."""
    db = fresh()
    offer(db, honest(), 0, SIZE)
    verdict = judge_upload(EntriesHead(ORIGIN, 0, SIZE), held_of(db, ORIGIN))
    assert isinstance(verdict, Checkpoint)
    racing = []
    for cut in (3, 5):
        checked = Checked(verdict, 0, Before())
        for package in honest().packages(0, SIZE)[:cut]:
            checked.take(package)
        racing.append(checked.verified())
    for order in (racing, racing[::-1]):
        other = fresh()
        offer(other, honest(), 0, SIZE)
        for verified in order:
            store_upload(other, verified, cosigner=MIRROR, now_ms=NOW_MS)
        assert stored(other) == honest().bodies


ends = st.sampled_from([1, 255, 256, 257, 300, 511, 512, 700, 1_024, 1_199, SIZE])
step = st.one_of(
    st.tuples(st.just("offer"), ends),
    st.tuples(st.just("upload"), st.integers(0, SIZE), ends, st.integers(0, 6)),
    st.tuples(st.just("resume"), ends, st.integers(0, 3)),
    st.tuples(st.just("lie"), ends, st.sampled_from(["entry", "proof", "swap", "branch", "cut"])),
)


@given(st.lists(step, max_size=12))
@settings(max_examples=80, deadline=None)
def test_whatever_is_sent_the_copy_is_an_exact_prefix(steps) -> None:
    """Cut anywhere, repeated, out of order or lied about: rows are the log's first ones, the head fits them."""
    db, log = fresh(), honest()
    before = 0
    for kind, *what in steps:
        held = held_of(db, ORIGIN)
        if kind == "offer":
            offer(db, log, min(max(held.promises, default=0), what[0]), what[0])
        elif kind == "upload":
            start, end, count = what
            if start <= end:
                upload(db, log.packages(start, end)[:count], start, end)
        elif kind == "resume":
            end, count = what
            start = min(held.next_entry, end)
            upload(db, log.packages(start, end)[:count], start, end)
        else:
            end, how = what
            start = min(held.next_entry, end)
            packages = lie(log, log.packages(start, end), start, end, how)
            answer = upload(db, packages, start, end)
            if packages and start < end:
                assert answer.status in {202, 409, 422, 403}
        found = head(db, ORIGIN) if held_of(db, ORIGIN).promises else None
        if found is not None:
            assert found.size >= before
            assert stored(db) == log.bodies[: found.size]
            assert found.root == log.at(found.size).root
            assert found.frozen is None
            before = found.size


def lie(log: Log, packages: list[Package], start: int, end: int, how: str) -> list[Package]:
    if not packages:
        return []
    first = packages[0]
    match how:
        case "entry":
            changed = (b"forged", *first.entries[1:])
            return [Package(first.span, changed, first.proof), *packages[1:]]
        case "proof":
            broken = tuple(bytes(32) for _ in first.proof) or (bytes(32),)
            return [Package(first.span, first.entries, broken), *packages[1:]]
        case "swap":
            swapped = first.entries[::-1] if len(first.entries) > 1 else (b"forged",)
            return [Package(first.span, swapped, first.proof)]
        case "branch":
            return [Package(first.span, tuple(b"other %d" % n for n in range(len(first.entries))), first.proof)]
        case _:
            return [Package(first.span, first.entries, (*first.proof, bytes(32)))]


def test_a_lie_in_the_middle_keeps_what_was_true_before_it() -> None:
    db, log = fresh(), honest()
    offer(db, log, 0, SIZE)
    packages = log.packages(0, SIZE)
    packages[2] = lie(log, packages[2:3], 512, SIZE, "entry")[0]
    answer = upload(db, packages, 0, SIZE)
    assert answer.status == 202
    assert MirrorInfo.parse(answer.body).next_entry == 512
    assert stored(db) == log.bodies[:512]


def test_promises_that_never_fill_do_not_pile_up() -> None:
    db = fresh()
    log = open_log(db, ORIGIN)
    for size in range(1, 100):
        keep_promise(db, log.log_id, honest().at(size), honest().note(size))
    assert sorted(held_of(db, ORIGIN).promises) == [1, *range(84, 100)], "the newest, and the next that can be filled"


# -- a relay that knows less than the mirror was promised -------------------------------------------------------------


def test_a_relay_may_bring_an_older_checkpoint_that_continues_the_entries() -> None:
    """The log promised 900 and died; a neighbour holds 600 of them."""
    db, log = fresh(), honest()
    offer(db, log, 0, 300)
    assert upload(db, log.packages(0, 300), 0, 300).status == 200
    assert offer(db, log, 300, 900).status == 200
    assert offer(db, log, 0, 600, owner=False).status == 409
    assert offer(db, log, 300, 600, owner=False).status == 200
    assert upload(db, log.packages(300, 600), 300, 600).status == 200
    assert upload(db, log.packages(600, 900), 600, 900).status == 200
    assert stored(db) == log.bodies[:900]
    assert misbehaviours(db) == ()


def test_the_log_itself_is_told_that_it_went_back() -> None:
    db, log = fresh(), honest()
    offer(db, log, 0, 900)
    answer = offer(db, log, 0, 600, owner=True)
    assert (answer.status, decode_size(answer.body)) == (409, 900)


def test_a_witness_takes_no_older_checkpoint_from_anybody() -> None:
    db, log = fresh(), honest()
    offer(db, log, 0, 900, witness=WITNESS)
    assert offer(db, log, 0, 600, owner=False, witness=WITNESS).status == 409


def test_a_relay_cannot_spoil_an_honest_log_with_a_bad_proof_of_an_older_checkpoint() -> None:
    db, log = fresh(), honest()
    offer(db, log, 0, 300)
    upload(db, log.packages(0, 300), 0, 300)
    offer(db, log, 300, 900)
    spoiled = AddCheckpoint(300, (bytes(32),), log.note(600))
    answer = take_checkpoint(db, spoiled, log.opened(600), shown_by="b", owner=False, witness=None, now_ms=NOW_MS)
    assert answer.status == 422
    assert misbehaviours(db) == ()
    assert held_of(db, ORIGIN).frozen is None


def test_another_history_by_way_of_a_relay_is_never_mixed_with_the_promised_one() -> None:
    """The log's key signed 900 of one history and 600 of another: what is stored stays one of them, whole."""
    db, log, other = fresh(), honest(), forked()
    offer(db, log, 0, 300)
    upload(db, log.packages(0, 300), 0, 300)
    offer(db, log, 300, 900)
    assert offer(db, other, 300, 600, owner=False).status == 200
    assert upload(db, other.packages(300, 600), 300, 600).status == 200
    assert upload(db, log.packages(600, 900), 600, 900).status == 422
    assert stored(db) == other.bodies[:600]
    assert offer(db, log, 600, 900, owner=False).status == 409
    take_checkpoint(db, log.grow(300, 600), log.opened(600), shown_by="a", owner=True, witness=None, now_ms=NOW_MS)
    assert held_of(db, ORIGIN).frozen == "two-branches"


def test_entries_stored_meanwhile_are_skipped_only_where_they_are_the_same() -> None:
    db, log, other = fresh(), honest(), forked()
    offer(db, log, 0, 300)
    upload(db, log.packages(0, 300), 0, 300)
    offer(db, log, 300, 900)
    late = Checked(log.at(900), 300, before(db, ORIGIN, 300))
    for package in log.packages(300, 900)[:2]:
        late.take(package)
    offer(db, other, 300, 600, owner=False)
    upload(db, other.packages(300, 600), 300, 600)
    assert store_upload(db, late.verified(), cosigner=MIRROR, now_ms=NOW_MS).status == 403
    assert stored(db) == other.bodies[:600]
    assert {(one.held, one.shown) for one in misbehaviours(db)} == {(other.note(600), log.note(900))}


def relayed_branch(brought: int) -> apsw.Connection:
    """The log's node has promised 620 of one branch and died; a relay brings another branch up to `brought`."""
    db, log, other = fresh(), honest(), forked()
    offer(db, log, 0, 256)
    assert upload(db, log.packages(0, 256), 0, 256).status == 200
    assert offer(db, log, 256, 620).status == 200
    assert offer(db, other, 256, brought, owner=False).status == 200
    assert upload(db, other.packages(256, brought), 256, brought).status == 200
    return db


@pytest.mark.parametrize("brought", [301, 310, 511, 512, 513, 600])
@pytest.mark.parametrize("end", [620, 700, 1_100])
def test_a_branch_that_a_relay_brought_is_found_out_when_the_other_goes_on(brought: int, end: int) -> None:
    db, log, other = relayed_branch(brought), honest(), forked()
    if end > 620:
        assert offer(db, log, 620, end).status == 200
    answer = upload(db, log.packages(brought, end), brought, end)
    if answer.status == 422:  # the first package begins in the middle: the mirror cannot tell before it has all of it
        start = brought - brought % 256
        answer = upload(db, log.packages(start, end), start, end)
    assert answer.status == 403
    assert held_of(db, ORIGIN).frozen == "two-branches"
    assert (other.note(brought), log.note(end)) in {(one.held, one.shown) for one in misbehaviours(db)}
    assert stored(db) == other.bodies[:brought]


def test_a_branch_of_which_only_a_part_arrived_is_found_out_too() -> None:
    db, log, other = fresh(), honest(), forked()
    offer(db, log, 0, 256)
    upload(db, log.packages(0, 256), 0, 256)
    offer(db, log, 256, 620)
    offer(db, other, 256, 600, owner=False)
    assert upload(db, other.packages(256, 600)[:1], 256, 600).status == 202
    assert upload(db, log.packages(512, 620), 512, 620).status == 403
    assert {(one.held, one.shown) for one in misbehaviours(db)} >= {(other.note(600), log.note(620))}
    assert stored(db) == other.bodies[:512]


def test_a_checkpoint_within_a_tree_of_the_other_branch_is_never_cosigned() -> None:
    db, log, other = relayed_branch(600), honest(), forked()
    keep_promise(db, open_log(db, ORIGIN).log_id, log.at(590), log.note(590))
    db.execute("UPDATE logs SET checkpoint_size = 256, checkpoint = ?", (log.note(256),))
    db.execute("DELETE FROM cosignatures")
    assert upload(db, [], 590, 590).status == 403
    assert (other.note(600), log.note(590)) in {(one.held, one.shown) for one in misbehaviours(db)}


@given(start=st.integers(0, 1_199), data=st.data())
def test_the_hashes_left_of_a_range_in_its_proof_are_the_frontier_before_it(start: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(start + 1, SIZE))
    proof = subtree_proof(honest().hashes, start, start + 1, size)
    assert left_of(start, size, proof) == frontier_of(honest().hashes, start).hashes
    assert frontier_of(honest().hashes, start) == Frontier().extend(map(leaf_hash, honest().bodies[:start]))
