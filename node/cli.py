"""`erhai check` and `erhai rebuild`: is what the node shows what its log says, and making it so again."""

import json
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import apsw
import click
from rich.progress import Progress

from node import projection
from node.check import check, check_fence, check_files, check_log
from node.folder_words import DAMAGED, damaged_words, fence_words, restore_command, short_words
from node.places import BLOBS, DATABASE, FENCE, KEYS, NEXT_FENCE, SETTINGS
from node.settings import SettingsFault, load_settings
from node.start import make_tables
from node.store import StoreFault, connect
from node.successions import current, known_successions, log_keys, own_public
from node.views import blobs as blobs_view
from sync.blobs import BlobStore
from sync.fence import Fence, FenceFault
from sync.keys import KeyFault, load_public
from sync.log import origins, size_of
from sync.note import VerifierKey

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)


def _vkeys(data: Path) -> tuple[str, dict[str, VerifierKey]]:
    """Return the own origin and the verifier keys of every log this node should hold."""
    public = load_public(data / KEYS / "public.json")
    if not (data / SETTINGS).exists():
        return public.origin, {public.origin: VerifierKey.parse(public.log_vkey)}
    settings = load_settings(data / SETTINGS)
    own_public(settings)
    db = connect(data / DATABASE, readonly=True)
    try:
        known = known_successions(db)
    except DAMAGED:
        return public.origin, log_keys(settings, public.log_vkey, ())  # what is damaged is found and said by the check
    finally:
        db.close()
    return public.origin, log_keys(current(settings), public.log_vkey, known)


def _require(data: Path) -> None:
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)


@click.command("check", epilog="例 / example: erhai check --data demo-data/a")
@_DATA
@click.option("--json", "as_json", is_flag=True, help="JSON")
def cli_check(data: Path, *, as_json: bool) -> None:
    """由日志重算全部视图并与现有内容逐行比对；日志本身按散列和签名检查。

    退出码 0 一致；3 视图不一致，或记录所指的附件缺失、损坏；4 日志、数据库文件或栅栏受损。Exit 0 clean, 3 views differ or files
    are missing or damaged, 4 log, file or fence damaged.
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
        if not (data / NEXT_FENCE).exists():  # else an epoch is being opened, and the next start ends it
            found = check_fence(db, data / FENCE, origin)
            result = replace(result, differences=(*result.differences, *found))
    except DAMAGED as error:
        click.echo(damaged_words(data, error), err=True)
        sys.exit(4)
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
            click.echo(f"停止节点后由邻机找回，或由副本恢复 / stop the node, then: {restore_command(data)}")
    if result.log_damaged:
        sys.exit(4)
    sys.exit(3 if result.differences else 0)


@click.command("rebuild", epilog="例 / example: erhai rebuild --data demo-data/a")
@_DATA
def cli_rebuild(data: Path) -> None:
    """清空全部视图并由日志重建。节点须已停止。The node must be stopped.

    退出码 0 已重建；3 不能重建；4 日志、数据库文件或栅栏受损，没有重建。Exit 4: log, file or fence damaged, nothing rebuilt.
    """
    _require(data)
    try:
        origin, vkeys = _vkeys(data)
        with closing(Fence.open(data / FENCE)) as fence, closing(connect(data / DATABASE)) as db:
            count = _rebuilt(data, db, origin, vkeys, fence.state.released.size)
    except FenceFault as fault:
        click.echo(fence_words(data, fault), err=True)
        sys.exit(4 if fault.why in {"missing", "damaged"} else 3)
    except DAMAGED as error:
        click.echo(f"没有重建 / nothing was rebuilt: {damaged_words(data, error)}", err=True)
        sys.exit(4)
    except (KeyFault, SettingsFault, StoreFault) as fault:
        click.echo(f"无法重建 / cannot rebuild: {fault}", err=True)
        sys.exit(3)
    click.echo(f"已由 {count} 条记录重建 / rebuilt from {count} entries")


def _rebuilt(data: Path, db: apsw.Connection, origin: str, vkeys: dict[str, VerifierKey], released: int) -> int:
    """Make every view anew in one transaction; end with 4 where the log is damaged or shorter than what was released."""
    with db:
        make_tables(db)
        held = size_of(db, origin) if origin in origins(db) else 0
        if held < released:
            click.echo(short_words(data, held, released), err=True)
            sys.exit(4)
        for name in origins(db):
            for damage in check_log(db, name, vkeys.get(name)):
                words = f"{damage.where}: {damage.why}"
                click.echo(f"日志受损，没有重建 / the log is damaged, nothing was rebuilt: {words}", err=True)
                click.echo(f"  停止节点后由邻机找回，或由副本恢复 / {restore_command(data)}", err=True)
                sys.exit(4)
        projection.drop_views(db)
        with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("重建 / rebuilding", total=None)
            count = projection.rebuild(
                db, db, origin, lambda done, total: bar.update(task, completed=done, total=total)
            )
    return count
