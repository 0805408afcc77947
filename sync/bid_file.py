"""The sealed bid file `.erb` (加密投标文件): a stored ZIP of the payload, the keys' wraps, the manifest and its signature.

    payload.cob           the package (sync.bid_package) under the bid's key (sync.payload)
    wrap/bidder.cms       the bidder's half, CMS to the bidder's encryption certificate
    wrap/share-<i>.hpke   share i of the room's half, HPKE to trustee i
    manifest.json         sync.bid_manifest
    manifest.cms          the bidder's detached CMS over manifest.json
    receipt.note          optional, added to the bidder's copy: the log's proof that the node has it

Members lie end to end in this order and fill the file; their headers say no more than name, size and checksum (MS-DOS date
1980-01-01, made by Unix, mode 0100644, no extra fields), so one bid has one spelling. Everything but the receipt is covered by the signature.
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from sync import payload
from sync.acts import MAX_CMS, ActRefused, read_signature, sign_act
from sync.bid_keys import deal, share_hash
from sync.bid_manifest import MAX_MANIFEST, Bidder, Manifest, Terms
from sync.bid_package import Package, Source, write_package
from sync.envelope import MAX_ENVELOPE, seal_for
from sync.signers import ActSigner
from sync.tampered import Malformed

CLIENT = "erhai-1"
MAX_PAYLOAD = 1024 * 1024 * 1024
_PAYLOAD, _MANIFEST, _SIGNATURE, _RECEIPT = "payload.cob", "manifest.json", "manifest.cms", "receipt.note"
_DATE = (1980, 1, 1, 0, 0, 0)
_DOS_DATE = 1 << 5 | 1
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_MOST = {_MANIFEST: MAX_MANIFEST, _SIGNATURE: MAX_CMS, _PAYLOAD: MAX_PAYLOAD, _RECEIPT: 1024 * 1024}


@dataclass(eq=False)
class BidRefused(Exception):
    """A sealed bid file is not acceptable, or cannot be made.

    `code`: not-a-bid-file, manifest-malformed, signature-wrong, other-signer, payload-changed, wrap-changed, key-does-not-fit,
    package-wrong, terms-differ (`detail` names the member that is not the notice's), for-another-participant, too-large.
    """

    code: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.code}: {self.detail}" if self.detail else self.code


@dataclass(frozen=True, slots=True)
class Identity:
    """The bidder's two certificates (DER) and the anchor's name; one certificate may serve for both."""

    ref: str
    anchor: str
    signer: ActSigner
    encryption_certificate: bytes

    @property
    def bidder(self) -> Bidder:
        """Return how the manifest names the bidder."""
        return Bidder(self.ref, hashlib.sha256(self.signer.certificate).hexdigest(), self.anchor)


def seal_file(
    target: BinaryIO, terms: Terms, keys: Sequence[bytes], who: Identity, files: Sequence[Source]
) -> Manifest:
    """Write a sealed bid to `target` (seekable) in one pass over the files; memory stays flat.

    `keys` are the trustees' raw X25519 public keys in order. Raises BidRefused, EnvelopeRefused, Malformed.
    """
    if [hashlib.sha256(key).hexdigest() for key in keys] != [one.key_sha256 for one in terms.trustees]:
        raise BidRefused("terms-differ", "trustees")
    context = Manifest(terms, who.bidder, "", 0, (), {}, 0, "").context
    dealt = deal(terms.profile, terms.mode, context, t=terms.t, publics=keys)
    wraps = {"bidder": seal_for(who.encryption_certificate, dealt.half)}
    wraps |= {f"share-{i}": blob for i, blob in enumerate(dealt.wraps, 1)}
    sealing = payload.ENCRYPTORS[terms.profile](dealt.key, context)
    digest = hashlib.sha256()
    size = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        try:
            with archive.open(_member(_PAYLOAD), "w") as written:

                def put(sealed: bytes) -> None:
                    nonlocal size
                    size += len(sealed)
                    if size > MAX_PAYLOAD:
                        raise BidRefused("too-large", str(MAX_PAYLOAD))
                    digest.update(sealed)
                    written.write(sealed)

                write_package(lambda plain: put(sealing.update(plain)), context, files, who.signer)
                put(sealing.finalize())
        except zipfile.LargeZipFile as error:
            raise BidRefused("too-large", str(MAX_PAYLOAD)) from error
        for stem, blob in wraps.items():
            archive.writestr(_member(_wrap_name(stem)), blob)
        manifest = Manifest(
            terms=terms,
            bidder=who.bidder,
            payload_sha256=digest.hexdigest(),
            payload_bytes=size,
            share_hash=dealt.share_hash,
            wrap_hash={stem: hashlib.sha256(blob).hexdigest() for stem, blob in wraps.items()},
            plaintext_files_count=len(files),
            client_version=CLIENT,
        )
        archive.writestr(_member(_MANIFEST), bytes(manifest))
        archive.writestr(_member(_SIGNATURE), sign_act(bytes(manifest), who.signer))
    return manifest


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3
    member.external_attr = 0o100644 << 16
    return member


def _wrap_name(stem: str) -> str:
    return "wrap/bidder.cms" if stem == "bidder" else f"wrap/{stem}.hpke"


class BidFile:
    """A sealed bid whose manifest, signature and wraps have been judged. The payload is judged by `check_payload`."""

    def __init__(self, file: BinaryIO) -> None:
        """Read everything but the payload. Raises BidRefused. Close it, or use it in a `with`."""
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
            self._members = _layout(file, self._archive)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
            raise BidRefused("not-a-bid-file") from error
        try:
            self.manifest = Manifest.parse(self._read(_MANIFEST))
        except Malformed as error:
            raise BidRefused("manifest-malformed", str(error)) from error
        self._judge_members()
        try:
            self.signature = self._read(_SIGNATURE)
            self.signed = read_signature(bytes(self.manifest), self.signature)
        except ActRefused as error:
            raise BidRefused("signature-wrong", error.why) from error
        if self.signed.certificate_sha256 != self.manifest.bidder.cert_sha256:
            raise BidRefused("other-signer")
        self.wraps = {stem: self._read(_wrap_name(stem)) for stem in self.manifest.wrap_hash}
        for stem, blob in self.wraps.items():
            if hashlib.sha256(blob).hexdigest() != self.manifest.wrap_hash[stem]:
                raise BidRefused("wrap-changed", stem)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self._archive.close()
        self._file.close()

    def _judge_members(self) -> None:
        wraps = [_wrap_name("bidder"), *(_wrap_name(f"share-{one.i}") for one in self.manifest.terms.trustees)]
        wanted = [_PAYLOAD, *wraps, _MANIFEST, _SIGNATURE]
        if list(self._members) not in (wanted, [*wanted, _RECEIPT]):
            raise BidRefused("not-a-bid-file", "members")
        if self._members[_PAYLOAD][1] != self.manifest.payload_bytes:
            raise BidRefused("payload-changed", "size")

    def _read(self, name: str) -> bytes:
        start, size = self._members.get(name, (0, -1))
        if not 0 <= size <= _MOST.get(name, MAX_ENVELOPE):
            raise BidRefused("not-a-bid-file", name)
        self._file.seek(start)
        data = self._file.read(size)
        if zlib.crc32(data) != self._archive.getinfo(name).CRC:
            raise BidRefused("not-a-bid-file", f"{name} is damaged")
        return data

    @property
    def sha256(self) -> bytes:
        """Return the SHA-256 of the manifest: what a release of shares is about."""
        return hashlib.sha256(bytes(self.manifest)).digest()

    def require(self, terms: Terms, ref: str) -> None:
        """Refuse a bid that was sealed under other terms than the notice's, or by another participant. Raises BidRefused.

        The deadline is not compared: an amendment may have moved it after the bid was sealed.
        """
        mine = self.manifest.terms
        for name in ("profile", "mode", "tender", "lot", "round_no", "t", "trustees"):
            if getattr(mine, name) != getattr(terms, name):
                raise BidRefused("terms-differ", name)
        if self.manifest.bidder.ref != ref:
            raise BidRefused("for-another-participant", ref)

    def check_payload(self) -> None:
        """Hash the payload. Raises BidRefused."""
        start, size = self._members[_PAYLOAD]
        self._file.seek(start)
        digest = hashlib.sha256()
        while size and (piece := self._file.read(min(size, payload.READ))):
            digest.update(piece)
            size -= len(piece)
        if size or digest.hexdigest() != self.manifest.payload_sha256:
            raise BidRefused("payload-changed")

    def share_fits(self, number: int, share: bytes) -> bool:
        """Whether this is the share that the bidder's manifest promises to trustee `number`."""
        manifest = self.manifest
        if not 1 <= number <= len(manifest.share_hash):
            return False
        wanted = manifest.share_hash[number - 1]
        return share_hash(manifest.terms.profile, manifest.context, number, share) == wanted

    def key_fits(self, key: bytes) -> bool:
        """Whether the payload commits to this key; reads 56 bytes and decrypts nothing."""
        start, size = self._members[_PAYLOAD]
        self._file.seek(start)
        head = self._file.read(min(size, payload.HEAD))
        return payload.key_fits(self.manifest.terms.profile, key, self.manifest.context, head)

    def open_package(self, key: bytes, path: Path) -> Package:
        """Decrypt to `path`, which comes to be only when the end is proven, and judge what is inside. Raises BidRefused."""
        manifest = self.manifest
        start, size = self._members[_PAYLOAD]
        part = path.with_name(path.name + ".part")
        try:
            opening = payload.DECRYPTORS[manifest.terms.profile](key, manifest.context)
            self._file.seek(start)
            with part.open("xb") as target:
                payload.decrypt(opening, self._file, size, target)
            part.replace(path)
        except payload.PayloadRefused as error:
            raise BidRefused("key-does-not-fit") from error
        finally:
            part.unlink(missing_ok=True)
        try:
            return Package(path, context=manifest.context, cert_sha256=manifest.bidder.cert_sha256)
        except Malformed as error:
            path.unlink()
            raise BidRefused("package-wrong", str(error)) from error


def _layout(file: BinaryIO, archive: zipfile.ZipFile) -> dict[str, tuple[int, int]]:
    """Return each member's place and size. There is one way to write the container, and only that one is read."""
    total = file.seek(0, 2)
    members: dict[str, tuple[int, int]] = {}
    at, directory = 0, b""
    for one in archive.infolist():
        raw = one.filename.encode("ascii")
        common = (20, 0, 0, 0, _DOS_DATE, one.CRC, one.file_size, one.file_size, len(raw), 0)
        file.seek(at)
        if one.filename in members or file.read(_LOCAL.size + len(raw)) != _LOCAL.pack(b"PK\3\4", *common) + raw:
            raise BidRefused("not-a-bid-file", "members")
        directory += _CENTRAL.pack(b"PK\1\2", 20, 3, *common, 0, 0, 0, 0o100644 << 16, at) + raw
        start = at + _LOCAL.size + len(raw)
        members[one.filename] = (start, one.file_size)
        at = start + one.file_size
    file.seek(at)
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(directory), at, 0)
    if total != at + len(directory) + len(end) or file.read() != directory + end:
        raise BidRefused("not-a-bid-file", "hidden bytes")
    return members
