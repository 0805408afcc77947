"""`erhai log show / export / prove`, beside the `verify` that needs no node."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import apsw
import click

from node import export
from node.cli_verify import verify_command
from node.domain.calendar import CHINA
from node.folder_words import is_damage, log_steps, log_words
from node.places import BLOBS, DATABASE, KEYS, SETTINGS
from node.receipts import number_of, place_of
from node.settings import Settings, SettingsFault, load_settings
from node.store import StoreFault, connect
from node.successions import current, known_successions
from sync.blobs import BlobStore
from sync.bundle import BundleFault
from sync.codec import decode
from sync.keys import KeyFault, load_public
from sync.log import LogFault, head, origins, read_checked
from sync.policy import Policy
from sync.witness import misbehaviours

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)
_ORIGIN = click.option("--origin", default="", help="哪一个日志，默认本机 / which log, own by default")


@click.group("log")
def cli_log() -> None:
    """日志:查看、导出、验证。 The log: entries, bundles, verification."""


cli_log.add_command(verify_command)


@contextmanager
def _opened(data: Path) -> Iterator[tuple[apsw.Connection, Settings]]:
    """Open a node's data for reading; say what is wrong and end where that cannot be done."""
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)
    try:
        settings = current(load_settings(data / SETTINGS))
        db = connect(data / DATABASE, readonly=True)
        db.execute("BEGIN")
        try:
            yield db, settings
        finally:
            db.execute("COMMIT")
            db.close()
    except (SettingsFault, KeyFault, StoreFault) as fault:
        click.echo(f"无法读取 / cannot read: {fault}", err=True)
        sys.exit(3)
    except BundleFault as fault:
        click.echo(f"证据包放不下 / too large for a bundle: {fault}", err=True)
        sys.exit(1)
    except LogFault as fault:
        if is_damage(fault):
            click.echo(f"日志受损，没有导出 / the log is damaged, nothing was exported: {log_words(fault)}", err=True)
            click.echo(log_steps(data), err=True)
            sys.exit(4)
        click.echo(f"没有这样的记录 / no such record: {log_words(fault)}", err=True)
        sys.exit(1)


def _policy(db: apsw.Connection, data: Path, settings: Settings, origin: str) -> Policy:
    public = load_public(data / KEYS / "public.json")
    return export.policy_of(settings, public.log_vkey, public.cosigner_vkey, origin, known_successions(db))


def _known(db: apsw.Connection, settings: Settings, origin: str) -> str:
    origin = origin or settings.origin
    if origin not in origins(db):
        raise LogFault("unknown-log", origin)
    return origin


@cli_log.command("show", epilog="例 / example: erhai log show --data demo-data/a --from 0 --count 20")
@_DATA
@_ORIGIN
@click.option("--from", "start", type=click.IntRange(0, 2**53), default=0, help="起始序号 / first position")
@click.option("--count", type=click.IntRange(1, 100_000), default=50, help="条数 / how many")
@click.option("--json", "as_json", is_flag=True, help="每行一个 JSON / one JSON a line")
def show(data: Path, origin: str, start: int, count: int, *, as_json: bool) -> None:
    """列出日志中的记录（不含密封内容）。 List entries of a log; sealed content stays sealed."""
    with _opened(data) as (db, settings):
        name = _known(db, settings, origin)
        for seq, body in read_checked(db, name, start, start + count):
            entry = decode(body)
            events = [event_name for event_name, _, _ in entry.events]
            if as_json:
                row = {
                    "origin": entry.origin,
                    "seq": seq,
                    "at_ms": entry.at_ms,
                    "clock_quality": entry.clock_quality,
                    "stream": entry.stream,
                    "actor": entry.actor,
                    "events": events,
                    "receipt": number_of(name, seq),
                }
                click.echo(json.dumps(row, ensure_ascii=False))
            else:
                when = _civil(entry.at_ms)
                click.echo(f"{number_of(name, seq)}  {when}  {entry.stream}  {entry.actor}  {' '.join(events)}")
        held = head(db, name)
        if not as_json:
            click.echo(f"{name}: {held.size} 条记录 / entries")


def _require_folder(output: Path) -> None:
    if not output.absolute().parent.is_dir():
        click.echo(f"{output.parent}: 没有这个文件夹 / no such folder", err=True)
        sys.exit(2)


def _civil(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


@cli_log.command("export", epilog="例 / example: erhai log export --data demo-data/a -o evidence.zip")
@_DATA
@_ORIGIN
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="证据包文件")
@click.option("--prove", "receipts", multiple=True, help="附上这些回执的凭据 / add the proof of these receipts")
@click.option(
    "--files", is_flag=True, help="附上已开标标段的投标文件和释放文件 / add the files of openings, to replay them"
)
def export_command(data: Path, origin: str, output: Path, receipts: tuple[str, ...], *, files: bool) -> None:
    """导出一个日志的证据包，任何人可离线核验。 Export a log's bundle for anyone to verify offline.

    退出码 0 已写好；1 没有这个日志或回执；4 日志受损，没有导出。Exit 4: the log is damaged, nothing was exported.
    """
    with _opened(data) as (db, settings):
        name = _known(db, settings, origin)
        places = [place_of(number, [name]) for number in receipts]
        if None in places:
            click.echo(f"回执不属于这个日志 / not receipts of this log: {receipts[places.index(None)]}", err=True)
            sys.exit(1)
        _require_folder(output)
        fresh = output.with_name(output.name + ".part")
        try:
            with fresh.open("wb") as target:
                seqs = [place[1] for place in places if place is not None]
                attached = export.opening_files(db, name, BlobStore(data / BLOBS, clear=False)) if files else {}
                policy = _policy(db, data, settings, name)
                export.write_log_bundle(db, target, name, policy, blobs=attached, proofs_of=seqs)
            fresh.replace(output)
        finally:
            fresh.unlink(missing_ok=True)
        click.echo(f"{output}: {name}, {head(db, name).checkpoint_size} 条记录 / entries")


@cli_log.command("prove", epilog="例 / example: erhai log prove R-K7QT-000123 --data demo-data/a -o receipt.tlog-proof")
@click.argument("receipt")
@_DATA
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="写入文件，默认标准输出")
def prove(receipt: str, data: Path, output: Path | None) -> None:
    """为一个回执出具凭据 (tlog-proof)。 Write one receipt's proof."""
    with _opened(data) as (db, _settings):
        place = place_of(receipt, origins(db))
        if place is None:
            click.echo(f"没有这个回执 / no such receipt: {receipt}", err=True)
            sys.exit(1)
        proof = export.proof_of(db, *place)
        if output is None:
            click.echo(proof.decode(), nl=False)
        else:
            _require_folder(output)
            output.write_bytes(proof)
            click.echo(str(output))


@cli_log.command("evidence", epilog="例 / example: erhai log evidence --data demo-data/a -o conflict.zip")
@_DATA
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="写入的 ZIP 文件")
def evidence(data: Path, output: Path) -> None:
    """导出留存的全部反证：同一密钥签过的互相矛盾的检查点，或两份不同的继承声明。 Export all evidence kept here.

    文件用 erhai log verify conflict.zip --policy 信任策略 判断。没有反证的，不写文件。Judge it with erhai log verify.
    """
    with _opened(data) as (db, _settings):
        found = misbehaviours(db)
        _require_folder(output)
        if not found:
            click.echo("没有留存的反证，没有写文件 / no evidence is kept, nothing was written")
            return
        output.write_bytes(export.evidence_zip(db))
        for one in found:
            click.echo(f"{_civil(one.at_ms)}  {one.origin}  {one.problem}  {one.shown_by}")
        click.echo(f"{output}: {len(found)}")


__all__ = ["cli_log"]
