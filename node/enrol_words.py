"""What the officers read before they sign, and why a paper is refused, in words (登记用语)."""

from datetime import datetime

from node.domain.calendar import CHINA
from sync.office import Enrolment, Wanted, key_print

REASONS = {
    "token-malformed": "令牌应为二十四位数字",
    "wrong-token": "令牌不符：听错、输错，或文件在途中被换过",
    "token-expired": "令牌已过期，请在节点上重新申请",
    "token-spent": "这份申请已经办过，办成的节点后来又被吊销或顶替；须在节点上重新申请",
    "from-the-future": "申请时间晚于本机时间，请核对两边时钟",
    "bad-csr": "证书申请与节点或密钥不符",
    "foreign-keys": "公钥名称与日志名称不符",
    "bad-member": "节点信息不完整",
    "bad-node": "节点编号只能用小写字母、数字和中间的连字符，至多 63 个字符 / node: a-z, 0-9, hyphens inside, at most 63",
    "bad-prefecture": "上级须写小写域名，如 dali.erhai / prefecture: a domain in lower case",
    "bad-origin": "日志名称须以 /e1 结尾，如 dali.erhai/532924/room-1/a/e1，不含空格和加号 / origin: must end in /e1",
    "other-prefecture": "申请的不是本上级",
    "origin-taken": "该日志名称已登记给另一节点",
    "replaces-enrolled": "这个名称已登记给上面所示的节点，签署会顶替它并立即吊销它的证书；确要更换，由登记人员写明 --replace",
    "replaces-nobody": "--replace 所写的不是这份申请要顶替的节点",
    "two-officers": "须由两名不同的登记人员各自签署",
    "officer-signature": "登记人员的签名不符",
    "bad-officer": "登记人员编号或密钥不合格",
    "no-such-officer": "没有这名登记人员",
    "officer-exists": "这个编号已有登记人员，没有改动 / this officer is there already",
    "office-exists": "这个文件夹里已有登记处，没有改动 / an office is there already",
    "wrong-pin": "口令不符",
    "short-pin": "口令至少六位",
    "other-key": "不是用已登记的密钥签的；更换密钥须重新登记",
    "not-enrolled": "该节点没有登记",
    "revoked": "该节点已被吊销",
    "acts-changed": "登记记录被改动或缺失，请立即报告",
    "no-request": "本机没有待答复的申请",
    "answers-another": "答复的不是本机这份申请",
    "for-another": "这份文件是给别的节点的，或不是本机的密钥",
    "foreign-ca": "不是本机信任的上级签发的",
    "bad-ca": "签发机构的证书不能读取",
    "goes-back": "比已安装的旧",
}
NO_PREFECTURE = (
    "注意：名册上还没有上级节点，这份答复里没有上级的地址和公钥。请先登记上级节点；上级登记后用 erhai enrol bundle "
    "为本节点写出新名册 / no prefecture is on the roster yet"
)
ROOM_KEY_MISSING = """还缺开标室密钥 / the room key is missing:
  本室第一台节点：erhai enrol room-key --first --data {data}
  第二台节点，用第一台的 keys/room.key（当面用介质带来）：erhai enrol room-key --from room.key --data {data}"""
_KINDS = {"county": "县级节点 / county", "prefecture": "上级节点 / prefecture"}


def what_is_signed(wanted: Wanted) -> str:
    """Return everything that the officers put their names to, line by line."""
    member = wanted.member
    lines = ["将签署的内容 / to be signed:"]
    lines += [
        f"  节点 / node:      {member.node}",
        f"  日志 / origin:    {member.origin}",
        f"  类别 / kind:      {_KINDS[member.kind]}",
        f"  开评标室 / room:  {member.room or '未写 / none'}",
        f"  同步地址 / URL:   {member.url or '未写 / none'}",
        f"  密钥指纹 / key:   {key_print(member)}",
    ]
    if wanted.signed_before:
        lines.append("  这份申请已经签署过，只再写出同一份答复 / signed before: the same bundle is written again")
    elif wanted.replaces is None:
        lines.append("  新登记，不顶替任何节点 / new: replaces no enrolled node")
    else:
        lines.append(f"  顶替 / REPLACES:  {_standing(wanted.replaces)}")
    if member.kind == "county" and not wanted.prefectures:
        lines.append(NO_PREFECTURE)
    return "\n".join(lines)


def _standing(held: Enrolment) -> str:
    since = f"{_civil(held.enrolled_at)} 登记的同名节点 / the enrolled node of this name"
    revoked = "" if held.revoked_at is None else f"，已于 {_civil(held.revoked_at)} 吊销 / revoked"
    return (
        f"{since}\n    日志 / origin: {held.member.origin}\n    密钥指纹 / key: {key_print(held.member)}{revoked}"
        + ("" if revoked else "\n    签署后它的证书立即吊销 / its certificate is revoked at once")
    )


def _civil(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
