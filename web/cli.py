"""`erhai run`: a node in its configured role."""

import asyncio
import sys
from pathlib import Path

import click

from node.calendars import CalendarFault
from node.folder_words import fence_words
from node.people import PeopleFault
from node.settings import SettingsFault, load_settings
from node.store import StoreFault
from sync.fence import FenceFault
from sync.keys import KeyFault
from web.serve import run


@click.command("run", epilog="例 / example: erhai run --config demo-data/a/erhai.toml")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), required=True, help="节点设置文件 (TOML)")
def cli_run(config: Path) -> None:
    """运行节点，直到 Ctrl-C。 Run a node until Ctrl-C."""
    if not config.is_file():
        click.echo(f"没有这个文件 / no such file: {config}", err=True)
        sys.exit(2)
    try:
        settings = load_settings(config)
    except SettingsFault as fault:
        click.echo(f"设置有误，未启动 / not started: {fault}", err=True)
        sys.exit(1)
    try:
        asyncio.run(run(settings))
    except FenceFault as fault:
        click.echo(f"未能启动 / could not start: {fence_words(settings.data, fault)}", err=True)
        sys.exit(3)
    except (SettingsFault, KeyFault, StoreFault, CalendarFault, PeopleFault, OSError) as fault:
        click.echo(f"未能启动 / could not start: {fault}", err=True)
        sys.exit(3)
