"""`erhai log verify` with a node's rules beside it: after the tree, every opening on record is replayed from the export alone.

`python -m sync verify` stays the small verifier that knows nothing of tenders.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import click

from node.profiles_loader import load_profiles
from node.replay import Replayed, replay
from sync.bundle import ZipMembers
from sync.checkpoint import Opened
from sync.cli import EXIT_TAMPERED, describe, end_with_conflict, english, verify_file
from sync.policy import Policy
from sync.tiles import decode_bundle, tiles_of
from sync.verify import plain

_SHOWN = 50
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
WORDS: dict[str, tuple[str, str]] = {
    "bid-late": ("投标文件在截止时间或之后收入", "a bid stands at or after its deadline"),
    "bid-after-opening": ("开标开始后又有投标文件收入或撤回", "a bid was taken or withdrawn after the opening began"),
    "bid-dropped": ("已收的投标文件不在开标之列", "a bid that was received is not among those opened"),
    "opened-early": ("截止时间之前开标", "the opening stands before its deadline"),
    "clock-backwards": ("时钟倒退而未声明存疑", "the clock goes back and does not say that it is doubtful"),
    "clock-ahead": ("记录的时间晚于存证方存证的时间", "an entry is later than the time at which a witness had it"),
    "entry-malformed": ("记录的内容不合其名称", "an entry is not what its name says"),
    "set-differs": ("解密仪式的集合不是收到的全部投标文件", "the ceremony's set is not what was received"),
    "left-out-of-the-set": ("完好的投标文件被当作已损坏", "a sound bid was left out of the set as damaged"),
    "other-manifest": ("投标文件的清单不是集合所记的清单", "a bid's manifest is not the one of the set"),
    "not-as-noticed": ("投标文件不合公告的加密条件，本应拒收", "a bid is not sealed as noticed and was taken"),
    "release-forged": ("释放文件不是该保管人的签名", "a release is not signed by its trustee"),
    "release-over-another-set": ("释放文件是对另一集合签的", "a release is over another set"),
    "wrong-share-list-differs": (
        "对份额是否有误的记录与份额不符",
        "what is on record of a share is not what the share shows",
    ),
    "share-left-out": ("已释放的份额没有用于开启", "a share that was released was not tried"),
    "half-left-out": ("投标人的解密没有用于开启，或者并未收到", "a bidder's half was not tried, or never came"),
    "opened-without-key": (
        "记为已开启，而在案的密钥打不开",
        "on record as opened, and the pieces on record do not open it",
    ),
    "content-differs": ("开启的内容不是投标文件的内容", "the content on record is not that of the bid"),
    "opens-on-record": ("记为未开启，而在案的密钥可以打开", "on record as failed, and the pieces on record open it"),
    "fault-differs": ("未开启的原因与在案的份额不符", "why it failed is not what the pieces show"),
    "blame-differs": ("责任记录与在案的份额不符", "who is blamed is not what the pieces show"),
    "draw-differs": ("抽取的一步不是由此前的记录得出", "a step of a draw does not follow from what stands before it"),
    "session-key-differs": ("评分的会话密钥不是评标开始时承诺的", "the session key is not the one committed to"),
    "marks-differ": ("公开的评分不是专家密封的评分", "the marks on record are not those that the member sealed"),
    "marks-left-out": ("专家已提交的评分没有公开", "marks that a member submitted were left out"),
    "closed-early": ("解密时间未到即记为逾期", "a window was closed before its time"),
}


@click.command(
    "verify", epilog="例 / example: erhai log verify evidence.zip --policy trusted.policy --seen last.checkpoint"
)
@click.argument("bundle", type=_FILE)
@click.option("--policy", type=_FILE, help="信任策略 (tlog-policy)")
@click.option("--seen", type=_FILE, help="以前保存的检查点")
@click.option("--json", "as_json", is_flag=True, help="以 JSON 输出")
def verify_command(bundle: Path, policy: Path | None, seen: Path | None, *, as_json: bool) -> None:
    """离线验证证据包，并重演其中的开标。 Verify BUNDLE offline and replay its openings.

    退出码 / exit: 0 通过 good, 1 不能解析 unparsable, 2 用法 usage, 4 被篡改 tampered.
    反证文件 conflict.zip 也在此判断。 A conflict.zip is judged too.
    """
    end_with_conflict(bundle, policy, as_json=as_json)
    status, verdict = verify_file(bundle, policy, seen)
    found = _replay(bundle, policy) if verdict.ok else None
    if found is not None and found.findings:
        status = EXIT_TAMPERED
    if as_json:
        facts = verdict.facts()
        if found is not None:
            facts |= {"ok": status == 0, "openings": asdict(found)}
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo(describe(verdict, in_english=english()))
        for line in _lines(found) if found is not None else ():
            click.echo(line)
    sys.exit(status)


def _replay(bundle: Path, policy: Path | None) -> Replayed | None:
    """Replay what a verified bundle holds; None where it says nothing of sealed bids."""
    with bundle.open("rb") as file, tempfile.TemporaryDirectory() as scratch:
        members = ZipMembers(file)
        names = set(members.names())
        trusted = Policy.parse(policy.read_bytes() if policy is not None else members.read("policy"))
        opened = trusted.open(members.read("checkpoint"))

        def blob(sha256: str) -> BinaryIO | None:
            return members.open(f"blobs/{sha256}") if f"blobs/{sha256}" in names else None

        found = replay(bodies_of(members, opened), blob, Path(scratch), load_profiles(), _witnessed_ms(opened))
    said = found.bids or found.draws or found.marks or found.findings or found.unchecked
    return found if said else None


def bodies_of(members: ZipMembers, opened: Opened) -> Iterator[bytes]:
    """Yield the entries of a verified bundle, in order."""
    for path in tiles_of(opened.checkpoint.size):
        if path.level is not None:
            return
        yield from decode_bundle(members.read(str(path)))


def _witnessed_ms(opened: Opened) -> int:
    return max((one.timestamp_s for one in opened.cosignatures), default=0) * 1000


def _lines(found: Replayed) -> Iterator[str]:
    tongue = 1 if english() else 0
    if found.bids:
        yield (
            f"openings replayed: {found.bids} bids, {found.opened} open by the pieces on record"
            if tongue
            else f"开标重演：{found.bids} 份投标文件，其中 {found.opened} 份由在案的密钥开启"
        )
    if found.draws or found.marks:
        yield (
            f"draws computed again: {found.draws}; sealed marks opened again: {found.marks}"
            if tongue
            else f"抽取重算 {found.draws} 次，密封评分重新开启 {found.marks} 份"
        )
    for fault in found.faults:
        yield plain(f"{('责任', 'fault')[tongue]}: {fault.stream} {fault.ref} {fault.party} {fault.why}")
    for text in found.unchecked:
        yield plain(f"{('未核对（文件不在证据包中）', 'not checked (not in the bundle)')[tongue]}: {text}")
    for one in found.findings[:_SHOWN]:
        where = plain(f"{one.stream} {one.seq} {one.ref}")
        yield f"{('验证不通过', 'not verified')[tongue]}: {WORDS[one.problem][tongue]} [{one.problem}] {where} {plain(one.detail)}"
    if found.findings:
        count, rest = len(found.findings), max(0, len(found.findings) - _SHOWN)
        yield (
            f"the log is whole, and what it says does not hold in {count} places ({rest} of them not shown; --json has all)"
            if tongue
            else f"结论：日志本身完整，所记内容有 {count} 处不成立（其中 {rest} 处未列出，--json 全列）"
        )
