"""A replica is started, watched and started again; it standing still is an alarm, whatever the program says of itself."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.chain import Chain, Piece, chain_in, chain_listed, chain_of
from node.litestream import LitestreamFault, config_path, restore, write_config
from node.replica import STALL_S, ReplicaStatus, Replicator, Seen, judge
from node.settings import Replica, SettingsFault, load_settings, parse_settings
from node.store import Store, connect
from tests.shell.sync_room import until

STATUS = ReplicaStatus("disk", "file", "/mnt", "erhai.db", state="current")


# -- the judgement ----------------------------------------------------------------------------------------------------


def looks(*rows: tuple[float, float, float | None, int, int | None, float]) -> list[str]:
    """Judge one look after another: changed, synced, captured, transaction, held by the replica, now."""
    status, found = STATUS, []
    for changed, synced, captured, txid, held, now in rows:
        status = judge(status, Seen(synced, captured, txid, held), changed_s=changed, began_s=10.0, now_s=now)
        found.append(status.state)
    return found


def test_a_replica_that_keeps_up_under_steady_load_is_never_late() -> None:
    assert set(looks(*((t + 0.9, t + 0.7, t + 0.6, 50 * t, 50 * t - 3, t + 1.0) for t in range(10, 60)))) == {"current"}


def test_an_idle_database_is_current() -> None:
    assert set(looks(*((10.0, 10.4 + t, 10.1, 5, 5, 11.0 + t) for t in range(600)))) == {"current"}


def test_a_database_that_nobody_has_changed_yet_is_current() -> None:
    assert set(looks(*((0.0, 100.0 + t, 3.0, 5, 5, 101.0 + t) for t in range(20)))) == {"current"}


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("the last sync stands still", lambda t: (10.0 + t, 10.0, 10.0 + t, 10 + t, None, 10.2 + t)),
        ("nothing more is captured", lambda t: (10.0 + t, 10.1 + t, 10.0, 10, 10, 10.2 + t)),
        ("the replica's own files stand still", lambda t: (10.0 + t, 10.1 + t, 10.0 + t, 10 + t, 10, 10.2 + t)),
        ("nothing was ever synced", lambda t: (0.0, None, None, 0, None, 10.2 + t)),
    ],
)
def test_whatever_stands_still_is_a_stall_after_the_limit(what: str, row: Callable[[int], tuple]) -> None:
    states = looks(*(row(t) for t in range(12)))
    assert states[-1] == "stalled"
    assert "stalled" in states[: int(STALL_S) + 4]


def test_a_stall_ends_when_everything_has_arrived() -> None:
    stall = [(10.0 + t, 10.0, 10.0 + t, 10 + t, None, 10.2 + t) for t in range(9)]
    assert looks(*stall, (18.0, 19.5, 18.0, 18, None, 19.6))[-2:] == ["stalled", "current"]


@pytest.mark.parametrize(("broken", "word"), [(True, "broken"), (False, "stalled")])
def test_an_emptied_copy_is_never_current_however_fresh_its_last_sync(broken: bool, word: str) -> None:
    status, found = replace(STATUS, txid=9, awaited_txid=9), []
    for t in range(9):
        seen = Seen(20.0 + t, 10.0, 9, 0, broken=broken)
        status = judge(status, seen, changed_s=10.0, began_s=1.0, now_s=20.0 + t)
        found.append(status.state)
    assert "current" not in found[1:]
    assert found[-1] == word


# -- the chain of files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "newest", "reach"),
    [
        ([], 0, 0),
        ([(1, 1), (2, 2), (3, 3)], 3, 3),
        ([(1, 9), (5, 8), (9, 9), (10, 10)], 10, 10),
        ([(5, 5), (6, 6)], 6, 0),
        ([(1, 3), (5, 6)], 6, 3),
        ([(1, 3), (2, 7)], 7, 7),
    ],
)
def test_a_copy_reaches_as_far_as_its_files_lead_from_a_snapshot_without_a_gap(
    pieces: list[tuple[int, int]], newest: int, reach: int
) -> None:
    chain = chain_of(Piece(*one) for one in pieces)
    assert (chain.newest, chain.reach) == (newest, reach)
    assert chain.whole is (newest == reach > 0)
    listing = json.dumps([{"min_txid": f"{first:016x}", "max_txid": f"{last:016x}"} for first, last in pieces])
    assert chain_listed(listing if pieces else "null") == chain


def test_a_cut_file_and_a_strange_one_are_no_part_of_a_copy(tmp_path: Path) -> None:
    level = tmp_path / "ltx" / "0"
    level.mkdir(parents=True)
    (level / "0000000000000001-0000000000000001.ltx").write_bytes(b"x" * 200)
    (level / "0000000000000002-0000000000000002.ltx").write_bytes(b"x" * 100)
    (level / "0000000000000003-0000000000000003.ltx.tmp").write_bytes(b"x" * 200)
    (level / "notes.ltx").write_bytes(b"x" * 200)
    assert chain_in(tmp_path) == Chain(1, 1)
    assert chain_in(tmp_path / "nowhere") == Chain(0, 0)


# -- the settings -----------------------------------------------------------------------------------------------------

BASE = (
    'role = "county"\nnode = "n"\norigin = "o/e1"\ndata = "."\npages_port = 1\nsync_port = 2\ncentre_name = "c"\n'
    'room_name = "r"\n'
)
FILE = '[[replica]]\nname = "disk"\nkind = "file"\npath = "copies"\n'


def test_a_replicas_paths_are_taken_from_the_settings_file() -> None:
    (found,) = parse_settings(BASE + FILE, Path("/srv/a")).replicas
    assert found == Replica("disk", "file", "/srv/a/copies")


def test_a_settings_file_that_was_named_relatively_gives_no_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "erhai.toml").write_text('people = "people.toml"\n' + BASE + FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = load_settings(Path("a/erhai.toml"))
    assert (found.data, found.people) == (tmp_path / "a", tmp_path / "a" / "people.toml")
    assert found.replicas[0].path == str(tmp_path / "a" / "copies")
    assert config_path(found.data, found.replicas[0]).is_absolute()


async def test_a_node_whose_settings_were_named_relatively_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "erhai.toml").write_text(BASE + FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = load_settings(Path("a/erhai.toml"))
    async with kept(found.data, found.replicas[0]) as made:
        await made.grow()
        await made.until("current")
        assert made.replicator.status.detail == ""
        await asyncio.sleep(1.5)
        assert await made.restored() == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (FILE.replace("file", "tape"), "replica[0].kind"),
        (FILE + 'host = "x:22"\n', "replica[0].host"),
        (FILE + 'speed = "x"\n', "replica[0].speed"),
        (FILE.replace("disk", "../disk"), "replica[0].name"),
        (FILE.replace('"file"', '"sftp"'), "replica[0].host"),
        (FILE.replace('"file"', '"s3"'), "replica[0].bucket"),
        (FILE + FILE.replace("disk", "other"), "replica"),
        (FILE.replace('path = "copies"\n', ""), "replica[0].path"),
    ],
)
def test_a_replica_that_cannot_work_is_named_before_the_node_starts(text: str, where: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        parse_settings(BASE + text, Path("/srv/a"))
    assert fault.value.where == where


def test_the_generated_configuration_is_private_and_a_loose_secret_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("id\nword\n")
    secret.chmod(0o644)
    s3 = Replica("far", "s3", "a", bucket="b", endpoint="https://x", region="r", secret_path=str(secret))
    with pytest.raises(LitestreamFault, match="chmod 600"):
        write_config(tmp_path, s3)
    secret.chmod(0o600)
    assert write_config(tmp_path, s3).stat().st_mode & 0o777 == 0o600
    assert '"word"' in config_path(tmp_path, s3).read_text()


# -- the program ------------------------------------------------------------------------------------------------------


class Kept:
    """A database that grows, and its replica."""

    def __init__(self, folder: Path, replica: Replica) -> None:
        self.folder = folder
        self.store = Store(folder / "erhai.db")
        self.store.setup(lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (x BLOB)"))
        self.store.start()
        self.replica = replica
        self.replicator = Replicator(folder, replica, changed_s=lambda: self.store.changed_s)

    async def grow(self) -> None:
        await self.store.write(lambda db: db.execute("INSERT INTO t VALUES (?)", (secrets.token_bytes(500),)))

    async def until(self, state: str, *, growing: bool = False) -> None:
        async with asyncio.timeout(40):
            while self.replicator.status.state != state:
                if growing:
                    await self.grow()
                await asyncio.sleep(0.05)

    async def restored(self) -> int:
        output = self.folder / "restored.db"
        output.unlink(missing_ok=True)
        await restore(self.folder, self.replica, output)
        db = connect(output, readonly=True)
        count: int = db.execute("SELECT COUNT(*) FROM t").fetchone()[0]
        db.close()
        return count


async def keeps_five(made: Kept) -> None:
    """Five rows reach the copy, which stays current, and come back from it."""
    for _ in range(5):
        await made.grow()
    await made.until("current")
    await asyncio.sleep(1.5)
    await made.until("current")
    assert await made.restored() == 5


def alive(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


@contextlib.asynccontextmanager
async def kept(folder: Path, replica: Replica) -> AsyncIterator[Kept]:
    made = Kept(folder, replica)
    task = asyncio.create_task(made.replicator.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.store.close()


async def test_a_file_replica_keeps_up_and_can_be_restored(tmp_path: Path) -> None:
    async with kept(tmp_path, Replica("disk", "file", str(tmp_path / "copies"))) as made:
        for _ in range(20):
            await made.grow()
        await made.until("current")
        await asyncio.sleep(1.5)
        await made.until("current")
        assert await made.restored() == 20
        assert made.replicator.status.txid > 0
        pid = made.replicator.pid
    assert not alive(pid)


async def test_a_restored_database_goes_on_in_the_same_replica_and_loses_nothing_of_it(tmp_path: Path) -> None:
    """Litestream's own memory of a database is set aside with it, or it would ship nothing of what is written next."""
    replica = Replica("disk", "file", str(tmp_path / "copies"))
    async with kept(tmp_path, replica) as made:
        for _ in range(10):
            await made.grow()
        await made.until("current")
        await asyncio.sleep(1.5)
        await made.until("current")
        assert await made.restored() == 10
    for side in ("erhai.db", "erhai.db-wal", "erhai.db-shm"):
        (tmp_path / side).unlink(missing_ok=True)
    shutil.rmtree(tmp_path / ".erhai.db-litestream")
    (tmp_path / "restored.db").rename(tmp_path / "erhai.db")
    async with kept(tmp_path, replica) as made:
        for _ in range(7):
            await made.grow()
        await made.until("current")
        await asyncio.sleep(1.5)
        await made.until("current")
        assert await made.restored() == 17


def _made_a_file(copies: Path) -> None:
    """The program goes on writing there meanwhile."""
    while not copies.is_file():
        shutil.rmtree(copies, ignore_errors=True)
        with contextlib.suppress(IsADirectoryError):
            copies.write_text("a disk that is no folder any more")


async def test_a_replica_that_takes_no_more_is_an_alarm_and_writing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.replica.STALL_S", 1.5)
    copies = tmp_path / "copies"
    async with kept(tmp_path, Replica("disk", "file", str(copies))) as made:
        await made.grow()
        await made.until("current")
        await asyncio.to_thread(_made_a_file, copies)
        await made.until("stalled", growing=True)
        assert made.replicator.status.alarming
        await made.grow()


@pytest.mark.parametrize("what", ["emptied, and written to", "emptied, and nobody writes", "one file is lost"])
async def test_a_copy_that_cannot_be_restored_is_an_alarm_and_is_started_over_with_a_fresh_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("node.replica.STALL_S", 1.5)
    copies = tmp_path / "copies"
    async with kept(tmp_path, Replica("disk", "file", str(copies))) as made:
        states: list[str] = []
        made.replicator._changed = lambda: states.append(made.replicator.status.state)
        for _ in range(8):
            await made.grow()
            await asyncio.sleep(0.25)
        await until(lambda: made.replicator.status.proved_ms is not None)
        await made.until("current")
        if what.startswith("emptied"):
            await asyncio.to_thread(shutil.rmtree, copies)
        else:
            for lost in (copies / "ltx").glob("[1-9]/*.ltx"):
                lost.unlink()
            next(iter(sorted((copies / "ltx" / "0").glob("*.ltx")))).unlink()
        grown = 8
        while made.replicator.status.renewed_ms is None:
            if what == "emptied, and written to":
                await made.grow()
                grown += 1
            await asyncio.sleep(0.1)
        await until(lambda: "broken" in states)
        await made.until("current")
        assert "down" not in states
        assert await made.restored() == grown
        assert not (copies / "ltx-incomplete").exists() or what != "emptied, and nobody writes"


async def test_a_replicator_that_hangs_is_an_alarm_and_one_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.replica.STALL_S", 1.5)
    async with kept(tmp_path, Replica("disk", "file", str(tmp_path / "copies"))) as made:
        await made.grow()
        await made.until("current")
        hung = made.replicator.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        await made.until("stalled", growing=True)
        os.kill(hung, signal.SIGKILL)
        await made.until("current", growing=True)
        assert made.replicator.pid != hung
        assert made.replicator.status.restarts == 1


async def test_an_orphan_of_a_killed_node_is_ended_before_another_is_started(tmp_path: Path) -> None:
    replica = Replica("disk", "file", str(tmp_path / "copies"))
    first = Replicator(tmp_path, replica, changed_s=lambda: 0.0)
    made = Kept(tmp_path, replica)
    running = asyncio.create_task(first._run_once())
    await until(lambda: first.pid is not None)
    orphan = first.pid
    task = asyncio.create_task(made.replicator.run())
    async with asyncio.timeout(20):
        await running
    await until(lambda: made.replicator.pid is not None)
    assert not alive(orphan)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await made.store.close()


async def test_an_s3_compatible_replica_keeps_up_can_be_restored_and_an_emptied_one_is_found_out_by_its_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.replica.STALL_S", 1.5)
    monkeypatch.setattr("node.replica.PROOF_S", 1.0)
    monkeypatch.setattr("node.replica.PROOF_AGAIN_S", 1.0)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    await asyncio.to_thread(server.start)
    try:
        _, port = server.get_host_and_port()
        endpoint = f"http://127.0.0.1:{port}"
        secret = tmp_path / "secret"
        secret.touch(mode=0o600)
        secret.write_text("testing\ntesting\n")
        await asyncio.to_thread(_make_bucket, endpoint)
        far = Replica(
            "far", "s3", "room-1", bucket="copies", endpoint=endpoint, region="us-east-1", secret_path=str(secret)
        )
        async with kept(tmp_path, far) as made:
            await keeps_five(made)
            assert made.replicator.status.kind == "s3"
            await until(lambda: made.replicator.status.proved_ms is not None)
            await asyncio.to_thread(_empty_bucket, endpoint)
            await until(lambda: made.replicator.status.renewed_ms is not None)
            assert made.replicator.status.state == "broken"
            await made.grow()
            await made.until("current")
            await asyncio.sleep(1.5)
            await made.until("current")
            assert await made.restored() == 6
    finally:
        await asyncio.to_thread(server.stop)


def _empty_bucket(endpoint: str) -> None:
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    s3 = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    s3.Bucket("copies").objects.all().delete()


def _make_bucket(endpoint: str) -> None:
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="copies")


@contextlib.asynccontextmanager
async def sftp_server(folder: Path, key) -> AsyncIterator[tuple[int, str]]:
    """Serve a folder by someone else's SFTP server; yield its port and its host key."""
    import asyncssh

    host_key = asyncssh.generate_private_key("ssh-ed25519")
    allowed = asyncssh.import_authorized_keys(key.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=allowed,
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(folder).encode()),
    )
    try:
        yield server.get_port(), host_key.export_public_key().decode().strip()
    finally:
        server.close()
        await server.wait_closed()


async def test_an_sftp_replica_keeps_up_and_can_be_restored_and_another_host_key_is_not_trusted(tmp_path: Path) -> None:
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    key_path = tmp_path / "key"
    key_path.touch(mode=0o600)
    key_path.write_bytes(key.export_private_key())
    await asyncio.to_thread((tmp_path / "far").mkdir)
    async with sftp_server(tmp_path / "far", key) as (port, host_key):
        far = Replica(
            "far", "sftp", "room-1", host=f"127.0.0.1:{port}", user="erhai", key_path=str(key_path), host_key=host_key
        )
        async with kept(tmp_path, far) as made:
            await keeps_five(made)
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        with pytest.raises(LitestreamFault, match=r"host key"):
            await restore(tmp_path, replace(far, host_key=other), tmp_path / "stolen.db")
    assert not (tmp_path / "stolen.db").exists()
