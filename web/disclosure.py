"""What a receipt's existence may tell whom before the opening (开标前保密): numbers can be counted through (ZB 22)."""

from node.domain.lot import LotState
from node.node import Node
from node.receipts import Receipt
from web.words import fingerprint

# How many there are of these, and of whom, is secret until the opening.
_SECRET = {"notice.participation-registered", "bond.bond-recorded", "bidding.bid-received", "bidding.bid-withdrawn"}


async def is_secret(node: Node, found: Receipt) -> bool:
    """Return whether this receipt is of a kind that must not be counted, and its lot has not been opened."""
    if not _SECRET & set(found.events):
        return False
    lot = await node.state(found.stream)
    return not (isinstance(lot, LotState) and lot.opening.started)


async def shown_to_holder(node: Node, number: str, print_: str) -> Receipt | None:
    """Return a receipt for somebody who has not signed in: a secret one only to who knows its fingerprint too."""
    found = await node.receipt(number) if number else None
    if found is None or not await is_secret(node, found):
        return found
    return found if same_print(print_, found.leaf) else None


def same_print(print_: str, leaf: bytes) -> bool:
    """Return whether this is the fingerprint of an entry, however it was typed."""
    return _plain(print_) == _plain(fingerprint(leaf))


def _plain(text: str) -> str:
    return "".join(text.split()).lower()
