"""The demonstration's trustees and bidders with their cards: what the tools `erhai share` and `erhai bid` do, in one process."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.bid_content import content_bytes
from node.ceremony_files import Request, make_half, make_release
from node.cli_share import load_trustee_key
from node.notice_file import read_notice
from sync.bid_file import Identity, seal_file
from sync.bid_package import CONTENT, Source
from web.demo import cast
from web.demo.vendors import Vendors


@dataclass(frozen=True, slots=True)
class Seals:
    """The key files of one demonstration."""

    folder: Path
    vendors: Vendors

    def make(self, trustees: Sequence[tuple[str, str, str]]) -> None:
        """Make every trustee's key file, around the person's own card."""
        self.folder.mkdir(mode=0o700)
        for role, person, _body in trustees:
            self.vendors.trustee(person, self.folder / f"{role}.key")

    def appointment(self) -> dict[str, str | list[str]]:
        """Return the fields of the form that appoints the trustees."""
        lines = [
            f"{person},{body},{role},{load_trustee_key(self.folder / f'{role}.key').appointment}"
            for role, person, body in cast.SEAL_TRUSTEES
        ]
        return {"seal": "intl-1", "mode": "and", "t": str(cast.OPENERS), "trustees": "\n".join(lines)}

    def seal(self, notice: bytes, company: cast.Company, ref: str) -> bytes:
        """Return a company's sealed bid under the notice, by its two certificates."""
        read = read_notice(notice, None)
        anchor, signer, holder = self.vendors.company(company, ref)
        who, content = Identity(ref, anchor, signer, holder.certificate), cast.bid_of(company, ref)
        body, target = content_bytes(content), io.BytesIO()
        source = Source(CONTENT, lambda: io.BytesIO(body))
        seal_file(target, read.terms, [one.key for one in read.trustees.trustees], who, (source,))
        return target.getvalue()

    def release(self, request: bytes, role: str) -> bytes:
        """Return a trustee's release over the whole set."""
        key = load_trustee_key(self.folder / f"{role}.key")
        return make_release(Request.parse(request), key.share, key.signer)

    def half(self, request: bytes, company: cast.Company, ref: str) -> bytes:
        """Return a bidder's half."""
        _anchor, _signer, holder = self.vendors.company(company, ref)
        return make_half(Request.parse(request), ref, holder)
