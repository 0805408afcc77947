"""The manifest of a sealed bid: for whom, by whom, under which trustees, and the digest of every part (投标文件清单).

Canonical JSON (RFC 8785), signed by the bidder. The context binds the payload's key, the payload and every share to tender, lot,
round, bidder, profile and trustees:

    ctx = "erhai1|" hex(SHA-256(JCS({bidder, lot, profile, round, tender, trustees})))
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sync import jcs
from sync.shares import MAX_SHARES
from sync.tampered import Malformed

VERSION = 1
PROFILES = ("intl-1", "gm-1")
MODES = ("and", "or")
MAX_MANIFEST = 64 * 1024
_HEX = re.compile(r"[0-9a-f]{64}")
_SAFE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Trustee:
    """One holder of a share (份额保管人): number from 1, role, SHA-256 of the raw X25519 public key."""

    i: int
    role: str
    key_sha256: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the tender notice fixes for every bid of a lot and round (加密条件)."""

    profile: str
    mode: str  # and: bidder and t trustees; or: bidder or t trustees
    tender: str
    lot: str
    round_no: int
    deadline_ms: int
    t: int
    trustees: tuple[Trustee, ...]


@dataclass(frozen=True, slots=True)
class Bidder:
    """Who bids: the participant's random reference, the signing certificate, and the anchor that vouches for it."""

    ref: str
    cert_sha256: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole manifest. Digests are lower-case hex."""

    terms: Terms
    bidder: Bidder
    payload_sha256: str
    payload_bytes: int
    share_hash: tuple[str, ...]
    wrap_hash: Mapping[str, str]
    plaintext_files_count: int
    client_version: str

    @property
    def context(self) -> bytes:
        """Return ctx, ASCII."""
        return context_of(self.terms, self.bidder)

    def __bytes__(self) -> bytes:
        """Return the canonical bytes, the ones that are signed."""
        terms = self.terms
        return jcs.encode(
            {
                "v": VERSION,
                "profile": terms.profile,
                "mode": terms.mode,
                "tender": terms.tender,
                "lot": terms.lot,
                "round": terms.round_no,
                "deadline": terms.deadline_ms,
                "bidder": _bidder(self.bidder),
                "payload": {"sha256": self.payload_sha256, "bytes": self.payload_bytes},
                "t": terms.t,
                "n": len(terms.trustees),
                "trustees": _trustees(terms.trustees),
                "share_hash": list(self.share_hash),
                "wrap_hash": dict(self.wrap_hash),
                "plaintext_files_count": self.plaintext_files_count,
                "client_version": self.client_version,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the manifest that canonical bytes hold. Raises Malformed and names the member."""
        if len(data) > MAX_MANIFEST:
            raise Malformed("manifest", f"is over {MAX_MANIFEST} bytes")
        fields = _object(jcs.decode(data, "manifest"), "manifest", _FIELDS)
        if fields["v"] != VERSION:
            raise Malformed("v", "is not 1")
        n = fields["n"]
        trustees = tuple(_trustee(one, at) for at, one in enumerate(fields["trustees"], 1))
        if not 2 <= fields["t"] <= n <= MAX_SHARES or len(trustees) != n or len(fields["share_hash"]) != n:
            raise Malformed("trustees", "do not fit t and n")
        payload = _object(fields["payload"], "payload", {"sha256": str, "bytes": int})
        bidder = _object(fields["bidder"], "bidder", {"ref": str, "cert_sha256": str, "anchor": str})
        names = {"bidder", *(f"share-{i}" for i in range(1, n + 1))}
        wraps = _object(fields["wrap_hash"], "wrap_hash", dict.fromkeys(names, str))
        digests = (*fields["share_hash"], *wraps.values(), payload["sha256"], bidder["cert_sha256"])
        for digest in digests:
            if not isinstance(digest, str) or not _HEX.fullmatch(digest):
                raise Malformed("digest", "is not 64 lower-case hex digits")
        if fields["profile"] not in PROFILES or fields["mode"] not in MODES:
            raise Malformed("profile", "or mode is not known")
        numbers = (fields["round"], payload["bytes"], fields["plaintext_files_count"])
        if not all(0 < number <= _SAFE for number in numbers) or fields["deadline"] < 0:
            raise Malformed("number", "is out of range")
        terms = Terms(
            profile=fields["profile"],
            mode=fields["mode"],
            tender=fields["tender"],
            lot=fields["lot"],
            round_no=fields["round"],
            deadline_ms=fields["deadline"],
            t=fields["t"],
            trustees=trustees,
        )
        return cls(
            terms=terms,
            bidder=Bidder(**bidder),
            payload_sha256=payload["sha256"],
            payload_bytes=payload["bytes"],
            share_hash=tuple(fields["share_hash"]),
            wrap_hash=wraps,
            plaintext_files_count=fields["plaintext_files_count"],
            client_version=fields["client_version"],
        )


def context_of(terms: Terms, bidder: Bidder) -> bytes:
    """Return what a bid of this bidder under these terms is bound to."""
    bound = {
        "tender": terms.tender,
        "lot": terms.lot,
        "round": terms.round_no,
        "bidder": _bidder(bidder),
        "profile": terms.profile,
        "trustees": _trustees(terms.trustees),
    }
    return b"erhai1|" + hashlib.sha256(jcs.encode(bound)).hexdigest().encode()


_FIELDS: dict[str, type] = {
    "v": int,
    "profile": str,
    "mode": str,
    "tender": str,
    "lot": str,
    "round": int,
    "deadline": int,
    "bidder": dict,
    "payload": dict,
    "t": int,
    "n": int,
    "trustees": list,
    "share_hash": list,
    "wrap_hash": dict,
    "plaintext_files_count": int,
    "client_version": str,
}


def _bidder(bidder: Bidder) -> dict[str, str]:
    return {"ref": bidder.ref, "cert_sha256": bidder.cert_sha256, "anchor": bidder.anchor}


def _trustees(trustees: tuple[Trustee, ...]) -> list[dict[str, Any]]:
    return [{"i": one.i, "role": one.role, "key_sha256": one.key_sha256} for one in trustees]


def _trustee(value: Any, number: int) -> Trustee:
    fields = _object(value, "trustees", {"i": int, "role": str, "key_sha256": str})
    if fields["i"] != number or not _HEX.fullmatch(fields["key_sha256"]):
        raise Malformed("trustees", f"number {number} is not in its place or has no digest")
    return Trustee(**fields)


def _object(value: Any, what: str, fields: Mapping[str, type]) -> dict[str, Any]:
    """Return an object with exactly these members of these kinds."""
    if not isinstance(value, dict) or set(value) != set(fields):
        raise Malformed(what, f"must have exactly the members {', '.join(sorted(fields))}")
    for name, kind in fields.items():
        if type(value[name]) is not kind:
            raise Malformed(f"{what}.{name}", f"must be {kind.__name__}")
    return value
