"""What a sealed bid holds when it is open: a bidder's files, the list of them, the bidder's signature over the list (投标文件包).

A stored ZIP, written as a stream: the files, `inner.json` (canonical JSON), `inner.cms` (detached CMS over it), `padding` of zeros.
The whole has a size that is a multiple of 64 KiB up to 16 MiB and of 1 MiB above, so that the sealed size tells little.

    inner = {v: 1, context: ctx, files: [{name, bytes, sha256}, …]}     in the order of the files; `bid.json` is the first
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from sync import jcs
from sync.acts import MAX_CMS, ActRefused, read_signature, sign_act
from sync.signers import ActSigner
from sync.tampered import Malformed

CONTENT = "bid.json"
MAX_FILES = 1_000
MAX_CONTENT = 4 * 1024 * 1024
_LIST, _SIGNATURE, _PADDING = "inner.json", "inner.cms", "padding"
_OWN = {_LIST, _SIGNATURE, _PADDING}
_SMALL, _LARGE, _FROM = 64 * 1024, 1024 * 1024, 16 * 1024 * 1024
_PIECE = 256 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)
_LOCAL, _CENTRAL, _END, _DESCRIPTOR = 30, 46, 22, 16


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file of a bid: its name, size and SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be packed."""

    name: str
    open: Callable[[], BinaryIO]

    @classmethod
    def of(cls, path: Path, name: str = "") -> Self:
        """Return a file on disk, under its own name or another."""

        def opened() -> BinaryIO:
            return path.open("rb")

        return cls(name or path.name, opened)


def safe_name(name: str) -> bool:
    """Whether a file may have this name inside a bid: no path, no control character, nothing reserved, 1 to 120 bytes."""
    return (
        0 < len(name.encode()) <= 120
        and name not in _OWN
        and name not in {".", ".."}
        and not any(c in '\\/:*?"<>|' or ord(c) < 0x20 or ord(c) == 0x7F for c in name)
    )


class _Pipe:
    """A stream without places: what is written goes on."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._take(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held open."""


def write_package(take: Callable[[bytes], object], context: bytes, files: Sequence[Source], signer: ActSigner) -> None:
    """Give the package's bytes to `take`, piece by piece. Raises Malformed for a list of files that no bid may have."""
    names = [one.name for one in files]
    if names[:1] != [CONTENT] or len(set(names)) != len(names) or len(names) > MAX_FILES:
        raise Malformed("files", f"must begin with {CONTENT}, have names of their own, and be {MAX_FILES} at most")
    for name in names:
        if not safe_name(name):
            raise Malformed("files", f"a file may not be called {name!r}")
    pipe = _Pipe(take)
    listed = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for one in files:
            digest, size = hashlib.sha256(), 0
            with one.open() as opened, archive.open(_member(one.name), "w") as written:
                while piece := opened.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    written.write(piece)
            listed.append({"name": one.name, "bytes": size, "sha256": digest.hexdigest()})
        inner = jcs.encode({"v": 1, "context": context.decode("ascii"), "files": listed})
        archive.writestr(_member(_LIST), inner)
        archive.writestr(_member(_SIGNATURE), sign_act(inner, signer))
        central = sum(_CENTRAL + len(name.encode()) for name in (*names, _LIST, _SIGNATURE, _PADDING))
        bare = pipe.size + _LOCAL + len(_PADDING) + _DESCRIPTOR + central + _END
        with archive.open(_member(_PADDING), "w") as written:
            left = _padded(bare) - bare
            while left:
                left -= written.write(bytes(min(left, _PIECE)))
    if pipe.size != _padded(bare):
        raise AssertionError("the padding was reckoned wrong")


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3
    member.external_attr = 0o100644 << 16
    return member


def _padded(size: int) -> int:
    step = _SMALL if size <= _FROM else _LARGE
    return -(-size // step) * step


class Package:
    """An opened package whose list and signature have been judged."""

    def __init__(self, path: Path, *, context: bytes, cert_sha256: str) -> None:
        """Open it. Raises Malformed: no package, another's list, another signer, or members that are not in the list."""
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise Malformed("package", "is no package") from error
        try:
            self.files = self._judge(path.stat().st_size, context, cert_sha256)
        except BaseException:
            self.close()
            raise

    def _judge(self, size: int, context: bytes, cert_sha256: str) -> tuple[PackedFile, ...]:
        members = self._archive.infolist()
        names = [one.filename for one in members]
        if len(names) > MAX_FILES + len(_OWN) or names[-3:] != [_LIST, _SIGNATURE, _PADDING]:
            raise Malformed("package", "does not end with its list, signature and padding")
        if any(one.compress_type or one.flag_bits & 1 or one.file_size > size for one in members):
            raise Malformed("package", "holds a member that is not stored")
        listed = self._small(_LIST, 1024 * 1024)
        signature = self._small(_SIGNATURE, MAX_CMS)
        try:
            signed = read_signature(listed, signature)
        except ActRefused as error:
            raise Malformed("inner signature", f"does not hold: {error.why}") from error
        if signed.certificate_sha256 != cert_sha256:
            raise Malformed("inner signature", "is by another certificate than the manifest's")
        inner = jcs.decode(listed, "inner")
        if not isinstance(inner, dict) or set(inner) != {"v", "context", "files"} or inner["v"] != 1:
            raise Malformed("inner", "is not a list of this version")
        if inner["context"] != context.decode("ascii"):
            raise Malformed("inner context", "is of another bid")
        files = tuple(_listed(one) for one in inner["files"])
        if [one.name for one in files] != names[:-3] or names[:1] != [CONTENT]:
            raise Malformed("inner files", "are not the members of the package")
        return files

    def _small(self, name: str, most: int) -> bytes:
        try:
            if self._archive.getinfo(name).file_size > most:
                raise Malformed(name, f"is over {most} bytes")
            return self._archive.read(name)
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise Malformed(name, "is damaged") from error

    def content(self) -> bytes:
        """Return `bid.json`. Raises Malformed."""
        if self.files[0].size > MAX_CONTENT:
            raise Malformed(CONTENT, f"is over {MAX_CONTENT} bytes")
        return b"".join(self.chunks(self.files[0]))

    def chunks(self, file: PackedFile) -> Iterator[bytes]:
        """Yield a file's bytes; the digest is judged at the end, so keep nothing before. Raises Malformed."""
        digest = hashlib.sha256()
        try:
            with self._archive.open(file.name) as opened:
                while piece := opened.read(_PIECE):
                    digest.update(piece)
                    yield piece
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise Malformed(file.name, "is damaged") from error
        if digest.hexdigest() != file.sha256:
            raise Malformed(file.name, "is not what the bidder signed")

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()


def _listed(value: Any) -> PackedFile:
    if not isinstance(value, dict) or set(value) != {"name", "bytes", "sha256"}:
        raise Malformed("inner files", "has an entry of another form")
    name, size, digest = value["name"], value["bytes"], value["sha256"]
    if not isinstance(name, str) or type(size) is not int or not isinstance(digest, str) or not safe_name(name):
        raise Malformed("inner files", "has an entry of another form")
    return PackedFile(name, size, digest)
