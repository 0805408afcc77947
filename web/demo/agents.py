"""The token agents of the demonstration's people: what `erhai agent` does at a seat, in this process, with each one's card."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sync.agent import NodeLine, attend
from sync.signers import ActSigner
from web.demo.pages import Page, PageFault, Visitor
from web.demo.vendors import VENDORS, Vendors, holders

_CODE = re.compile(r'id="code">([0-9]{8})<')
_SECOND = re.compile(r'id="second">([^<]+)<')


@dataclass(slots=True)
class Agents:
    """One agent for each person at each node, paired when it is first needed."""

    vendors: Vendors
    lines: dict[tuple[str, str], NodeLine] = field(default_factory=dict)
    cards: dict[str, ActSigner] = field(default_factory=dict)
    signed: dict[str, int] = field(default_factory=dict)  # person -> how many signatures

    def forget(self, node: str) -> None:
        """Pairings of a node that was killed are gone."""
        self.lines = {key: line for key, line in self.lines.items() if key[1] != node}

    def pair(self, no: str, node: str, visitor: Visitor) -> None:
        """Pair a person's agent by the code that the person's page shows."""
        if (no, node) in self.lines:
            return
        found = _CODE.search(visitor.post(f"{visitor.base}signing/pair", {}).html)
        if found is None:
            raise PageFault(visitor.base, "shows no pairing code")
        self.connect(no, node, visitor.base, found.group(1))

    def connect(self, no: str, node: str, base: str, code: str) -> None:
        """Pair a person's agent by a code that was read."""
        line = NodeLine(base)
        line.pair(code)
        self.lines[no, node] = line

    def press(self, no: str, node: str) -> str:
        """Let a person's agent look once, read the words and sign them; return what it showed last."""
        shown: list[str] = []
        card = self.cards.get(no) or self.vendors.card(no)
        self.cards[no] = card
        attend(self.lines[no, node], card, show=shown.append, press=lambda: True)
        self.signed[no] = self.signed.get(no, 0) + 1
        return shown[-1] if shown else ""

    def sign(self, no: str, node: str, page: Page, person: Callable[[str, str], Visitor]) -> Page:
        """Let a person's agent sign what a page waits for, and the second person's after it; return where the page leads."""
        visitor, shown = person(no, node), []
        self.pair(no, node, visitor)
        shown.append(self.press(no, node))
        page = visitor.open(page.url)
        second = _SECOND.search(page.html)
        if second is not None:
            other = second.group(1)
            self.pair(other, node, person(other, node))
            shown.append(self.press(other, node))
            page = visitor.open(page.url)
        if page.url.partition("?")[0].endswith("/signing"):
            raise PageFault(page.url, f"was not signed: {'; '.join(shown)}", page.words)
        return page

    def told(self) -> str:
        """Say how many signatures were made, by the certificates of which vendors."""
        vendors = Counter[str]()
        for no, count in self.signed.items():
            vendors[holders()[no][0]] += count
        by = "、".join(f"{VENDORS[family]}（{family.upper()}）{count} 次" for family, count in sorted(vendors.items()))
        return f"{len(self.signed)} 人用证书签名 {vendors.total()} 次：{by}"
