"""Who may read which log over the sync port (查阅范围): a log says who takes part and bids, long before it may be known (ZB 22).

A node reads its own logs, those of its room and its prefecture's; the prefecture reads those of its rooms. That both hold
certificates of one CA is no reason to show one county the other's.
"""

from node.settings import Peer, Settings
from sync.keys import name_base


def room_of(origin: str) -> str:
    """Return what the names of all logs of a room begin with."""
    return name_base(origin).rpartition("/")[0]


def may_read(settings: Settings, peer_name: str, origin: str) -> bool:
    """Return whether a peer that its certificate has named is shown a log that is held here."""
    peer = settings.peer(peer_name)
    if peer is None:
        return False
    if peer.kind == "prefecture" or name_base(origin) == name_base(settings.origin):
        return True
    return room_of(origin) == room_of(peer.origin) or name_base(origin) == name_base(_above(settings, peer).origin)


def _above(settings: Settings, peer: Peer) -> Peer | Settings:
    """Return whose log every node of the prefecture reads: the prefecture, where it is known here."""
    if settings.is_prefecture:
        return settings
    return next((one for one in settings.peers if one.kind == "prefecture"), peer)
