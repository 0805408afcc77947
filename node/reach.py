"""How far an entry has travelled, from the cosignatures held here (到达): whose they are says which word holds."""

import apsw

from node.receipts import Reach
from node.settings import Settings
from node.views import review as review_view
from sync import codec
from sync.keys import name_base
from sync.log import reached, read_entry


def reach_of(db: apsw.Connection, settings: Settings, origin: str, seq: int) -> Reach:
    """Return who holds an entry and whether it was reviewed. Raises LogFault where it is not here."""
    kinds = {f"{name_base(peer.origin)}/m": (peer.kind, peer.name) for peer in settings.peers}
    kinds[f"{name_base(settings.origin)}/m"] = ("prefecture" if settings.is_prefecture else "room", settings.node)
    entry = codec.decode(read_entry(db, origin, seq))
    witnessed: list[str] = []
    received: list[str] = []
    for cosigned in reached(db, origin, seq):
        kind, name = kinds.get(cosigned.cosigner, ("room", cosigned.cosigner))
        (received if kind == "prefecture" else witnessed).append(name)
    lot_code = entry.stream.split("/")[1] if "/" in entry.stream else ""
    reviewed = review_view.is_reviewed(db, origin, seq, lot_code)
    return Reach(entry.at_ms, tuple(witnessed), tuple(received), reviewed)
