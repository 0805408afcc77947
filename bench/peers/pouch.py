"""PouchDB 9 pushing to express-pouchdb 4.2 (LevelDB), each in a Node process of its own, over plain HTTP on loopback.

What it does not do: sign, prove or order anything, encrypt the line, name the peer, or fsync what it acknowledges.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from bench.peers import PeerMissing

FOLDER = Path(__file__).parent / "pouchdb"
NAME = "PouchDB 9 -> express-pouchdb 4.2"


def node() -> str:
    """Return Node's path. Raises PeerMissing where it or the packages are not there."""
    found = shutil.which("node")
    if found is None:
        raise PeerMissing(NAME, "Node is not installed (Debian: nodejs npm)")
    if not (FOLDER / "node_modules" / "express-pouchdb").exists():
        raise PeerMissing(NAME, "its npm packages are not installed: make setup-bench")
    return found


def catch_up(folder: Path, count: int) -> float:
    """Return documents a second that a new target takes, 430 bytes of body each. Raises PeerMissing."""
    program = node()
    for name in ("a", "b"):
        (folder / name).mkdir()
    script = str(FOLDER / "peer.cjs")
    environment = {**os.environ, "NODE_ENV": "production"}
    serving = subprocess.Popen(
        [program, script, "serve", str(folder / "b")], stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    try:
        line = "" if serving.stdout is None else serving.stdout.readline()
        if not line:
            raise PeerMissing(NAME, "express-pouchdb does not start")
        url = f"http://127.0.0.1:{json.loads(line)['port']}"
        done = subprocess.run(
            [program, script, "push", str(folder / "a"), url, str(count)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=folder,
            env=environment,
        )
    finally:
        serving.kill()
        serving.communicate()
    if done.returncode != 0:
        raise PeerMissing(NAME, (done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    said = json.loads(done.stdout.strip().splitlines()[-1])
    if said["held"] != count:
        raise PeerMissing(NAME, f"its target holds {said['held']} of {count} documents")
    return float(count / said["seconds"])
