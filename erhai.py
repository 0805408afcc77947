"""The front door: one command line, each verb loaded from the folder that owns it, only when it is asked for."""

import importlib
import sys

try:
    import click
except KeyboardInterrupt:  # before anything was begun
    sys.exit(130)

# verb: module:attribute of a click command or group, and the line that `erhai --help` shows
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("web.demo.cli:cli_demo", "演示：一间开评标室的一天 / play a day"),
    "run": ("web.cli:cli_run", "运行节点 / run a node"),
    "check": ("node.cli:cli_check", "自检：由日志重算并比对 / re-derive and compare"),
    "rebuild": ("node.cli:cli_rebuild", "由日志重建全部视图 / rebuild every view from the log"),
    "backup": ("node.cli_backup:cli_backup", "备份：演练 / try the backup"),
    "restore": ("node.cli_backup:cli_restore", "恢复数据库，与邻机核对并自愈 / restore, reconcile, heal"),
    "epoch": ("node.cli_epoch:cli_epoch", "日志纪元：由两人开启新纪元 / open a new epoch of the log"),
    "courier": ("node.cli_courier:cli_courier", "摆渡：用移动存储传日志和附件 / export, import by stick"),
    "enrol": ("node.cli_enrol:cli_enrol", "登记：节点申请、两人签署、安装、换发、吊销 / enrol nodes"),
    "trust": ("node.cli_trust:cli_trust", "信任：节点证书与吊销名单 / node certificates and their revocation"),
    "log": ("node.cli_log:cli_log", "日志：查看、导出、核验、出证 / show, export, verify, prove"),
    "agent": ("sync.cli_agent:cli_agent", "签名器：本席待签事项按键签名 / sign at a seat"),
    "score": ("node.cli_score:cli_score", "计算价格分 / compute price scores"),
    "draw": ("node.cli_draw:cli_draw", "抽取：核验公布的抽取证明 / verify a published draw"),
    "bid": ("node.cli_bid:cli_bid", "投标人工具：加密投标文件 / the bidder's tool"),
    "share": ("node.cli_share:cli_share", "份额保管人工具：释放份额 / the trustee's tool"),
    "import": ("node.cli_exchange:cli_import", "导入 / import"),
}


class Verbs(click.Group):
    """A group that imports a verb's module at its first use, so that `erhai log verify` loads no pages."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return every verb, in the order of the table."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one verb."""
        if name not in VERBS:
            return None
        module, _, attribute = VERBS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option("0.1.0", prog_name="erhai")
def cli() -> None:
    """洱海 Erhai：离线优先的公共资源交易开评标室 / an offline-first trading room."""


def main() -> None:
    """Run the command line. Any uncaught error is a fault of the machine: exit 3, one line, no traceback of secrets."""
    try:
        cli(prog_name="erhai")
    except Exception as error:  # noqa: BLE001 - the last line of defence; the type and place are what a technician needs
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if type(error).__name__ in {"CorruptError", "NotADBError"}:  # of apsw, which not every verb loads
            click.echo(f"数据库文件受损；停止节点后运行 erhai check / the database file is damaged: {error}", err=True)
            sys.exit(4)
        where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}" if frame else "?"
        click.echo(f"故障 / fault: {type(error).__name__} ({where})", err=True)
        sys.exit(3)


if __name__ == "__main__":
    main()
