"""The hour of design: the line is cut, the mains fail, a node dies, its neighbour goes on with the lot, the dead one returns."""

import re
import time

from web.demo import cast
from web.demo.day import LOT, Day
from web.demo.pages import PageFault
from web.demo.world import CODES


def outage(day: Day) -> None:
    """Marks under way: the line has been cut since morning, the mains fail, node a is killed and comes back."""
    scored = [(index, ref) for index, ref in day.standing() if not cast.BIDDERS[index].fate]
    day.at("2026-03-25 10:25")
    day.link.cut()
    day.say("断网", "到上级的专线中断；评标继续，记录在本机和邻机保存")
    kept: list[tuple[str, str]] = []
    for member_index in range(4):
        for company_index, ref in scored[:2]:
            kept.append((day.mark(member_index, company_index, ref), "a"))
    day.at("2026-03-25 10:32")
    incident = {
        "kind": "mains-lost",
        "text": "市电中断，UPS 供电，预计可用两小时",
        "began_at": "2026-03-25 10:32",
        "lots": cast.LOT_CODE,
    }
    page = day.person("O-01").submit("/desk/incidents/new", "/desk/incidents/new", dict(incident))
    day.say("停电", f"10:32 市电中断，工作人员记录异常，回执 {day.receipt(page, day.home)}")
    reach = day.wait_for_reach(kept[-1][0], "邻机已存证", "a")
    day.say("评分", f"断网断电中写入 {len(kept)} 份评分，最后一份 {kept[-1][0]}：{reach}")
    day.at("2026-03-25 11:10")
    day.processes.kill("a")
    day.forget("a")
    day.say("故障", "11:10 a 机被强行断电（SIGKILL），邻机存证停止")
    _go_on_alone(day)
    _take_over(day)
    for member_index in range(4, 7):
        for company_index, ref in scored:
            kept.append((day.mark(member_index, company_index, ref), "b"))
    day.say("评分", "原在 a 机的四位专家到 b 机席位继续评分，已评的一份不缺")
    for member_index in range(2):
        for company_index, ref in scored[2:]:
            kept.append((day.mark(member_index, company_index, ref), "b"))
    took_s = day.processes.start("a")
    day.say("恢复", f"a 机重新启动，{took_s:.1f} 秒后恢复服务，启动检查通过")
    _fenced(day)
    for number, node in kept:
        page = day.person("O-01", node).open(f"/receipts/{number}")
        if number not in page.words:
            raise PageFault(page.url, "a receipt that was given is not there", page.words)
    day.say("核对", f"断电前后出具的 {len(kept)} 份评分回执全部还在，一份不少")
    for member_index in range(2, 4):
        for company_index, ref in scored[2:]:
            day.mark(member_index, company_index, ref)
    ended: dict[str, str | list[str]] = {"text": "市电恢复", "ended_at": "2026-03-25 11:10"}
    page = day.person("O-01", "a").submit("/desk/incidents/1/end", "/desk/incidents/1/end", ended)
    day.receipt(page, "a")
    for member in day.members:
        day.expert(member, "sign", {"confirm": "yes"})
    day.wait_seats("✓ 已签字", len(day.members))
    day.say("签字", "七名成员在评分表上签字，各用自己的证书，在席位签名器上核对分数后签名")


def _go_on_alone(day: Day) -> None:
    """Without its neighbour the node gives no receipt, until two persons say that it shall."""
    at_b = day.person("O-01", "b")
    lost: dict[str, str | list[str]] = {
        "kind": "node-lost",
        "text": "a 机断电，不能启动",
        "began_at": "2026-03-25 11:10",
        "lots": cast.LOT_CODE,
    }
    page = at_b.submit("/desk/incidents/new", "/desk/incidents/new", lost, expect=202)
    if "已记录，未存证" not in page.words:
        raise PageFault(page.url, "gives a receipt without a witness", page.words)
    pending = re.search(r'href="(/recorded/[0-9a-f]{32})"', page.html)
    if pending is None:
        raise PageFault(page.url, "does not lead to where the receipt will be", page.words)
    day.say("存证", "b 机的记录暂无邻机存证：页面写明“已记录，未存证”，不出具回执")
    relaxed: dict[str, str | list[str]] = {"reason": "a 机断电", "second": "S-01"}
    number = day.receipt(at_b.submit("/desk/witness/relax", "/desk/witness/relax", relaxed), "b")
    day.say("单机", f"工作人员和行政监督两人改为单机记录，回执 {number}")
    day.receipt(at_b.open(pending.group(1)), "b")


def _take_over(day: Day) -> None:
    """Two persons move custody of the lot, and of every sheet of the dead node, to the one that lives."""
    page = day.person("O-01", "b").open(f"{LOT}/custody")
    found = re.search(r"已收到对方记录 [0-9]+ 条[^<]*", page.html)
    if found is None:
        raise PageFault(page.url, "does not say what is known to be missing", page.words)
    values: dict[str, str | list[str]] = {
        "from_node": CODES["a"],
        "reason": "a 机断电，不能启动",
        "second": "S-01",
    }
    page = day.person("O-01", "b").submit(f"{LOT}/custody/take", f"{LOT}/custody/take", values)
    day.home = "b"
    day.say("接管", f"两人将主持权移到 b 机，回执 {day.receipt(page, 'b')}；{found.group()}")


def _fenced(day: Day) -> None:
    """The returning node learns whose the lot is now, and writes nothing to it."""
    until = time.monotonic() + 20
    while "第 1 任期" not in day.person("O-01", "a").open(f"{LOT}/custody").words:
        if time.monotonic() > until:
            raise PageFault(LOT, "the returning node does not learn of the take-over")
        time.sleep(0.2)
    refused = day.refused("O-01", "suspend", {"reason": "other", "text": "在旧节点试办"}, node="a")
    day.say("恢复", f"a 机再办理本标段被拒绝：{refused}")
