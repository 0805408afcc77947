"""What the desk asks of a node where trustees hold the seals: take a bid, begin, take releases and halves (开标台)."""

import asyncio

import apsw

from node.attachments import away
from node.ceremony import check_bid
from node.domain.bidding import SubmitBid
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.unsealing import BeginCeremony, ReleaseShares
from node.domain.values import Actor
from node.node import Node
from node.receipts import Receipt
from sync.blobs import BlobFault


async def submit_bid(node: Node, lot_code: str, command: SubmitBid, *, command_id: bytes, actor: Actor) -> Receipt:
    """Record a sealed file that is in the blob store. Where trustees hold the seals it must be sealed as the notice asks."""
    lot = await node.state(lot_stream(lot_code))
    in_time = node.clock.now().at_ms < lot.notice.deadline_ms and not lot.opening.started  # else the rules say why not
    if lot.terms.appointed is not None and in_time and lot.notice.knows(command.ref):
        await asyncio.to_thread(check_bid, node.blobs, lot, command.ref, command.sha256)
    return await node.submit(lot_stream(lot_code), command, command_id=command_id, actor=actor)


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

    def prepare(db: apsw.Connection) -> ReleaseShares:
        try:
            return node.ceremonies.release(_lot(node, db, lot_code), data)
        except BlobFault as fault:  # its manifest is in the stored file
            raise away(db, bytes.fromhex(fault.sha256)) from fault

    return await node.record_prepared(lot_stream(lot_code), prepare, command_id, actor, "release", data)


async def give_half(node: Node, lot_code: str, data: bytes, *, command_id: bytes, actor: Actor) -> Receipt:
    """Take and record a bidder's half. Raises CeremonyFileRefused, Refused."""
    return await node.record_prepared(
        lot_stream(lot_code),
        lambda db: node.ceremonies.half(_lot(node, db, lot_code), data),
        command_id,
        actor,
        "half",
        data,
    )


def _lot(node: Node, db: apsw.Connection, lot_code: str) -> LotState:
    state = node.recorder.state(db, lot_stream(lot_code))
    if not isinstance(state, LotState):
        raise Refused("unknown-event", rule="known-events-only", value=state.name)
    return state
