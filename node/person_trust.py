"""Whose signatures count at this node (人员证书信任): anchors, CRLs and issuing certificates in DATA/trust/persons."""

from dataclasses import replace
from pathlib import Path

from node.places import ANCHORS
from node.settings import Settings
from sync.acts import Signed, verify_act
from sync.anchors import Anchors, open_anchors, take_anchors
from sync.certificate_form import read_certificate
from sync.crl_shelf import CrlShelf
from sync.note import VerifierKey
from sync.revocation_rule import Purpose

_CRLS, _ISSUERS = "crls", "issuers"


class PersonTrust:
    """The folder of one node; everything is read at each use, for a set or a list may arrive while it runs."""

    def __init__(self, folder: Path, keys: tuple[VerifierKey, ...]) -> None:
        """`keys` are the prefecture's; two of them sign a set."""
        self._folder, self._keys = folder, keys
        self.shelf = CrlShelf(folder / _CRLS)
        self.without_sm2 = False  # set where this machine's libcrypto fails its test

    @classmethod
    def of(cls, settings: Settings) -> "PersonTrust | None":
        """Return the trust of a node whose settings name the prefecture's keys. Raises Malformed for a bad key."""
        keys = tuple(VerifierKey.parse(text) for text in settings.anchor_vkeys)
        return cls(settings.data / ANCHORS, keys) if keys else None

    def anchors(self) -> Anchors:
        """Return the set in force. Raises AnchorsRefused, OSError."""
        held = open_anchors(self._folder, self._keys)
        if not self.without_sm2:
            return held
        usable = (one for one in held.anchors if read_certificate(one.der, "anchor").family != "sm2")
        return replace(held, anchors=tuple(usable))

    def take(self, offered: Path, now_ms: int) -> bool:
        """Put a newer set in force. Raises AnchorsRefused, OSError."""
        return take_anchors(self._folder, offered, self._keys, now_ms)

    def take_crl(self, der: bytes, now_ms: int) -> bool:
        """Keep a newer CRL of a known issuer. Raises ShelfRefused, AnchorsRefused, OSError."""
        issuers = [path.read_bytes() for path in sorted((self._folder / _ISSUERS).glob("*.der"))]
        return self.shelf.take(der, [*(one.der for one in self.anchors().anchors), *issuers], now_ms)

    def verify(self, text: bytes, cms: bytes, *, at_ms: int, purpose: Purpose, source: str) -> Signed:
        """Check a signature by what lies here. Raises ActRefused, AnchorsRefused, OSError, GmFault."""
        return verify_act(text, cms, self.anchors(), at_ms=at_ms, purpose=purpose, crls=self.shelf.all(), source=source)
