"""`erhai check` and `erhai rebuild`: is what the node shows what its log says, and making it so again."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.progress import Progress

from node import projection
from node.check import check, check_files, check_log
from node.places import BLOBS, DATABASE, FENCE, KEYS, SETTINGS
from node.settings import SettingsFault, load_settings
from node.start import make_tables
from node.store import StoreFault, connect
from node.successions import current, known_successions, log_keys
from node.views import blobs as blobs_view
from sync.blobs import BlobStore
from sync.fence import Fence, FenceFault
from sync.keys import KeyFault, load_public
from sync.log import origins
from sync.note import VerifierKey

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)


def _vkeys(data: Path) -> tuple[str, dict[str, VerifierKey]]:
    """Return the own origin and the verifier keys of every log this node should hold."""
    public = load_public(data / KEYS / "public.json")
    if not (data / SETTINGS).exists():
        return public.origin, {public.origin: VerifierKey.parse(public.log_vkey)}
    db = connect(data / DATABASE, readonly=True)
    try:
        return public.origin, log_keys(current(load_settings(data / SETTINGS)), public.log_vkey, known_successions(db))
    finally:
        db.close()


def _require(data: Path) -> None:
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)


@click.command("check", epilog="例 / example: erhai check --data demo-data/a")
@_DATA
@click.option("--json", "as_json", is_flag=True, help="JSON")
def cli_check(data: Path, *, as_json: bool) -> None:
    """由日志重算全部视图并与现有内容逐行比对；日志本身按散列和签名检查。

    退出码 0 一致；3 视图不一致，或记录所指的附件缺失、损坏；4 日志受损。Exit 0 clean, 3 views differ or files are missing or
    damaged, 4 log damaged.
    """
    _require(data)
    try:
        origin, vkeys = _vkeys(data)
        db = connect(data / DATABASE, readonly=True)
        with Progress(transient=True, disable=as_json or not sys.stderr.isatty()) as bar:
            task = bar.add_task("检查 / checking", total=None)
            result = check(
                db,
                origin,
                vkeys,
                lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            )
            if not result.log_damaged:
                files = check_files(blobs_view.named(db), BlobStore(data / BLOBS, clear=False))
                result = replace(result, differences=(*result.differences, *files))
    except (KeyFault, SettingsFault, StoreFault) as fault:
        click.echo(f"无法检查 / cannot check: {fault}", err=True)
        sys.exit(3)
    if as_json:
        click.echo(json.dumps({"ok": not result.differences, **asdict(result)}, ensure_ascii=False))
    else:
        click.echo(f"{result.logs} 个日志，{result.entries} 条记录，{result.views} 张视图")
        for difference in result.differences:
            click.echo(f"  {difference.kind}: {difference.where}: {difference.why}")
        click.echo("一致 / clean" if not result.differences else "不一致 / differs")
    if result.log_damaged:
        sys.exit(4)
    sys.exit(3 if result.differences else 0)


@click.command("rebuild", epilog="例 / example: erhai rebuild --data demo-data/a")
@_DATA
def cli_rebuild(data: Path) -> None:
    """清空全部视图并由日志重建。节点须已停止。The node must be stopped."""
    _require(data)
    try:
        origin, vkeys = _vkeys(data)
        fence = Fence.open(data / FENCE)
        db = connect(data / DATABASE)
        db.execute("BEGIN IMMEDIATE")
        make_tables(db)
        for name in origins(db):
            for damage in check_log(db, name, vkeys.get(name)):
                db.execute("ROLLBACK")
                fence.close()
                click.echo(
                    f"日志受损，没有重建 / the log is damaged, nothing was rebuilt: {damage.where}: {damage.why}",
                    err=True,
                )
                sys.exit(4)
        projection.drop_views(db)
        with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("重建 / rebuilding", total=None)
            count = projection.rebuild(
                db, db, origin, lambda done, total: bar.update(task, completed=done, total=total)
            )
        db.execute("COMMIT")
        fence.close()
    except FenceFault as fault:
        click.echo(f"请先停止节点 / stop the node first: {fault}", err=True)
        sys.exit(3)
    except (KeyFault, SettingsFault, StoreFault) as fault:
        click.echo(f"无法重建 / cannot rebuild: {fault}", err=True)
        sys.exit(3)
    click.echo(f"已由 {count} 条记录重建 / rebuilt from {count} entries")
