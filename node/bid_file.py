"""The sealed bid file (加密投标文件): what a bidder hands in and what the opening finds in it.

File = one envelope of `sync/seal.py` to the room key; context "erhai-bid-v1", lot code, round and ref, one a line; plaintext =
canonical MessagePack of BidContent's fields in declared order. The bidder's tool and the opening both use this module.
"""

from node.domain.bidding import BidContent
from node.domain.wire import WireMalformed, from_plain, to_plain
from node.room_key import RoomKey, seal_to_room
from sync.codec import pack, unpack
from sync.seal import SealFault
from sync.tampered import Malformed


def bid_context(lot_code: str, round_no: int, ref: str) -> bytes:
    """Return what a bid is bound to: it opens for no other lot, round or participant."""
    return f"erhai-bid-v1\n{lot_code}\n{round_no}\n{ref}\n".encode()


def seal_bid(content: BidContent, room_public: bytes) -> bytes:
    """Return the bytes of the sealed bid file."""
    context = bid_context(content.lot_code, content.round_no, content.ref)
    return seal_to_room(room_public, pack(to_plain(content)), context)


def open_bid(sealed: bytes, key: RoomKey, *, lot_code: str, round_no: int, ref: str) -> BidContent:
    """Return what the bid says. Raises SealFault; content that is not a bid, or another's, is reason "corrupt"."""
    plain = key.open(sealed, bid_context(lot_code, round_no, ref))
    try:
        content = from_plain(BidContent, unpack(plain))
    except (Malformed, WireMalformed) as error:
        raise SealFault("corrupt", "the file opened but does not hold a bid") from error
    if not isinstance(content, BidContent) or (content.lot_code, content.round_no, content.ref) != (
        lot_code,
        round_no,
        ref,
    ):
        raise SealFault("wrong-context", "the bid names another lot, round or participant")
    return content
