"""Every MUST of C2SP tlog-witness v1.0.0 and tlog-mirror (commit 5ba5ee8) that binds a receiver, by the test that holds us to it.

`MUSTS` is the list; its own test checks that nothing in it is an empty promise. sign-subtree is optional and not offered;
nothing is pruned, so the minimum index is zero.
"""

import ast
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from sync.checkpoint import Checkpoint, open_checkpoint, sign
from sync.log import LOG_SCHEMA, read_bodies
from sync.merkle import EMPTY_ROOT
from sync.note import NoteSignature, SignedNote, Signer
from sync.receiver import Ask, MirroredLog, SyncNode, log_hash, receive
from sync.wire import AddCheckpoint, EntriesHead, MirrorInfo, decode_lines
from sync.witness import Answer
from tests.bytes.test_mirror import LOG, MIRROR, NOW_MS, ORIGIN, WITNESS, forked, honest

HERE = "tests/shell/test_c2sp_musts.py"
REPLICATION = "tests/shell/test_replication.py"
WHO_MAY = "tests/shell/test_who_may_replicate.py"
HOSTILE = "tests/shell/test_hostile_replication.py"
MIRROR_TESTS = "tests/bytes/test_mirror.py"
WIRE = "tests/bytes/test_wire.py"
VECTORS = "tests/bytes/test_vectors.py"
KILLS = "tests/faults/test_kill_while_replicating.py"

MUSTS: dict[str, tuple[str, ...]] = {
    # tlog-witness, add-checkpoint
    "witness: the request is a POST": (f"{HERE}::test_add_checkpoint_and_add_entries_are_posts",),
    "witness: old size, proof lines and checkpoint, each line ended, no leading zero, at most 63 hashes": (
        f"{WIRE}::test_a_checkpoint_in_another_spelling_is_malformed",
        f"{WIRE}::test_a_proof_of_63_hashes_may_be_sent_and_64_may_not",
        f"{HOSTILE}::test_hostile_checkpoints_are_refused_and_change_nothing",
    ),
    "witness: verifies the log's signature, ignores unknown keys": (
        f"{HERE}::test_signatures_of_strangers_are_ignored",
        f"{VECTORS}::test_lines_of_unknown_keys_are_ignored_and_carried_on",
    ),
    "witness: 404 for an unknown origin": (f"{HERE}::test_add_checkpoint_answers_as_specified",),
    "witness: 403 where no signature is of a trusted key": (
        f"{HERE}::test_add_checkpoint_answers_as_specified",
        f"{WHO_MAY}::test_a_checkpoint_signed_by_another_key_is_refused",
    ),
    "witness: 400 where old is beyond the checkpoint": (f"{HERE}::test_add_checkpoint_answers_as_specified",),
    "witness: 409 text/x.tlog.size with the recorded size where old is another": (
        f"{HERE}::test_add_checkpoint_answers_as_specified",
        f"{MIRROR_TESTS}::test_a_conflict_names_the_recorded_size",
    ),
    "witness: 422 for size zero with another root than the empty tree's": (
        f"{HERE}::test_add_checkpoint_answers_as_specified",
    ),
    "witness: 422 for a proof where old is zero, and for one that does not verify": (
        f"{HERE}::test_add_checkpoint_answers_as_specified",
        f"{MIRROR_TESTS}::test_a_checkpoint_is_judged_as_the_specification_says",
    ),
    "witness: 422 for another root at the recorded size; it is not cosigned, it may be proof of misbehaviour": (
        f"{HERE}::test_add_checkpoint_answers_as_specified",
        f"{MIRROR_TESTS}::test_another_root_at_a_known_size_is_a_branch_whatever_else_is_asked",
    ),
    "witness: 200 with cosignature lines of the witness, timestamp not zero": (
        f"{HERE}::test_the_witness_answers_with_its_cosignature_of_this_moment",
    ),
    "witness: persisted before the answer, checked and recorded in one step": (
        f"{HERE}::test_an_answer_is_given_only_after_the_commit_that_it_speaks_of",
        f"{HERE}::test_two_checkpoints_at_once_are_judged_one_after_the_other",
        f"{KILLS}::test_what_the_receiver_cosigned_was_on_its_disk",
    ),
    "witness: the monitored checkpoint has the log's signature and the witness's, 404 before the first": (
        f"{HERE}::test_the_monitored_checkpoints_carry_their_cosigners_line",
    ),
    # tlog-mirror, add-checkpoint
    "mirror: add-checkpoint is judged as a witness judges it": (f"{HERE}::test_add_checkpoint_answers_as_specified",),
    "mirror: the log's signature is kept in the pending checkpoint": (
        f"{HERE}::test_the_monitored_checkpoints_carry_their_cosigners_line",
    ),
    "mirror: the mirror's key does not sign here": (
        f"{MIRROR_TESTS}::test_the_mirror_key_does_not_sign_a_checkpoint_without_its_entries",
        f"{HERE}::test_the_mirror_takes_a_checkpoint_with_an_empty_answer",
    ),
    "mirror: witness and mirror are two cosigners with two names and two monitoring prefixes": (
        f"{HERE}::test_the_monitored_checkpoints_carry_their_cosigners_line",
    ),
    "mirror: the served checkpoint includes the mirror's cosignature": (
        f"{HERE}::test_the_monitored_checkpoints_carry_their_cosigners_line",
    ),
    # tlog-mirror, add-entries
    "mirror: Content-Type application/octet-stream": (
        f"{HERE}::test_an_upload_of_another_content_type_is_refused",
        f"{HOSTILE}::test_hostile_uploads_are_refused_and_change_nothing",
    ),
    "mirror: start is not beyond end; a package has at most 63 hashes": (
        f"{WIRE}::test_an_upload_that_breaks_a_bound_is_malformed",
    ),
    "mirror: end is the pending size or that of an earlier pending checkpoint": (
        f"{HERE}::test_add_entries_answers_as_specified",
        f"{HERE}::test_an_earlier_pending_checkpoint_is_still_good_as_an_end",
    ),
    "mirror: a prefix of the canonical sequence is processed": (
        f"{HERE}::test_part_of_an_upload_is_kept_and_the_client_told_where_to_go_on",
        f"{WIRE}::test_packages_are_cut_at_multiples_of_256",
    ),
    "mirror: Content-Encoding gzip is read": (f"{REPLICATION}::test_packed_bodies_arrive_like_plain_ones",),
    "mirror: 404 for an unknown log": (f"{HERE}::test_add_entries_answers_as_specified",),
    "mirror: 422 where no pending checkpoint was ever received": (f"{HERE}::test_add_entries_answers_as_specified",),
    "mirror: 409 for an unknown end, one below the mirror checkpoint, a start beyond next entry, too much that is held": (
        f"{HERE}::test_add_entries_answers_as_specified",
        f"{MIRROR_TESTS}::test_an_upload_is_judged_by_what_is_held",
    ),
    "mirror: every package is verified against the checkpoint at end; 422 where it does not fit": (
        f"{HERE}::test_add_entries_answers_as_specified",
        f"{MIRROR_TESTS}::test_whatever_is_sent_the_copy_is_an_exact_prefix",
    ),
    "mirror: entries that are there already are not written again": (
        f"{MIRROR_TESTS}::test_a_second_upload_of_the_same_entries_changes_nothing",
    ),
    "mirror: 202 with the advanced next entry for a part": (
        f"{HERE}::test_part_of_an_upload_is_kept_and_the_client_told_where_to_go_on",
    ),
    "mirror: 400 where no package was whole": (f"{HERE}::test_add_entries_answers_as_specified",),
    "mirror: 202 and 409 are text/x.tlog.mirror-info of three lines; the first is the client's end where that was good": (
        f"{HERE}::test_add_entries_answers_as_specified",
        f"{HERE}::test_part_of_an_upload_is_kept_and_the_client_told_where_to_go_on",
        f"{WIRE}::test_answers_are_read_back",
    ),
    "mirror: nothing is believed because a ticket says it": (f"{HERE}::test_a_ticket_opens_nothing",),
    "mirror: the checkpoint never goes back; 409 for an end that is overtaken": (
        f"{HERE}::test_add_entries_answers_as_specified",
    ),
    "mirror: 200 with cosignature lines of the mirror, persisted before": (
        f"{HERE}::test_a_whole_upload_is_answered_by_the_mirrors_cosignature",
        f"{HERE}::test_an_answer_is_given_only_after_the_commit_that_it_speaks_of",
    ),
    "mirror: concurrent uploads of one log, and one that stops midway, leave it in order": (
        f"{HOSTILE}::test_a_second_upload_of_a_log_waits_its_turn_and_a_third_is_told_to_come_back",
        f"{MIRROR_TESTS}::test_a_lie_in_the_middle_keeps_what_was_true_before_it",
    ),
    "mirror: nothing is signed before all entries are durable; next entry is the first that is missing": (
        f"{KILLS}::test_what_the_receiver_cosigned_was_on_its_disk",
        f"{MIRROR_TESTS}::test_whatever_is_sent_the_copy_is_an_exact_prefix",
    ),
    "client: cosignatures of unknown keys are ignored": (f"{WHO_MAY}::test_a_cosignature_by_another_key_is_not_reach",),
}


def test_every_must_names_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    for clause, tests in MUSTS.items():
        assert tests, clause
        for name in tests:
            path, _, function = name.partition("::")
            tree = ast.parse((root / path).read_text(encoding="utf-8"))
            defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert function in defined, name


class Tables:
    """The node's store, its transactions run at once; `committed` says whether the last one was."""

    def __init__(self) -> None:
        self.conn = apsw.Connection(":memory:")
        self.conn.execute(LOG_SCHEMA)
        self.full = False
        self.writes = 0

    async def write(self, fn: Callable[[apsw.Connection], Any]) -> Any:
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            result = fn(self.conn)
            self._fit()
        except BaseException:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")
        self.writes += 1
        return result

    def _fit(self) -> None:
        if self.full:
            raise apsw.FullError

    async def read(self, fn: Callable[[apsw.Connection], Any]) -> Any:
        return fn(self.conn)


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def node(tables: Tables) -> SyncNode:
    return SyncNode(
        db=tables,
        cosigner=MIRROR,
        witness=WITNESS,
        prefecture="dali.erhai",
        trust={ORIGIN: MirroredLog(LOG.vkey, "a")},
        allowed=lambda _peer, _origin: True,
        now_ms=lambda: NOW_MS,
    )


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 30_000):
        yield body[at : at + 30_000]


async def ask(node: SyncNode, path: str, body: bytes = b"", *, method: str = "POST", kind: str = "") -> Answer:
    headers = {"Content-Type": kind or "application/octet-stream"}
    return await receive(node, Ask("a", method, path, headers, _pieces(body)))


async def pend(node: SyncNode, old: int, new: int, where: str = "mirror") -> Answer:
    return await ask(node, f"/{where}/add-checkpoint", bytes(honest().grow(old, new)))


def upload_of(start: int, end: int, *, packages: int = 99, ticket: bytes = b"", origin: str = ORIGIN) -> bytes:
    parts = honest().packages(start, end)[:packages] if end <= 1_200 else []
    return bytes(EntriesHead(origin, start, end, ticket)) + b"".join(map(bytes, parts))


async def upload(node: SyncNode, start: int, end: int, **how: Any) -> Answer:
    return await ask(node, "/mirror/add-entries", upload_of(start, end, **how))


ZERO = sign(Checkpoint(ORIGIN, 0, b"\1" * 32), LOG)
EMPTY = sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LOG)
OTHER_LOG = Signer.from_seed("dali.erhai/other/e1", b"\x01" * 32)
SAME_NAME = Signer.from_seed(ORIGIN, b"\x0b" * 32)
HASH = b"\5" * 32
PLAIN, SIZE_TYPE = "text/plain; charset=utf-8", "text/x.tlog.size"
# what is sent to a receiver that knows size 700; status, Content-Type, body where it is fixed
CHECKPOINTS: dict[str, tuple[AddCheckpoint, int, str, bytes | None]] = {
    "an unknown origin": (
        AddCheckpoint(0, (), sign(Checkpoint("dali.erhai/other/e1", 3, HASH), OTHER_LOG)), 404, PLAIN, None,
    ),
    "only a key of the same name": (AddCheckpoint(700, (), sign(honest().at(700), SAME_NAME)), 403, PLAIN, None),
    "old beyond the checkpoint": (AddCheckpoint(701, (), honest().note(700)), 400, PLAIN, None),
    "old below what is recorded": (honest().grow(300, 900), 409, SIZE_TYPE, b"700\n"),
    "old zero": (AddCheckpoint(0, (), honest().note(700)), 409, SIZE_TYPE, b"700\n"),
    "old above what is recorded": (honest().grow(800, 900), 409, SIZE_TYPE, b"700\n"),
    "a proof that does not verify": (AddCheckpoint(700, (HASH,), honest().note(900)), 422, PLAIN, None),
    "no proof": (AddCheckpoint(700, (), honest().note(900)), 422, PLAIN, None),
    "another root at the same size": (AddCheckpoint(700, (), forked().note(700)), 422, PLAIN, None),
    "the same checkpoint again": (AddCheckpoint(700, (), honest().note(700)), 200, PLAIN, None),
    "the next checkpoint": (honest().grow(700, 900), 200, PLAIN, None),
}  # fmt: skip
# to a receiver that knows nothing
FIRST: dict[str, tuple[AddCheckpoint, int]] = {
    "size zero with another root": (AddCheckpoint(0, (), ZERO), 422),
    "size zero": (AddCheckpoint(0, (), EMPTY), 200),
    "a proof with old zero": (AddCheckpoint(0, (HASH,), honest().note(5)), 422),
    "old where nothing is recorded": (honest().grow(3, 5), 409),
    "the first": (AddCheckpoint(0, (), honest().note(5)), 200),
}


@pytest.mark.parametrize("where", ["witness", "mirror"])
@pytest.mark.parametrize("case", CHECKPOINTS)
async def test_add_checkpoint_answers_as_specified(node, where: str, case: str) -> None:
    request, status, content_type, body = CHECKPOINTS[case]
    assert (await pend(node, 0, 700, where)).status == 200
    answer = await ask(node, f"/{where}/add-checkpoint", bytes(request))
    assert (answer.status, answer.content_type) == (status, content_type)
    if body is not None:
        assert answer.body == body


@pytest.mark.parametrize("where", ["witness", "mirror"])
@pytest.mark.parametrize("case", FIRST)
async def test_the_first_checkpoint_is_answered_as_specified(node, where: str, case: str) -> None:
    request, status = FIRST[case]
    answer = await ask(node, f"/{where}/add-checkpoint", bytes(request))
    assert answer.status == status
    if status == 409:
        assert (answer.content_type, answer.body) == (SIZE_TYPE, b"0\n")


async def test_add_checkpoint_and_add_entries_are_posts(node) -> None:
    for path in ("/witness/add-checkpoint", "/mirror/add-checkpoint", "/mirror/add-entries"):
        assert (await ask(node, path, method="GET")).status == 404
        assert (await ask(node, path, method="PUT")).status == 404


async def test_signatures_of_strangers_are_ignored(node) -> None:
    note = SignedNote.parse(honest().note(5))
    strangers = [SAME_NAME.sign(note.text), WITNESS.cosign(note.text, 5)]
    both = AddCheckpoint(0, (), bytes(note.with_signatures(strangers)))
    assert (await ask(node, "/witness/add-checkpoint", bytes(both))).status == 200
    forged = NoteSignature(ORIGIN, LOG.vkey.key_id, b"\0" * 64)
    spoilt = AddCheckpoint(5, (), bytes(SignedNote(note.text, (forged, *strangers))))
    assert (await ask(node, "/witness/add-checkpoint", bytes(spoilt))).status == 403


async def test_the_witness_answers_with_its_cosignature_of_this_moment(node) -> None:
    answer = await pend(node, 0, 700, "witness")
    assert answer.body.endswith(b"\n")
    (line,) = decode_lines(answer.body)
    assert (line.name, int.from_bytes(line.blob[:8])) == (WITNESS.vkey.name, NOW_MS // 1_000)
    assert WITNESS.vkey.verifies(honest().at(700).text(), line.blob)


async def test_the_mirror_takes_a_checkpoint_with_an_empty_answer(node) -> None:
    assert await pend(node, 0, 700) == Answer(200, b"", PLAIN)


async def test_an_answer_is_given_only_after_the_commit_that_it_speaks_of(node, tables) -> None:
    """Where the commit fails there is no signature and nothing is recorded."""
    tables.full = True
    for where in ("witness", "mirror"):
        failed = await pend(node, 0, 700, where)
        assert (failed.status, b"\xe2\x80\x94" in failed.body) == (500, False)
    tables.full = False
    await pend(node, 0, 700)
    tables.full = True
    failed = await upload(node, 0, 700)
    assert (failed.status, b"\xe2\x80\x94" in failed.body) == (500, False)
    tables.full = False
    assert (await ask(node, f"/mirror/{log_hash(ORIGIN)}/checkpoint", method="GET")).status == 404
    assert (await upload(node, 0, 700)).status == 200


async def test_two_checkpoints_at_once_are_judged_one_after_the_other(node) -> None:
    """The second finds what the first has recorded, though both were proven against the same old size."""
    await pend(node, 0, 300, "witness")
    first, second = honest().grow(300, 700), honest().grow(300, 900)
    answers = [await ask(node, "/witness/add-checkpoint", bytes(one)) for one in (first, second)]
    assert [(one.status, one.content_type) for one in answers] == [(200, PLAIN), (409, SIZE_TYPE)]
    assert answers[1].body == b"700\n"


async def test_the_monitored_checkpoints_carry_their_cosigners_line(node) -> None:
    name = log_hash(ORIGIN)
    for where in ("witness", "mirror"):
        assert (await ask(node, f"/{where}/{name}/checkpoint", method="GET")).status == 404
    await pend(node, 0, 900, "witness")
    await pend(node, 900, 900)
    assert (await ask(node, f"/mirror/{name}/checkpoint", method="GET")).status == 404
    assert (await upload(node, 0, 900)).status == 200
    for where, mine, other in (("witness", WITNESS, MIRROR), ("mirror", MIRROR, WITNESS)):
        answer = await ask(node, f"/{where}/{name}/checkpoint", method="GET")
        assert (answer.status, answer.content_type) == (200, PLAIN)
        opened = open_checkpoint(answer.body, [LOG.vkey, mine.vkey])
        assert opened.checkpoint == honest().at(900)
        assert mine.vkey.name in {one.name for one in opened.cosignatures}
        assert other.vkey.name != mine.vkey.name
    assert MIRROR.vkey.name != WITNESS.vkey.name


# a receiver that was promised 600 and 1,000 and holds 520 entries: what is uploaded, status, and where to go on
UPLOADS: dict[str, tuple[bytes, int, tuple[int, int] | None]] = {
    "an unknown log": (upload_of(0, 600, origin="dali.erhai/other/e1"), 404, None),
    "an end that was never promised": (upload_of(512, 800), 409, (1_000, 520)),
    "an end beyond every promise": (upload_of(512, 5_000), 409, (1_000, 520)),
    "a start beyond next entry": (upload_of(521, 1_000), 409, (1_000, 520)),
    "a start beyond next entry, with an older end": (upload_of(550, 600), 409, (600, 520)),
    "much that is held": (upload_of(0, 1_000), 409, (1_000, 520)),
    "no package": (upload_of(512, 1_000, packages=0), 400, None),
    "half a package": (upload_of(512, 1_000)[:2_000], 400, None),
    "entries of another log": (
        bytes(EntriesHead(ORIGIN, 520, 1_000)) + b"".join(map(bytes, forked().packages(520, 1_000))), 422, None,
    ),
    "one package": (upload_of(520, 1_000, packages=1), 202, (1_000, 768)),
    "one package for an older promise": (upload_of(520, 600), 200, None),
    "all the rest": (upload_of(520, 1_000), 200, None),
    "all the rest from the package's start": (upload_of(512, 1_000), 200, None),
}  # fmt: skip


@pytest.mark.parametrize("case", UPLOADS)
async def test_add_entries_answers_as_specified(node, tables, case: str) -> None:
    body, status, info = UPLOADS[case]
    if case == "an unknown log":
        assert (await ask(node, "/mirror/add-entries", body)).status == 404
    assert (await upload(node, 0, 600)).status == 422  # nothing was promised yet
    await pend(node, 0, 520)
    assert (await upload(node, 0, 520)).status == 200
    await pend(node, 520, 600)
    await pend(node, 600, 1_000)
    answer = await ask(node, "/mirror/add-entries", body)
    assert answer.status == status
    if info is not None:
        assert answer.content_type == "text/x.tlog.mirror-info"
        assert MirrorInfo.parse(answer.body) == MirrorInfo(*info)
    if status == 200:
        again = await upload(node, 512, 520)
        assert (again.status, again.content_type) == (409, "text/x.tlog.mirror-info")  # the mirror does not go back
    held = [entry for _, entry in read_bodies(tables.conn, ORIGIN, 0, 9_999)]
    assert held == honest().bodies[: len(held)]


async def test_an_earlier_pending_checkpoint_is_still_good_as_an_end(node) -> None:
    for old, new in ((0, 300), (300, 600), (600, 900)):
        await pend(node, old, new)
    assert [(await upload(node, start, end)).status for start, end in ((0, 300), (300, 600), (600, 900))] == [200] * 3


async def test_part_of_an_upload_is_kept_and_the_client_told_where_to_go_on(node) -> None:
    await pend(node, 0, 1_200)
    whole = upload_of(0, 1_200)
    for share in (0.5, 0.9):
        answer = await ask(node, "/mirror/add-entries", whole[: int(len(whole) * share)])
        assert (answer.status, answer.content_type) == (202, "text/x.tlog.mirror-info")
        assert answer.body.count(b"\n") == 3
        info = MirrorInfo.parse(answer.body)
        assert info.pending == 1_200
        whole = upload_of(info.next_entry, 1_200)
        assert 0 < info.next_entry < 1_200
        assert info.next_entry % 256 == 0
    assert (await ask(node, "/mirror/add-entries", whole)).status == 200


async def test_a_whole_upload_is_answered_by_the_mirrors_cosignature(node, tables) -> None:
    await pend(node, 0, 700)
    before = tables.writes
    answer = await upload(node, 0, 700)
    assert tables.writes > before
    (line,) = decode_lines(answer.body)
    assert (answer.status, line.name, answer.body.endswith(b"\n")) == (200, MIRROR.vkey.name, True)
    assert MIRROR.vkey.verifies(honest().at(700).text(), line.blob)


async def test_an_upload_of_another_content_type_is_refused(node) -> None:
    await pend(node, 0, 700)
    assert (await ask(node, "/mirror/add-entries", upload_of(0, 700), kind="text/plain")).status == 415


async def test_a_ticket_opens_nothing(node) -> None:
    await pend(node, 0, 700)
    answer = await upload(node, 0, 900, ticket=honest().note(900))
    assert (answer.status, MirrorInfo.parse(answer.body)) == (409, MirrorInfo(700, 0))
