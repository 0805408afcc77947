"""The node's own door for the command line (控制口): DATA/control.sock, mode 0600.

A verb that writes goes through the live node; where none runs, it opens the data folder itself, which takes the fence's
lock. One request a connection, one JSON line each way: {"stream", "command", "fields", "command_id", "actor"}; bytes are
written {"hex": …}. {"experts": path, "sha256", "taken_at_ms"} has the node read a bank's snapshot itself. Before the answer to {"courier": folder} come lines {"progress": [what, done, of how many]}. Only commands that are listed here by their class name are accepted.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.courier import import_stick
from node.domain import custody, imported, incident, lot, review, sheet, wire
from node.domain.refused import NotOffered, Refused
from node.domain.values import Actor, Role
from node.drawing import Drawings
from node.node import Node
from node.receipts import Receipt
from node.recorder import NodeFault
from node.settings import load_settings
from node.start import open_asking
from node.store import StoreFault
from node.witness import NotWitnessed
from sync.fence import FenceFault
from sync.stick_folder import CourierFault
from sync.tampered import Tampered

SOCKET = "control.sock"
SETTINGS = "erhai.toml"
_LINE = 4 * 1024 * 1024
_COMMANDS: dict[str, type] = {
    command.__name__: command
    for command in (*lot.COMMANDS, *sheet.COMMANDS, *incident.COMMANDS, *review.COMMANDS, *imported.COMMANDS)
    # Acts for two are typed in by both at a page: nobody's PIN comes through this door.
    if command not in {*custody.COMMANDS, incident.RelaxWitness}
}


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple | list):
        return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    return value


Tell = Callable[[dict[str, Any]], None]


async def _courier(node: Node, folder: str, tell: Tell) -> dict[str, Any]:
    """Take in a stick on behalf of `erhai courier import`."""
    try:
        done = await import_stick(node, Path(folder), lambda *progress: tell({"progress": progress}))
        return done.facts()
    except Tampered as tampered:
        return {"fault": str(tampered), "tampered": True}
    except (CourierFault, FenceFault, StoreFault, OSError) as fault:
        return {"fault": str(fault)}


async def _experts(node: Node, request: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    """Import the bank's snapshot that lies at a path, if it is still the one that was looked at."""
    try:
        body = await asyncio.to_thread(Path(request["experts"]).read_bytes)
    except OSError as error:
        raise NodeFault(f"cannot read the snapshot: {error.strerror}", "let the node's account read the file") from None
    if hashlib.sha256(body).hexdigest() != request["sha256"]:
        raise NodeFault("the snapshot was changed meanwhile", "import it again")
    return await Drawings(node).import_bank(body, int(request["taken_at_ms"]), command_id=command_id, actor=actor)


async def _answer(node: Node, request: dict[str, Any], tell: Tell = lambda _line: None) -> dict[str, Any]:
    if "courier" in request:
        return await _courier(node, str(request["courier"]), tell)
    try:
        actor = Actor(request["actor"]["person"], Role(request["actor"]["role"]), request["actor"].get("seat", ""))
        command_id = bytes.fromhex(request["command_id"])
        if "experts" in request:
            receipt = await _experts(node, request, command_id, actor)
        else:
            command = wire.from_plain(_COMMANDS[request["command"]], _from_json(request["fields"]))
            receipt = await node.submit(request["stream"], command, command_id=command_id, actor=actor)
    except NotWitnessed as alone:
        return {
            "receipt": alone.receipt.number,
            "origin": alone.receipt.origin,
            "seq": alone.receipt.seq,
            "witnessed": False,
        }
    except Refused as refused:
        fields = {name: getattr(refused, name) for name in ("code", "rule", "value", "limit")}
        return {"refused": {**fields, "cites": list(refused.cites), "facts": [list(fact) for fact in refused.facts]}}
    except (NodeFault, StoreFault, NotOffered) as fault:
        return {"fault": str(fault)}
    except (KeyError, TypeError, ValueError, wire.WireMalformed) as error:
        return {"malformed": str(error)}
    return {"receipt": receipt.number, "origin": receipt.origin, "seq": receipt.seq}


async def serve(node: Node) -> asyncio.Server:
    """Open the socket of a running node."""
    path = node.settings.data / SOCKET
    path.unlink(missing_ok=True)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                line = await reader.readline()
                answer = await _answer(node, json.loads(line), lambda said: writer.write(_line(said)))
            except (ValueError, RecursionError) as error:
                answer = {"malformed": str(error)}
            writer.write(_line(answer))
            await writer.drain()
        writer.close()

    old = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(one, str(path), limit=_LINE)
    finally:
        os.umask(old)


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode() + b"\n"


async def ask(data: Path, request: dict[str, Any], heard: Tell = lambda _line: None) -> dict[str, Any] | None:
    """Return the live node's answer to one request; None where no node runs on this folder. `heard` gets its progress."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(data / SOCKET), limit=_LINE)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    writer.write(_line(request))
    await writer.drain()
    answer = dict(json.loads(await reader.readline()))
    while "progress" in answer:
        heard(answer)
        answer = dict(json.loads(await reader.readline()))
    writer.close()
    return answer


async def submit(data: Path, stream: str, command: Any, actor: Actor) -> dict[str, Any]:
    """Record a command through the live node, or by opening the data folder. Returns {"receipt", "origin", "seq"}.

    Raises Refused; NodeFault, StoreFault, FenceFault and the like where it cannot be recorded now.
    """
    request = {"stream": stream, "command": type(command).__name__, "fields": _to_json(wire.to_plain(command))}
    return await _submitted(data, request, actor)


async def import_experts(data: Path, file: Path, sha256: bytes, taken_at_ms: int, actor: Actor) -> dict[str, Any]:
    """Have the node import a bank's snapshot. Returns and raises what `submit` does."""
    request = {"experts": str(file), "sha256": sha256.hex(), "taken_at_ms": taken_at_ms}
    return await _submitted(data, request, actor)


async def _submitted(data: Path, asked: dict[str, Any], actor: Actor) -> dict[str, Any]:
    request = {
        **asked,
        "command_id": secrets.token_bytes(16).hex(),
        "actor": {"person": actor.person, "role": str(actor.role), "seat": actor.seat},
    }
    answer = await ask(data, request)
    if answer is None:
        node = await open_asking(load_settings(data / SETTINGS))
        try:
            answer = await _answer(node, request)
        finally:
            await node.close()
    if "refused" in answer:
        facts = answer["refused"]
        raise Refused(
            facts["code"],
            facts["rule"],
            facts["value"],
            facts["limit"],
            tuple(facts["cites"]),
            tuple((name, value) for name, value in facts["facts"]),
        )
    if "receipt" not in answer:
        raise NodeFault(str(answer.get("fault") or answer.get("malformed")), "look at the node's own pages")
    return dict(answer)
