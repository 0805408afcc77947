"""A node's own side of enrolment (登记): keys made here, a request out, a bundle in, all of it or nothing.

The private keys are made in `keys.enrolling` and never leave it: one rename makes it the node's key folder once a bundle has
answered the request. Later bundles (renewal, a changed roster) replace leaf, roster and list of a node that goes on.
"""

import json
import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from node.places import ENROLLING, FENCE, KEYS, ROSTER, TRUST
from node.start import create_data
from sync import enrolment
from sync.crl import CrlRefused, newer, open_crl
from sync.enrolment import Bundle, EnrolRefused, Member, Request
from sync.keys import KeyFault, NodeKeys, certify, load_identity, make_private, public_of, tls_key, write_private
from sync.trust import CRL_FILE, read_leaf

_PENDING = "request"
_TOKEN = "token"  # noqa: S105 - a file name
_ROSTER = Path(ROSTER).name


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made: the paper for the prefecture, and the token to read aloud."""

    paper: bytes
    token: str


def request(
    data: Path,
    *,
    node: str,
    prefecture: str,
    origin: str,
    kind: str,
    room: str,
    url: str,
    now_ms: int,
) -> Asked:
    """Make the node's keys and a request for them. An earlier request that was not answered is thrown away.

    Raises KeyFault where the node has keys already; EnrolRefused, Malformed where a name cannot be one.
    """
    if (data / KEYS).exists():
        raise KeyFault(str(data / KEYS), "exists", "this node is enrolled; to replace its keys move the folder away")
    enrolment.check_names(prefecture, node, origin)
    folder = data / ENROLLING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    key = make_private(folder)
    public = public_of(folder, origin=origin, node=node, prefecture=prefecture)
    member = Member(
        node=node,
        kind=kind,
        room=room,
        origin=origin,
        log_vkey=public.log_vkey,
        cosigner_vkey=public.cosigner_vkey,
        witness_vkey=public.witness_vkey,
        sealing_public=public.sealing_public,
        tls_public=public.tls_public,
        url=url,
    )
    enrolment.check_member(member)
    expires_ms = now_ms + enrolment.TOKEN_HOURS * 3_600_000
    token = enrolment.new_token()
    asked = Request(prefecture, now_ms, expires_ms, enrolment.make_csr(node, key), member)
    paper = enrolment.make_request(asked, token)
    enrolment.open_request(paper, token, now_ms)
    write_private(folder / _PENDING, paper)
    write_private(folder / _TOKEN, token.encode())
    return Asked(paper, token)


def accept(data: Path, paper: bytes, now_ms: int) -> Bundle:
    """Install a bundle: the answer to the own request, or a later one of the CA that is trusted here.

    Raises EnrolRefused, Malformed, CertFault, CrlRefused; then nothing has changed. Raises KeyFault, OSError.
    """
    if (data / KEYS).exists():
        return _update(data, paper, now_ms)
    folder = data / ENROLLING
    if not (folder / _PENDING).exists():
        raise EnrolRefused("no-request")
    asked_paper, token = (folder / _PENDING).read_bytes(), (folder / _TOKEN).read_text()
    bundle = enrolment.open_bundle(paper, token=token)
    asked = enrolment.open_request(asked_paper, token, None)
    if bundle.answers != enrolment.digest(asked_paper):
        raise EnrolRefused("answers-another")
    member = asked.member
    _check(
        bundle, asked.prefecture, bundle.ca, node=member.node, tls_public=bytes.fromhex(member.tls_public), own=member
    )
    open_crl(bundle.crl, bundle.ca)
    for name in ("tls.crt", "ca.crt", "public.json", _ROSTER):
        (folder / name).unlink(missing_ok=True)  # of an installation that was cut off
    certify(
        folder,
        origin=member.origin,
        node=member.node,
        prefecture=asked.prefecture,
        leaf=_pem(bundle.leaf),
        ca=bundle.ca,
    )
    write_private(folder / _ROSTER, roster_text(bundle, member).encode())
    _replace(data / TRUST / CRL_FILE, bundle.crl)
    if not (data / FENCE).exists():
        create_data(data, member.origin)
    folder.rename(data / KEYS)
    _sync_folder(data)
    for name in (_TOKEN, _PENDING):
        (data / KEYS / name).unlink()
    return bundle


def renewal(keys: NodeKeys, now_ms: int) -> bytes:
    """Return the paper that asks for a new leaf of the node's own key. Raises KeyFault, ValueError."""
    leaf = x509.load_pem_x509_certificate((keys.folder / "tls.crt").read_bytes())
    return enrolment.make_renewal(keys.node, leaf.serial_number, now_ms, tls_key(keys.folder))


def _update(data: Path, paper: bytes, now_ms: int) -> Bundle:
    keys = load_identity(data / KEYS)
    ca = (data / KEYS / "ca.crt").read_bytes()
    bundle = enrolment.open_bundle(paper, ca=ca)
    own = _own(data / ROSTER)
    _check(bundle, keys.prefecture, ca, node=keys.node, tls_public=keys.tls_public, own=own)
    held = _number(data / ROSTER)
    if bundle.number < held:
        raise EnrolRefused("goes-back", f"{bundle.number} < {held}")
    offered = open_crl(bundle.crl, ca)
    file = data / TRUST / CRL_FILE
    try:
        in_hand = open_crl(file.read_bytes(), ca) if file.exists() else None
        taken = newer(in_hand, offered, now_ms)
    except CrlRefused as refused:
        if refused.why != "goes-back":
            raise
        taken = False  # a stick has brought a newer one meanwhile
    if taken:
        _replace(file, offered.der)
    leaf = x509.load_pem_x509_certificate((data / KEYS / "tls.crt").read_bytes())
    if x509.load_der_x509_certificate(bundle.leaf).not_valid_after_utc > leaf.not_valid_after_utc:
        _replace(data / KEYS / "tls.crt", _pem(bundle.leaf))
    if own is not None:
        _replace(data / ROSTER, roster_text(bundle, own).encode())
    return bundle


def enrolled_as(data: Path) -> str:
    """Return the kind of node that was enrolled here: county | prefecture; "" where its keys came in another way."""
    own = _own(data / ROSTER)
    return "" if own is None else own.kind


def roster_text(bundle: Bundle, own: Member) -> str:
    """Return the roster as the settings read it: one [[peers]] for each node, and what this node is itself."""
    lines = ["# erhai enrol accept", f"number = {bundle.number}"]
    for member in bundle.roster:
        kind = member.kind
        if kind == "county" and own.kind == "county":
            kind = "room"
        peer = {
            "name": member.node,
            "kind": kind,
            "origin": member.origin,
            "log_vkey": member.log_vkey,
            "cosigner_vkey": member.cosigner_vkey,
            "sealing_public": member.sealing_public,
            "tls_public": member.tls_public,
        }
        if member.url and own.kind == "county":
            peer["url"] = member.url
        lines += ["", "[[peers]]", *_pairs(peer)]
    own_table = {name: getattr(own, name) for name in Member.__slots__}
    return "\n".join([*lines, "", "[own]", *_pairs(own_table)]) + "\n"


def _pairs(table: dict[str, str]) -> list[str]:
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in table.items()]


def _own(path: Path) -> Member | None:
    """Return what this node is on its roster; None where it came by its keys in another way."""
    return Member(**tomllib.loads(path.read_text(encoding="utf-8"))["own"]) if path.exists() else None


def _check(bundle: Bundle, prefecture: str, ca: bytes, *, node: str, tls_public: bytes, own: Member | None) -> None:
    """Refuse a bundle that is not for this node's keys. Raises EnrolRefused, CertFault."""
    leaf = read_leaf(bundle.leaf, ca, prefecture)
    if (bundle.node, bundle.prefecture, leaf.node) != (node, prefecture, node) or leaf.key != tls_public:
        raise EnrolRefused("for-another", leaf.node)
    act, _ = enrolment.open_act(bundle.act)
    if act.node != node or act.serial != f"{leaf.serial:x}" or act.kind == "revoke":
        raise EnrolRefused("for-another", act.node)
    if own is not None and act.subject != enrolment.subject_of(own, bundle.leaf):
        raise EnrolRefused("for-another", act.node)
    if bundle.answers not in {b"\0" * 32, act.paper}:
        raise EnrolRefused("answers-another")


def _number(path: Path) -> int:
    try:
        return int(tomllib.loads(path.read_text(encoding="utf-8"))["number"])
    except FileNotFoundError:
        return 0


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_private(fresh, data)
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
