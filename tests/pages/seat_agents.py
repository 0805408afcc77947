"""A room whose node takes certificates, with every person's card and token agent: for tests of what is signed."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node import personal
from node.domain.binding import SignedBy
from node.domain.values import Actor
from node.node import Node
from node.places import ANCHORS
from node.receipts import Receipt
from node.signatures import Signature, signed_with
from sync.agent import NodeLine, attend
from sync.note import Signer
from sync.person_identity import Identity
from sync.signers import SoftwareSigner
from tests.pages.room import Browser, Room
from tests.person_lab import Spec, issue, key, take_trust, vendor

KEYS = tuple(Signer("dali.erhai/anchors", Ed25519PrivateKey.generate()) for _ in range(3))
# Whose card is whose: invented numbers with right check characters.
CARDS = {
    "X-1": "532901199003078770",
    "G-1": "11010519491231002X",
    "O-1": "532924198001010019",
    "S-1": "532924198001010027",
    "W-1": "532924198001010035",
}


def take_certificates(room: Room, folder: Path, family: str = "sm2", crls: tuple[bytes, ...] | None = None) -> None:
    """Let the room's node take one vendor's certificates, and register everybody's card with the account."""
    node = room.node
    node.settings = replace(node.settings, anchor_vkeys=tuple(str(one.vkey) for one in KEYS))
    take_trust(node.settings.data / ANCHORS, folder / "offered", KEYS, {family: crls})
    sha256 = hashlib.sha256(vendor(family).root.der).hexdigest()
    for no, number in CARDS.items():
        holder = Identity("person-id", number, "", sha256).account_key
        node.people = {**node.people, no: replace(node.people[no], holder=holder)}


def signed_by_hand(node: Node) -> None:
    """Let whoever acts at a node that takes certificates have signed: for tests of something else than signatures."""
    plain = node.record_prepared

    async def signed(
        stream: str, prepare: Callable[[Any], Any], command_id: bytes, actor: Actor, *content: Any
    ) -> Receipt:
        by = SignedBy(f"{actor.role}:{actor.person}", "fresh")
        with signed_with(Signature(by, personal.bind("act", ("", "", "")))):
            return await plain(stream, prepare, command_id, actor, *content)

    node.record_prepared = signed  # type: ignore[method-assign]


def card(no: str, family: str = "sm2", serial: int = 0) -> SoftwareSigner:
    """A person's card; each has its own serial number."""
    own = vendor(family)
    spec = Spec(serial=serial or 0x1001 + list(CARDS).index(no), person_id=CARDS[no])
    person = issue(spec, key(family, 3), own.ca)
    return SoftwareSigner(person.der, person.key.pkcs8, (own.ca.der,))


async def pair(browser: Browser) -> tuple[NodeLine, str]:
    """Pair an agent with the place of a browser's person; return its line and the code."""
    shown = await browser.post("/signing/pair", {})
    code = shown.words.split("只能用一次：")[1].split()[0]
    line = NodeLine(f"http://127.0.0.1:{browser.client.server.port}")
    await asyncio.to_thread(line.pair, code)
    return line, code


async def press(line: NodeLine, signer: SoftwareSigner, key_press: Callable[[], bool] = lambda: True) -> list[str]:
    """Let an agent look once; return what it showed."""
    shown: list[str] = []
    await asyncio.to_thread(attend, line, signer, show=shown.append, press=key_press)
    return shown
