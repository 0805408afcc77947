"""One TOML file, one frozen Settings. The field comments are the manual. An unknown key, a missing file or a value out of
range: the node refuses to start and names it.
"""

import re
import tomllib
from dataclasses import dataclass, fields
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
    cap_kbit_s: int = 0  # most that is sent to this peer, in 1,000 bits a second; 0: no bound
    tls_public: str = (
        ""  # hex Ed25519 key of its certificate: an expired one is believed by it, and the prefecture only by it
    )
    tls_backup: str = ""  # hex, of the prefecture: the key that it goes on with when the first is lost

    @property
    def pins(self) -> frozenset[bytes]:
        """Return the keys that were pinned at enrolment, raw."""
        return frozenset(bytes.fromhex(key) for key in (self.tls_public, self.tls_backup) if key)


@dataclass(frozen=True, slots=True)
class TrusteeKey:
    """Who holds escrowed shares of a draw's nonces (受托人): five of different bodies, three of whom open; [[trustee]]."""

    name: str  # the body: 县司法局
    public: str  # hex X25519 public key, as `erhai draw trustee-key` prints it


@dataclass(frozen=True, slots=True)
class Replica:
    """Where a database is copied to all the time, for the case that this disk is lost (备份副本); one for each database."""

    name: str  # what people call it, also on the command line: second-disk
    kind: str  # file | sftp | s3
    path: str  # folder, path on the server, or prefix in the bucket
    database: str = "erhai.db"  # file name in the data folder
    host: str = ""  # sftp: host:port
    user: str = ""  # sftp
    key_path: str = ""  # sftp: private key file
    host_key: str = ""  # sftp: the server's public key, as in known_hosts: "ssh-ed25519 AAAA…"
    bucket: str = ""  # s3
    endpoint: str = ""  # s3-compatible: https://host:port
    region: str = ""  # s3
    secret_path: str = ""  # s3: file of two lines, access key id and secret, mode 0600


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
    discover: bool = False  # announce this node on the room's network and find room peers that have no url
    room: str = ""  # room code shared by neighbours, e.g. 532924-room-1
    prefecture_name: str = ""  # domain of the prefecture CA, as in spiffe://<name>/node/<code>
    peers: tuple[Peer, ...] = ()
    calendar_vkeys: tuple[str, ...] = ()  # who may sign working-day calendars
    anchor_vkeys: tuple[str, ...] = ()  # who may sign the anchors of persons' certificates; two of them must
    calendar: Path | None = None  # the signed working-day calendar in force
    witness: str = ""  # required | preferred; empty: required in a county room with a neighbour
    disk_floor_mib: int = 256  # below this much free disk nothing is mirrored for others; own records go on
    replicas: tuple[Replica, ...] = ()  # [[replica]]
    trustees: tuple[TrusteeKey, ...] = ()  # [[trustee]]
    roster: Path | None = (
        None  # peers as `erhai enrol accept` wrote them; a [[peers]] of the same name above counts instead
    )
    authority: Path | None = None  # of a prefecture: its enrolment office, which renews certificates over the link
    people: Path | None = None  # accounts file of this node
    demo: bool = False  # demo sign-in and demo clock are allowed only here
    demo_clock: Path | None = None  # file with an offset in ms, read at every use; only with demo

    @property
    def is_prefecture(self) -> bool:
        """Whether this node plays the prefecture's part."""
        return self.role == "prefecture"

    @property
    def asks_certificates(self) -> bool:
        """Whether binding acts are signed by certificate here: it is named who signs the anchors."""
        return bool(self.anchor_vkeys)

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
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
_PORTS = {"pages_port", "sync_port"}
_SIZES = {"disk_floor_mib"}
_PATHS = {"data", "calendar", "people", "demo_clock", "roster", "authority"}
_REQUIRED = {"role", "node", "origin", "data", "pages_port", "sync_port", "centre_name", "room_name"}
_KNOWN = (
    _TEXT
    | _PORTS
    | _SIZES
    | _PATHS
    | {"peers", "calendar_vkeys", "anchor_vkeys", "demo", "discover", "replica", "trustee"}
)
_PEER_TEXT = {"name", "url", "kind", "origin", "log_vkey", "cosigner_vkey", "sealing_public"}
_PINS = {"tls_public", "tls_backup"}
_PEER_KEYS = _PEER_TEXT | _PINS | {"cap_kbit_s"}
_KEY_HEX = re.compile(r"[0-9a-f]{64}")
_MAX_CAP_KBIT_S = 10_000_000


def _peer(table: Any, index: int, *, discover: bool) -> Peer:
    where = f"peers[{index}]"
    if not isinstance(table, dict):
        raise SettingsFault(where, "must be a table")
    for key in table:
        if key not in _PEER_KEYS:
            raise SettingsFault(f"{where}.{key}", "unknown key")
    if table.get("kind") not in ("room", "prefecture", "county"):  # a tuple: the value may be a list
        raise SettingsFault(f"{where}.kind", "must be room, prefecture or county")
    # Counties dial the prefecture, never the other way: the extranet lets nothing in.
    # A room peer without an address is found on the room's network.
    unaddressed = table["kind"] == "county" or (discover and table["kind"] == "room")
    optional = {"sealing_public", "url"} if unaddressed else {"sealing_public"}
    cap = table.get("cap_kbit_s", 0)
    if isinstance(cap, bool) or not isinstance(cap, int) or not (cap == 0 or 8 <= cap <= _MAX_CAP_KBIT_S):
        raise SettingsFault(f"{where}.cap_kbit_s", f"must be 0 or between 8 and {_MAX_CAP_KBIT_S}")
    for key in _PEER_TEXT - optional:
        if not isinstance(table.get(key), str) or not table[key]:
            raise SettingsFault(f"{where}.{key}", "must be text")
    for key in _PINS & set(table):
        if not isinstance(table[key], str) or not _KEY_HEX.fullmatch(table[key]):
            raise SettingsFault(f"{where}.{key}", "must be 64 hex digits")
    return Peer(**table)


def _rostered(values: dict[str, Any], named: set[str]) -> tuple[Peer, ...]:
    path = values.get("roster")
    if path is None:
        return ()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("peers", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsFault("roster", f"cannot be read: {error}") from error
    tables = [item for item in tables if not isinstance(item, dict) or item.get("name") not in named]
    return tuple(_on_roster(item, index, path, discover=values["discover"]) for index, item in enumerate(tables))


def _on_roster(table: Any, index: int, path: Path, *, discover: bool) -> Peer:
    """Return one peer of the roster. Nobody edits that file: what it lacks is said with what to write in the settings."""
    try:
        return _peer(table, index, discover=discover)
    except SettingsFault as fault:
        name = table.get("name", "") if isinstance(table, dict) else ""
        key = fault.where.rpartition(".")[2]
        if key == "url" and not table.get("url"):
            find = "设置中写 discover = true，或" if table.get("kind") == "room" else ""
            found = "set discover = true, or " if table.get("kind") == "room" else ""
            raise SettingsFault(
                f"{path}: {name}",
                f"名册上没有它的地址 url：{find}在设置中写一个同名的 [[peers]]，照抄名册上的各项并加上 url / the roster has no url of "
                f"it: {found}write a [[peers]] of this name into the settings, as on the roster, with a url",
            ) from fault
        raise SettingsFault(f"{path}: {name or index + 1}: {key}", fault.why) from fault


_REPLICA_NEEDS = {
    "file": set(),
    "sftp": {"host", "user", "key_path", "host_key"},
    "s3": {"bucket", "endpoint", "region", "secret_path"},
}
_REPLICA_KEYS = {field.name for field in fields(Replica)}


def _replica(table: Any, index: int, base: Path) -> Replica:
    where = f"replica[{index}]"
    if not isinstance(table, dict):
        raise SettingsFault(where, "must be a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in _REPLICA_NEEDS:
        raise SettingsFault(f"{where}.kind", "must be file, sftp or s3")
    needs = _REPLICA_NEEDS[kind] | {"name", "path"}
    for key, value in table.items():
        if key not in needs | {"kind", "database"}:
            raise SettingsFault(
                f"{where}.{key}", "unknown key" if key not in _REPLICA_KEYS else f"has no place in {kind}"
            )
        if not isinstance(value, str) or not value:
            raise SettingsFault(f"{where}.{key}", "must be text")
    for key in sorted(needs - set(table)):
        raise SettingsFault(f"{where}.{key}", "is missing")
    if not _PLAIN_NAME.fullmatch(table["name"]) or not _PLAIN_NAME.fullmatch(table.get("database", "erhai.db")):
        raise SettingsFault(f"{where}.name", "names hold letters, digits, dots and hyphens only")
    files = {key: str(base / table[key]) for key in ("key_path", "secret_path") if key in table}
    if kind == "file":
        files["path"] = str(base / table["path"])
    return Replica(**{**table, **files})


def _replicas(tables: Any, base: Path) -> tuple[Replica, ...]:
    if not isinstance(tables, list):
        raise SettingsFault("replica", "must be a list of tables")
    found = tuple(_replica(item, index, base) for index, item in enumerate(tables))
    for what in ("name", "database"):
        if len({getattr(one, what) for one in found}) != len(found):
            raise SettingsFault("replica", f"two replicas have one {what}")
    return found


def _trustees(tables: Any) -> tuple[TrusteeKey, ...]:
    if not isinstance(tables, list):
        raise SettingsFault("trustee", "must be a list of tables")
    found = []
    for index, table in enumerate(tables):
        where = f"trustee[{index}]"
        if not isinstance(table, dict) or set(table) != {"name", "public"}:
            raise SettingsFault(where, "must be a table of name and public")
        if not isinstance(table["name"], str) or not table["name"].strip():
            raise SettingsFault(f"{where}.name", "must be text")
        if not isinstance(table["public"], str) or not _KEY_HEX.fullmatch(table["public"]):
            raise SettingsFault(f"{where}.public", "must be 64 lower-case hex digits")
        found.append(TrusteeKey(table["name"], table["public"]))
    for what in ("name", "public"):
        if len({getattr(one, what) for one in found}) != len(found):
            raise SettingsFault("trustee", f"two trustees have one {what}")
    return tuple(found)


def parse_settings(text: str, base: Path) -> Settings:
    """Return the settings of a TOML text; relative paths are taken from `base`, and every path is made absolute: what is
    started from here may run in another folder. Raises SettingsFault.
    """
    base = base.absolute()
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
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
    for key in ("demo", "discover"):
        if not isinstance(table.get(key, False), bool):
            raise SettingsFault(key, "must be true or false")
        values[key] = table.get(key, False)
    if values.get("demo_clock") and not values["demo"]:
        raise SettingsFault("demo_clock", "is allowed only with demo = true")
    for key in ("calendar_vkeys", "anchor_vkeys"):
        vkeys = table.get(key, [])
        if not isinstance(vkeys, list) or not all(isinstance(item, str) for item in vkeys):
            raise SettingsFault(key, "must be a list of text")
        values[key] = tuple(vkeys)
    peers = table.get("peers", [])
    if not isinstance(peers, list):
        raise SettingsFault("peers", "must be a list of tables")
    values["peers"] = tuple(_peer(item, index, discover=values["discover"]) for index, item in enumerate(peers))
    values["peers"] += _rostered(values, {peer.name for peer in values["peers"]})
    if values.get("authority") and values["role"] != "prefecture":
        raise SettingsFault("authority", "is allowed only with role = prefecture")
    values["trustees"] = _trustees(table.get("trustee", []))
    values["replicas"] = _replicas(table.get("replica", []), base)
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
