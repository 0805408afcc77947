"""The room key (开标室密钥): bids, bidders' names and bonds are sealed to it until the opening.

One X25519 key a room, held by each of its nodes as `room.key` (0600), its public half as `room.pub` (hex) for bidders. It
stands where the key ceremony of several trustees will stand: whoever opens a seal asks `RoomKey.open`, nothing else
(ADR 4).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync.keys import KeyFault
from sync.seal import open_with, seal_to

RECIPIENT = "room"


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The opened room key."""

    private: X25519PrivateKey

    @property
    def public(self) -> bytes:
        """Return the 32 public bytes."""
        return self.private.public_key().public_bytes_raw()

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal to the room."""
        return seal_to({RECIPIENT: self.public}, plaintext, context)

    def open(self, envelope: bytes, context: bytes) -> bytes:
        """Open what was sealed to the room. Raises sync.seal.SealFault."""
        return open_with(RECIPIENT, self.private, envelope, context)


def seal_to_room(public: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Seal with the public half alone, as a bidder does."""
    return seal_to({RECIPIENT: public}, plaintext, context)


def make_room_key(path: Path) -> RoomKey:
    """Make a new room key. Never overwrites one: raises KeyFault."""
    return _keep(path, X25519PrivateKey.generate())


def install_room_key(path: Path, other: Path) -> RoomKey:
    """Take over the room's key from the file of its other node. Never overwrites one: raises KeyFault."""
    try:
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(other.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise KeyFault(str(other), "unreadable", str(error)) from error
    return _keep(path, key)


def _keep(path: Path, key: X25519PrivateKey) -> RoomKey:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise KeyFault(str(path), "exists") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(key.private_bytes_raw().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".pub").write_text(RoomKey(key).public.hex() + "\n", encoding="utf-8")
    return RoomKey(key)


def load_room_key(path: Path) -> RoomKey:
    """Read the room key. Raises KeyFault and names the file."""
    try:
        text = path.read_text(encoding="ascii").strip()
        if path.stat().st_mode & 0o077:
            raise KeyFault(str(path), "too-open", "others can read it: chmod 600")
        return RoomKey(X25519PrivateKey.from_private_bytes(bytes.fromhex(text)))
    except FileNotFoundError as error:
        raise KeyFault(
            str(path),
            "missing",
            "first node of the room: erhai enrol room-key --first; second node: erhai enrol room-key --from <its room.key>",
        ) from error
    except (OSError, ValueError) as error:
        raise KeyFault(str(path), "unreadable", str(error)) from error
