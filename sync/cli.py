"""`erhai log …`: what people may ask of a log. `verify` needs no node, no database and no knowledge of tenders.

Exit status: 0 good, 1 unparsable input, 2 usage or missing file, 4 tampered. Further verbs are added to `cli_log` by
whoever has a node.
"""

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from sync.bundle import ZipMembers
from sync.conflict import Finding, Outcome, judge_conflict
from sync.conflict import check_member as conflict_member
from sync.note import MAX_NOTE
from sync.policy import MAX_POLICY, Policy
from sync.tampered import Malformed, Problem, Tampered
from sync.verify import Verdict, plain, trust_of, verdict_of, verify_bundle

EXIT_UNPARSABLE = 1
EXIT_TAMPERED = 4

WORDS: dict[Problem, tuple[str, str]] = {
    Problem.UNREADABLE: ("不是可读的证据包(ZIP)", "not a bundle that can be read"),
    Problem.HIDDEN_BYTES: ("证据包中有不属于任何成员的字节", "bytes that belong to no member"),
    Problem.HEADER_MISMATCH: ("成员的文件头与目录不一致", "a member's header and the directory disagree"),
    Problem.DUPLICATE_MEMBER: ("成员重名", "two members of one name"),
    Problem.UNSAFE_NAME: ("成员名不安全", "a member's name could leave its folder"),
    Problem.UNKNOWN_MEMBER: ("有不该有的成员", "a member that does not belong"),
    Problem.COMPRESSED_MEMBER: ("成员被压缩或加密,应为原样存储", "a member is compressed or encrypted"),
    Problem.OVERSIZE_MEMBER: ("成员超过允许的大小", "a member is too large"),
    Problem.DAMAGED_MEMBER: ("成员校验和不符", "a member's checksum does not fit"),
    Problem.MISSING_POLICY: ("没有信任策略", "no policy"),
    Problem.MALFORMED_POLICY: ("信任策略格式不正确", "the policy cannot be read"),
    Problem.WRONG_LOG: ("不是策略所信任的日志", "another log than the trusted one"),
    Problem.MISSING_CHECKPOINT: ("没有检查点", "no checkpoint"),
    Problem.MALFORMED_CHECKPOINT: ("检查点格式不正确", "the checkpoint cannot be read"),
    Problem.FOREIGN_KEY: ("检查点由他人的密钥签名", "signed by another key than the log's"),
    Problem.FORGED_SIGNATURE: ("日志签名不成立", "the log's signature is forged"),
    Problem.FORGED_COSIGNATURE: ("存证签名不成立", "a cosignature is forged"),
    Problem.QUORUM_NOT_MET: ("存证方不足", "too few cosigners"),
    Problem.MISSING_ENTRIES: ("记录少于检查点所签的数目", "fewer entries than the checkpoint says"),
    Problem.MISSING_TILE: ("缺少瓦片文件", "a tile is missing"),
    Problem.WRONG_WIDTH: ("瓦片宽度不符", "a tile has the wrong width"),
    Problem.MALFORMED_TILE: ("瓦片格式不正确", "a tile cannot be read"),
    Problem.CHANGED_TILE: ("瓦片被改动", "a tile was changed"),
    Problem.ROOT_MISMATCH: ("根哈希与检查点不符", "the root is not the signed one"),
    Problem.ROLLED_BACK: ("记录少于以前所见", "fewer entries than seen before"),
    Problem.TWO_BRANCHES: ("同一日志出现两个分支", "two branches of one log"),
    Problem.INCONSISTENT_HISTORY: ("与以前所见的历史不一致", "not a continuation of what was seen before"),
    Problem.DROPPED_ENTRY: ("缺少记录", "an entry was dropped"),
    Problem.EXTRA_ENTRY: ("多出记录", "an entry was added"),
    Problem.SWAPPED_ENTRIES: ("记录顺序被调换", "entries were swapped"),
    Problem.CHANGED_ENTRY: ("记录被改动", "an entry was changed"),
    Problem.MALFORMED_ENTRY: ("记录格式不正确", "an entry cannot be read"),
    Problem.MISPLACED_ENTRY: ("记录不在其应在的位置", "an entry is not in its place"),
    Problem.CHANGED_BLOB: ("附件内容与其摘要不符", "a blob is not what its name says"),
    Problem.MISSING_BLOB: ("缺少记录所引用的附件", "a blob that an entry names is missing"),
    Problem.MALFORMED_PROOF: ("存证凭据格式不正确", "a proof cannot be read"),
    Problem.FOREIGN_PROOF: ("存证凭据属于另一日志", "a proof of another log"),
    Problem.WRONG_PROOF: ("存证凭据不成立", "a proof does not hold"),
}

OUTCOMES: dict[Outcome, tuple[str, str]] = {
    Outcome.EXCLUDES: (
        "两份都由该日志的密钥签名,条数相同而根不同,互相排斥:同一密钥签过两段历史",
        "both are signed by the log's key, one size with two roots: two histories of one log are proven",
    ),
    Outcome.NEEDS_ENTRIES: (
        "两份都由该日志的密钥签名,条数不同;是否矛盾须对照日志记录:导出该日志的证据包,分别用 held、shown 作 --seen 核验",
        "both are signed by the log's key, two sizes: verify the log's bundle with held and shown as --seen to tell",
    ),
    Outcome.AGREES: ("两份说的是同一件事,不矛盾", "both say the same: no conflict"),
    Outcome.NEEDS_KEY: (
        "没有该日志的公钥,签名未核对:请用 --policy 给出",
        "no key of this log was given, nothing is verified: give it with --policy",
    ),
    Outcome.NOT_SIGNED: ("不是两份都由该日志的密钥签名,不成立", "the log's key has not signed both: proves nothing"),
    Outcome.STATEMENTS: (
        "两份不同的继承声明,由节点证书签名;须由签发机构核对证书",
        "two different successions, signed by the node's certificate: its CA must tell",
    ),
    Outcome.UNREADABLE: ("不能读", "cannot be read"),
}
_LABELS = {
    "origin": ("日志", "log"),
    "seq": ("序号", "entry"),
    "expected": ("应为", "expected"),
    "got": ("实为", "got"),
}
_TRUST = {
    "bundled": ("信任来源:证据包自带的策略(未经您核对)", "trust: bundled (the bundle's own policy; nobody checked it)"),
    "policy": ("信任来源:您提供的策略", "trust: policy (the one you gave)"),
}


@click.group("log")
def cli_log() -> None:
    """日志:查看、导出、验证。 The log: entries, bundles, verification."""


@cli_log.command(
    "verify", epilog="Example: erhai log verify evidence.zip --policy trusted.policy --seen last.checkpoint"
)
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="信任策略 (tlog-policy)")
@click.option("--seen", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="以前保存的检查点")
@click.option("--json", "as_json", is_flag=True, help="以 JSON 输出")
def verify_command(bundle: Path, policy: Path | None, seen: Path | None, *, as_json: bool) -> None:
    """离线验证证据包。 Verify BUNDLE offline: exit 0 good, 1 unparsable, 2 usage, 4 tampered.

    反证文件 conflict.zip（erhai log evidence 写出）也在此判断：4 同一日志的密钥签过两段历史，0 须对照日志记录才能判定，
    1 不能读，或没有用 --policy 给出该日志的公钥。 A conflict.zip is judged too: 4 two histories proven, 0 the log's
    entries must tell, 1 unreadable or no key given.
    """
    end_with_conflict(bundle, policy, as_json=as_json)
    status, verdict = verify_file(bundle, policy, seen)
    click.echo(json.dumps(verdict.facts(), ensure_ascii=False) if as_json else describe(verdict, in_english=english()))
    sys.exit(status)


def end_with_conflict(bundle: Path, policy: Path | None, *, as_json: bool) -> None:
    """Where the file is a conflict.zip: say what it proves and end the process."""
    findings = _conflict(bundle, policy)
    if findings is None:
        return
    facts = {"kind": "conflict", "findings": [one.facts() for one in findings]}
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else describe_conflict(findings, english()))
    sys.exit(_status(findings))


def _conflict(path: Path, policy: Path | None) -> tuple[Finding, ...] | None:
    """Return the findings of a conflict.zip; None where the file is none, or its container is not in order."""
    with _opened(path) as file:
        try:
            members = ZipMembers(file, conflict_member)
            if not any(True for _ in members.names()):
                return None
            keys = () if policy is None else Policy.parse(_read(policy, MAX_POLICY)).keys
            return judge_conflict(members, keys)
        except (Tampered, Malformed):
            return None  # said by the verification of bundles, in its own order


def _status(findings: tuple[Finding, ...]) -> int:
    outcomes = {one.outcome for one in findings}
    if outcomes & {Outcome.EXCLUDES, Outcome.NOT_SIGNED}:
        return EXIT_TAMPERED
    return EXIT_UNPARSABLE if outcomes & {Outcome.UNREADABLE, Outcome.NEEDS_KEY} else 0


def describe_conflict(findings: tuple[Finding, ...], in_english: bool) -> str:
    """Return the findings in words, two lines each."""
    tongue = 1 if in_english else 0
    lines = [("反证文件:同一日志先后签过的两份说法,逐项判断", "evidence kept against logs, each pair judged")[tongue]]
    for one in findings:
        sizes = f"{one.held_size}/{one.held_root[:16]}, {one.shown_size}/{one.shown_root[:16]}"
        facts = plain(f"{one.no} {one.origin} {sizes if one.held_size >= 0 else ''} {one.detail}")
        lines += [facts.rstrip(), f"    {OUTCOMES[one.outcome][tongue]} [{one.outcome}]"]
    return "\n".join(lines)


def verify_file(bundle: Path, policy: Path | None, seen: Path | None) -> tuple[int, Verdict]:
    """Return exit status and verdict. A file of the verifier's own that cannot be read is unparsable input, not evidence."""
    trusted = None
    if policy is not None:
        try:
            trusted = Policy.parse(_read(policy, MAX_POLICY))
        except Malformed as malformed:
            return EXIT_UNPARSABLE, _own_file(Problem.MALFORMED_POLICY, policy, malformed)
    kept = None if seen is None else _read(seen, MAX_NOTE)
    trust = trust_of(trusted)
    with _opened(bundle) as file:
        try:
            verdict = verify_bundle(ZipMembers(file), trusted, kept)
        except Tampered as tampered:  # the container itself
            verdict = verdict_of(tampered, trust)
        except Malformed as malformed:  # only `seen` is read outside a verdict
            return EXIT_UNPARSABLE, _own_file(Problem.MALFORMED_CHECKPOINT, seen or bundle, malformed)
    if verdict.problem is None:
        return 0, verdict
    return EXIT_UNPARSABLE if verdict.problem is Problem.UNREADABLE else EXIT_TAMPERED, verdict


def _own_file(problem: Problem, path: Path, malformed: Malformed) -> Verdict:
    return verdict_of(Tampered(problem, expected=str(path), got=str(malformed)), "policy")


def describe(verdict: Verdict, *, in_english: bool) -> str:
    """Return the verdict in words, several lines."""
    tongue = 1 if in_english else 0
    lines = [_TRUST[verdict.trust][tongue]]
    if verdict.problem is None:
        good = (
            f"验证通过:{verdict.origin},{verdict.size} 条记录",
            f"verified: {verdict.origin}, {verdict.size} entries",
        )
        names = ", ".join(verdict.cosigners) or ("无", "none")[tongue]
        lines.append(("存证方:", "cosigned by: ")[tongue] + names)
        lines.append(good[tongue])
    else:
        facts = []
        for field, label in _LABELS.items():
            value = getattr(verdict, field)
            if value is not None:
                facts.append(f"{label[tongue]}: {value}")
        lines += facts
        if verdict.detail:
            lines.append(f"({verdict.detail})")
        lines.append(
            ("验证不通过:", "not verified: ")[tongue] + f"{WORDS[verdict.problem][tongue]} [{verdict.problem}]"
        )
    return "\n".join(lines)


def english() -> bool:
    """Tell whether the environment asks for English; Chinese otherwise."""
    return (os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")).startswith("en")


def _read(path: Path, bound: int) -> bytes:
    with _opened(path) as file:
        return file.read(bound + 1)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
