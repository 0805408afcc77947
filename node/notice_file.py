"""The signed tender notice as one file (招标公告文件): from it the bidder's tool takes lot, deadline and trustees, never from a page.

    {v: 1, kind: "tender-notice", policy: tlog-policy text, entries: [{entry: base64, proof: tlog-proof text}, …]}

The entries of the lot's stream that register it, appoint trustees, publish and amend the notice, in order, each with its proof.
Canonical JSON.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from node.domain import notice, project, trustees
from node.domain.wire import WireMalformed
from node.domain.wire import decode as decode_event
from node.seal_terms import terms_of
from sync import jcs
from sync.bid_manifest import Terms
from sync.codec import decode
from sync.merkle import leaf_hash
from sync.policy import Policy
from sync.proof import Proof, check_proof
from sync.tampered import Malformed, Tampered

MAX_NOTICE = 4 * 1024 * 1024
WANTED = (
    project.LotRegistered,
    project.RetenderStarted,
    trustees.TrusteesAppointed,
    notice.NoticePublished,
    notice.DocumentsAmended,
    notice.NoticeWithdrawn,
)


@dataclass(eq=False)
class NoticeRefused(Exception):
    """The file is no notice that can be bid on. `why`: malformed, not-proven, other-lot, withdrawn, no-trustees."""

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True)
class ReadNotice:
    """What a bidder's tool needs of a notice, proven."""

    lot_name: str
    terms: Terms
    trustees: trustees.TrusteesAppointed


def read_notice(data: bytes, policy: Policy | None) -> ReadNotice:
    """Return what a notice file says, every entry proven under `policy` (None: the one that came along). Raises NoticeRefused."""
    try:
        fields = jcs.decode(data, "notice")
        if not isinstance(fields, dict) or fields.get("kind") != "tender-notice" or fields.get("v") != 1:
            raise NoticeRefused("malformed", "kind")
        known = policy or Policy.parse(str(fields["policy"]).encode())
        bodies = [_proven(one, known) for one in fields["entries"]]
        events = [(decode(body).stream, event) for body in bodies for event in events_in(body)]
    except (Malformed, WireMalformed, KeyError, TypeError, ValueError) as error:
        raise NoticeRefused("malformed", str(error)) from error
    return _fold(events)


def _proven(value: Any, policy: Policy) -> bytes:
    try:
        body = base64.b64decode(value["entry"], validate=True)
    except binascii.Error as error:
        raise NoticeRefused("malformed", "entry") from error
    proof = Proof.parse(str(value["proof"]).encode())
    try:
        check_proof(proof, leaf_hash(body), policy.keys)
    except Tampered as tampered:
        raise NoticeRefused("not-proven", str(tampered)) from tampered
    return body


def events_in(body: bytes) -> list[Any]:
    return [decode_event(name, version, fields) for name, version, fields in decode(body).events]


def _fold(events: list[tuple[str, Any]]) -> ReadNotice:
    registered: project.LotRegistered | None = None
    appointed: trustees.TrusteesAppointed | None = None
    deadline_ms, round_no = 0, 1
    if len({stream for stream, _ in events}) != 1:
        raise NoticeRefused("other-lot", "entries of several lots")
    for _, event in events:
        match event:
            case project.LotRegistered():
                registered = event
            case project.RetenderStarted(round_no=number):
                appointed, deadline_ms, round_no = None, 0, number
            case trustees.TrusteesAppointed():
                appointed = event
            case notice.NoticePublished(deadline_ms=at_ms) | notice.DocumentsAmended(deadline_ms=at_ms):
                deadline_ms = at_ms
            case notice.NoticeWithdrawn():
                appointed, deadline_ms = None, 0
            case _:
                pass
    if registered is None or not deadline_ms:
        raise NoticeRefused("withdrawn", "no notice in force")
    if appointed is None:
        raise NoticeRefused("no-trustees", registered.lot_code)
    terms = terms_of(registered, appointed, round_no=round_no, deadline_ms=deadline_ms)
    return ReadNotice(f"{registered.project_name} {registered.lot_name}", terms, appointed)
