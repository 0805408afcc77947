"""`erhai draw verify PROOF.json`: anybody re-runs a draw from its published proof, with no node and no network.

`erhai draw trustee-key` and `erhai draw share` are a trustee's two acts: make a key once, and open the own share of a nonce
that a party keeps back.
"""

import json
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.cli_verify import bodies_of
from node.domain.ceremony import TRUSTEES, WITNESS
from node.domain.draw_proof import PARTIES, OptionProof, Problem, Proof, judge, judge_options
from node.domain.refused import Refused
from node.domain.wire import WireMalformed
from node.draw_json import ProofMalformed, parse_proof
from node.escrow import escrow_info
from node.exchange.strict_json import MAX_BYTES, shown
from node.replay_draws import draws_of
from sync.bundle import ZipMembers
from sync.policy import Policy
from sync.tampered import Malformed, Tampered
from sync.verify import verify_bundle
from sync.wrap import WrapFault, unwrap_share

EXIT_USAGE: Final = 2
EXIT_TAMPERED: Final = 4

# code: zh-CN, English. A closed list: docs/draws.md names them too.
PROBLEMS: Final[dict[str, tuple[str, str]]] = {
    "malformed": ("字段缺少、多余或类型不对", "a key is missing, unknown or of the wrong type"),
    "draw-id-malformed": ("抽取编号为空或含不可见字符", "the draw's id is empty or holds invisible characters"),
    "pool-empty": ("抽取名单为空", "the pool is empty"),
    "stands-twice": ("编号重复", "a number stands twice"),
    "number-malformed": ("编号格式不对", "a number is malformed"),
    "pool-not-sorted": ("抽取名单未按字节顺序排列", "the pool is not in byte order"),
    "pool-hash-differs": ("名单散列值不符", "the pool's hash differs"),
    "parties-differ": ("参与方不是规定的三方及顺序", "the parties are not the required ones, in their order"),
    "hex-malformed": ("承诺或随机数不是小写十六进制的 32 字节", "a commit or nonce is no 32 bytes in lower-case hex"),
    "commit-differs": ("随机数与其承诺不符", "a nonce is not the one that was committed to"),
    "source-unknown": ("随机数来源只能是 reveal 或 escrow", "a source is neither reveal nor escrow"),
    "commits-equal": ("两方的承诺相同，抽取无效", "two parties committed to the same: the draw is void"),
    "seed-differs": ("种子不符", "the seed differs"),
    "order-differs": ("排序不符", "the order differs"),
    "groups-malformed": ("专业组格式不对", "a group is malformed"),
    "not-in-pool": ("编号不在抽取名单内", "a number is not in the pool"),
    "not-in-order": ("未按排序依次抽取", "somebody in the order was left out"),
    "reached-twice": ("同一专家被抽取两次", "an expert was reached twice"),
    "reached-too-many": ("没有空缺却抽取了递补", "a replacement was reached although nobody had failed to come"),
    "too-many-taken": ("抽取人数多于需要人数", "more were taken than needed"),
    "passed-too-far": ("未轮到的专家被记为跳过", "somebody whose turn had not come is recorded as passed"),
    "options-malformed": ("备选项格式不对", "the options are malformed"),
    "drawn-differs": ("抽取结果不符", "what was drawn differs"),
    "digest-differs": ("证明的摘要不符", "the proof's own digest differs"),
    "not-in-log": ("日志中没有这次抽取的公布", "the log holds no publication of this draw"),
    "log-differs": ("与日志记录不符", "the log says otherwise"),
    "log-tampered": ("所附证据包未通过核验", "the bundle itself does not verify"),
    "group-short": ("人数不足而名单尚未用尽", "a group is short although the order is not used up"),
}


@click.group("draw")
def cli_draw() -> None:
    """可验证抽取：核验公布的抽取证明 / verifiable draws."""


@cli_draw.command("verify", epilog="例 / example: erhai draw verify PROOF.json")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--log", "bundle", type=click.Path(path_type=Path, dir_okay=False), help="再与证据包核对 / also against a bundle"
)
@click.option(
    "--policy", type=click.Path(path_type=Path, dir_okay=False), help="信任策略 / whom to trust (tlog-policy)"
)
@click.option("--json", "as_json", is_flag=True, help="JSON")
def cli_verify(file: Path, bundle: Path | None, policy: Path | None, *, as_json: bool) -> None:
    """由公布的证明重算一次抽取：名单散列、承诺、种子、排序、各组人选。不需要节点和网络。

    Re-run a draw from its published proof.  --log 证据包：证明须与日志所记逐项相同，包括组名、未到原因、随机数来源。

    \b
    退出码 Exit: 0 相符 holds; 2 用法、无此文件或不是抽取证明 usage, no file, no proof; 4 被改动 tampered
    """  # noqa: D301 - the \\b is the character that click asks for
    try:
        with file.open("rb") as stream:
            body = stream.read(MAX_BYTES + 1)
        proof = parse_proof(body)
    except OSError as error:
        _unusable(file, error.strerror or type(error).__name__, as_json=as_json)
    except Refused as refused:
        _unusable(file, f"{refused.code} {refused.value}".strip(), as_json=as_json)
    except ProofMalformed as malformed:
        _tampered(Problem(malformed.code, malformed.where), as_json=as_json)
    problem = judge_options(proof) if isinstance(proof, OptionProof) else judge(proof)
    if problem is None and bundle is not None:
        problem = _against_log(proof, bundle, policy, as_json=as_json)
    if problem is not None:
        _tampered(problem, as_json=as_json)
    _say(proof, as_json=as_json)


def _against_log(proof: Proof | OptionProof, bundle: Path, policy: Path | None, *, as_json: bool) -> Problem | None:
    """Verify the bundle, tell its draws again, and hold the proof against what they say."""
    try:
        trusted = None if policy is None else Policy.parse(policy.read_bytes())
        with bundle.open("rb") as stream:
            members = ZipMembers(stream)
            verdict = verify_bundle(members, trusted, None)
            if verdict.problem is not None:
                return Problem("log-tampered", str(verdict.problem))
            opened = (trusted or Policy.parse(members.read("policy"))).open(members.read("checkpoint"))
            draws, found = draws_of(bodies_of(members, opened))
    except OSError as error:
        _unusable(bundle, error.strerror or type(error).__name__, as_json=as_json)
    except Malformed as malformed:
        _unusable(policy or bundle, str(malformed), as_json=as_json)
    except Tampered as tampered:  # the container itself
        return Problem("log-tampered", str(tampered.problem))
    except WireMalformed as malformed:
        return Problem("log-tampered", malformed.name)
    mine = [one for one in found if one.problem == "draw-differs"]
    return Problem("log-tampered", mine[0].detail) if mine else draws.held_against(proof)


@cli_draw.command("trustee-key", epilog="例 / example: erhai draw trustee-key trustee.key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def cli_trustee_key(file: Path) -> None:
    """受托人产生密钥：私钥写入 FILE（0600，不覆盖），显示公钥，登记在节点设置的 [[trustee]]。Make a trustee's key."""
    key = X25519PrivateKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        click.echo(f"{shown(str(file))}: {error.strerror}", err=True)
        sys.exit(EXIT_USAGE)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(key.private_bytes_raw().hex() + "\n")
    click.echo(key.public_key().public_bytes_raw().hex())


@cli_draw.command(
    "share", epilog="例 / example: erhai draw share --key trustee.key --draw ID --party TENDERER --trustee 2 BLOB"
)
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), required=True, help="私钥文件 / private key file"
)
@click.option("--draw", "draw_id", required=True, help="抽取编号 / the draw's id")
@click.option("--party", type=click.Choice([*PARTIES, WITNESS]), required=True, help="未公开的一方 / who keeps back")
@click.option("--trustee", type=click.IntRange(1, TRUSTEES), required=True, help="受托人序号 / which trustee")
@click.argument("blob")
def cli_share(key: Path, draw_id: str, party: str, trustee: int, blob: str) -> None:
    """受托人解出自己的份额 BLOB（页面所示），交给开评标室提交。Open a trustee's own share of an escrowed nonce."""
    try:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(key.read_text(encoding="ascii").strip()))
        wrapped = bytes.fromhex(blob)
    except OSError as error:
        click.echo(f"{shown(str(key))}: {error.strerror}", err=True)
        sys.exit(EXIT_USAGE)
    except ValueError:
        click.echo(_word("密钥或份额不是十六进制", "the key or the share is not hex"), err=True)
        sys.exit(EXIT_USAGE)
    try:
        click.echo(unwrap_share(private, escrow_info(draw_id, party, trustee), wrapped).hex())
    except WrapFault:
        click.echo(_word("这一份不是给此密钥、此次抽取的", "this share is not for this key and draw"), err=True)
        sys.exit(EXIT_TAMPERED)


def _say(proof: Proof | OptionProof, *, as_json: bool) -> None:
    escrowed = [party.name for party in proof.parties if party.source == "escrow"]
    if isinstance(proof, OptionProof):
        _say_options(proof, escrowed, as_json=as_json)
        return
    taken = {group.name: list(group.taken) for group in proof.groups}
    if as_json:
        told = {"ok": True, "draw_id": proof.draw_id, "seed": proof.seed, "taken": taken, "escrow": escrowed}
        click.echo(json.dumps(told, ensure_ascii=False).encode())
        return
    lines = [
        _word(f"抽取 {shown(proof.draw_id)}：相符", f"draw {shown(proof.draw_id)}: holds"),
        _word(
            f"  名单 {len(proof.pool)} 人，{len(proof.parties)} 方承诺，种子 {proof.seed}",
            f"  pool of {len(proof.pool)}, {len(proof.parties)} commits, seed {proof.seed}",
        ),
    ]
    if escrowed:
        names = ", ".join(map(shown, escrowed))
        lines.append(_word(f"  由托管开启：{names}", f"  opened from escrow: {names}"))
    for group in proof.groups:
        numbers = " ".join(map(shown, group.taken))
        lines.append(f"  {shown(group.name)} {len(group.taken)}/{group.need}: {numbers}")
    click.echo("\n".join(lines).encode())


def _say_options(proof: OptionProof, escrowed: list[str], *, as_json: bool) -> None:
    if as_json:
        told = {"ok": True, "draw_id": proof.draw_id, "seed": proof.seed, "drawn": proof.drawn, "escrow": escrowed}
        click.echo(json.dumps(told, ensure_ascii=False).encode())
        return
    said = _word(f"抽取 {shown(proof.draw_id)}：相符", f"draw {shown(proof.draw_id)}: holds")
    click.echo(f"{said}\n  {shown(proof.name)}: {' '.join(map(shown, proof.drawn))}".encode())


def _tampered(problem: Problem, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"ok": False, "problem": problem.code, "where": problem.where}).encode())
    else:
        words = _word(*PROBLEMS[problem.code])
        click.echo(f"{_word('不符', 'does not hold')}: {problem.where}: {words}".encode(), err=True)
    sys.exit(EXIT_TAMPERED)


def _unusable(file: Path, why: str, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"ok": False, "problem": "unusable", "where": shown(why)}, ensure_ascii=False).encode())
    else:
        said = _word("不能作为抽取证明读取", "cannot be read as a draw's proof")
        click.echo(f"{shown(str(file))}: {said}: {shown(why)}".encode(), err=True)
    sys.exit(EXIT_USAGE)


def _word(chinese: str, english: str) -> str:
    return english if os.environ.get("LANG", "").startswith("en") else chinese
