"""What the desk asks of a node where trustees hold the seals: take a bid, begin, take releases and halves (开标台)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import apsw

from node.attachments import away
from node.ceremony import check_bid
from node.ceremony_files import Release
from node.domain.bidding import SubmitBid
from node.domain.judged import APPOINTMENT, BID, RELEASE
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.trustees import AppointTrustees
from node.domain.unsealing import BeginCeremony, GiveHalf, ReleaseShares
from node.domain.values import Actor
from node.judged_signers import JudgedSigner, judge_signer
from node.node import Node
from node.receipts import Receipt
from sync.blobs import BlobFault

_Signed = TypeVar("_Signed", SubmitBid, AppointTrustees, ReleaseShares)


async def appoint_trustees(
    node: Node,
    lot_code: str,
    command: AppointTrustees,
    certificates: Sequence[bytes],
    *,
    command_id: bytes,
    actor: Actor,
) -> Receipt:
    """Record who holds the shares; each certificate (DER, in order) is judged where the node has anchors. Raises Refused."""

    def judge() -> tuple[JudgedSigner, ...]:
        rows = (judge_signer(node, APPOINTMENT, str(i), der) for i, der in enumerate(certificates, 1))
        return tuple(one for row in rows for one in row)

    judged = await asyncio.to_thread(judge)
    return await _judged(node, lot_code, lambda _db: command, judged, command, command_id=command_id, actor=actor)


async def submit_bid(node: Node, lot_code: str, command: SubmitBid, *, command_id: bytes, actor: Actor) -> Receipt:
    """Record a sealed file that is in the blob store. Where trustees hold the seals it must be sealed as the notice asks, by a
    certificate that counts here (ZBT 36).
    """
    lot = await node.state(lot_stream(lot_code))
    in_time = node.clock.now().at_ms < lot.notice.deadline_ms and not lot.opening.started  # else the rules say why not
    judged: tuple[JudgedSigner, ...] = ()
    if lot.terms.appointed is not None and in_time and lot.notice.knows(command.ref):
        signed, anchor = await asyncio.to_thread(check_bid, node.blobs, lot, command.ref, command.sha256)
        judged = await asyncio.to_thread(judge_signer, node, BID, command.ref, signed.certificate, signed.chain)
        for one in judged:
            if anchor and anchor not in one.anchor:
                raise Refused(
                    "bid-not-sealed-as-noticed", rule="sealed-as-noticed", value="anchor-differs", cites=("ZBT 36",)
                )
    return await _judged(node, lot_code, lambda _db: command, judged, command, command_id=command_id, actor=actor)


async def _judged(
    node: Node,
    lot_code: str,
    prepare: Callable[[apsw.Connection], _Signed],
    judged: tuple[JudgedSigner, ...],
    *content: Any,
    command_id: bytes,
    actor: Actor,
) -> Receipt:
    """Record a command with what was found of its signers. `content` is without that: a repeated command is judged anew."""

    def prepared(db: apsw.Connection) -> _Signed:
        command = prepare(db)
        for one in judged:
            node.keep_personal(db, one.data)
        return replace(command, judged=tuple(one.fact for one in judged))

    return await node.record_prepared(lot_stream(lot_code), prepared, command_id, actor, *content)


async def begin_ceremony(node: Node, lot_code: str, *, command_id: bytes, actor: Actor) -> Receipt:
    """Begin the breaking of the seals with a fresh key in this process's memory.

    Refused (file-away) while a receipted file of the set is not here and two persons have not given it up: what a release does
    not cover stays shut, and a file that is away mostly comes back by itself.
    """
    seen = await node.state(lot_stream(lot_code))
    may = isinstance(seen, LotState) and seen.terms.appointed is not None and seen.opening.started
    gone = await asyncio.to_thread(node.ceremonies.away, seen) if may else ()
    for bid in gone:
        node.attachments.missing[bid.sha256] = bid.size

    def prepare(db: apsw.Connection) -> BeginCeremony:
        lot = _lot(node, db, lot_code)
        for bid in gone:
            if bid.ref not in lot.ceremony.given_up:
                raise away(db, bid.sha256)
        return node.ceremonies.begin(lot)

    return await node.record_prepared(lot_stream(lot_code), prepare, command_id, actor, "ceremony")


async def ceremony_request(node: Node, lot_code: str) -> bytes:
    """Return the file that trustees and bidders answer. Raises Refused."""
    return await asyncio.to_thread(node.ceremonies.request, await node.state(lot_stream(lot_code)))


async def release_shares(node: Node, lot_code: str, data: bytes, *, command_id: bytes, actor: Actor) -> Receipt:
    """Judge and record a trustee's release. Raises CeremonyFileRefused, Refused."""
    lot = await node.state(lot_stream(lot_code))
    judged = await asyncio.to_thread(_judge_release, node, lot, data)

    def prepare(db: apsw.Connection) -> ReleaseShares:
        try:
            return node.ceremonies.release(_lot(node, db, lot_code), data)
        except BlobFault as fault:  # its manifest is in the stored file
            raise away(db, bytes.fromhex(fault.sha256)) from fault

    return await _judged(node, lot_code, prepare, judged, "release", data, command_id=command_id, actor=actor)


def _judge_release(node: Node, lot: LotState, data: bytes) -> tuple[JudgedSigner, ...]:
    """Judge the certificate of the trustee whom the release names; another's is refused later, by name."""
    release, appointed = Release.parse(data), lot.terms.appointed
    holders = appointed.trustees if appointed is not None else ()
    number = release.trustee
    if not 1 <= number <= len(holders) or holders[number - 1].cert_sha256.hex() != release.signed.certificate_sha256:
        return ()
    return judge_signer(node, RELEASE, str(number), release.signed.certificate, release.signed.chain)


async def give_half(node: Node, lot_code: str, data: bytes, *, command_id: bytes, actor: Actor) -> Receipt:
    """Take and record a bidder's half. Raises CeremonyFileRefused, Refused."""

    def prepare(db: apsw.Connection) -> GiveHalf:
        try:
            return node.ceremonies.half(_lot(node, db, lot_code), data)
        except BlobFault as fault:  # what it is held against is in the stored file
            raise away(db, bytes.fromhex(fault.sha256)) from fault

    return await node.record_prepared(lot_stream(lot_code), prepare, command_id, actor, "half", data)


def _lot(node: Node, db: apsw.Connection, lot_code: str) -> LotState:
    state = node.recorder.state(db, lot_stream(lot_code))
    if not isinstance(state, LotState):
        raise Refused("unknown-event", rule="known-events-only", value=state.name)
    return state
