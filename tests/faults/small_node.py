"""A node alone in a folder, for drills: made once, opened by the test or by a child process that will be killed."""

import datetime as dt
import sys
from pathlib import Path

from node.clock import FixedClock
from node.node import Node
from node.room_key import make_room_key
from node.settings import Settings
from node.start import KEYS, ROOM_KEY, create_data, open_node
from sync.certs import make_authority
from sync.keys import make_identity

ORIGIN = "drill.erhai/532924/room-1/a/e1"
NODE = "532924-room-1-a"


def make(folder: Path) -> None:
    """Make keys, database and fence."""
    now = dt.datetime.now(dt.UTC)
    create_data(folder, ORIGIN)
    make_identity(folder / KEYS, origin=ORIGIN, node=NODE, authority=make_authority("drill.erhai", now=now), now=now)
    make_room_key(folder / ROOM_KEY)
    (folder / "erhai.toml").write_text(
        f'role = "county"\nnode = "{NODE}"\norigin = "{ORIGIN}"\ndata = "."\npages_port = 1\nsync_port = 2\n'
        'centre_name = "演练"\nroom_name = "演练室"\n',
        encoding="utf-8",
    )


def settings(folder: Path) -> Settings:
    """Return the settings of that node."""
    return Settings(
        role="county",
        node=NODE,
        origin=ORIGIN,
        data=folder,
        pages_port=1,
        sync_port=2,
        centre_name="演练",
        room_name="演练室",
    )


def opened(folder: Path, at_ms: int = 1_772_000_000_000) -> Node:
    """Open the node with a fixed clock."""
    return open_node(settings(folder), FixedClock(at_ms))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
