"""Litestream 0.5 as a program that is started (外部程序): where it is, its configuration, and the one-shot commands.

It copies a database file to another place all the time, for the case that this disk is lost. It proves nothing about
honesty and is never a reason to stop recording.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.settings import Replica

SYNC = "200ms"
_KEPT = {"snapshot": {"interval": "1h", "retention": "168h"}}


@dataclass(eq=False)
class LitestreamFault(Exception):
    """Litestream cannot do its work. `what` was tried, `why` is its own word."""

    what: str
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"litestream {self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Restored:
    """A copy that was restored: where from, and the transaction up to which."""

    source: str
    txid: str


def program() -> str:
    """Return the path of litestream: the one of this installation, else the system's. Raises LitestreamFault."""
    beside = Path(sys.executable).parent / "litestream"
    found = str(beside) if beside.exists() else shutil.which("litestream")
    if found is None:
        raise LitestreamFault("start", "the program is not installed")
    return found


def environment() -> dict[str, str]:
    """Return this process's environment without what would change Litestream behind its configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LITESTREAM_"))}


def config_path(data: Path, replica: Replica) -> Path:
    """Return where the generated configuration of one replica lies."""
    return data / f"litestream-{replica.name}.json"


def socket_name(replica: Replica) -> str:
    """Return the name of the control socket in the data folder."""
    return f"litestream-{replica.name}.sock"


def pid_path(data: Path, replica: Replica) -> Path:
    """Return where the number of the running process of one replica lies."""
    return data / f"litestream-{replica.name}.pid"


def end_orphan(data: Path, replica: Replica) -> None:
    """End what a killed node has left running: two of one database must not be, and none may see a database that was put
    in the place of the one it copies. Only for who holds the folder's fence.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_path(data, replica).read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if str(config_path(data, replica)).encode() in command:
            os.kill(pid, signal.SIGTERM)
            for _ in range(50):
                if not Path(f"/proc/{pid}").exists():
                    return
                time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)


def write_config(data: Path, replica: Replica) -> Path:
    """Write the configuration, mode 0600 (it may hold a secret); JSON, which is YAML too. Raises LitestreamFault."""
    config = {
        "logging": {"level": "info", "type": "json", "stderr": True},
        "shutdown-sync-timeout": "2s",
        "socket": {"enabled": True, "path": socket_name(replica), "permissions": 0o600},
        **_KEPT,
        "dbs": [
            {
                "path": str(data / replica.database),
                "monitor-interval": SYNC,
                # A TRUNCATE checkpoint keeps every writer waiting, for a whole snapshot at worst; the passive ones stay.
                "truncate-page-n": 0,
                "replica": {"sync-interval": SYNC, **_target(replica)},
            }
        ],
    }
    path = config_path(data, replica)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, ensure_ascii=False)
    fresh.replace(path)
    return path


def _target(replica: Replica) -> dict[str, Any]:
    if replica.kind == "file":
        return {"type": "file", "path": replica.path}
    if replica.kind == "sftp":
        return {
            "type": "sftp",
            "host": replica.host,
            "user": replica.user,
            "path": replica.path,
            "key-path": replica.key_path,
            "host-key": replica.host_key,
        }
    key_id, secret = _secret(Path(replica.secret_path))
    return {
        "type": "s3",
        "bucket": replica.bucket,
        "path": replica.path,
        "endpoint": replica.endpoint,
        "region": replica.region,
        "force-path-style": True,
        "access-key-id": key_id,
        "secret-access-key": secret,
    }


def _secret(path: Path) -> tuple[str, str]:
    try:
        if path.stat().st_mode & 0o077:
            raise LitestreamFault("configure", f"{path}: others can read it: chmod 600")
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise LitestreamFault("configure", str(error)) from error
    if len(lines) != 2:
        raise LitestreamFault("configure", f"{path}: need two lines, access key id and secret")
    return lines[0], lines[1]


async def restore(data: Path, source: Replica | str, output: Path) -> Restored:
    """Restore the newest copy to `output`, which must not exist; integrity is checked. Raises LitestreamFault.

    `source` is a configured replica, or a replica's URL (file:///…).
    """
    if isinstance(source, Replica):
        config = await asyncio.to_thread(write_config, data, source)
        asked = ["-config", str(config), "-no-expand-env"]
        which, name = str(data / source.database), source.name
    else:
        asked, which, name = [], source, source
    arguments = ["restore", *asked, "-o", str(output), "-integrity-check", "full", "-json", which]
    out = await _run(*arguments)
    try:
        summary = json.loads(out)
        return Restored(name, str(summary["txid"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LitestreamFault("restore", f"unexpected answer {out[:200]!r}") from error


async def list_files(data: Path, replica: Replica) -> str:
    """Return Litestream's listing of the files that a replica holds, as JSON. Raises LitestreamFault."""
    config = config_path(data, replica)
    asked = ["-config", str(config), "-no-expand-env", "-level", "all", "-json"]
    return await _run("ltx", *asked, str(data / replica.database))


async def _run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program(), *arguments, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        why = err.decode("utf-8", "replace").strip().splitlines()
        raise LitestreamFault(arguments[0], why[-1] if why else f"exit {process.returncode}")
    return out.decode("utf-8", "replace")
