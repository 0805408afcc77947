"""Which log is whose now (纪元): settings name the logs of enrolment; what has followed them since is in the database.

The node's own epoch is that of its key folder; a peer's is what its signed statements lead to. Nobody edits a file for it.
"""

from collections.abc import Sequence
from dataclasses import replace

import apsw

from node.places import DATABASE, KEYS
from node.settings import Peer, Settings, SettingsFault
from node.store import connect
from sync.keys import load_public, name_base
from sync.note import VerifierKey
from sync.succession import Statement, successions


def known_successions(db: apsw.Connection) -> tuple[Statement, ...]:
    """Return every succession known here; none in a database of before they were kept."""
    table = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'successions'").fetchone()
    return () if table is None else successions(db)


def current(settings: Settings) -> Settings:
    """Return the settings with the origins and keys of today. Raises SettingsFault where the keys are of another node."""
    public = load_public(settings.data / KEYS / "public.json")
    if name_base(public.origin) != name_base(settings.origin) or public.node != settings.node:
        raise SettingsFault("origin", f"the keys are of {public.origin} ({public.node})")
    settings = replace(settings, origin=public.origin)
    if not (settings.data / DATABASE).exists():
        return settings
    db = connect(settings.data / DATABASE, readonly=True)
    try:
        return follow(settings, known_successions(db))
    finally:
        db.close()


def follow(settings: Settings, statements: Sequence[Statement]) -> Settings:
    """Return the settings with every peer's newest epoch."""
    return replace(settings, peers=tuple(_follow(peer, statements) for peer in settings.peers))


def _follow(peer: Peer, statements: Sequence[Statement]) -> Peer:
    for one in statements:  # oldest epoch first
        if one.node == peer.name and one.old_origin == peer.origin:
            peer = replace(
                peer,
                origin=one.new_origin,
                log_vkey=one.log_vkey,
                cosigner_vkey=one.cosigner_vkey,
                sealing_public=one.sealing_public if peer.sealing_public else "",
            )
    return peer


def own_former(settings: Settings, statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return the successions of the node's own log, oldest first."""
    return tuple(one for one in statements if one.node == settings.node)


def log_keys(settings: Settings, own_vkey: str, statements: Sequence[Statement]) -> dict[str, VerifierKey]:
    """Return the verifier key of every log that this node knows, former epochs included, by origin."""
    keys = {settings.origin: own_vkey} | {peer.origin: peer.log_vkey for peer in settings.peers}
    for one in statements:
        keys |= {one.old_origin: one.old_vkey, one.new_origin: one.log_vkey}
    return {origin: VerifierKey.parse(vkey) for origin, vkey in keys.items()}
