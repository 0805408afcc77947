"""Nodes and entries to measure with, made in a scratch folder."""

import datetime as dt
from pathlib import Path

from node.clock import FixedClock
from node.domain import incident, wire
from node.node import Node
from node.places import TRUST
from node.room_key import make_room_key
from node.settings import Peer, Settings
from node.start import KEYS, ROOM_KEY, create_data, open_node
from sync import codec
from sync.certs import Authority
from sync.crl import issue_crl
from sync.keys import load_identity, make_identity
from sync.trust import CRL_FILE

PREFECTURE = "bench.erhai"
AT_MS = 1_772_000_000_000


def origin_of(node: str) -> str:
    """Return the log's name of a bench node."""
    return f"{PREFECTURE}/room/{node}/e1"


def make_node(folder: Path, node: str, authority: Authority) -> None:
    """Make keys, database, fence and a fresh list of revoked certificates."""
    now = dt.datetime.now(dt.UTC)
    create_data(folder, origin_of(node))
    make_identity(folder / KEYS, origin=origin_of(node), node=node, authority=authority, now=now)
    make_room_key(folder / ROOM_KEY)
    (folder / TRUST).mkdir(mode=0o700)
    (folder / TRUST / CRL_FILE).write_bytes(issue_crl(authority, number=1, revoked={}, now=now))


def opened(folder: Path, node: str, *neighbours: Path) -> Node:
    """Open a bench node; `neighbours` are the folders of the nodes that it is enrolled with."""
    settings = Settings(
        role="county",
        node=node,
        origin=origin_of(node),
        data=folder,
        pages_port=1,
        sync_port=2,
        centre_name="bench",
        room_name="bench",
        peers=tuple(_peer(one) for one in neighbours),
    )
    return open_node(settings, FixedClock(AT_MS))


def _peer(folder: Path) -> Peer:
    public = load_identity(folder / KEYS).public()
    return Peer(
        name=public.node,
        kind="room",
        origin=public.origin,
        log_vkey=public.log_vkey,
        cosigner_vkey=public.cosigner_vkey,
        tls_public=public.tls_public,
    )


def entry(origin: str, node: str, seq: int) -> bytes:
    """Return one entry of about 430 bytes: an incident in one of many rooms' streams."""
    event = incident.IncidentRecorded(seq % 40 + 1, "other", f"{seq:06d} " + "市电中断" * 16, AT_MS, ("L" * 23,))
    made = codec.Entry(
        version=1,
        origin=origin,
        seq=seq,
        at_ms=AT_MS + seq,
        clock_quality="synchronised",
        stream=f"room/{node}-{seq // 40:06d}",
        command_id=seq.to_bytes(16, "big"),
        actor="operator:O-01",
        events=(wire.encode(event),),
        evidence=(),
    )
    return codec.encode(made)
