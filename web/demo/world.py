"""The demonstration's world on disk: a prefecture CA, three identities, settings, people, a signed calendar, one room key."""

import contextlib
import datetime as dt
import json
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.calendars import sign_calendar
from node.people import hash_pin
from node.places import TRUST
from node.profiles_loader import PROFILES
from node.room_key import make_room_key
from node.start import FENCE, KEYS, create_data
from sync.certs import make_authority
from sync.crl import issue_crl
from sync.fence import Fence, FenceFault
from sync.keys import PublicIdentity, make_identity
from sync.note import Signer
from sync.trust import CRL_FILE
from web.demo import cast
from web.demo.seals import Seals
from web.demo.vendors import Vendors

PREFECTURE = "dali.erhai"
CALENDAR = "calendar-2026.toml"
NODES = ("prefecture", "a", "b")
CODES = {"prefecture": "532900-centre-1", "a": "532924-room-1-a", "b": "532924-room-1-b"}
ORIGINS = {
    "prefecture": "dali.erhai/532900/centre/1/e1",
    "a": "dali.erhai/532924/room-1/a/e1",
    "b": "dali.erhai/532924/room-1/b/e1",
}


@dataclass(frozen=True, slots=True)
class World:
    """Where everything is."""

    folder: Path
    port: int

    def data(self, node: str) -> Path:
        """Return a node's data folder; its settings are `erhai.toml` inside."""
        return self.folder / node

    def pages(self, node: str) -> int:
        """Return a node's page port."""
        return self.port + NODES.index(node)

    def sync(self, node: str) -> int:
        """Return a node's sync port."""
        return self.port + 10 + NODES.index(node)

    @property
    def line(self) -> int:
        """Return the county's end of the line to the prefecture."""
        return self.port + 13

    @property
    def clock(self) -> Path:
        """Return the demo clock's file."""
        return self.folder / "demo-clock.json"

    def set_clock(self, at_ms: int) -> None:
        """Set every node's demo clock to an instant."""
        text = json.dumps({"offset_ms": at_ms - time.time_ns() // 1_000_000})
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.clock)


def make_world(folder: Path, port: int) -> World:
    """Make everything anew in `folder`, which must be empty, absent or an earlier demonstration's."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "demo-clock.json").exists():
            raise FileExistsError(f"{folder} is not an earlier demonstration")
        for node in NODES:
            with contextlib.suppress(FileNotFoundError):
                _require_free(folder / node / FENCE)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    world = World(folder, port)
    world.set_clock(cast.ms(cast.START))
    now = dt.datetime.now(dt.UTC)
    authority = make_authority(PREFECTURE, now=now)
    publics: dict[str, PublicIdentity] = {}
    for node in NODES:
        create_data(world.data(node), ORIGINS[node])
        keys = make_identity(
            world.data(node) / KEYS, origin=ORIGINS[node], node=CODES[node], authority=authority, now=now
        )
        publics[node] = keys.public()
    room = make_room_key(world.data("a") / KEYS / "room.key")
    other = world.data("b") / KEYS / "room.key"
    other.touch(mode=0o600)
    other.write_text(room.private.private_bytes_raw().hex() + "\n", encoding="ascii")
    (folder / "room.pub").write_text(room.public.hex() + "\n", encoding="ascii")
    (folder / "experts.csv").write_text("\n".join([cast.BANK_HEAD, *(one.line for one in cast.BANK)]), "utf-8")
    _trustees(folder / "trustees")
    vendors = Vendors(folder / "vendors")
    anchor_vkeys = vendors.make([world.data(node) for node in NODES if node != "prefecture"])
    Seals(folder / "seals", vendors).make(cast.SEAL_TRUSTEES)
    signer = Signer.from_seed("dali.erhai/calendar", secrets.token_bytes(32))
    calendar = (PROFILES / CALENDAR).read_bytes()
    crl = issue_crl(authority, number=1, revoked={}, now=now)
    for node in NODES:
        (world.data(node) / CALENDAR).write_bytes(calendar)
        (world.data(node) / f"{CALENDAR}.note").write_bytes(sign_calendar(calendar, signer))
        (world.data(node) / "people.toml").write_text(_people(node, vendors), encoding="utf-8")
        (world.data(node) / "people.toml").chmod(0o600)
        (world.data(node) / TRUST).mkdir(mode=0o700, exist_ok=True)
        (world.data(node) / TRUST / CRL_FILE).write_bytes(crl)
        settings = _settings(world, node, publics, str(signer.vkey), anchor_vkeys)
        (world.data(node) / "erhai.toml").write_text(settings, encoding="utf-8")
    return world


def _trustees(folder: Path) -> None:
    """Make the keys of the five trustees: in a real room each body keeps its own."""
    folder.mkdir(mode=0o700)
    for number, body in enumerate(cast.TRUSTEES, 1):
        key = X25519PrivateKey.generate()
        private = folder / f"{number}.key"
        private.touch(mode=0o600)
        private.write_text(key.private_bytes_raw().hex() + "\n", encoding="ascii")
        public = key.public_key().public_bytes_raw().hex()
        (folder / f"{number}.pub").write_text(f"{body} {public}\n", encoding="utf-8")


def _require_free(fence: Path) -> None:
    """Raise FenceFault where a node is still running on this folder."""
    try:
        Fence.open(fence).close()
    except FenceFault as fault:
        if fault.why == "in-use":
            raise


def _people(node: str, vendors: Vendors) -> str:
    pin = hash_pin("1234")
    rows = []
    if node == "prefecture":
        rows = [(no, name, role, "") for no, name, role in cast.REVIEWERS]
    else:
        rows = [(no, name, role, "") for no, name, role in cast.STAFF]
        rows += [(one.person, one.name, "expert", "") for one in cast.BANK]
        rows += [(one.person, one.name, "expert", one.seat) for one in cast.MEMBERS if one.kind == "tenderer"]
    return "".join(
        f'[[person]]\nno = "{no}"\nname = "{name}"\nrole = "{role}"\nseat = "{seat}"\npin_hash = "{pin}"\n'
        f'holder = "{vendors.holder(no)}"\n\n'
        for no, name, role, seat in rows
    )


def _settings(
    world: World, node: str, publics: dict[str, PublicIdentity], calendar_vkey: str, anchor_vkeys: tuple[str, ...]
) -> str:
    county = node != "prefecture"
    head = {
        "role": "county" if county else "prefecture",
        "node": CODES[node],
        "origin": ORIGINS[node],
        "data": ".",
        "pages_port": world.pages(node),
        "sync_port": world.sync(node),
        "centre_name": "宾川县公共资源交易中心" if county else "大理州公共资源交易中心",
        "room_name": f"第一开评标室 {node.upper()} 机" if county else "上级审查",
        "room": "532924-room-1" if county else "",
        "prefecture_name": PREFECTURE,
        "calendar": CALENDAR,
        "calendar_vkeys": [calendar_vkey],
        "anchor_vkeys": list(anchor_vkeys) if county else [],
        "people": "people.toml",
        "demo": True,
        "demo_clock": "../demo-clock.json",
    }
    trustees = sorted((world.folder / "trustees").glob("*.pub")) if county else []
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    for other in NODES:
        if other == node:
            continue
        public = publics[other]
        peer = {
            "name": CODES[other],
            "kind": "prefecture" if other == "prefecture" else ("room" if county else "county"),
            "origin": public.origin,
            "log_vkey": public.log_vkey,
            "cosigner_vkey": public.cosigner_vkey,
            "sealing_public": public.sealing_public,
            "tls_public": public.tls_public,
        }
        if county:
            port = world.line if other == "prefecture" else world.sync(other)
            peer["url"] = f"https://127.0.0.1:{port}"
        lines.append("\n[[peers]]")
        lines.extend(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in peer.items())
    for file in trustees:
        body, key = file.read_text(encoding="utf-8").split()
        lines.append(f'\n[[trustee]]\nname = "{body}"\npublic = "{key}"')
    return "\n".join(lines) + "\n"
