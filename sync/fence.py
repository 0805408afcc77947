"""The fence: the newest checkpoint this node has released, in a small file outside every backup (回退栅栏).

A database may be restored, cloned or lose its newest commits without any error; a log that then goes on signs two
histories. The fence is moved after each commit and before anything leaves the node, so at start: fence behind the log is an
ordinary crash, fence (or what a peer has cosigned) ahead of the log is a rollback, and a rolled-back node only reads.

File: two slots at offsets 0 and 4096, written in turn in place and fdatasync'ed, so that a torn write leaves the other slot.
Writing in place costs one flush of the disk where temp file, rename and two fsyncs cost five times as much, on every
commit. Slot: the lines `erhai-fence/v1`, counter, instance id (hex), origin, size, root (base64), SHA-256 of the lines
before (hex); then zeros up to 1024 bytes. The valid slot with the higher counter holds.
"""

import base64
import binascii
import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sync.checkpoint import Checkpoint
from sync.merkle import EMPTY_ROOT

_SLOT = 1_024
_SLOTS = (0, 4_096)
_HEADER = "erhai-fence/v1"
UNPROVEN = bytes(16)
"""The instance in a fence that was made anew because the old one was lost: it is of no database and proves nothing."""


class FenceFault(OSError):
    """The fence file cannot be used. `why` is missing, damaged, exists, in-use, moved, backwards or io; an OSError, so
    whoever handles the disk's faults handles this one.
    """

    def __init__(self, why: str, path: Path, detail: str = "") -> None:
        """Keep the facts."""
        super().__init__(f"fence {path}: {why}" + (f" ({detail})" if detail else ""))
        self.why = why
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FenceState:
    """What the fence says: this copy of the database (16 bytes), and the newest released checkpoint."""

    counter: int
    instance: bytes
    released: Checkpoint

    def pack(self) -> bytes:
        """Return the bytes of one slot. Raises ValueError where the origin is too long."""
        origin = self.released.origin
        root = base64.b64encode(self.released.root).decode()
        lines = f"{_HEADER}\n{self.counter}\n{self.instance.hex()}\n{origin}\n{self.released.size}\n{root}\n"
        body = lines.encode()
        slot = body + hashlib.sha256(body).hexdigest().encode() + b"\n"
        if len(slot) > _SLOT or origin.count("\n"):
            raise ValueError(origin)
        return slot.ljust(_SLOT, b"\0")

    @staticmethod
    def unpack(slot: bytes) -> "FenceState | None":
        """Return the state of one slot; None where it is torn, empty or foreign."""
        lines = slot.rstrip(b"\0").split(b"\n")
        if len(lines) != 8 or lines[7]:
            return None
        body = b"\n".join(lines[:6]) + b"\n"
        if hashlib.sha256(body).hexdigest().encode() != lines[6] or lines[0] != _HEADER.encode():
            return None
        try:
            released = Checkpoint(lines[3].decode(), int(lines[4]), base64.b64decode(lines[5], validate=True))
            return FenceState(int(lines[1]), bytes.fromhex(lines[2].decode()), released)
        except (ValueError, binascii.Error):
            return None


class Fence:
    """The fence file, locked for this process. Belongs to the writer thread once the node runs."""

    def __init__(self, path: Path, descriptor: int, state: FenceState) -> None:
        """Use `create` once at enrolment and `open` at every start."""
        self.path = path
        self._descriptor = descriptor
        self._state = state

    @property
    def state(self) -> FenceState:
        """Return what the fence says."""
        return self._state

    @classmethod
    def create(cls, path: Path, *, instance: bytes, origin: str) -> "Fence":
        """Make the fence of a new log, at size 0. Never replaces one: raises FenceFault where the file exists."""
        state = FenceState(0, instance, Checkpoint(origin, 0, EMPTY_ROOT))
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise FenceFault("exists", path, "a fence is made once, at enrolment") from error
        except OSError as error:
            raise FenceFault("io", path, str(error)) from error
        try:
            _lock(descriptor, path)
            os.pwrite(descriptor, bytes(_SLOTS[1] + _SLOT), 0)
            os.pwrite(descriptor, state.pack(), _SLOTS[0])
            os.fsync(descriptor)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, state)

    @classmethod
    def open(cls, path: Path) -> "Fence":
        """Open and lock the fence. Never creates one: a missing fence is a fault, not a fresh start."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise FenceFault("missing", path) from error
        except OSError as error:
            raise FenceFault("io", path, str(error)) from error
        try:
            _lock(descriptor, path)
            return cls(path, descriptor, _read(descriptor, path))
        except BaseException:
            os.close(descriptor)
            raise

    def advance(self, to: Checkpoint) -> None:
        """Move the fence forward and onto the disk: after the commit, before anything is released.

        Raises FenceFault where another hand has moved the file since, or where `to` would go back.
        """
        held = self._state.released
        if to.origin != held.origin or to.size < held.size or (to.size == held.size and to.root != held.root):
            raise FenceFault("backwards", self.path, f"{held.origin} {held.size} -> {to.origin} {to.size}")
        if to != held or _read(self._descriptor, self.path) != self._state:
            self._write(FenceState(self._state.counter + 1, self._state.instance, to))

    def _write(self, state: FenceState) -> None:
        if _read(self._descriptor, self.path) != self._state:
            raise FenceFault("moved", self.path, "another process has written it")
        written = os.pwrite(self._descriptor, state.pack(), _SLOTS[state.counter & 1])
        if written != _SLOT:
            raise FenceFault("io", self.path, f"wrote {written} of {_SLOT} bytes")
        os.fdatasync(self._descriptor)
        self._state = state

    def adopt(self, instance: bytes, to: Checkpoint) -> None:
        """Take another copy of the database as ours, at `to`: only after a restored copy was reconciled with the peers.

        Raises FenceFault as `advance` does; nothing is then written.
        """
        held = self._state.released
        if to.origin != held.origin or to.size < held.size or (to.size == held.size and to.root != held.root):
            raise FenceFault("backwards", self.path, f"{held.origin} {held.size} -> {to.origin} {to.size}")
        self._write(FenceState(self._state.counter + 1, instance, to))

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def read_fence(path: Path) -> FenceState:
    """Return what a fence says without locking it, for reports on a running node. Raises FenceFault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FenceFault("missing", path) from error
    except OSError as error:
        raise FenceFault("io", path, str(error)) from error
    try:
        return _read(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FenceFault("in-use", path, "another process of this node is running") from error


def _read(descriptor: int, path: Path) -> FenceState:
    slots = (FenceState.unpack(os.pread(descriptor, _SLOT, offset)) for offset in _SLOTS)
    valid = [state for state in slots if state is not None]
    if not valid:
        raise FenceFault("damaged", path, "neither slot can be read")
    return max(valid, key=lambda state: state.counter)


# -- the gate: what the fence, the peers and the local tree say together ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Active:
    """Everything agrees: the node may append."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The fence lags behind a valid log: a crash between commit and fence. Advance the fence to `to`, then append."""

    to: Checkpoint


@dataclass(frozen=True, slots=True)
class Rollback:
    """The node must not append. `cause` is one of: closed (evidence against the log is kept, or another epoch follows it),
    other-instance (restored or cloned database), other-origin, unsigned-tail (no valid own checkpoint over the entries),
    entry-changed (stored bytes no longer match the tree), fence-ahead, fence-differs, peer-ahead, peer-differs. `proven` is
    what the source holds against the local log.
    """

    cause: str
    source: str
    local: Checkpoint
    proven: Checkpoint | None


Gate = Active | Behind | Rollback


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint of our own log that a peer has cosigned, signatures already verified."""

    by: str
    checkpoint: Checkpoint


def start_gate(
    *,
    instance: bytes,
    fence: FenceState,
    local: Checkpoint,
    signed: Checkpoint | None,
    root_at: Callable[[int], bytes],
    seen: Sequence[Seen],
) -> Gate:
    """Decide whether a node may append. Pure.

    `local` is recomputed from the tables; `signed` is the stored own checkpoint, its signature verified (None: there is
    none); `root_at` gives the local root at a smaller size.
    """
    if fence.instance != instance:
        return Rollback("other-instance", "fence", local, fence.released)
    if fence.released.origin != local.origin:
        return Rollback("other-origin", "fence", local, fence.released)
    if local.size > 0 and signed != local:
        return Rollback("unsigned-tail", "log", local, signed)
    for source, proven in (("fence", fence.released), *((item.by, item.checkpoint) for item in seen)):
        word = "fence" if source == "fence" else "peer"
        if proven.size > local.size:
            return Rollback(f"{word}-ahead", source, local, proven)
        if (local.root if proven.size == local.size else root_at(proven.size)) != proven.root:
            return Rollback(f"{word}-differs", source, local, proven)
    return Active() if fence.released.size == local.size else Behind(local)
