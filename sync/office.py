"""The prefecture's enrolment office: one folder with the issuing CA, its officers, and every act in order (登记处).

    ca.pem ca.key           the issuing CA; its key lies here because renewals are signed while nobody is there
    officers/<no>.key .pub  an officer's Ed25519 key, encrypted with a PIN that only that person knows
    acts/<n>                what was done, each act naming the one before; the roster is what they add up to
    members/<n> leaves/<n>  the member and leaf that act n put on the roster

An act is on disk before anything that follows from it leaves the office, and names the paper that it answers: a token is good
for one act, and the same paper again gets the same bundle again, for whoever could not write the first one down.
"""

import datetime as dt
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync import enrolment
from sync.certs import Authority, issue_leaf, load_authority, make_authority
from sync.codec import pack, unpack
from sync.crl import issue_crl
from sync.enrolment import Act, Bundle, EnrolRefused, Member, Request

PIN_LENGTH = 6
_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_HALF_LIFE = 2  # a leaf younger than half its life is not renewed again: the bundle of the last time is


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A node on the roster: its member, its newest leaf, when its key was enrolled, and whether it was revoked."""

    member: Member
    leaf: x509.Certificate
    enrolled_at: dt.datetime
    revoked_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks the officers to sign: who is enrolled, in whose place, and whether it was signed before."""

    member: Member
    replaces: Enrolment | None
    prefectures: tuple[str, ...]  # on the roster and not revoked
    signed_before: bool


@dataclass(slots=True)
class _Book:
    """What the acts add up to."""

    number: int = 0
    last: bytes = b"\0" * 32
    nodes: dict[str, Enrolment] = field(default_factory=dict)
    revoked: dict[int, dt.datetime] = field(default_factory=dict)
    acts: dict[str, bytes] = field(default_factory=dict)  # the newest act of each node
    answered: dict[bytes, tuple[int, Act]] = field(default_factory=dict)  # by a request's digest


class Office:
    """One folder. Every method takes the folder's lock; the running prefecture renews while officers enrol."""

    def __init__(self, folder: Path) -> None:
        """Read the CA. Raises CertFault, OSError."""
        self._folder = folder
        self.authority: Authority = load_authority((folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes())

    @staticmethod
    def open_new(folder: Path, prefecture: str, now: dt.datetime) -> "Office":
        """Make a new office with a CA of its own. Raises CertFault, EnrolRefused, FileExistsError."""
        if (folder / "ca.key").exists():
            raise EnrolRefused("office-exists", str(folder))
        authority = make_authority(prefecture, now)
        for name in ("officers", "acts", "members", "leaves"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        _put(folder / "ca.key", authority.key_pem())
        _put(folder / "ca.pem", authority.certificate_pem)
        return Office(folder)

    def add_officer(self, no: str, pin: str) -> None:
        """Make an officer's key under a PIN. Raises EnrolRefused."""
        if not _OFFICER.fullmatch(no):
            raise EnrolRefused("bad-officer", no)
        if len(pin) < PIN_LENGTH:
            raise EnrolRefused("short-pin", no)
        key = Ed25519PrivateKey.generate()
        sealed = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(pin.encode()),
        )
        with self._locked():
            if (self._folder / "officers" / f"{no}.key").exists():
                raise EnrolRefused("officer-exists", no)
            _put(self._folder / "officers" / f"{no}.key", sealed)
            _put(self._folder / "officers" / f"{no}.pub", key.public_key().public_bytes_raw().hex().encode() + b"\n")

    def officer_key(self, no: str, pin: str) -> Ed25519PrivateKey:
        """Return an officer's key, by the PIN. Raises EnrolRefused."""
        if not _OFFICER.fullmatch(no):
            raise EnrolRefused("bad-officer", no)
        try:
            sealed = (self._folder / "officers" / f"{no}.key").read_bytes()
            key = serialization.load_pem_private_key(sealed, pin.encode())
        except FileNotFoundError as error:
            raise EnrolRefused("no-such-officer", no) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise EnrolRefused("wrong-pin", no) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise EnrolRefused("bad-officer", no)
        return key

    # -- what is done ------------------------------------------------------------------------------------------------

    def wanted(self, paper: bytes, token: str, now: dt.datetime) -> Wanted:
        """Return what a request asks for, before anything is signed. Raises EnrolRefused, Malformed."""
        request = self._opened(paper, token, now)
        with self._locked():
            return self._wanted(self._book(), paper, request.member)

    def enrol(
        self,
        paper: bytes,
        token: str,
        officers: dict[str, Ed25519PrivateKey],
        now: dt.datetime,
        *,
        replacing: str = "",
    ) -> bytes:
        """Sign the leaf that a request asks for, by two officers, once; the same request again gets the same bundle.

        `replacing` is the name of the enrolled node whose place and name it takes; that one's leaves are revoked.
        Raises EnrolRefused, Malformed, CertFault.
        """
        request = self._opened(paper, token, now)
        self._two(officers)
        answers = enrolment.digest(paper)
        with self._locked():
            book = self._book()
            member = request.member
            wanted = self._wanted(book, paper, member)
            if not wanted.signed_before:
                check_replacing(wanted, replacing)
                subject = Enrolment(member, self._leaf(member, enrolment.csr_key(request), now), now)
                self._record(book, "enrol", subject, officers=officers, paper=answers, now=now)
                book = self._book()
            number, act = book.answered[answers]
            at = dt.datetime.fromtimestamp(act.at_ms / 1_000, dt.UTC)
            return self._bundle(self._book(until=number), member.node, at, answers=answers, token=token)

    def _opened(self, paper: bytes, token: str, now: dt.datetime) -> Request:
        request = enrolment.open_request(paper, token, _ms(now))
        if request.prefecture != self.authority.prefecture:
            raise EnrolRefused("other-prefecture", request.prefecture)
        return request

    def _wanted(self, book: _Book, paper: bytes, member: Member) -> Wanted:
        prefectures = tuple(
            name for name, one in book.nodes.items() if one.member.kind == "prefecture" and one.revoked_at is None
        )
        held = book.nodes.get(member.node)
        if enrolment.digest(paper) in book.answered:
            if held is None or held.revoked_at is not None or held.member != member:
                raise EnrolRefused("token-spent", member.node)  # revoked or replaced since
            return Wanted(member, None, prefectures, signed_before=True)
        other = next((one for one in book.nodes.values() if one.member.origin == member.origin), None)
        if other is not None and other.member.node != member.node:
            raise EnrolRefused("origin-taken", f"{member.origin} ({other.member.node})")
        return Wanted(member, held, prefectures, signed_before=False)

    def renew(self, paper: bytes, now: dt.datetime) -> bytes:
        """Sign a new leaf for the key that is on the roster, asked for with that key. Raises EnrolRefused, Malformed."""
        node = enrolment.renewing_node(paper)
        with self._locked():
            book = self._book()
            held = self._active(book, node)
            enrolment.check_renewal(paper, held.member.tls_public)
            start, end = held.leaf.not_valid_before_utc, held.leaf.not_valid_after_utc
            if now - start > (end - start) / _HALF_LIFE:
                key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(held.member.tls_public))
                leaf = self._leaf(held.member, key, now)
                subject = Enrolment(held.member, leaf, held.enrolled_at)
                self._record(book, "renew", subject, officers={}, paper=enrolment.digest(paper), now=now)
                book = self._book()
            return self._bundle(book, node, now)

    def revoke(self, node: str, officers: dict[str, Ed25519PrivateKey], now: dt.datetime) -> bytes:
        """Revoke every leaf of a node, by two officers; return the new list. Raises EnrolRefused."""
        self._two(officers)
        with self._locked():
            book = self._book()
            held = self._active(book, node)
            self._record(book, "revoke", held, officers=officers, paper=b"\0" * 32, now=now)
            return self._crl(self._book(), now)

    def crl(self, now: dt.datetime) -> bytes:
        """Return the list of this moment; its number is the count of acts, then the hours since 1970."""
        with self._locked():
            return self._crl(self._book(), now)

    def bundle_for(self, node: str, now: dt.datetime) -> bytes:
        """Return what an enrolled node installs today: leaf, list, roster. Raises EnrolRefused."""
        with self._locked():
            book = self._book()
            self._active(book, node)
            return self._bundle(book, node, now)

    def roster(self) -> tuple[Enrolment, ...]:
        """Return every node that was ever enrolled, as it stands."""
        with self._locked():
            return tuple(self._book().nodes.values())

    # -- the folder --------------------------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _two(self, officers: dict[str, Ed25519PrivateKey]) -> None:
        keys = {key.public_key().public_bytes_raw() for key in officers.values()}
        if len(officers) != 2 or len(keys) != 2 or not keys <= self._known():
            raise EnrolRefused("two-officers", ", ".join(officers))

    def _known(self) -> set[bytes]:
        return {bytes.fromhex(path.read_text()) for path in (self._folder / "officers").glob("*.pub")}

    def _leaf(self, member: Member, key: Ed25519PublicKey, now: dt.datetime) -> x509.Certificate:
        return x509.load_pem_x509_certificate(issue_leaf(self.authority, node=member.node, public=key, now=now))

    def _record(
        self,
        book: _Book,
        kind: str,
        subject: Enrolment,
        *,
        officers: dict[str, Ed25519PrivateKey],
        paper: bytes,
        now: dt.datetime,
    ) -> None:
        member, leaf = subject.member, _der(subject.leaf)
        act = Act(
            kind=kind,
            node=member.node,
            serial=f"{subject.leaf.serial_number:x}",
            at_ms=_ms(now),
            officers=tuple(officers),
            paper=paper,
            subject=enrolment.subject_of(member, leaf),
            previous=book.last,
        )
        name = f"{book.number + 1:06d}"
        for folder in ("members", "leaves"):
            (self._folder / folder / name).unlink(missing_ok=True)  # of an act that was cut off before it was one
        _put(self._folder / "members" / name, pack(astuple(member)))
        _put(self._folder / "leaves" / name, leaf)
        _put(self._folder / "acts" / name, enrolment.make_act(act, tuple(officers.values())))

    def _book(self, *, until: int | None = None) -> _Book:
        """Read every act in order, or the first `until`. Raises EnrolRefused where one was taken out or changed."""
        book = _Book()
        known = self._known()
        serials: dict[str, list[int]] = {}
        for path in sorted((self._folder / "acts").glob("[0-9]*"))[:until]:
            paper = path.read_bytes()
            act, signers = enrolment.open_act(paper)
            if not set(signers) <= known:
                raise EnrolRefused("officer-signature", path.name)
            member = Member(*unpack((self._folder / "members" / path.name).read_bytes()))
            der = (self._folder / "leaves" / path.name).read_bytes()
            held = book.nodes.get(act.node)
            if (
                (act.previous, path.name) != (book.last, f"{book.number + 1:06d}")
                or (act.subject, act.node) != (enrolment.subject_of(member, der), member.node)
                or (act.kind != "enrol" and (held is None or held.member != member))
            ):
                raise EnrolRefused("acts-changed", path.name)
            leaf = x509.load_der_x509_certificate(der)
            at = dt.datetime.fromtimestamp(act.at_ms / 1_000, dt.UTC)
            replaced = act.kind == "enrol" and act.node in book.nodes
            if act.kind == "revoke" or replaced:  # a node that is enrolled anew leaves its old key behind
                book.revoked.update(dict.fromkeys(serials.pop(act.node, []), at))
            if act.kind != "revoke":
                serials.setdefault(act.node, []).append(leaf.serial_number)
            since = at if act.kind == "enrol" or held is None else held.enrolled_at
            book.nodes[act.node] = Enrolment(member, leaf, since, at if act.kind == "revoke" else None)
            book.acts[act.node] = paper
            book.number, book.last = book.number + 1, enrolment.digest(paper)
            if act.kind == "enrol":
                book.answered[act.paper] = (book.number, act)
        return book

    def _active(self, book: _Book, node: str) -> Enrolment:
        held = book.nodes.get(node)
        if held is None:
            raise EnrolRefused("not-enrolled", node)
        if held.revoked_at is not None:
            raise EnrolRefused("revoked", node)
        return held

    def _crl(self, book: _Book, now: dt.datetime) -> bytes:
        number = book.number * 10_000_000 + _ms(now) // 3_600_000
        at = dt.datetime.fromtimestamp(_ms(now) // 3_600_000 * 3_600, dt.UTC)  # one number, one list
        return issue_crl(self.authority, number=number, revoked=book.revoked, now=at)

    def _bundle(
        self, book: _Book, node: str, now: dt.datetime, *, answers: bytes = b"\0" * 32, token: str = ""
    ) -> bytes:
        held = book.nodes[node]
        peers = tuple(
            one.member
            for name, one in sorted(book.nodes.items())
            if name != node and one.revoked_at is None and _sees(held.member, one.member)
        )
        bundle = Bundle(
            number=book.number,
            answers=answers,
            node=node,
            prefecture=self.authority.prefecture,
            leaf=_der(held.leaf),
            ca=self.authority.certificate_pem,
            crl=self._crl(book, now),
            roster=peers,
            act=book.acts[node],
        )
        return enrolment.make_bundle(bundle, self.authority.key, token)


def _sees(one: Member, other: Member) -> bool:
    """Return whether a node is told of another: counties of their room and the prefecture, the prefecture of all."""
    return "prefecture" in {one.kind, other.kind} or (bool(one.room) and one.room == other.room)


def key_print(member: Member) -> str:
    """Return the fingerprint of a node's certificate key, in groups of four digits."""
    return enrolment.groups(enrolment.fingerprint(bytes.fromhex(member.tls_public)))


def check_replacing(wanted: Wanted, replacing: str) -> None:
    """Refuse to put a node in an enrolled one's place unless the officers name that one. Raises EnrolRefused."""
    held = wanted.replaces
    if held is None and replacing:
        raise EnrolRefused("replaces-nobody", replacing)
    if held is not None and replacing != held.member.node:
        since = f"{held.enrolled_at:%Y-%m-%d %H:%M} UTC"
        raise EnrolRefused("replaces-enrolled", f"{held.member.node}, {since}, {key_print(held.member)}")


def _der(leaf: x509.Certificate) -> bytes:
    return leaf.public_bytes(serialization.Encoding.DER)


def _put(path: Path, data: bytes) -> None:
    """Write a file that must be new, and its name, to disk."""
    part = path.parent / f".{path.name}.{os.getpid()}"
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # whole or not there, and never over another
    finally:
        part.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)
