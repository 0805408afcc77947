"""Whose signatures count at this node (人员证书信任): anchors, CRLs and issuing certificates in DATA/trust/persons."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from node.places import ANCHORS
from node.settings import Settings
from sync.acts import Signed, verify_act
from sync.anchors import Anchors, open_anchors, take_anchors
from sync.certificate_form import Certificate, read_certificate
from sync.crl_shelf import CrlShelf
from sync.gm import GmFault, self_test
from sync.note import VerifierKey
from sync.person_certs import MAX_CHAIN, Judgement, judge
from sync.revocation_rule import Purpose

logger = logging.getLogger("erhai.certificates")
_CRLS, _ISSUERS = "crls", "issuers"


@cache
def sm2_fault() -> str:
    """Return why SM2 certificates count for nothing on this machine, "" where they do; said once in its log."""
    try:
        self_test()
    except GmFault as fault:
        logger.error("%s: certificates of SM2 vendors are not accepted here", fault)  # noqa: TRY400 - one line for people
        return str(fault)
    return ""


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
        if not keys:
            return None
        trust = cls(settings.data / ANCHORS, keys)
        trust.without_sm2 = bool(sm2_fault())
        return trust

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

    def judge(
        self, certificate: bytes, chain: Sequence[bytes], *, at_ms: int, purpose: Purpose, source: str
    ) -> Judgement:
        """Judge a certificate by what lies here; where no chain came along, by the issuing certificates kept here.

        Raises CertRefused, AnchorsRefused, OSError, GmFault.
        """
        return judge(
            certificate,
            chain=chain or self._issuers_of(certificate, source),
            anchors=self.anchors(),
            at_ms=at_ms,
            purpose=purpose,
            crls=self.shelf.all(),
            forgotten=self.shelf.forgotten(),
            source=source,
        )

    def _issuers_of(self, certificate: bytes, source: str) -> list[bytes]:
        held = [read_certificate(path.read_bytes(), source) for path in sorted((self._folder / _ISSUERS).glob("*.der"))]
        found: list[Certificate] = []
        wanted = read_certificate(certificate, source).parsed.issuer
        while len(found) < MAX_CHAIN:
            above = next((one for one in held if one.parsed.subject == wanted and one not in found), None)
            if above is None:
                break
            found.append(above)
            wanted = above.parsed.issuer
        return [one.der for one in found]

    def verify(self, text: bytes, cms: bytes, *, at_ms: int, purpose: Purpose, source: str) -> Signed:
        """Check a signature by what lies here. Raises ActRefused, AnchorsRefused, OSError, GmFault."""
        return verify_act(
            text,
            cms,
            self.anchors(),
            at_ms=at_ms,
            purpose=purpose,
            crls=self.shelf.all(),
            forgotten=self.shelf.forgotten(),
            source=source,
        )
