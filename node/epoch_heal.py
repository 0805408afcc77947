"""Entries of a closed epoch that a peer still holds, brought back (找回): nothing is appended, the log only becomes whole.

Where a peer holds another history of it, signed by our key, both signed checkpoints are kept and its entries are set aside.
"""

import apsw

from node.ask_peers import ask_peers, link_to
from node.node import Node
from node.successions import own_former
from sync.heal import Healed, Target, heal, take_aside
from sync.link import PeerLink
from sync.log import LogFault, head
from sync.note import VerifierKey
from sync.overtaken import contains
from sync.reader import LogReader
from sync.tampered import Problem, Tampered
from sync.witness import Misbehaviour, keep_evidence


async def heal_closed(node: Node, peer_name: str = "") -> tuple[str, ...]:
    """Fetch what a peer has cosigned of our former logs beside what is here (every peer's where none is named); return the
    peers that answered. Raises LinkFault, LogFault; Tampered where a peer's copy is not what it claims.
    """
    answered: set[str] = set()
    for one in own_former(node.settings, node.statements):
        vkey = VerifierKey.parse(one.old_vkey)
        for answer in await ask_peers(node.settings, node.keys, log=vkey):
            if not answer.reached or answer.peer.name != (peer_name or answer.peer.name):
                continue
            answered.add(answer.peer.name)
            opened = answer.opened
            if opened is None or await node.read(lambda db, at=opened.checkpoint: contains(db, at)):  # type: ignore[misc]
                continue
            link = link_to(answer.peer, node.keys)
            try:
                await _bring(node, Target(opened.checkpoint, answer.own_note, answer.peer.name), vkey, link)
            finally:
                await link.close()
            node.feed.publish({"status", "log"})
    return tuple(sorted(answered))


async def _bring(node: Node, target: Target, vkey: VerifierKey, link: PeerLink) -> None:
    reader, origin = LogReader(link, vkey.name), vkey.name
    held = await node.read(lambda db: head(db, origin))
    if target.checkpoint.size > held.size:
        try:
            await heal(
                node.store,
                target,
                reader,
                vkey=vkey,
                cause="closed",
                now_ms=lambda: node.clock.now().at_ms,
                settled=_append_only,
            )
        except Tampered as found:
            if found.problem is not Problem.TWO_BRANCHES:
                raise
        else:
            while await node.store.write(lambda db: node.recorder.follow(db, origin)):
                continue
            return
    now_ms = node.clock.now().at_ms
    evidence = Misbehaviour(origin, Problem.TWO_BRANCHES, held.checkpoint or b"", target.note, b"", target.by, now_ms)
    await node.store.write(lambda db: keep_evidence(db, evidence, freeze=False))
    await take_aside(node.store, target, reader, now_ms=lambda: node.clock.now().at_ms)


def _append_only(_db: apsw.Connection, healed: Healed) -> None:
    if healed.set_aside:  # views would have to be made anew while the node records: left to `erhai rebuild`
        raise LogFault("damaged-entries", healed.origin, healed.before, healed.size)
