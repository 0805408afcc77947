"""The draw of the demonstration: bank, three parties, one who keeps its nonce back, calls, seats, and the proof at the end."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.escrow import escrow_info
from sync.wrap import unwrap_share
from web.demo import cast
from web.demo.pages import PageFault
from web.demo.world import CODES

if TYPE_CHECKING:
    from web.demo.day import Day

DRAW_ID = f"{cast.LOT_CODE}-1-E1"
DRAW, DRAWS = f"/desk/draws/{DRAW_ID}", f"/desk/lots/{cast.LOT_CODE}/draws"
HOME = "a"  # the node that draws: its bank, its log
Values = dict[str, str | list[str]]


def draw(day: "Day") -> None:
    """The evening before: freeze, commit, reveal, open one from escrow, call until everybody who is needed has accepted."""
    day.at("2026-03-24 16:00")
    bank = day.world.folder / "experts.csv"
    _erhai("import", "experts", str(bank), "--as-of", "2026-03-20", "--data", str(day.world.data(HOME)))
    day.say("专家库", f"导入专家库快照 {len(cast.BANK)} 人，逐行核对，个人信息密封")
    request: Values = {
        "begins": "2026-03-25 10:00",
        "hours": "8",
        "groups": f"工程,A08,4,5329,{CODES['a']}\n造价,A06,2,5329,{CODES['b']}",
        "tenderer_seats": "1",
        "recusals": f"{cast.LOT.tenderer_name},{cast.LOT.tenderer_uscc},2",
    }
    even = day.person("O-01", HOME).submit(
        f"{DRAWS}/freeze", f"{DRAWS}/freeze", {**request, "tenderer_seats": "0"}, expect=409
    )
    day.say("抽取", "六人委员会的申请被拒绝" + ("：评标委员会成员应为单数" if "应为单数" in even.words else ""))
    page = day.person("O-01", HOME).submit(f"{DRAWS}/freeze", f"{DRAWS}/freeze", request)
    day.say("抽取", f"名单冻结，只公布散列值和人数，回执 {day.receipt(page, HOME)}")
    for person in ("O-01", "S-01", "G-01"):
        _step(day, person, "commit", {})
    for person in ("O-01", "S-01"):
        _step(day, person, "reveal", {})
    _escrow(day)
    day.say("抽取", "交易中心、行政监督揭示随机数；招标人未揭示，三位受托人开启托管，结果与其揭示时相同")
    declined = _calls(day)
    day.say("抽取", f"见证人员按排序通知，{declined} 人不能参加，由同一排序的下一位递补；工作人员只看到人数")


def seat(day: "Day") -> None:
    """Half an hour before the evaluation the names are known: the drawn experts get their seats."""
    experts = [one for one in cast.MEMBERS if one.kind == "expert"]
    own = [one for one in cast.MEMBERS if one.kind == "tenderer"]
    values: Values = {
        "seats": "\n".join(f"{one.no},{CODES[one.node]},{one.seat}" for one in experts),
        "tenderer": "\n".join(
            ",".join((m.no, m.kind, m.person, CODES[m.node], m.seat, m.name, m.id_no, m.phone, m.employer)) for m in own
        ),
    }
    number = _step(day, "O-01", "seat", values)
    html = day.person("O-01", HOME).open(DRAW).html
    found = dict(re.findall(r'<th scope="row">(E\d)</th><td class="mono">([^<]+)</td>', html))
    day.members = [replace(one, person=found[one.no]) for one in cast.MEMBERS]
    day.say("组建", f"七人评标委员会：抽取专家六人、招标人代表一人，四席在 a 机、三席在 b 机，回执 {number}")


def prove(day: "Day") -> None:
    """The report is complete: the draw is published, and re-run from its proof alone."""
    _step(day, "O-01", "publish", {})
    file = day.world.folder / "PROOF.json"
    file.write_bytes(day.person("O-01", day.home).fetch(f"{DRAW}/proof.json"))
    _erhai("draw", "verify", str(file))
    day.say("抽取", f"抽取证明公布，离线重算相符：{file.name}")


def _step(day: "Day", person: str, slug: str, values: Values) -> str:
    page = day.person(person, day.home).submit(f"{DRAW}/{slug}", f"{DRAW}/{slug}", values)
    return day.receipt(page, day.home)


def _escrow(day: "Day") -> None:
    day.at("2026-03-24 16:03")
    wraps = re.findall(r'<code class="mono">([0-9a-f]{160})</code>', day.person("S-01", HOME).open(DRAW).html)
    for trustee in (1, 3, 5):
        text = (day.world.folder / "trustees" / f"{trustee}.key").read_text(encoding="ascii").strip()
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(text))
        info = escrow_info(DRAW_ID, "TENDERER", trustee)
        share = unwrap_share(private, info, bytes.fromhex(wraps[trustee - 1])).hex()  # as erhai draw share does
        _step(day, "S-01", "share", {"party": "TENDERER", "trustee": str(trustee), "share": share})
    _step(day, "S-01", "escrow", {"party": "TENDERER"})


def _calls(day: "Day") -> int:
    """The witness calls whoever is pending; the first two cannot come."""
    declined = 0
    while True:
        page = day.person("W-01", HOME).open(DRAW)
        waiting = re.findall(r"第 (\d+) 位（", page.words)
        if not waiting:
            return declined
        outcome = "declined" if declined < 2 else "accepted"
        declined += outcome == "declined"
        _step(day, "W-01", "outcome", {"place": str(int(waiting[0]) - 1), "outcome": outcome})


def _erhai(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "erhai", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    if done.returncode != 0:
        raise PageFault(" ".join(arguments[:2]), f"ended with {done.returncode}", done.stdout + done.stderr)
    return done.stdout
