"""The day of design: a works tender from notice to award, through an outage, to the prefecture, over the real pages.

Each step says what it does and shows its evidence: receipts, refusals, reach. Nothing here reaches into a node: people fill
forms, processes are killed and started, the line is cut and healed.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from node.bid_file import seal_bid
from node.domain.notice import Scheme
from web.demo import cast
from web.demo.link import Link
from web.demo.pages import Page, PageFault, Visitor
from web.demo.processes import Processes
from web.demo.world import CODES, World

_NUMBER = re.compile(r"R-[A-Z2-7]{4}-[0-9]{6,}")
LOT = f"/desk/lots/{cast.LOT_CODE}"


@dataclass(slots=True)
class Day:
    """One run of the demonstration."""

    world: World
    processes: Processes
    link: Link
    say: Callable[[str, str], None]
    people: dict[tuple[str, str], Visitor] = field(default_factory=dict)
    receipts: dict[str, list[str]] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)

    # -- people ------------------------------------------------------------------------------------------------------

    def person(self, no: str, node: str = "a") -> Visitor:
        """Return this person's browser at this node, signed in."""
        key = (no, node)
        if key not in self.people:
            visitor = Visitor(f"http://127.0.0.1:{self.world.pages(node)}/")
            visitor.submit("/sign-in", "/sign-in", {"person": no, "pin": "1234"})
            self.people[key] = visitor
        return self.people[key]

    def forget(self, node: str) -> None:
        """Sessions of a node that was killed are gone."""
        self.people = {key: visitor for key, visitor in self.people.items() if key[1] != node}

    def act(self, no: str, slug: str, values: dict[str, str | list[str]] | None = None, *, node: str = "a") -> str:
        """Do one desk act and return its receipt number."""
        page = self.person(no, node).submit(f"{LOT}/{slug}", f"{LOT}/{slug}", values)
        return self.receipt(page, node)

    def refused(self, no: str, slug: str, values: dict[str, str | list[str]] | None = None) -> str:
        """Try an act that a rule must refuse; return the title of the refusal."""
        page = self.person(no).submit(f"{LOT}/{slug}", f"{LOT}/{slug}", values, expect=409)
        found = re.search(r'error-summary__title">([^<]+)<', page.html)
        if found is None:
            raise PageFault(page.url, "is not a refusal", page.words)
        return found.group(1)

    def receipt(self, page: Page, node: str) -> str:
        """Take the receipt number from a receipt page."""
        found = _NUMBER.search(page.words)
        if found is None or "/receipts/" not in page.url:
            raise PageFault(page.url, "is not a receipt", page.words)
        self.receipts.setdefault(node, []).append(found.group())
        return found.group()

    def wait_for_reach(self, number: str, word: str, node: str, timeout_s: float = 20.0) -> str:
        """Wait until a receipt has reached a word, and return the line."""
        until = time.monotonic() + timeout_s
        while True:
            page = self.person("O-01", node).open(f"/receipts/{number}")
            line = re.search(r'<ul class="reach".*?</ul>', page.html, re.DOTALL)
            if line and re.search(rf'class="yes">{word}', line.group()):
                return " → ".join(re.findall(r'class="yes">([^<（]+)', line.group()))
            if time.monotonic() > until:
                raise PageFault(page.url, f"did not reach {word} within {timeout_s:.0f} s", page.words)
            time.sleep(0.2)

    def at(self, moment: str) -> None:
        """Set every node's demo clock."""
        self.world.set_clock(cast.ms(moment))

    # -- the steps ---------------------------------------------------------------------------------------------------

    def tender(self) -> None:
        """Registration, filing, documents, notice."""
        lot = cast.LOT
        values: dict[str, str | list[str]] = {
            name: getattr(lot, name)
            for name in [
                "project_name",
                "lot_name",
                "project_code",
                "tender_project_code",
                "lot_code",
                "deal_code",
                "tenderer_name",
                "tenderer_uscc",
                "agency_name",
                "agency_uscc",
                "region",
                "trade_class",
                "category",
                "method",
                "approval_ref",
                "funds_ref",
                "agency_contract_ref",
            ]
        }
        values |= {"estimate": f"{lot.estimate_fen // 100}", "state_funds": "yes"}
        page = self.person("G-01").submit("/desk/register", "/desk/register", values)
        self.say("登记", f"标段 {cast.LOT_CODE}，回执 {self.receipt(page, 'a')}")
        self.act("G-01", "filing", {"text": "招标方案：公开招标，综合评估法，资格后审。"})
        self.say(
            "备案",
            f"行政监督意见：未发现问题，回执 {self.act('S-01', 'filing-opinion', {'outcome': 'no-problem', 'opinion': '未发现问题'})}",
        )
        self.act("G-01", "documents", self._documents())
        notice: dict[str, str | list[str]] = {
            "text": "宾川县公共资源交易电子化平台建设项目机房升级改造与远程异地评标室工程招标公告",
            "media": "\n".join(cast.MEDIA),
            "sale_from": cast.SALE_FROM,
            "sale_to": cast.SALE_TO,
            "deadline": cast.DEADLINE,
            "opening_place": cast.OPENING_PLACE,
        }
        self.at("2026-03-02 10:00")
        early = self.refused("G-01", "notice", {**notice, "deadline": "2026-03-16 09:30"})
        self.say("公告", f"截止时间定得太早被拒绝：{early}")
        self.say("公告", f"招标公告发出，开标时间 {cast.DEADLINE}，回执 {self.act('G-01', 'notice', notice)}")

    def _documents(self) -> dict[str, str | list[str]]:
        return {
            "documents_sha256": hashlib.sha256("招标文件".encode()).hexdigest(),
            "control_price": f"{cast.CONTROL_PRICE_FEN // 100}",
            "bond_amount": f"{cast.BOND.amount_fen // 100}",
            "bond_forms": "\n".join(cast.BOND.forms),
            "bond_deadline": cast.BOND_DEADLINE,
            "validity_days": str(cast.VALIDITY_DAYS),
            "scheme": scheme_json(cast.SCHEME),
        }

    def bids(self) -> None:
        """Participation, bonds, sealed bid files at the desk."""
        self.at("2026-03-05 09:00")
        for company in cast.BIDDERS:
            who: dict[str, str | list[str]] = {
                "name": company.name,
                "uscc": company.uscc,
                "contact": company.contact,
                "phone": company.phone,
            }
            page = self.person("O-01").submit(f"{LOT}/participation", f"{LOT}/participation", who)
            self.receipt(page, "a")
            self.refs.append(re.findall(r"P-[A-Z2-7]{6}", page.words)[0])
        self.at("2026-03-20 15:00")
        for company, ref in zip(cast.BIDDERS, self.refs, strict=True):
            self.act(
                "O-01",
                "bond",
                {
                    "ref": ref,
                    "form": company.form,
                    "amount": f"{cast.BOND.amount_fen // 100}",
                    "posted_at": "2026-03-20 11:00",
                    "valid_to": "2026-09-30 00:00" if company.form != "transfer" else "",
                    "payer": company.name,
                    "account": "5300" + company.uscc[-10:],
                },
            )
        self.at("2026-03-25 08:40")
        room = bytes.fromhex((self.world.folder / "room.pub").read_text(encoding="ascii").strip())
        last = ""
        for company, ref in zip(cast.BIDDERS, self.refs, strict=True):
            sealed = seal_bid(cast.bid_of(company, ref), room)
            if company.fate == "文件损坏，无法解密":
                sealed = sealed[:-40] + bytes(40)
            page = self.person("O-01").submit(
                f"{LOT}/bid", f"{LOT}/bid", {"ref": ref}, {"file": (f"{ref}.erhai", sealed)}
            )
            last = self.receipt(page, "a")
        self.say(
            "投标",
            f"{len(self.refs)} 份加密投标文件入库，最后一份回执 {last}：{self.wait_for_reach(last, '邻机已存证', 'a')}",
        )
        self.at("2026-03-25 09:30")
        late = self.person("O-01").submit(
            f"{LOT}/bid", f"{LOT}/bid", {"ref": self.refs[0]}, {"file": ("late.erhai", b"late")}, expect=409
        )
        self.say("投标", "09:30:00 准点送达的投标文件被拒收" + ("（已过截止时间）" if "截止" in late.words else ""))

    def committee(self) -> None:
        """The committee, entered by hand, with refusals on the way."""
        self.at("2026-03-25 09:00")
        lines = [
            ",".join((m.no, m.kind, m.person, CODES[m.node], m.seat, m.name, m.id_no, m.phone, m.employer))
            for m in cast.MEMBERS
        ]
        even = self.refused("G-01", "committee", {"how": "entered", "members": "\n".join(lines[:6])})
        self.say("组建", f"六人委员会被拒绝：{even}")
        number = self.act("G-01", "committee", {"how": "entered", "members": "\n".join(lines)})
        self.say("组建", f"七人评标委员会：专家六人、招标人代表一人，四席在 a 机、三席在 b 机，姓名密封，回执 {number}")

    def opening(self) -> None:
        """Open every seal, read every price, with one bid whose seal does not open."""
        self.at("2026-03-25 09:31")
        self.act("O-01", "opening-start", {"attendees": "G-01\nS-01\nW-01"})
        for _ in self.refs:
            self.act("O-01", "open-next")
        page = self.person("O-01").open(LOT)
        if "投标人原因" not in page.words:
            raise PageFault(page.url, "does not show whose fault the failed seal is", page.words)
        self.say("开标", "六份逐一解密：五份成功，一份文件损坏，记为投标人原因，视为撤销投标文件")
        announced = len(self.refs) - 1
        for _ in range(announced):
            self.act("O-01", "announce-next")
        number = self.act("O-01", "opening-confirm", {"confirmed_by": "G-01\nS-01\nW-01"})
        self.say("开标", f"唱标 {announced} 家，开标记录确认，回执 {number}")

    def sit_down(self) -> None:
        """Members sign in and declare; the chair; the evaluation starts."""
        self.at("2026-03-25 10:10")
        for member in cast.MEMBERS:
            seat = self.person(member.person, member.node)
            seat.submit("/expert", "/sign-in", {})
            base = f"/expert/lots/{cast.LOT_CODE}"
            seat.submit(f"{base}/recusal", f"{base}/recusal", {"conflict": "no"})
        self._wait_seats("已签到", len(cast.MEMBERS))
        self.act("O-01", "chair", {"no": "E1"})
        self.say("评标", f"七名成员签到、无回避情形，E1 任组长，评标开始，回执 {self.act('O-01', 'evaluation-start')}")

    def _wait_seats(self, word: str, count: int, timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        while self.person("O-01").open(LOT).words.count(word) < count:
            if time.monotonic() > until:
                raise PageFault(LOT, f"does not show {word} {count} times", "")
            time.sleep(0.2)


def scheme_json(scheme: Scheme) -> str:
    """Return a scheme as the documents form takes it."""

    def plain(value: object) -> object:
        if hasattr(value, "__dataclass_fields__"):
            return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return value

    return json.dumps(plain(scheme), ensure_ascii=False, indent=1)
