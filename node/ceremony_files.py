"""The three files of an opening ceremony (解密仪式文件), canonical JSON, carried by link or stick.

    release-request  the node to everybody: the ceremony's key, the set, and of every bid its manifest, signature and wraps
    share-release    a trustee to the node: the shares of the whole set, wrapped to the ceremony's key, signed by the trustee
    bidder-half      a bidder to the node: its half, wrapped to the ceremony's key

What is wrapped is bound to lot, round, ceremony, set and sender by HPKE's `info`.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.domain.unsealing import CeremonyBegun, SetBid, set_digest
from sync import jcs
from sync.acts import ActRefused, Signature, read_signature, sign_act
from sync.bid_keys import share_hash
from sync.bid_manifest import Manifest
from sync.envelope import Holder, open_for
from sync.signers import ActSigner
from sync.tampered import Malformed
from sync.wrap import WrapFault, unwrap_share, wrap_share

MAX_FILE = 16 * 1024 * 1024
_HEAD = ("lot", "round", "ceremony", "set_sha256")


@dataclass(eq=False)
class CeremonyFileRefused(Exception):
    """A file of the ceremony cannot be used.

    `why`: malformed, wrong-kind, another-lot, set-differs (the request's digest is not of its bids), signature-wrong, other-signer,
    not-a-trustee, not-in-the-set, not-readable (wrapped for another key or purpose), half-does-not-fit (does not open its bid).
    """

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True)
class RequestedBid:
    """One bid of the set as trustees and bidders see it: everything but the payload."""

    ref: str
    file_sha256: bytes
    manifest: Manifest
    wraps: Mapping[str, bytes]

    def share_fits(self, number: int, share: bytes) -> bool:
        """Whether this is the share that the manifest promises to trustee `number`."""
        wanted = self.manifest.share_hash[number - 1]
        return share_hash(self.manifest.terms.profile, self.manifest.context, number, share) == wanted


@dataclass(frozen=True, slots=True)
class Request:
    """A ceremony's request, judged."""

    lot: str
    lot_name: str
    round_no: int
    ceremony: int
    key: bytes
    set_sha256: bytes
    bids: tuple[RequestedBid, ...]
    unreadable: tuple[SetBid, ...]  # received, but the stored file is damaged: nothing to release

    @property
    def head(self) -> dict[str, Any]:
        """Return what every answer repeats."""
        return {
            "lot": self.lot,
            "round": self.round_no,
            "ceremony": self.ceremony,
            "set_sha256": self.set_sha256.hex(),
        }

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the request, with every manifest's signature and every digest judged. Raises CeremonyFileRefused."""
        fields = _read(data, "release-request", {*_HEAD, "lot_name", "key", "bids", "unreadable"})
        try:
            bids = tuple(_bid(one) for one in fields["bids"])
            unreadable = tuple(
                SetBid(one["ref"], bytes.fromhex(one["file_sha256"]), b"") for one in fields["unreadable"]
            )
            found = cls(
                lot=str(fields["lot"]),
                lot_name=str(fields["lot_name"]),
                round_no=int(fields["round"]),
                ceremony=int(fields["ceremony"]),
                key=bytes.fromhex(fields["key"]),
                set_sha256=bytes.fromhex(fields["set_sha256"]),
                bids=bids,
                unreadable=unreadable,
            )
        except (Malformed, binascii.Error, ValueError, TypeError, KeyError) as error:
            raise CeremonyFileRefused("malformed", str(error)) from error
        members = (
            *(SetBid(one.ref, one.file_sha256, hashlib.sha256(bytes(one.manifest)).digest()) for one in bids),
            *unreadable,
        )
        if set_digest(found.lot, found.round_no, members) != found.set_sha256:
            raise CeremonyFileRefused("set-differs")
        for one in bids:
            if (one.manifest.terms.lot, one.manifest.terms.round_no, one.manifest.bidder.ref) != (
                found.lot,
                found.round_no,
                one.ref,
            ):
                raise CeremonyFileRefused("another-lot", one.ref)
        return found


def write_request(
    begun: CeremonyBegun,
    *,
    lot: str,
    lot_name: str,
    round_no: int,
    bids: Mapping[str, tuple[Manifest, bytes, Mapping[str, bytes]]],
) -> bytes:
    """Return the request of a ceremony; `bids` gives manifest, its signature and the wraps by ref."""
    listed = []
    for one in begun.bids:
        if one.ref not in bids:
            continue
        manifest, signature, wraps = bids[one.ref]
        listed.append(
            {
                "ref": one.ref,
                "file_sha256": one.file_sha256.hex(),
                "manifest": bytes(manifest).decode(),
                "signature": _b64(signature),
                "wraps": {stem: _b64(blob) for stem, blob in wraps.items()},
            }
        )
    unreadable = [
        {"ref": one.ref, "file_sha256": one.file_sha256.hex()} for one in begun.bids if not one.manifest_sha256
    ]
    return jcs.encode(
        {
            "v": 1,
            "kind": "release-request",
            "lot": lot,
            "lot_name": lot_name,
            "round": round_no,
            "ceremony": begun.no,
            "set_sha256": begun.set_sha256.hex(),
            "key": begun.key.hex(),
            "bids": listed,
            "unreadable": unreadable,
        }
    )


def trustee_number(request: Request, public: bytes) -> int:
    """Return the number under which every bid names this key. Raises CeremonyFileRefused."""
    digest = hashlib.sha256(public).hexdigest()
    numbers = {next((t.i for t in one.manifest.terms.trustees if t.key_sha256 == digest), 0) for one in request.bids}
    if len(numbers) != 1 or not (number := numbers.pop()):
        raise CeremonyFileRefused("not-a-trustee")
    return number


def make_release(request: Request, private: X25519PrivateKey, signer: ActSigner) -> bytes:
    """Return a trustee's release over the whole set; "" stands for a share that the wrap does not hold (a complaint)."""
    number = trustee_number(request, private.public_key().public_bytes_raw())
    shares = {}
    for one in request.bids:
        try:
            share = unwrap_share(private, one.manifest.context, one.wraps[f"share-{number}"])
        except WrapFault:
            share = b""
        shares[one.ref] = share.hex() if one.share_fits(number, share) else ""
    head = request.head | {"v": 1, "kind": "share-release", "trustee": number}
    sealed = wrap_share(request.key, _info(head), jcs.encode(shares))
    unsigned = head | {"sealed": _b64(sealed)}
    return jcs.encode(unsigned | {"signature": _b64(sign_act(jcs.encode(unsigned), signer))})


@dataclass(frozen=True, slots=True, repr=False)
class Release:
    """A trustee's release, its signature judged; `sealed` is still wrapped."""

    head: Mapping[str, Any]
    sealed: bytes
    signed: Signature

    @property
    def trustee(self) -> int:
        """Return the trustee's number."""
        return int(self.head["trustee"])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return a release. Raises CeremonyFileRefused."""
        fields = _read(data, "share-release", {*_HEAD, "trustee", "sealed", "signature"})
        try:
            signature, sealed = _unb64(fields.pop("signature")), _unb64(fields["sealed"])
            signed = read_signature(jcs.encode(fields), signature)
        except ActRefused as error:
            raise CeremonyFileRefused("signature-wrong", error.why) from error
        except (binascii.Error, ValueError, TypeError) as error:
            raise CeremonyFileRefused("malformed", str(error)) from error
        del fields["sealed"]
        return cls(_head(fields, "trustee", int), sealed, signed)

    def shares(self, private: X25519PrivateKey) -> dict[str, bytes]:
        """Return the shares by ref; b"" is a complaint. Raises CeremonyFileRefused."""
        try:
            found = jcs.decode(unwrap_share(private, _info(self.head), self.sealed), "shares")
            return {str(ref): bytes.fromhex(share) for ref, share in found.items()}
        except WrapFault as error:
            raise CeremonyFileRefused("not-readable") from error
        except (Malformed, ValueError, TypeError, AttributeError) as error:
            raise CeremonyFileRefused("malformed", "shares") from error


def make_half(request: Request, ref: str, holder: Holder) -> bytes:
    """Return a bidder's half for the ceremony. Raises CeremonyFileRefused, sync.envelope.EnvelopeRefused."""
    bid = next((one for one in request.bids if one.ref == ref), None)
    if bid is None:
        raise CeremonyFileRefused("not-in-the-set", ref)
    head = request.head | {"v": 1, "kind": "bidder-half", "ref": ref}
    sealed = wrap_share(request.key, _info(head), open_for(holder, bid.wraps["bidder"]))
    return jcs.encode(head | {"sealed": _b64(sealed)})


@dataclass(frozen=True, slots=True, repr=False)
class Half:
    """A bidder's half, still wrapped."""

    head: Mapping[str, Any]
    sealed: bytes

    @property
    def ref(self) -> str:
        """Return whose it is."""
        return str(self.head["ref"])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return a half. Raises CeremonyFileRefused."""
        fields = _read(data, "bidder-half", {*_HEAD, "ref", "sealed"})
        try:
            sealed = _unb64(fields.pop("sealed"))
        except (binascii.Error, ValueError, TypeError) as error:
            raise CeremonyFileRefused("malformed", str(error)) from error
        return cls(_head(fields, "ref", str), sealed)

    def half(self, private: X25519PrivateKey) -> bytes:
        """Return the half. Raises CeremonyFileRefused."""
        try:
            return unwrap_share(private, _info(self.head), self.sealed)
        except WrapFault as error:
            raise CeremonyFileRefused("not-readable") from error


def _info(head: Mapping[str, Any]) -> bytes:
    return b"erhai-ceremony-v1|" + jcs.encode(dict(head))


def _head(fields: dict[str, Any], sender: str, kind: type) -> dict[str, Any]:
    kinds: dict[str, type] = {"lot": str, "round": int, "ceremony": int, "set_sha256": str, sender: kind}
    for name, wanted in kinds.items():
        if type(fields[name]) is not wanted:
            raise CeremonyFileRefused("malformed", name)
    try:
        bytes.fromhex(fields["set_sha256"])
    except ValueError as error:
        raise CeremonyFileRefused("malformed", "set_sha256") from error
    return fields


def _read(data: bytes, kind: str, names: set[str]) -> dict[str, Any]:
    if len(data) > MAX_FILE:
        raise CeremonyFileRefused("malformed", f"over {MAX_FILE} bytes")
    try:
        fields = jcs.decode(data, kind)
    except Malformed as error:
        raise CeremonyFileRefused("malformed", error.why) from error
    if not isinstance(fields, dict) or fields.get("kind") != kind or fields.get("v") != 1:
        raise CeremonyFileRefused("wrong-kind", kind)
    if set(fields) != {"v", "kind", *names}:
        raise CeremonyFileRefused("malformed", "members")
    return fields


def _bid(value: Any) -> RequestedBid:
    manifest = Manifest.parse(value["manifest"].encode())
    try:
        signed = read_signature(bytes(manifest), _unb64(value["signature"]))
    except ActRefused as error:
        raise CeremonyFileRefused("signature-wrong", f"{value['ref']}: {error.why}") from error
    if signed.certificate_sha256 != manifest.bidder.cert_sha256:
        raise CeremonyFileRefused("other-signer", str(value["ref"]))
    wraps = {str(stem): _unb64(blob) for stem, blob in value["wraps"].items()}
    if {stem: hashlib.sha256(blob).hexdigest() for stem, blob in wraps.items()} != dict(manifest.wrap_hash):
        raise CeremonyFileRefused("malformed", "wraps")
    return RequestedBid(str(value["ref"]), bytes.fromhex(value["file_sha256"]), manifest, wraps)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
