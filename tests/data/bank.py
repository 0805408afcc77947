"""A small expert bank, five trustees, and a request that it can serve."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.domain.eligibility import HOUR_MS, DrawRequest, Group, Recusal, Span
from node.settings import TrusteeKey
from web.demo import cast

HEADERS = "专家编号,姓名,证件类型,证件号码,工作单位,行政区划,电话,是否可用,专家库类型,评标专业,出生日期,人员号"
BODIES = ("县司法局", "县公证处", "县纪委监委", "州公共资源交易管理局", "县审计局")
KEYS = {name: X25519PrivateKey.from_private_bytes(bytes([7 + at]) * 32) for at, name in enumerate(BODIES)}
TRUSTEES = tuple(TrusteeKey(name, key.public_key().public_bytes_raw().hex()) for name, key in KEYS.items())
NAMES = tuple(f"专家甲{at:02d}" for at in range(1, 25))


def lines(count: int = 24) -> list[str]:
    """One expert a line: A08 and A06 by turns, each of an own employer."""
    return [
        f"53292400{at:02d},{NAMES[at - 1]},1,5329011960{at:02d}01{at:04d},第{at}设计院,532924,139000000{at:02d},是,1,"
        f"{'A0801' if at % 2 else 'A0601;A0802'},1970-01-{at:02d},X-{at}"
        for at in range(1, count + 1)
    ]


def csv(count: int = 24) -> bytes:
    return ("﻿" + "\n".join([HEADERS, *lines(count)]) + "\n").encode()


def request(**changes: object) -> DrawRequest:
    start = cast.ms("2026-03-25 10:00")
    values: dict[str, object] = {
        "lot_code": cast.LOT_CODE,
        "session": Span(start, start + 8 * HOUR_MS),
        "groups": (Group("施工", "A08", 4, "5329", "a"), Group("造价", "A06", 1, "", "a")),
        "tenderer_seats": 0,
        "recusals": (Recusal("第3设计院", "", "1"),),
    }
    return DrawRequest(**{**values, **changes})  # type: ignore[arg-type]
