"""The demonstration's trustees and bidders with their key files: what the tools `erhai share` and `erhai bid` do, in one process."""

import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.bid_content import content_bytes
from node.ceremony_files import Request, make_half, make_release
from node.cli_share import load_trustee_key, make_certificate, make_trustee_key
from node.domain.bidding import BidContent
from node.notice_file import read_notice
from sync.bid_file import Identity, seal_file
from sync.bid_package import CONTENT, Source
from sync.envelope import FileHolder
from sync.signers import SoftwareSigner
from web.demo import cast


@dataclass(frozen=True, slots=True)
class Seals:
    """The key files of one demonstration."""

    folder: Path

    def make(self, trustees: Sequence[tuple[str, str, str]], now: dt.datetime) -> None:
        """Make every trustee's key file."""
        self.folder.mkdir(mode=0o700)
        for role, person, body in trustees:
            make_trustee_key(self.folder / f"{role}.key", f"{body} {person}", now=now)

    def appointment(self) -> dict[str, str | list[str]]:
        """Return the fields of the form that appoints the trustees."""
        lines = [
            f"{person},{body},{role},{load_trustee_key(self.folder / f'{role}.key').appointment}"
            for role, person, body in cast.SEAL_TRUSTEES
        ]
        return {"seal": "intl-1", "mode": "and", "t": str(cast.OPENERS), "trustees": "\n".join(lines)}

    def seal(self, notice: bytes, content: BidContent) -> bytes:
        """Return a company's sealed bid under the notice; its key is kept for the opening."""
        read = read_notice(notice, None)
        key = ec.generate_private_key(ec.SECP256R1())
        der = serialization.Encoding.DER
        pkcs8 = key.private_bytes(der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificate = make_certificate(key, content.bidder_name, now=dt.datetime.now(dt.UTC)).public_bytes(der)
        (self.folder / f"{content.ref}.key").write_bytes(pkcs8)
        (self.folder / f"{content.ref}.cer").write_bytes(certificate)
        who = Identity(content.ref, "demo", SoftwareSigner(certificate, pkcs8), certificate)
        body, target = content_bytes(content), io.BytesIO()
        source = Source(CONTENT, lambda: io.BytesIO(body))
        seal_file(target, read.terms, [one.key for one in read.trustees.trustees], who, (source,))
        return target.getvalue()

    def release(self, request: bytes, role: str) -> bytes:
        """Return a trustee's release over the whole set."""
        key = load_trustee_key(self.folder / f"{role}.key")
        return make_release(Request.parse(request), key.share, key.signer)

    def half(self, request: bytes, ref: str) -> bytes:
        """Return a bidder's half."""
        certificate, key = ((self.folder / f"{ref}.{kind}").read_bytes() for kind in ("cer", "key"))
        return make_half(Request.parse(request), ref, FileHolder.of(certificate, key))
