"""Every reader of bytes that come from outside: a name, valid samples, the call, and the refusals that it may answer with."""

import base64
import datetime as dt
import io
import json
import tempfile
import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.bid_file import open_bid, seal_bid
from node.calendars import read_calendar
from node.domain import wire as events
from node.domain.bidding import BidContent
from node.domain.calendar import CalendarMalformed
from node.domain.refused import Refused
from node.exchange.strict_json import read_json
from node.people import PeopleFault, load_people
from node.room_key import RoomKey, load_room_key
from node.score_json import parse_input, read_request
from node.settings import SettingsFault, parse_settings
from sync import seal
from sync.blob_wire import Chunk, audit_path, chunk_root
from sync.bundle import ZipMembers
from sync.certs import CertFault, make_authority
from sync.checkpoint import open_checkpoint, read
from sync.codec import decode, encode, pack, unpack
from sync.courier import Contents, Listed, LogPart, Said, open_note
from sync.crl import CrlRefused, issue_crl, open_crl
from sync.enrolment import EnrolRefused, Member, Request, csr_key, make_csr
from sync.fence import FenceState
from sync.keys import KeyFault, load_public, make_identity
from sync.merkle import Frontier, inclusion_proof, leaf_hash
from sync.note import SignedNote, VerifierKey
from sync.policy import Policy
from sync.proof import check_proof
from sync.proof import parse as parse_proof
from sync.seal import SealFault
from sync.succession import Statement, open_envelope, parse_statement, seal_envelope
from sync.tampered import Malformed, Tampered
from sync.tiles import decode_bundle, decode_tile, encode_bundle, parse_tile_path
from sync.trust import read_leaf
from sync.verify import verify_bundle
from sync.wire import (
    AddCheckpoint,
    EntriesHead,
    EntriesReader,
    MirrorInfo,
    Package,
    decode_lines,
    decode_size,
    encode_lines,
    spans,
)
from tests.data.sample_log import LOG, ORIGIN, WITNESSES, SampleLog, members, policy_of, sample_entry

PROFILES = Path(__file__).parents[2] / "node" / "profiles"
KEYS = [LOG.vkey, *(witness.vkey for witness in WITNESSES)]
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Decoder:
    """`decode` raises one of `refusals` or returns; `again` gives the bytes that the value must have come from."""

    name: str
    samples: tuple[bytes, ...]
    decode: Callable[[bytes], Any]
    refusals: tuple[type[BaseException], ...] = (Malformed,)
    again: Callable[[Any], bytes] | None = None
    memory_factor: int = 40  # bytes that may be taken for each byte read, beside a megabyte


def _text(decode: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Bytes as the text that a caller would have: surrogates stand for what is no UTF-8."""
    return lambda data: decode(data.decode("utf-8", "surrogateescape"))


def _of_text(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def _through_file(load: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    folder = tempfile.TemporaryDirectory(prefix="erhai-fuzz-")

    def decode_file(data: bytes, _folder: Any = folder) -> Any:
        path = Path(folder.name) / "file"
        path.write_bytes(data)
        path.chmod(0o600)
        return load(path)

    return decode_file


def _upload(data: bytes) -> tuple[EntriesHead | None, list[Package]]:
    """Feed an add-entries body in uneven pieces, as a socket brings it."""
    reader = EntriesReader()
    packages = []
    for at in range(0, len(data), 4_099):
        reader.feed(data[at : at + 4_099])
        while (package := reader.package()) is not None:
            packages.append(package)
    return reader.head(), packages


def _events(data: bytes) -> tuple[Any, ...]:
    """An entry's events as the rules see them."""
    return tuple(events.decode(name, version, raw) for name, version, raw in decode(data).events)


def _instance(hint: Any) -> Any:
    """Any plain value of a field's type."""
    kind = get_origin(hint)
    if kind in {Union, types.UnionType}:
        return _instance(next(option for option in get_args(hint) if option is not type(None)))
    if kind is tuple:
        items = get_args(hint)
        return (_instance(items[0]),) if len(items) == 2 and items[1] is Ellipsis else tuple(map(_instance, items))
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return tuple(_instance(hints[field.name]) for field in fields(hint))
    return {int: 1, str: "x", bytes: b"\1" * 32, bool: True}[hint]


def _event_samples() -> tuple[bytes, ...]:
    found = []
    for name, kind in events.EVENTS.items():
        hints = get_type_hints(kind)
        raw = tuple(_instance(hints[field.name]) for field in fields(kind))
        entry = sample_entry(7)
        found.append(encode(type(entry)(**{**_fields(entry), "events": ((name, events.VERSIONS.get(name, 1), raw),)})))
    return tuple(found)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _zip(data: bytes) -> dict[str, bytes] | None:
    """Verify a bundle; what is called good must hold what the sample held."""
    verdict = verify_bundle(ZipMembers(io.BytesIO(data)), policy_of(), None)
    if verdict.ok:
        assert members(data) in _good_members(), "a changed bundle was called good"
    return None


@cache
def _bundles() -> tuple[bytes, ...]:
    return SampleLog.of(3).bundle(), SampleLog.of(258).bundle()


@cache
def _good_members() -> tuple[dict[str, bytes], ...]:
    return tuple(members(one) for one in _bundles())


SETTINGS = """
role = "county"
node = "532924-room-1-a"
origin = "dali.erhai/532924/room-1/a/e1"
data = "data"
pages_port = 8443
sync_port = 8444
centre_name = "中心"
room_name = "一号室"
people = "people.toml"
demo = true
demo_clock = "clock"
calendar_vkeys = ["a+b+c"]
disk_floor_mib = 64
[[peers]]
name = "532924-room-1-b"
url = "https://127.0.0.1:1"
kind = "room"
origin = "dali.erhai/532924/room-1/b/e1"
log_vkey = "x"
cosigner_vkey = "y"
cap_kbit_s = 64
[[replica]]
name = "stick"
kind = "file"
path = "/mnt"
""".encode()
PEOPLE = """
[[person]]
no = "E-01"
name = "王"
role = "expert"
pin_hash = "aa$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
seat = "3"
lot = "L-1"
""".encode()
SCORE = json.dumps(
    {
        "method": "benchmark",
        "control": "1100",
        "full": "100",
        "k": "0.05",
        "above": "1.2",
        "below": "0.8",
        "floor": "0",
        "outliers": [{"n_min": 6, "high": 1, "low": 0}, {"n_min": 7, "high": 1, "low": 1}],
        "round": {"benchmark": 2, "deviation": None, "score": 2},
        "bids": [{"bidder": "甲", "price": "980"}, {"bidder": "乙", "price": "1010.50"}],
    },
    ensure_ascii=False,
).encode()


@cache
def decoders() -> tuple[Decoder, ...]:
    """Every decoder with its samples; they are made once."""
    log = SampleLog.of(300)
    note = log.note()
    room = RoomKey(X25519PrivateKey.from_private_bytes(b"\x0a" * 32))
    envelope = seal.seal_to({"room": room.public, "b": room.public}, b"37 marks", b"context")
    shared = seal.seal_with_key(b"k" * 32, b"37 marks", b"context")
    bid = BidContent(
        "L-1", 1, "R1", "甲", "91530000000000000X", 100, "壹元整", 30, "合格", (), (("a.pdf", b"\1" * 32),)
    )
    sealed_bid = seal_bid(bid, room.public)
    upload = bytes(EntriesHead(ORIGIN, 250, 300, b"ticket")) + b"".join(
        bytes(Package(span, tuple(log.entries(span.first, span.end)), (bytes(32),) * 3)) for span in spans(250, 300)
    )
    statement, succession, ca, public_json = _succession()
    leaf = unpack(succession)[1]
    request = _request()
    authority = make_authority("dali.erhai", NOW)
    crl = issue_crl(authority, number=7, revoked={5: NOW, 9: NOW}, now=NOW)
    crl_ca = authority.certificate_pem
    tile = b"".join(log.hashes(0, 0, 256))
    contents = Contents(
        (LogPart("ab" * 32, 0, 3),),
        {
            f"logs/{'ab' * 32}/{name}": Listed(bytes(32), 5)
            for name in ("origin", "checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3")
        }
        | {f"blobs/{'cd' * 32}": Listed(b"\1" * 32, 9)},
    )
    chunk_data = [bytes([n]) * (1 << 20) for n in range(2)] + [b"last"]
    leaves = [leaf_hash(one) for one in chunk_data]
    chunk = Chunk((2 << 20) + 4, 2, chunk_root(leaves), audit_path(leaves, 2), chunk_data[2])
    fence = FenceState(9, b"\1" * 16, log.checkpoint())
    return (
        Decoder("note", (note, bytes(SignedNote.parse(note))), SignedNote.parse, again=bytes),
        Decoder("checkpoint", (note, log.note(1), log.note(255)), read),
        Decoder(
            "signed checkpoint", (note, log.note(17)), lambda data: open_checkpoint(data, KEYS), (Malformed, Tampered)
        ),
        Decoder("verifier key", tuple(str(key).encode() for key in KEYS), _text(VerifierKey.parse), again=_of_text),
        Decoder(
            "cosignature lines", (encode_lines(SignedNote.parse(note).signatures),), decode_lines, again=encode_lines
        ),
        Decoder("tile", (tile, tile[:96]), decode_tile, again=b"".join),
        Decoder("bundle of entries", (encode_bundle(log.entries(0, 256)),), decode_bundle, again=encode_bundle),
        Decoder(
            "name of a tile",
            (b"tile/0/x001/x234/067", b"tile/entries/002.p/44"),
            _text(parse_tile_path),
            again=_of_text,
        ),
        Decoder(
            "add-checkpoint",
            (bytes(AddCheckpoint(255, (bytes(32),) * 9, note)), bytes(AddCheckpoint(0, (), note))),
            AddCheckpoint.parse,
            again=bytes,
        ),
        Decoder("known size", (b"0\n", b"4711\n"), decode_size, again=b"%d\n".__mod__),
        Decoder("mirror-info", (bytes(MirrorInfo(300, 256, b"ticket")),), MirrorInfo.parse, again=bytes),
        Decoder("add-entries", (upload, bytes(EntriesHead(ORIGIN, 0, 0))), _upload),
        Decoder("tlog-proof", (log.proof(5), log.proof(2, 200)), parse_proof, again=bytes),
        Decoder(
            "tlog-proof, checked",
            (log.proof(5),),
            lambda data: check_proof(parse_proof(data), leaf_hash(log.bodies[5]), KEYS),
            (Malformed, Tampered),
        ),
        Decoder("policy", (bytes(policy_of()), bytes(policy_of(quorum=2))), Policy.parse),
        Decoder(
            "policy, used", (bytes(policy_of()),), lambda data: Policy.parse(data).open(note), (Malformed, Tampered)
        ),
        Decoder("entry", tuple(encode(sample_entry(seq)) for seq in range(4)), decode, again=encode, memory_factor=80),
        Decoder("packed value", (pack((1, ("a", b"b", None, True), -5, 2**63)),), unpack, again=pack, memory_factor=80),
        Decoder("events of an entry", _event_samples(), _events, (Malformed, events.WireMalformed), memory_factor=80),
        Decoder("bundle", _bundles(), _zip, (Tampered,), memory_factor=60),
        Decoder("envelope to names", (envelope,), lambda data: _unchanged(data, envelope, room), (SealFault,)),
        Decoder("envelope's recipients", (envelope, shared), seal.recipients_of, (SealFault,)),
        Decoder("envelope with a key", (shared,), lambda data: _still(data, shared), (SealFault,)),
        Decoder(
            "sealed bid",
            (sealed_bid,),
            lambda data: open_bid(data, room, lot_code="L-1", round_no=1, ref="R1"),
            (SealFault,),
        ),
        Decoder(
            "room key", (room.private.private_bytes_raw().hex().encode(),), _through_file(load_room_key), (KeyFault,)
        ),
        Decoder("public identity", (public_json,), _through_file(load_public), (KeyFault,)),
        Decoder("settings", (SETTINGS,), _text(lambda text: parse_settings(text, Path("/base"))), (SettingsFault,)),
        Decoder("people", (PEOPLE,), _through_file(load_people), (PeopleFault,)),
        Decoder("calendar", ((PROFILES / "calendar-2026.toml").read_bytes(),), read_calendar, (CalendarMalformed,)),
        Decoder("score request", (SCORE,), lambda data: read_request(parse_input(data)), (Refused,)),
        Decoder("strict JSON", (SCORE,), read_json, (Refused,), memory_factor=160),
        Decoder("fence", (fence.pack(),), FenceState.unpack, ()),
        Decoder("succession", (statement,), parse_statement, again=Statement.pack),
        Decoder(
            "succession, signed",
            (succession,),
            lambda data: open_envelope(data, ca_pem=ca, prefecture="dali.erhai"),
            (Malformed, Tampered),
        ),
        Decoder("node certificate", (leaf,), lambda data: read_leaf(data, ca, "dali.erhai"), (CertFault,)),
        Decoder(
            "certificate request", (request.csr,), lambda data: csr_key(replace(request, csr=data)), (EnrolRefused,)
        ),
        Decoder("list of revocations", (crl, _pem(crl)), lambda data: open_crl(data, crl_ca), (CrlRefused,)),
        Decoder("chunk", (bytes(chunk),), Chunk.parse, again=bytes),
        Decoder("courier's list", (bytes(contents),), Contents.parse, again=bytes),
        Decoder(
            "courier's note",
            (Said("a", 5, "ab" * 32).signed(LOG),),
            lambda data: open_note(data, {"a": LOG.vkey}),
            (Malformed, Tampered),
        ),
        Decoder(
            "frontier", (Frontier().extend(map(leaf_hash, log.bodies)).pack(),), lambda data: Frontier.unpack(300, data)
        ),
        Decoder("inclusion", (b"".join(inclusion_proof(log, 5, 300)),), decode_tile),
    )


def _pem(der: bytes) -> bytes:
    lines = base64.encodebytes(der)
    return b"-----BEGIN X509 CRL-----\n" + lines + b"-----END X509 CRL-----\n"


def _unchanged(data: bytes, envelope: bytes, room: RoomKey) -> None:
    room.open(data, b"context")
    assert data == envelope, "a changed envelope opens"


def _still(data: bytes, envelope: bytes) -> None:
    seal.open_with_key(b"k" * 32, data, b"context")
    assert data == envelope, "a changed envelope opens"


def _request() -> Request:
    """What a node asks to be enrolled with; of it, the signing request is another format than ours."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
    node = "532924-room-1-a"
    origin = "dali.erhai/532924/room-1/a/e1"
    raw = key.public_key().public_bytes_raw().hex()
    member = Member(node, "county", "532924-room-1", origin, str(LOG.vkey), "", "", "00" * 32, raw, "")
    return Request("dali.erhai", 1, 2, make_csr(node, key), member)


def _succession() -> tuple[bytes, bytes, bytes, bytes]:
    """A statement, its envelope, the CA it is judged by, and a node's public identity."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = make_authority("dali.erhai", NOW)
        keys = make_identity(
            folder, origin="dali.erhai/532924/room-1/a/e1", node="532924-room-1-a", authority=authority, now=NOW
        )
        base = "dali.erhai/532924/room-1/a"
        new = type(LOG).from_seed(f"{base}/e2", b"\x07" * 32)
        statement = Statement(
            node="532924-room-1-a",
            old_origin=f"{base}/e1",
            old_vkey=str(keys.log_signer.vkey),
            new_origin=f"{base}/e2",
            log_vkey=str(new.vkey),
            cosigner_vkey=str(keys.cosigner.vkey),
            witness_vkey=str(keys.witness.vkey),
            sealing_public="00" * 32,
            size=5,
            root=bytes(32),
            fence_size=5,
            lost=0,
            cause="damage",
            first_leaf=bytes(32),
            at_ms=1,
        ).pack()
        return (
            statement,
            seal_envelope(statement, folder),
            (folder / "ca.crt").read_bytes(),
            (folder / "public.json").read_bytes(),
        )
