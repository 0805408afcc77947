"""Writes a lot's tender notice as one file for bidders (公告导出); `node.notice_file` says what it holds and reads it."""

import base64

import apsw

from node import export
from node.domain.streams import lot_stream
from node.notice_file import WANTED, events_in
from node.views import custody as custody_view
from sync import jcs
from sync.log import read_entry
from sync.policy import Policy


def write_notice(db: apsw.Connection, lot_code: str, policy: Policy) -> bytes:
    """Return a lot's notice file. Raises LogFault where an entry is not under a checkpoint."""
    entries = []
    for row in custody_view.of_stream(db, lot_stream(lot_code)):
        body = read_entry(db, row.origin, row.seq)
        if any(isinstance(event, WANTED) for event in events_in(body)):
            proof = export.proof_of(db, row.origin, row.seq).decode()
            entries.append({"entry": base64.b64encode(body).decode(), "proof": proof})
    return jcs.encode({"v": 1, "kind": "tender-notice", "policy": bytes(policy).decode(), "entries": entries})
