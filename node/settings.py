"""One TOML file, one frozen Settings. The field comments are the manual. An unknown key, a missing file or a value out of
range: the node refuses to start and names it.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(eq=False)
class SettingsFault(Exception):
    """The settings cannot be used. `where` is the key, `why` what is wrong, `path` the file."""

    where: str
    why: str
    path: str = ""

    def __str__(self) -> str:
        """One line for a person at a terminal."""
        return f"{self.path}: {self.where}: {self.why}" if self.path else f"{self.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node this one pushes its log to, or reads from."""

    name: str  # node code, as its certificate names it
    kind: str  # "room" neighbour, "prefecture", or (at the prefecture) "county"
    origin: str  # the name of its own log
    log_vkey: str  # signed-note verifier key of its log
    cosigner_vkey: str  # signed-note verifier key (0x04) of its cosigner
    url: str = ""  # https://host:port of its sync port; empty for counties, which dial
    sealing_public: str = ""  # hex X25519 public key, to wrap session keys to


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a node needs to know before it starts."""

    role: str  # county | prefecture
    node: str  # node code, e.g. 532924-room-1-a
    origin: str  # own log's name, e.g. dali.erhai/532924/room-1/a/e1
    data: Path  # folder of database, blobs, fence and keys
    pages_port: int  # port of the pages
    sync_port: int  # port of the sync protocol (mTLS)
    centre_name: str  # what the bar says: 宾川县公共资源交易中心
    room_name: str  # 第一开评标室
    pages_host: str = "127.0.0.1"
    sync_host: str = "127.0.0.1"
    room: str = ""  # room code shared by neighbours, e.g. 532924-room-1
    prefecture_name: str = ""  # domain of the prefecture CA, as in spiffe://<name>/node/<code>
    peers: tuple[Peer, ...] = ()
    calendar_vkeys: tuple[str, ...] = ()  # who may sign working-day calendars
    calendar: Path | None = None  # the signed working-day calendar in force
    witness: str = ""  # required | preferred; empty: required in a county room with a neighbour
    disk_floor_mib: int = 256  # below this much free disk nothing is mirrored for others; own records go on
    people: Path | None = None  # accounts file of this node
    demo: bool = False  # demo sign-in and demo clock are allowed only here
    demo_clock: Path | None = None  # file with an offset in ms, read at every use; only with demo

    @property
    def is_prefecture(self) -> bool:
        """Whether this node plays the prefecture's part."""
        return self.role == "prefecture"

    def peer(self, name: str) -> Peer | None:
        """Return the peer with this node code, if it is configured."""
        return next((peer for peer in self.peers if peer.name == name), None)


_TEXT = {
    "role",
    "node",
    "origin",
    "centre_name",
    "room_name",
    "pages_host",
    "sync_host",
    "room",
    "prefecture_name",
    "witness",
}
_PORTS = {"pages_port", "sync_port"}
_SIZES = {"disk_floor_mib"}
_PATHS = {"data", "calendar", "people", "demo_clock"}
_REQUIRED = {"role", "node", "origin", "data", "pages_port", "sync_port", "centre_name", "room_name"}
_KNOWN = _TEXT | _PORTS | _SIZES | _PATHS | {"peers", "calendar_vkeys", "demo"}
_PEER_KEYS = {"name", "url", "kind", "origin", "log_vkey", "cosigner_vkey", "sealing_public"}


def _peer(table: Any, index: int) -> Peer:
    where = f"peers[{index}]"
    if not isinstance(table, dict):
        raise SettingsFault(where, "must be a table")
    for key in table:
        if key not in _PEER_KEYS:
            raise SettingsFault(f"{where}.{key}", "unknown key")
    if table.get("kind") not in {"room", "prefecture", "county"}:
        raise SettingsFault(f"{where}.kind", "must be room, prefecture or county")
    # Counties dial the prefecture, never the other way: the extranet lets nothing in.
    optional = {"sealing_public", "url"} if table["kind"] == "county" else {"sealing_public"}
    for key in _PEER_KEYS - optional:
        if not isinstance(table.get(key), str) or not table[key]:
            raise SettingsFault(f"{where}.{key}", "must be text")
    return Peer(**table)


def parse_settings(text: str, base: Path) -> Settings:
    """Return the settings of a TOML text; relative paths are taken from `base`. Raises SettingsFault."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsFault("file", f"is not TOML: {error}") from error
    for key in table:
        if key not in _KNOWN:
            raise SettingsFault(key, "unknown key")
    for key in sorted(_REQUIRED):
        if key not in table:
            raise SettingsFault(key, "is missing")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in _TEXT:
            if not isinstance(value, str):
                raise SettingsFault(key, "must be text")
            values[key] = value
        elif key in _PORTS:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65_535:
                raise SettingsFault(key, "must be a port between 1 and 65535")
            values[key] = value
        elif key in _SIZES:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_048_576:
                raise SettingsFault(key, "must be a size in MiB between 1 and 1048576")
            values[key] = value
        elif key in _PATHS:
            if not isinstance(value, str) or not value:
                raise SettingsFault(key, "must be a path")
            values[key] = base / value
    if values["role"] not in {"county", "prefecture"}:
        raise SettingsFault("role", "must be county or prefecture")
    if values.get("witness", "") not in {"", "required", "preferred"}:
        raise SettingsFault("witness", "must be required or preferred")
    if not isinstance(table.get("demo", False), bool):
        raise SettingsFault("demo", "must be true or false")
    values["demo"] = table.get("demo", False)
    if values.get("demo_clock") and not values["demo"]:
        raise SettingsFault("demo_clock", "is allowed only with demo = true")
    vkeys = table.get("calendar_vkeys", [])
    if not isinstance(vkeys, list) or not all(isinstance(item, str) for item in vkeys):
        raise SettingsFault("calendar_vkeys", "must be a list of text")
    values["calendar_vkeys"] = tuple(vkeys)
    peers = table.get("peers", [])
    if not isinstance(peers, list):
        raise SettingsFault("peers", "must be a list of tables")
    values["peers"] = tuple(_peer(item, index) for index, item in enumerate(peers))
    return Settings(**values)


def load_settings(path: Path) -> Settings:
    """Read the settings file. Raises SettingsFault, also where the file is missing."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFault("file", f"cannot be read: {error}", str(path)) from error
    try:
        return parse_settings(text, path.parent)
    except SettingsFault as error:
        raise SettingsFault(error.where, error.why, str(path)) from error
