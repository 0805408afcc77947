"""From what a page asks to what the rules may see: seals, session keys, openings (密封与开启).

The rules are pure, so keys and chance stay here: a command leaves this module with its salts, commitments and envelopes
filled in, or with envelopes opened, and the rules check every commitment again.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import apsw

from node.domain import evaluation, sheet, wire
from node.domain.evaluation import OpenedChecklist, OpenedMarks, StartEvaluation
from node.domain.refused import Refused
from node.domain.sheet import CheckResult, CriterionMark, SubmitChecklist, SubmitMarks
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Head
from node.views import custody as custody_view
from sync import codec
from sync.keys import NodeKeys
from sync.log import read_entry
from sync.merkle import leaf_hash
from sync.seal import open_with, open_with_key, seal_to, seal_with_key

_REF_SIGNS = 6


def ref_of(command_id: bytes) -> str:
    """Return the random, lot-bound reference of a new participant: from the command's own random id, so that a repeated
    submit names the same one.
    """
    return "P-" + base64.b32encode(hashlib.sha256(b"erhai-ref-v1\0" + command_id).digest())[:_REF_SIGNS].decode()


def digest_of(keys: NodeKeys, *content: Any) -> bytes:
    """Return a keyed digest of what a person gave, to tell a repeated command from another under its id.

    Keyed with what only this node's key folder holds: marks are few enough to be tried out against a bare digest.
    """
    key = hashlib.sha256(b"erhai-command-digest-v1\0" + keys.sealing.private_bytes_raw()).digest()
    return hmac.new(key, codec.pack(wire.to_plain(content)), hashlib.sha256).digest()


def session_context(lot_code: str, round_no: int) -> bytes:
    """Return what a session key is bound to."""
    return f"erhai-session-v1\n{lot_code}\n{round_no}\n".encode()


def start_evaluation(lot_code: str, round_no: int, venues: dict[str, bytes]) -> StartEvaluation:
    """Return the command with a fresh session key, committed to and wrapped to every venue node's sealing key."""
    key = secrets.token_bytes(32)
    context = session_context(lot_code, round_no)
    wraps = tuple((node, seal_to({node: public}, key, context)) for node, public in sorted(venues.items()))
    return StartEvaluation(session_commitment=hashlib.sha256(key).digest(), wraps=wraps)


def entries_of(db: apsw.Connection, stream: str) -> Iterator[tuple[codec.Entry, bytes, tuple[Any, ...]]]:
    """Yield a stream's entries held here, their bytes, and their decoded events, in stream order."""
    for row in custody_view.of_stream(db, stream):
        body = read_entry(db, row.origin, row.seq)
        entry = codec.decode(body)
        yield entry, body, tuple(wire.decode(name, version, fields) for name, version, fields in entry.events)


def session_key(db: apsw.Connection, lot_code: str, round_no: int, keys: NodeKeys) -> bytes:
    """Return the session key of the evaluation now under way, unwrapped with this node's own key."""
    started = None
    for _entry, _body, events in entries_of(db, lot_stream(lot_code)):
        started = next((event for event in events if isinstance(event, evaluation.EvaluationStarted)), started)
    if started is None:
        raise Refused("evaluation-not-started", rule="started-first", value=lot_code)
    for node, wrapped in started.wraps:
        if node == keys.node:
            key = open_with(node, keys.sealing, wrapped, session_context(lot_code, round_no))
            if not hmac.compare_digest(hashlib.sha256(key).digest(), started.session_commitment):
                raise Refused("session-key-differs", rule="session-commitment", value=node)
            return key
    raise Refused("not-a-venue", rule="session-wraps", value=keys.node, limit=", ".join(n for n, _ in started.wraps))


def _sheet_context(stream: str, ref: str, kind: str) -> bytes:
    return f"erhai-{kind}-v1\n{stream}\n{ref}\n".encode()


def seal_marks(stream: str, command: SubmitMarks, key: bytes) -> SubmitMarks:
    """Return the command with salt, commitment and envelope filled in."""
    salt = secrets.token_bytes(32)
    plain = codec.pack((salt, tuple((m.criterion, m.mark_centi, m.reason) for m in command.marks)))
    sealed = seal_with_key(key, plain, _sheet_context(stream, command.ref, "marks"))
    return replace(
        command, salt=salt, commitment=sheet.marks_commitment(salt, command.ref, command.marks), sealed=sealed
    )


def seal_checklist(stream: str, command: SubmitChecklist, key: bytes) -> SubmitChecklist:
    """Return the command with salt, commitment and envelope filled in."""
    salt = secrets.token_bytes(32)
    plain = codec.pack((salt, tuple((r.check, r.passed, r.reason) for r in command.results)))
    sealed = seal_with_key(key, plain, _sheet_context(stream, command.ref, "checklist"))
    made = sheet.checklist_commitment(salt, command.ref, command.results)
    return replace(command, salt=salt, commitment=made, sealed=sealed)


def open_marks(stream: str, member: str, ref: str, sealed: bytes, key: bytes) -> OpenedMarks:
    """Return a member's sealed marks on one bid, opened."""
    salt, marks = codec.unpack(open_with_key(key, sealed, _sheet_context(stream, ref, "marks")))
    return OpenedMarks(member, ref, salt, tuple(CriterionMark(*mark) for mark in marks))


def open_checklist(stream: str, member: str, ref: str, sealed: bytes, key: bytes) -> OpenedChecklist:
    """Return a member's sealed checklist of one bid, opened."""
    salt, results = codec.unpack(open_with_key(key, sealed, _sheet_context(stream, ref, "checklist")))
    return OpenedChecklist(member, ref, salt, tuple(CheckResult(*result) for result in results))


def newest_sealed(db: apsw.Connection, stream: str, kind: type) -> dict[str, Any]:
    """Return the newest sealed submission of each bid in one sheet: kind MarksSubmitted or ChecklistSubmitted."""
    newest: dict[str, Any] = {}
    for _entry, _body, events in entries_of(db, stream):
        for event in events:
            if isinstance(event, kind):
                newest[event.ref] = event  # type: ignore[attr-defined]
    return newest


def head_of(db: apsw.Connection, stream: str) -> Head | None:
    """Return the last entry of a stream held here; None where there is none."""
    rows = custody_view.of_stream(db, stream)
    if not rows:
        return None
    last = rows[-1]
    return Head(stream, last.origin, last.seq, leaf_hash(read_entry(db, last.origin, last.seq)))


def gather(
    db: apsw.Connection,
    lot_code: str,
    round_no: int,
    members: tuple[str, ...],
    open_one: Callable[[str, str], tuple[Any, ...]],
) -> tuple[tuple[Any, ...], tuple[Head, ...]]:
    """Return what `open_one(stream, member)` opens from every member's sheet, and the sheets' heads."""
    opened: list[Any] = []
    heads: list[Head] = []
    for member in members:
        stream = sheet_stream(lot_code, round_no, member)
        head = head_of(db, stream)
        if head is not None:
            heads.append(head)
            opened.extend(open_one(stream, member))
    return tuple(opened), tuple(heads)
