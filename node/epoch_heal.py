"""Entries of a closed epoch that a peer still holds, brought back (找回): nothing is appended, the log only becomes whole."""

import apsw

from node.ask_peers import ask_peers, link_to
from node.node import Node
from node.successions import own_former
from sync.heal import Healed, Target, heal
from sync.log import LogFault, size_of
from sync.note import VerifierKey
from sync.reader import LogReader


async def heal_closed(node: Node, peer_name: str) -> None:
    """Fetch what a peer has cosigned of our former logs beyond what is here. Raises LinkFault; Tampered for a branch."""
    for one in own_former(node.settings, node.statements):
        vkey = VerifierKey.parse(one.old_vkey)
        held = await node.read(lambda db, origin=one.old_origin: size_of(db, origin))  # type: ignore[misc]
        for answer in await ask_peers(node.settings, node.keys, log=vkey):
            if answer.peer.name != peer_name or answer.opened is None or answer.opened.checkpoint.size <= held:
                continue
            link = link_to(answer.peer, node.keys)
            try:
                await heal(
                    node.store,
                    Target(answer.opened.checkpoint, answer.own_note, peer_name),
                    LogReader(link, one.old_origin),
                    vkey=vkey,
                    cause="closed",
                    now_ms=lambda: node.clock.now().at_ms,
                    settled=_append_only,
                )
            finally:
                await link.close()
            while await node.store.write(lambda db, origin=one.old_origin: node.recorder.follow(db, origin)):  # type: ignore[misc]
                continue
            node.feed.publish({"status", "log"})


def _append_only(_db: apsw.Connection, healed: Healed) -> None:
    if healed.set_aside:  # views would have to be made anew while the node records: left to `erhai rebuild`
        raise LogFault("damaged-entries", healed.origin, healed.before, healed.size)
