"""A running replica (备份副本): one Litestream process, started, watched, started again; its lag as facts for people.

What is compared: when this process last committed (`Store.changed_s`), the newest transaction that Litestream has captured,
when it last finished bringing everything to the replica, and how far the replica's own files lead from a snapshot
(node/chain.py): those of a folder are looked at each second, those of a server are listed by Litestream each PROOF_S. Any of
them standing still for STALL_S while the database has moved is an alarm, whatever Litestream says of itself: a full replica
makes it write one line and go on running, an emptied one nothing at all. A copy whose files do not lead to its newest
transaction is started over with a fresh snapshot.
"""

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import aiohttp

from node.chain import Chain, chain_in, chain_listed
from node.litestream import (
    LitestreamFault,
    end_orphan,
    environment,
    list_files,
    pid_path,
    program,
    socket_name,
    write_config,
)
from node.settings import Replica
from sync.supervise import log_once

POLL_S = 1.0
STALL_S = 5.0
FIRST_DELAY_S, LAST_DELAY_S = 1.0, 30.0
PROOF_S, PROOF_AGAIN_S = 60.0, 5.0  # how often a server's files are listed; sooner while they do not hold
PROOF_LATE_S = 300.0  # a listing that has not succeeded for so long proves nothing any more
RENEW_AGAIN_S = 600.0  # a first snapshot that is under way is left alone for so long
INCOMPLETE = "ltx-incomplete"  # where a folder's broken chain is set aside, one at a time


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """How one replica stands. `state`: starting | current | behind | stalled | broken (files are
    missing: it cannot be restored) | down (the program does not run) | waiting (nothing is copied, the copy stays as it was:
    `detail` says what is wrong with the database).

    `synced_ms` is when everything captured had last reached the replica, `behind_since_ms` when the oldest change that has
    not was committed; both POSIX. `txid` is the newest captured transaction. `proved_ms` is when its files were last seen to
    lead from a snapshot to the newest transaction, `renewed_ms` when it was last started over because they did not.
    """

    name: str
    kind: str
    where: str
    database: str
    state: str = "starting"
    synced_ms: int | None = None
    behind_since_ms: int | None = None
    txid: int = 0
    awaited_txid: int = 0
    restarts: int = 0
    detail: str = ""
    proved_ms: int | None = None
    renewed_ms: int | None = None

    @property
    def alarming(self) -> bool:
        """Return whether a person must look."""
        return self.state in {"stalled", "broken", "down"}

    def lag_ms(self, now_ms: int) -> int:
        """Return for how long something committed has not reached the replica; 0 for nothing."""
        return 0 if self.behind_since_ms is None else max(now_ms - self.behind_since_ms, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found, POSIX seconds; None where there is none yet."""

    synced_s: float | None
    captured_s: float | None
    txid: int
    held_txid: int | None  # how far the replica's files lead from a snapshot; None where that was not looked at
    broken: bool = False  # files are missing between a snapshot and the newest transaction, or all of them


def judge(status: ReplicaStatus, seen: Seen, *, changed_s: float, began_s: float, now_s: float) -> ReplicaStatus:
    """Return the status after a look. Pure. `changed_s` 0: nothing was committed since `began_s`.

    While something is behind, its moment and its transaction are kept until both have arrived: under steady load there is
    always something newer under way.
    """
    behind_s = None if status.behind_since_ms is None else status.behind_since_ms / 1000
    reached_s = seen.synced_s or 0.0
    captured = not changed_s or seen.captured_s is None or seen.captured_s >= changed_s - 1.0
    held = seen.txid if seen.held_txid is None else seen.held_txid
    empty = seen.held_txid == 0
    arrived = behind_s is None or (reached_s >= behind_s and held >= status.awaited_txid and captured and not empty)
    awaited = status.awaited_txid
    if arrived:
        expected_s = changed_s or (0.0 if reached_s else began_s)
        late = expected_s > reached_s or held < seen.txid or not captured or empty
        behind_s = (expected_s if expected_s > reached_s else now_s) if late else None
        awaited = seen.txid
    late_s = 0.0 if behind_s is None else now_s - behind_s
    alarm = "broken" if seen.broken else "stalled"
    state = "current" if behind_s is None or late_s < 1.0 else alarm if late_s > STALL_S else "behind"
    return replace(
        status,
        state=state,
        synced_ms=None if seen.synced_s is None else int(seen.synced_s * 1000),
        behind_since_ms=None if behind_s is None else int(behind_s * 1000),
        txid=seen.txid,
        awaited_txid=awaited,
        detail="" if state == "current" else status.detail,
    )


class Replicator:
    """Keeps one replica. `changed_s` tells when the database last changed; `changed` is called when the state word does.

    `withheld` says why nothing may be copied now, "" where it may. It is asked in a thread, before each start (True) and
    each second after it (False), which then ends the process.
    """

    def __init__(
        self,
        data: Path,
        replica: Replica,
        *,
        changed_s: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
        withheld: Callable[[bool], str] = lambda _starting: "",
    ) -> None:
        """Nothing is started before `run`."""
        self._data = data
        self._replica = replica
        self._changed_s = changed_s
        self._changed = changed
        self._withheld = withheld
        where = replica.path if replica.kind == "file" else f"{replica.host or replica.endpoint} {replica.path}"
        self.status = ReplicaStatus(replica.name, replica.kind, where, replica.database)
        self.pid: int | None = None
        self._began_s = time.monotonic()
        self._renewing = False  # the process was ended to start over
        self._renewed_s = -RENEW_AGAIN_S
        self._was_whole = False  # since the last start over, or since this process began
        self._listed: Chain | None = None
        self._proof_due_s = 0.0

    async def run(self) -> None:
        """Run Litestream until cancelled; whatever fails is said and tried again: this is its supervisor."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._leave()
                began = time.monotonic()
                await self._run_once()
            except (LitestreamFault, OSError) as fault:
                self._show(replace(self.status, state="down", detail=str(fault)))
            except Exception as error:  # noqa: BLE001 - see above
                log_once(error, f"replica {self._replica.name}")
                self._show(replace(self.status, state="down", detail=str(error)))
            if self._renewing or self.status.state == "waiting":
                failures = 0
            failures = 1 if time.monotonic() - began > LAST_DELAY_S else failures + 1
            ceiling = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, 8))
            await asyncio.sleep(random.uniform(FIRST_DELAY_S / 2, ceiling))  # noqa: S311 - spreads load, guards nothing
            if self.status.state != "waiting":
                self._show(replace(self.status, restarts=self.status.restarts + 1))

    async def _leave(self) -> None:
        """Return once the database may be copied."""
        while why := await asyncio.to_thread(self._withheld, True):
            self._wait_for(why)
            await asyncio.sleep(POLL_S)
        if self.status.state == "waiting":
            self._began_s, self._was_whole = time.monotonic(), False  # its first snapshot has all its time again
            self._show(replace(self.status, state="starting", detail=""))

    def _wait_for(self, why: str) -> None:
        self._show(replace(self.status, state="waiting", behind_since_ms=None, awaited_txid=0, detail=why))

    async def _run_once(self) -> None:
        config = await asyncio.to_thread(write_config, self._data, self._replica)
        await asyncio.to_thread(end_orphan, self._data, self._replica)
        if self._renewing:
            await asyncio.to_thread(self._start_over)
            self._renewing = False
        process = await asyncio.create_subprocess_exec(
            program(),
            "replicate",
            "-config",
            str(config),
            "-no-expand-env",
            cwd=self._data,
            env=environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the node's to take; it ends this one itself
        )
        self.pid = process.pid
        self._pid_file.write_text(f"{process.pid}\n", encoding="ascii")
        reading = asyncio.create_task(self._read_log(process.stderr))
        watching = asyncio.create_task(self._watch(process))
        try:
            await process.wait()
            if not self._renewing and self.status.state != "waiting":
                last = self.status.detail or f"exit {process.returncode}"
                self._show(replace(self.status, state="down", detail=last))
        finally:
            self.pid = None
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)
            await _end(process)
            self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return pid_path(self._data, self._replica)

    async def _read_log(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (line := await stream.readline()):
            try:
                said = json.loads(line)
            except ValueError:
                said = {"level": "ERROR", "msg": line.decode("utf-8", "replace").strip()}
            if said.get("level") == "ERROR":
                detail = f"{said.get('msg', '')}: {said['error']}" if said.get("error") else str(said.get("msg", ""))
                self._show(replace(self.status, detail=detail[:500]))

    def _start_over(self) -> None:
        """Leave nothing that Litestream would go on from: its next act is a full snapshot. A server's files stay; a start
        makes a snapshot there where none is left. Raises OSError.
        """
        if self._replica.kind != "file":
            return
        folder = Path(self._replica.path)
        if (folder / "ltx").exists():
            if (folder / INCOMPLETE).exists():
                shutil.rmtree(folder / INCOMPLETE)
            (folder / "ltx").rename(folder / INCOMPLETE)
        memory = self._data / f".{self._replica.database}-litestream"
        if memory.exists():
            shutil.rmtree(memory)

    async def _renew(self, process: asyncio.subprocess.Process) -> None:
        """End the process to start over, if the copy was whole before or had time enough for its first snapshot."""
        if not self._was_whole and time.monotonic() - max(self._renewed_s, self._began_s) < RENEW_AGAIN_S:
            return
        self._renewing, self._renewed_s, self._was_whole = True, time.monotonic(), False
        self._listed, self._proof_due_s = None, time.monotonic() + PROOF_AGAIN_S
        self._show(replace(self.status, awaited_txid=0, renewed_ms=int(time.time() * 1000)))
        await _end(process)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        pid = process.pid
        # Through /proc the socket's name is short wherever the data folder is.
        connector = aiohttp.UnixConnector(path=f"/proc/{pid}/cwd/{socket_name(self._replica)}")
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=2)) as session:
            began = time.time()
            while True:
                await asyncio.sleep(POLL_S)
                if why := await asyncio.to_thread(self._withheld, False):
                    self._wait_for(why)
                    await _end(process)
                    return
                try:
                    seen = await self._look(session)
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
                    seen = Seen(self._last(self.status.synced_ms), None, self.status.txid, None)
                changed_s = self._changed_s()
                self._show(judge(self.status, seen, changed_s=changed_s, began_s=began, now_s=time.time()))
                if self.status.state == "broken":
                    await self._renew(process)

    @staticmethod
    def _last(at_ms: int | None) -> float | None:
        return None if at_ms is None else at_ms / 1000

    async def _look(self, session: aiohttp.ClientSession) -> Seen:
        database = str(self._data / self._replica.database)
        async with session.get("http://litestream/list") as response:
            listed = json.loads(await response.read())["databases"]
        async with session.get("http://litestream/txid", params={"path": database}) as response:
            txid = int(json.loads(await response.read())["txid"])
        synced = next((one.get("last_sync_at") for one in listed if one["path"] == database), None)
        captured_s = await asyncio.to_thread(self._captured)
        chain, readable = await self._chain()
        return Seen(
            None if not synced else datetime.fromisoformat(synced).timestamp(),
            captured_s,
            txid,
            None if chain is None else chain.reach,
            broken=readable and chain is not None and txid > 0 and not chain.whole,
        )

    def _captured(self) -> float | None:
        """Return when the newest transaction was captured."""
        return _newest(self._data / f".{self._replica.database}-litestream" / "ltx" / "0")

    async def _chain(self) -> tuple[Chain | None, bool]:
        """Return how far the replica's files lead, None where that is as last time; and whether they could be looked at."""
        if self._replica.kind == "file":
            try:
                chain = await asyncio.to_thread(chain_in, Path(self._replica.path))
            except OSError as error:
                self._show(replace(self.status, detail=str(error)))
                return Chain(0, 0), False
            self._proved(chain)
            return chain, True
        now_s = time.monotonic()
        if now_s >= self._proof_due_s:
            self._proof_due_s = now_s + PROOF_S
            try:
                found = chain_listed(await list_files(self._data, self._replica))
            except (LitestreamFault, ValueError, KeyError, TypeError) as error:
                self._proof_due_s = now_s + PROOF_AGAIN_S
                self._show(replace(self.status, detail=str(error)))
            else:
                # Pieces are merged while they are listed: only what is missing twice is missing.
                twice = self._listed is not None and not self._listed.whole
                self._listed = found
                self._proved(found)
                if not found.whole:
                    self._proof_due_s = now_s + PROOF_AGAIN_S
                    return (found, True) if twice else (None, True)
        proved, renewed = self.status.proved_ms, self.status.renewed_ms
        if renewed is not None and (proved is None or proved < renewed):
            return Chain(0, 0), True  # started over, and nothing has shown yet that it helped
        since_s = time.monotonic() - self._began_s if proved is None else time.time() - proved / 1000
        if since_s > PROOF_LATE_S:
            return Chain(0, 0), False
        if self._listed is not None and not self._listed.whole and self.status.behind_since_ms is not None:
            return self._listed, True
        return None, True

    def _proved(self, chain: Chain) -> None:
        if chain.whole:
            self._was_whole = True
            self.status = replace(self.status, proved_ms=int(time.time() * 1000))

    def _show(self, status: ReplicaStatus) -> None:
        before, self.status = self.status, status
        if before.state != status.state:
            self._changed()


def _newest(folder: Path) -> float | None:
    """Return the time of the newest LTX file in a folder."""
    try:
        with os.scandir(folder) as entries:
            name = max((entry.name for entry in entries if entry.name.endswith(".ltx")), default=None)
        return None if name is None else (folder / name).stat().st_mtime
    except OSError:
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
