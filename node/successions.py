"""Which log is whose now (纪元): settings name the logs of enrolment; what has followed them since is in the database.

The node's own epoch is that of its key folder; a peer's is what its signed statements lead to. Nobody edits a file for it.
"""

from collections.abc import Sequence
from dataclasses import replace

import apsw

from node.places import DATABASE, KEYS
from node.settings import Peer, Settings, SettingsFault
from node.store import connect, fault_of
from sync.keys import PublicIdentity, load_public, name_base
from sync.note import VerifierKey
from sync.succession import Statement, successions


def known_successions(db: apsw.Connection) -> tuple[Statement, ...]:
    """Return every succession known here; none in a database of before they were kept."""
    table = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'successions'").fetchone()
    return () if table is None else successions(db)


def current(settings: Settings) -> Settings:
    """Return the settings with the origins and keys of today.

    Raises SettingsFault where the keys or the database are of another node, KeyFault, StoreFault.
    """
    settings = replace(settings, origin=own_public(settings).origin)
    path = settings.data / DATABASE
    if not path.exists():
        return settings
    db = connect(path, readonly=True)
    try:
        owner = _owner(db)
        if owner and name_base(owner) != name_base(settings.origin):
            raise SettingsFault(
                DATABASE,
                f"这个数据库是 {owner} 的，设置写的是 {settings.origin}；请放回本节点的数据库 / this database is of {owner}, "
                f"the settings say {settings.origin}; put this node's database back",
            )
        return follow(settings, known_successions(db))
    except (apsw.Error, UnicodeDecodeError) as error:
        raise fault_of("read", path, error) from error
    finally:
        db.close()


def own_public(settings: Settings) -> PublicIdentity:
    """Return what the node's own key folder says. Raises SettingsFault where it is of another node, KeyFault."""
    public = load_public(settings.data / KEYS / "public.json")
    if name_base(public.origin) != name_base(settings.origin) or public.node != settings.node:
        raise SettingsFault(
            KEYS,
            f"这个密钥文件夹是 {public.node}（{public.origin}）的，设置写的是 {settings.node}（{settings.origin}）；请放回本节点的"
            f"密钥 / these keys are of {public.node} ({public.origin}), the settings say {settings.node} "
            f"({settings.origin}); put this node's keys back",
        )
    return public


def _owner(db: apsw.Connection) -> str:
    """Return the first log of a database: its node's own, made with it; nothing where it has none."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'logs'").fetchone() is None:
        return ""
    row = db.execute("SELECT origin FROM logs ORDER BY log_id LIMIT 1").fetchone()
    return "" if row is None else str(row[0])


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
