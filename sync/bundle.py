"""The bundle: a log, its checkpoint, whom to trust, blobs and receipts in one stored ZIP (证据包).

`checkpoint`, `policy`, `tile/…`, `blobs/<sha256>`, `proofs/*.tlog-proof`. Written with fixed dates and sorted names, so the
same log gives the same bytes. Read with suspicion: nothing is inflated, members lie end to end and fill the file, the
directory and the members' own headers agree, and no more than one tile is in memory at a time.
"""

import errno
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Protocol

from sync.checkpoint import read
from sync.members import bound_of, check_member
from sync.merkle import HashReader
from sync.tampered import Problem, Tampered
from sync.tiles import WIDTH, encode_bundle, tiles_of

MAX_DIRECTORY = 16 * 1024 * 1024
CHUNK = 1024 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")


@dataclass(eq=False)
class BundleFault(Exception):
    """A bundle cannot be written: `what` names the member, `why` the bound or the missing thing."""

    what: str
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.what}: {self.why}"


class LogSource(HashReader, Protocol):
    """A log to be exported: its hashes and its entries."""

    def entries(self, start: int, end: int) -> Iterable[bytes]:
        """Return the entries [start, end), in order, all of them, or raise the source's own error."""


def write_bundle(
    target: BinaryIO,
    *,
    checkpoint: bytes,
    policy: bytes,
    source: LogSource,
    blobs: Mapping[str, Callable[[], BinaryIO]] | None = None,
    proofs: Mapping[str, bytes] | None = None,
) -> None:
    """Write the bundle of the log that `checkpoint` (a signed note) covers. `target` must be seekable.

    `blobs` opens each blob by the hex of its SHA-256; `proofs` gives proof files by their stem, say the seq. Raises
    Malformed for a checkpoint that cannot be read, BundleFault past the bounds of a plain ZIP (4 GiB, 65,535 members).
    """
    size = read(checkpoint)[0].size
    opens: dict[str, Callable[[], BinaryIO]] = {
        "checkpoint": lambda: io.BytesIO(checkpoint),
        "policy": lambda: io.BytesIO(policy),
    }
    opens |= {f"blobs/{sha256}": opened for sha256, opened in (blobs or {}).items()}
    opens |= {f"proofs/{stem}.tlog-proof": partial(io.BytesIO, data) for stem, data in (proofs or {}).items()}
    for name in opens:
        if bound_of(name) is None:
            raise BundleFault(name, "is no name of a member")
    tiles = {str(path): path for path in tiles_of(size)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted((*opens, *tiles)):
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            try:
                if name in tiles:
                    path = tiles[name]
                    start = path.n * WIDTH
                    end = start + path.width
                    if path.level is None:
                        data = encode_bundle(source.entries(start, end))
                    else:
                        data = b"".join(source.hashes(path.level, start, end))
                    archive.writestr(member, data)
                else:
                    with opens[name]() as opened, archive.open(member, "w") as written:
                        while chunk := opened.read(CHUNK):
                            written.write(chunk)
            except (zipfile.LargeZipFile, RuntimeError) as error:
                raise BundleFault(name, f"goes past the bounds of a plain ZIP: {error}") from error


@dataclass(frozen=True, slots=True)
class _Member:
    start: int
    size: int
    crc: int


class _Section(io.RawIOBase):
    """A stretch of an open file as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        if self._at < 0:
            raise OSError(errno.EINVAL, "before the start")
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        self._file.seek(self._start + self._at)
        data = self._file.read(max(min(len(buffer), self._size - self._at), 0))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class ZipMembers:
    """The members of a bundle in an open file (members.Members). Opening it has judged the whole container."""

    def __init__(self, file: BinaryIO, check: Callable[[str, int], None] = check_member) -> None:
        """Read the directory and every header; `check` judges names and sizes. Raises Tampered with a problem of the container."""
        self._file = file
        self._members = _read_directory(file, check)
        self._damaged: list[str] = []

    def names(self) -> Iterable[str]:
        """Return the names, in the directory's order."""
        return self._members.keys()

    def read(self, name: str) -> bytes:
        """Return a member's bytes, one of bounded size. Raises KeyError if there is none."""
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes in pieces. Raises KeyError if there is none."""
        member = self._members[name]
        at, rest, crc = member.start, member.size, 0
        while rest:
            self._file.seek(at)
            chunk = self._file.read(min(rest, CHUNK))
            if not chunk:
                raise Tampered(Problem.UNREADABLE, expected=name, detail="the file was cut while it was read")
            crc = zlib.crc32(chunk, crc)
            at += len(chunk)
            rest -= len(chunk)
            yield chunk
        if crc != member.crc:
            self._damaged.append(name)

    def open(self, name: str) -> BinaryIO:
        """Return a member as a file of its own, for a reader that seeks. Raises KeyError if there is none."""
        member = self._members[name]
        return io.BufferedReader(_Section(self._file, member.start, member.size), CHUNK)

    def damaged(self) -> str | None:
        """Return the first member read whose checksum in the ZIP is not that of its bytes."""
        return self._damaged[0] if self._damaged else None


def _read_directory(file: BinaryIO, check: Callable[[str, int], None]) -> dict[str, _Member]:
    total = file.seek(0, io.SEEK_END)
    end_at = max(total - _END.size, 0)
    file.seek(end_at)
    end = file.read(_END.size)
    if len(end) < _END.size or not end.startswith(b"PK\5\6"):
        _refuse_tail(file, total)
    _, disk, first_disk, here, count, length, start, comment = _END.unpack(end)
    if disk or first_disk or here != count or comment or count == 0xFFFF or 0xFFFFFFFF in {length, start}:
        raise Tampered(Problem.UNREADABLE, detail="not a plain ZIP on one disk: ZIP64, parts or a cut comment")
    if length > MAX_DIRECTORY:
        raise Tampered(Problem.OVERSIZE_MEMBER, expected=str(MAX_DIRECTORY), got=str(length), detail="the directory")
    if start + length != end_at:
        problem = Problem.HIDDEN_BYTES if start + length < end_at else Problem.UNREADABLE
        raise Tampered(problem, expected=str(end_at), got=str(start + length), detail="end of the directory")
    file.seek(start)
    directory = file.read(length)
    members: dict[str, _Member] = {}
    places: list[tuple[int, bytes, int, tuple[int, ...]]] = []
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != b"PK\1\2" or at + _ENTRY.size > length:
            raise Tampered(Problem.UNREADABLE, detail=f"the directory breaks off at byte {start + at}")
        fields = _ENTRY.unpack_from(directory, at)
        name_end = at + _ENTRY.size + fields[10]
        raw = directory[at + _ENTRY.size : name_end]
        at = name_end + fields[11] + fields[12]
        size, offset = fields[9], fields[16]
        common = fields[2:10]  # needed version, flags, method, time, date, CRC, both sizes: stand in both headers
        name = _safe_name(raw)
        places.append((offset, raw, size, common))
        if name.endswith("/") and not size:
            continue  # a folder's own member, as some archivers write it, says nothing
        if name in members:
            raise Tampered(Problem.DUPLICATE_MEMBER, got=name)
        if fields[4] or fields[3] & 1:
            raise Tampered(Problem.COMPRESSED_MEMBER, expected="stored", got=name)
        check(name, size)
        members[name] = _Member(offset, size, fields[7])
    if at != length:
        raise Tampered(Problem.HIDDEN_BYTES, detail="the directory goes on behind its last member")
    return _placed(file, members, sorted(places), start)


def _placed(
    file: BinaryIO, members: dict[str, _Member], places: list[tuple[int, bytes, int, tuple[int, ...]]], end: int
) -> dict[str, _Member]:
    """Check that each member has its own header, the same as in the directory, and that they fill the file."""
    at = 0
    for offset, raw, size, common in places:
        if offset != at:
            raise Tampered(Problem.HIDDEN_BYTES, expected=str(at), got=str(offset), detail="start of a member")
        file.seek(offset)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
            raise Tampered(Problem.HEADER_MISMATCH, expected=raw.decode("ascii"), detail="no header where it must be")
        fields = _HEADER.unpack(header)
        found = file.read(fields[9])
        if fields[1:9] != common or found != raw or common[6] != common[7]:
            raise Tampered(Problem.HEADER_MISMATCH, expected=raw.decode("ascii"), got=repr(found[:64])[2:-1])
        start = offset + _HEADER.size + fields[9] + fields[10]
        at = start + size
        name = raw.decode("ascii")
        if name in members:
            members[name] = _Member(start, size, members[name].crc)
    if at != end:
        raise Tampered(Problem.HIDDEN_BYTES, expected=str(end), got=str(at), detail="end of the last member")
    return members


def _safe_name(raw: bytes) -> str:
    """Return a member's name; refuse one that could leave the folder it is unpacked to, on any system."""
    name = raw.decode("ascii", "backslashreplace")
    parts = name.removesuffix("/").split("/")
    strange = any(not 0x20 < octet < 0x7F or octet in b'\\:*?"<>|' for octet in raw)
    if strange or len(raw) > 128 or any(part in {"", ".", ".."} for part in parts):
        raise Tampered(Problem.UNSAFE_NAME, got=name.encode("unicode_escape").decode("ascii")[:128])
    return name


def _refuse_tail(file: BinaryIO, total: int) -> None:
    """Say of a file that does not end as a ZIP does whether it is one with something behind it, or none."""
    back = min(total, 65_557)
    file.seek(total - back)
    if b"PK\5\6" in file.read(back):
        raise Tampered(Problem.HIDDEN_BYTES, detail="something stands behind the end of the ZIP")
    raise Tampered(Problem.UNREADABLE, detail="the file does not end as a ZIP does")
