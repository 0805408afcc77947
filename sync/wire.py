"""The bodies of replication: C2SP tlog-witness v1.0.0 `add-checkpoint` and tlog-mirror `add-entries` at commit 5ba5ee8.

tlog-mirror has no tag yet and may move; so nothing outside this module knows how a request or an answer is spelled.
Bytes in, values out; nothing here verifies a signature or a proof. Readers refuse by Malformed, which is the status 400,
and hold no more than one package.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from sync.merkle import MAX_PROOF
from sync.note import (
    MAX_NOTE,
    NoteSignature,
    decode_base64,
    encode_base64,
    format_signatures,
    parse_signatures,
    parse_size,
)
from sync.tampered import Malformed

SIZE_TYPE = "text/x.tlog.size"
"""Content-Type of the 409 of add-checkpoint: exactly this, clients compare for equality."""
INFO_TYPE = "text/x.tlog.mirror-info"
"""Content-Type of the 202 and 409 of add-entries."""
SIGNED = "/log/signed"
"""Where a node is shown what its own log key has signed (`sync.told`)."""
ENTRIES_TYPE = "application/octet-stream"
PACKAGE = 256
MAX_PACKAGES = 32
"""Packages of one request: 8,192 entries."""
MAX_ORIGIN = 1_024
MAX_PACKAGE_BYTES = PACKAGE * (2 + 65_535) + 1 + 32 * MAX_PROOF
MAX_CHECKPOINT_BODY = MAX_NOTE + 45 * MAX_PROOF + 32
MAX_ENTRIES_BODY = 20 + MAX_ORIGIN + 65_535 + MAX_PACKAGES * MAX_PACKAGE_BYTES
MAX_TICKET = 65_535


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A new checkpoint (the note's bytes) with the proof that it continues the one of size `old`."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def __bytes__(self) -> bytes:
        """Return the request's body. Raises ValueError for a proof over 63 hashes."""
        if len(self.proof) > MAX_PROOF:
            raise ValueError("a proof has at most 63 hashes")
        lines = "".join(f"{encode_base64(one)}\n" for one in self.proof)
        return f"old {self.old}\n{lines}\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the request of a body; the checkpoint is not read yet. Raises Malformed."""
        if len(body) > MAX_CHECKPOINT_BODY:
            raise Malformed("body", f"is over {MAX_CHECKPOINT_BODY} bytes")
        head, blank, checkpoint = body.partition(b"\n\n")
        if not blank or not checkpoint:
            raise Malformed("body", "has no checkpoint behind an empty line")
        old, *lines = _ascii(head, "body").split("\n")
        if not old.startswith("old "):
            raise Malformed("old", "is not the first line")
        return cls(parse_size(old.removeprefix("old "), "old"), parse_hashes(lines), checkpoint)


def encode_size(size: int) -> bytes:
    """Return the body of the 409 of add-checkpoint: the size that the witness knows."""
    return f"{size}\n".encode()


def decode_size(body: bytes) -> int:
    """Return the size in the body of that 409. Raises Malformed."""
    if len(body) > 20 or not body.endswith(b"\n"):
        raise Malformed("size", "is not one line")
    return parse_size(_ascii(body[:-1], "size"), "size")


def encode_lines(signatures: Sequence[NoteSignature]) -> bytes:
    """Return the body of a 200: signature lines."""
    return format_signatures(signatures).encode()


def decode_lines(body: bytes) -> tuple[NoteSignature, ...]:
    """Return the signatures in the body of a 200; none for an empty body, which a mirror may answer. Raises Malformed."""
    if len(body) > MAX_NOTE:
        raise Malformed("body", f"is over {MAX_NOTE} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("body", "is not UTF-8") from None
    return parse_signatures(text) if text else ()


@dataclass(frozen=True, slots=True)
class MirrorInfo:
    """What a mirror has: the size of a checkpoint that it waits to fill, and the first entry that it lacks."""

    pending: int
    next_entry: int
    ticket: bytes = b""

    def __bytes__(self) -> bytes:
        """Return the body of the 202 or 409 of add-entries."""
        return f"{self.pending}\n{self.next_entry}\n{encode_base64(self.ticket)}\n".encode()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return what a 202 or 409 of add-entries says. Raises Malformed."""
        if len(body) > 2 * MAX_TICKET:
            raise Malformed("body", "is too long")
        lines = _ascii(body, "body").split("\n")
        if len(lines) != 4 or lines[3]:
            raise Malformed("body", "is not three lines")
        ticket = decode_base64(lines[2], "ticket")
        if len(ticket) > MAX_TICKET:
            raise Malformed("ticket", "is too long")
        return cls(parse_size(lines[0], "pending size"), parse_size(lines[1], "next entry"), ticket)


@dataclass(frozen=True, slots=True)
class EntriesHead:
    """What an upload is: entries [start, end) of a log, `end` the size of a checkpoint that the mirror knows."""

    origin: str
    start: int
    end: int
    ticket: bytes = b""

    def __bytes__(self) -> bytes:
        """Return the bytes before the packages."""
        origin = self.origin.encode()
        return b"".join(
            (
                len(origin).to_bytes(2),
                origin,
                self.start.to_bytes(8),
                self.end.to_bytes(8),
                len(self.ticket).to_bytes(2),
                self.ticket,
            )
        )


@dataclass(frozen=True, slots=True)
class Span:
    """One package's place: it brings the entries [first, end); its proof is for the subtree [aligned, end)."""

    aligned: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Package:
    """Up to 256 entries with the proof that they belong to the tree of the upload's `end`."""

    span: Span
    entries: tuple[bytes, ...]
    proof: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        """Return the package's bytes. Raises ValueError where it does not fit its span or the limits."""
        if len(self.entries) != self.span.end - self.span.first or len(self.proof) > MAX_PROOF:
            raise ValueError("a package has the entries of its span and at most 63 hashes")
        entries = b"".join(part for entry in self.entries for part in (len(entry).to_bytes(2), entry))
        return b"".join((entries, len(self.proof).to_bytes(1), *self.proof))


def spans(start: int, end: int) -> Iterator[Span]:
    """Yield the canonical sequence of packages of an upload, without the limit of one request."""
    aligned = start - start % PACKAGE
    while start < end:
        yield Span(aligned, start, min(end, aligned + PACKAGE))
        start = aligned = aligned + PACKAGE


class EntriesReader:
    """Reads an add-entries body as it arrives: `feed` bytes, take `head` and then packages until there is none.

    At most 32 packages are taken; what follows is left unread, so the sender is told by a 202 to go on from there. Bytes
    after the last package of the upload are refused.
    """

    def __init__(self) -> None:
        """Nothing has arrived."""
        self._buffer = bytearray()
        self._head: EntriesHead | None = None
        self._spans: Iterator[Span] = iter(())
        self._span: Span | None = None
        self._taken = 0

    def feed(self, data: bytes) -> None:
        """Take bytes of the body, in order. The caller takes the packages that are complete before it feeds more."""
        if not self.satisfied:
            self._buffer += data

    @property
    def satisfied(self) -> bool:
        """Tell whether 32 packages were taken and more would not be read."""
        return self._taken >= MAX_PACKAGES

    @property
    def complete(self) -> bool:
        """Tell whether every package of the upload was taken."""
        return self._head is not None and self._span is None

    def head(self) -> EntriesHead | None:
        """Return what the upload is, or None while too little has arrived. Raises Malformed."""
        if self._head is None:
            data = bytes(self._buffer[: 20 + MAX_ORIGIN + MAX_TICKET])
            origin_end = 2 + int.from_bytes(data[:2])
            if len(data) >= 2 and not 1 <= origin_end - 2 <= MAX_ORIGIN:
                raise Malformed("origin", f"has not 1 to {MAX_ORIGIN} bytes")
            ticket_start = origin_end + 18
            ticket_end = ticket_start + int.from_bytes(data[ticket_start - 2 : ticket_start])
            if len(data) < ticket_start or len(data) < ticket_end:
                return None
            start, end = (int.from_bytes(data[at : at + 8]) for at in (origin_end, origin_end + 8))
            if not start <= end < 2**63:
                raise Malformed("upload", "does not end behind its start, below 2**63")
            try:
                origin = data[2:origin_end].decode("utf-8")
            except UnicodeDecodeError:
                raise Malformed("origin", "is not UTF-8") from None
            self._head = EntriesHead(origin, start, end, data[ticket_start:ticket_end])
            self._spans = spans(start, end)
            self._span = next(self._spans, None)
            del self._buffer[:ticket_end]
        return self._head

    def package(self) -> Package | None:
        """Return the next package, or None while it has not arrived whole, or when no more are taken. Raises Malformed."""
        if self.head() is None or self.satisfied:
            return None
        span = self._span
        if span is None:
            if self._buffer:
                raise Malformed("body", "goes on behind its last package")
            return None
        found = self._split(span)
        if found is None:
            return None
        package, used = found
        del self._buffer[:used]
        self._taken += 1
        self._span = next(self._spans, None)
        return package

    def _split(self, span: Span) -> tuple[Package, int] | None:
        with memoryview(self._buffer) as data:
            at, length = 0, len(data)
            entries: list[bytes] = []
            for _ in range(span.end - span.first):
                start = at + 2
                if start > length:
                    return None
                at = start + (data[at] << 8 | data[at + 1])
                if at > length:
                    return None
                entries.append(bytes(data[start:at]))
            if at == length:
                return None
            count = data[at]
            if count > MAX_PROOF:
                raise Malformed("proof", f"has over {MAX_PROOF} hashes")
            at += 1
            end = at + 32 * count
            if end > length:
                return None
            proof = tuple(bytes(data[i : i + 32]) for i in range(at, end, 32))
            return Package(span, tuple(entries), proof), end


def parse_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes of base64 lines, at most 63. Raises Malformed."""
    if len(lines) > MAX_PROOF:
        raise Malformed("proof", f"has over {MAX_PROOF} hashes")
    hashes = tuple(decode_base64(line, "proof") for line in lines)
    if any(len(one) != 32 for one in hashes):
        raise Malformed("proof", "holds a hash that has not 32 bytes")
    return hashes


def _ascii(data: bytes, field: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed(field, "is not ASCII") from None
