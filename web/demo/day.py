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

from node.domain.notice import Scheme
from web.demo import cast, drawing
from web.demo.agents import Agents
from web.demo.link import Link
from web.demo.pages import Page, PageFault, Visitor
from web.demo.processes import Processes
from web.demo.seals import Seals
from web.demo.vendors import Vendors
from web.demo.world import World
from web.pdf_signature import rendering

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
    members: list[cast.Sitter] = field(default_factory=list)  # empty until the drawn experts are seated
    archived: str = ""  # receipt of the lot's last act
    home: str = "a"  # the node that holds the lot: everything of the lot is done there
    agents: Agents = field(init=False)
    seals: Seals = field(init=False)

    def __post_init__(self) -> None:
        """Give everybody a token agent and the own cards."""
        vendors = Vendors(self.world.folder / "vendors")
        self.agents, self.seals = Agents(vendors), Seals(self.world.folder / "seals", vendors)

    # -- people ------------------------------------------------------------------------------------------------------

    def person(self, no: str, node: str = "") -> Visitor:
        """Return this person's browser at this node, the lot's own by default, signed in."""
        node = node or self.home
        key = (no, node)
        if key not in self.people:
            visitor = Visitor(f"http://127.0.0.1:{self.world.pages(node)}/")
            visitor.submit("/sign-in", "/sign-in", {"person": no, "pin": "1234"})
            visitor.signs = lambda page: self.agents.sign(no, node, page, self.person)
            self.people[key] = visitor
        return self.people[key]

    def forget(self, node: str) -> None:
        """Sessions of a node that was killed are gone."""
        self.people = {key: visitor for key, visitor in self.people.items() if key[1] != node}
        self.agents.forget(node)

    def act(self, no: str, slug: str, values: dict[str, str | list[str]] | None = None, *, node: str = "") -> str:
        """Do one desk act and return its receipt number."""
        node = node or self.home
        page = self.person(no, node).submit(f"{LOT}/{slug}", f"{LOT}/{slug}", values)
        return self.receipt(page, node)

    def refused(self, no: str, slug: str, values: dict[str, str | list[str]] | None = None, *, node: str = "") -> str:
        """Try an act that a rule must refuse; return the title of the refusal."""
        page = self.person(no, node).submit(f"{LOT}/{slug}", f"{LOT}/{slug}", values, expect=409)
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
        self.say("登记", f"标段 {cast.LOT_CODE}，回执 {self.receipt(page, self.home)}")
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
        bare = self.refused("G-01", "notice", notice)
        self.say("保管", f"没有保管人的公告被拒绝：{bare}")
        trustees = self.act("G-01", "trustees", self.seals.appointment())
        self.say("保管", f"五家单位各一人保管密钥份额，{cast.OPENERS} 人和投标人共同开启，回执 {trustees}")
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

    def bidders(self) -> None:
        """Participation and bonds, sealed until the opening."""
        self.at("2026-03-05 09:00")
        for company in cast.BIDDERS:
            who: dict[str, str | list[str]] = {
                "name": company.name,
                "uscc": company.uscc,
                "contact": company.contact,
                "phone": company.phone,
            }
            page = self.person("O-01").submit(f"{LOT}/participation", f"{LOT}/participation", who)
            self.receipt(page, self.home)
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
        self.say("报名", f"{len(self.refs)} 家获取招标文件并递交保证金，开标前名称、数量都密封")

    def bids(self) -> None:
        """Sealed bid files at the desk; one comes at the very instant of the deadline and is refused."""
        self.at("2026-03-25 08:40")
        notice = self.person("O-01").fetch(f"/public/lots/{cast.LOT_CODE}/notice.json")
        last = ""
        for company, ref in zip(cast.BIDDERS, self.refs, strict=True):
            sealed = self.seals.seal(notice, company, ref)
            page = self.person("O-01").submit(
                f"{LOT}/bid", f"{LOT}/bid", {"ref": ref}, {"file": (f"{ref}.erb", sealed)}
            )
            last = self.receipt(page, self.home)
        self.say(
            "投标",
            f"{len(self.refs)} 份加密投标文件入库，最后一份回执 {last}：{self.wait_for_reach(last, '邻机已存证', 'a')}",
        )
        self.at("2026-03-25 09:30")
        late = self.person("O-01").submit(
            f"{LOT}/bid", f"{LOT}/bid", {"ref": self.refs[0]}, {"file": ("late.erb", b"late")}, expect=409
        )
        self.say("投标", "09:30:00 准点送达的投标文件被拒收" + ("（已过截止时间）" if "截止" in late.words else ""))

    def committee(self) -> None:
        drawing.draw(self)

    def seat(self) -> None:
        drawing.seat(self)

    def prove(self) -> None:
        drawing.prove(self)

    def opening(self) -> None:
        """Open every seal, read every price, with one bid whose seal does not open."""
        self.at("2026-03-25 09:31")
        self.act("O-01", "opening-start", {"attendees": "G-01\nS-01\nW-01"})
        self.ceremony()
        for _ in self.refs:
            self.act("O-01", "open-next")
        page = self.person("O-01").open(LOT)
        if "投标人原因" not in page.words:
            raise PageFault(page.url, "does not show whose fault the failed seal is", page.words)
        self.say("开标", "六份逐一开启：五份成功，一家没有按时解密，记为投标人原因，视为撤销投标文件")
        announced = len(self.refs) - 1
        for _ in range(announced):
            self.act("O-01", "announce-next")
        number = self.act("O-01", "opening-confirm", {"confirmed_by": "G-01\nS-01\nW-01"})
        self.say("开标", f"唱标 {announced} 家，开标记录确认，回执 {number}")

    def ceremony(self) -> None:
        """Trustees release over the whole set, bidders decrypt; one bidder does not, and its time runs out."""
        began = self.act("O-01", "ceremony-begin")
        request = self.person("O-01").fetch(f"{LOT}/ceremony-request.json")
        for role, _, _ in cast.SEAL_TRUSTEES[: cast.OPENERS]:
            self.hand_in("release", f"{role}.json", self.seals.release(request, role))
        self.say("开标", f"三名保管人对全部投标文件释放份额，解密仪式回执 {began}")
        for company, ref in zip(cast.BIDDERS, self.refs, strict=True):
            if company.fate != cast.UNDECRYPTED:
                self.hand_in("half", f"{ref}.json", self.seals.half(request, company, ref))
        self.at("2026-03-25 10:02")

    def hand_in(self, what: str, name: str, data: bytes) -> str:
        """Hand a file of the ceremony in at the desk; return the receipt."""
        url = f"{LOT}/ceremony/{what}"
        return self.receipt(self.person("O-01").submit(url, url, {}, {"file": (name, data)}), self.home)

    def sit_down(self) -> None:
        """Members sign in and declare; the chair; the evaluation starts."""
        self.at("2026-03-25 10:10")
        for member in self.members:
            self.expert(member, "sign-in", {})
            self.expert(member, "recusal", {"conflict": "no"})
        self.wait_seats("已签到", len(self.members))
        self.wait_seats("无回避情形", len(self.members))
        self.act("O-01", "chair", {"no": "E1"})
        number = self.act("O-01", "evaluation-start")
        self.say("评标", f"七名成员签到、无回避情形，E1 任组长，评标开始，回执 {number}")

    def seat_of(self, member: cast.Sitter) -> str:
        """Return the node where a member sits now: those of a dead node have moved to the one that holds the lot."""
        return self.home if member.node == "a" else member.node

    def expert(self, member: cast.Sitter, what: str, values: dict[str, str | list[str]], check: str = "") -> str:
        """Fill one form at a member's seat (through its check page, where there is one); return the receipt."""
        seat, base = self.person(member.person, self.seat_of(member)), f"/expert/lots/{cast.LOT_CODE}/{what}"
        page = seat.submit(base, f"{base}{check}", values)
        if check:
            form = page.form(base)
            page = seat.post(self._url(self.seat_of(member), base), dict(form.fields))
            page = seat.waited(page)
            if page.status != 200:
                raise PageFault(page.url, f"answered {page.status}", page.words)
        return self.receipt(page, self.seat_of(member))

    def _url(self, node: str, path: str) -> str:
        return f"http://127.0.0.1:{self.world.pages(node)}{path}"

    def standing(self) -> list[tuple[int, str]]:
        """The companies whose seal opened, with their refs."""
        pairs = list(enumerate(self.refs))
        return [(index, ref) for index, ref in pairs if cast.BIDDERS[index].fate != cast.UNDECRYPTED]

    def preliminary(self) -> None:
        """Everybody checks every opened bid; the price above the control price rejects one."""
        self._wait_lot("b", "评标")
        for member in self.members:
            for _, ref in self.standing():
                values: dict[str, str | list[str]] = {f"check-{one.no}": "pass" for one in cast.SCHEME.checks}
                self.expert(member, f"checklist/{ref}", values, "/check")
        self._wait_cells(3, "5", len(self.members))
        number = self.act("O-01", "preliminary-close")
        page = self.person("O-01").open(LOT)
        if "高于最高投标限价" not in page.words:
            raise PageFault(page.url, "does not show the rejected bid", page.words)
        self.say("初步评审", f"一家报价高于最高投标限价，系统判定否决（实施条例第五十一条第五项），回执 {number}")

    def _wait_lot(self, node: str, word: str, timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        while word not in re.sub(r"<title>.*?</title>", "", self.person("O-01", node).open("/desk").words):
            if time.monotonic() > until:
                raise PageFault(node, f"does not show {word}")
            time.sleep(0.2)

    def _wait_cells(self, _column: int, count: str, rows: int, timeout_s: float = 20.0) -> None:
        """Wait until so many seat rows show this count of checklists."""
        until = time.monotonic() + timeout_s
        while len(re.findall(rf'<td class="n">{count}</td><td class="n">', self.person("O-01").open(LOT).html)) < rows:
            if time.monotonic() > until:
                raise PageFault(LOT, f"does not show {count} checklists on {rows} rows")
            time.sleep(0.2)

    def mark(self, member_index: int, company_index: int, ref: str) -> str:
        """Mark one bid at a member's seat; return the receipt."""
        member = self.members[member_index]
        marks = cast.marks_of(member_index, company_index)
        values: dict[str, str | list[str]] = {
            f"mark-{no}": f"{centi // 100}.{centi % 100:02d}" for no, centi in marks.items()
        }
        return self.expert(member, f"marks/{ref}", values, "/check")

    def score(self) -> None:
        """Everybody marks and signs, with nothing going wrong: what the day with its outage must come out equal to."""
        scored = [(index, ref) for index, ref in self.standing() if not cast.BIDDERS[index].fate]
        self.at("2026-03-25 10:25")
        for member_index, member in enumerate(self.members):
            for company_index, ref in scored:
                self.mark(member_index, company_index, ref)
            self.expert(member, "sign", {"confirm": "yes"})
        self.wait_seats("✓ 已签字", len(self.members))

    def result(self) -> None:
        """Close, rank, sign the report."""
        self.at("2026-03-25 14:00")
        number = self.act("O-01", "scoring-close")
        page = self.person("O-01").open(LOT)
        benchmark = re.search(r"评标基准价 ([0-9.]+)", page.words)
        self.say(
            "排序", f"评分公开，系统计算到分：评标基准价 {benchmark.group(1) if benchmark else '?'} 元，回执 {number}"
        )
        self._wait_lot("b", "详细评审已完成")
        for member in self.members:
            values: dict[str, str | list[str]] = {"word": "agree"}
            if member.no == "E3":
                values = {"word": "dissent", "text": "建议对第二候选人的机房供电方案作进一步核实。"}
            self.expert(member, "report", values)
        self.wait_seats("✓ 已签署", len(self.members))
        number = self.act("O-01", "report")
        first = self._paper("report")
        second = self._paper("report")
        if rendering(first) != rendering(second):
            raise PageFault(LOT, "the report differs when rendered twice")
        (self.world.folder / "report.pdf").write_bytes(first)
        for name in ("opening", "sheet-E1"):
            (self.world.folder / f"{name}.pdf").write_bytes(self._paper(name))
        self.say(
            "报告",
            f"评标报告完成（一人书面不同意见，原文载入），PDF {len(first)} 字节，两次生成逐字节相同，并附节点签名，回执 {number}",
        )

    def _paper(self, name: str) -> bytes:
        return self.person("O-01").fetch(f"{LOT}/papers/{name}.pdf")

    def award(self) -> None:
        """Publicity, award, notice, contract, archive; the line is healed meanwhile."""
        self.at("2026-03-26 09:00")
        self.act(
            "G-01",
            "publicity",
            {
                "to": "2026-03-31 00:00",
                "media": "\n".join(cast.MEDIA),
                "channel": "宾川县政务服务管理局，电话 0872-7141000",
            },
        )
        early = self.refused("T-01", "award", {"ref": self._winner()})
        self.say("公示", f"中标候选人公示三日；公示未满定标被拒绝：{early}")
        self.at("2026-03-31 09:00")
        winner = self._winner()
        self.act("T-01", "award", {"ref": winner})
        self.act("G-01", "award-notice", {"text": "中标通知书", "media": "\n".join(cast.MEDIA)})
        company = cast.BIDDERS[self.refs.index(winner)]
        self.at("2026-04-10 10:00")
        self.act(
            "G-01",
            "contract",
            {
                "contract_sha256": hashlib.sha256("合同".encode()).hexdigest(),
                "amount": f"{company.price_fen // 100}",
                "bond": f"{company.price_fen // 1000}",
                "signed_at": "2026-04-10 10:00",
            },
        )
        number = self.act("T-01", "archive", {"package_sha256": hashlib.sha256("归档".encode()).hexdigest()})
        self.archived = number
        self.say("定标", f"{company.name} 中标，通知书、合同、归档完成，回执 {number}")
        shown = re.search(r"证书签名：([^<]+)", self.person("T-01").open(f"/receipts/{number}").html)
        if shown is None:
            raise PageFault(number, "does not say whose certificate signed it")
        self.say("签名", f"{self.agents.told()}；归档一条由 {shown.group(1)} 签名")

    def _winner(self) -> str:
        page = self.person("T-01").open(f"{LOT}/award")
        found = re.search(r'name="ref" id="f-ref-1" value="(P-[A-Z2-7]{6})"', page.html)
        if found is None:
            raise PageFault(page.url, "does not offer the first candidate", page.words)
        return found.group(1)

    def catch_up(self) -> None:
        """The line returns; the backlog arrives, verified before it is stored."""
        waiting = re.search(r"待传 ([0-9,]+) 条", self.person("O-01").open("/desk").words)
        self.link.heal()
        began = time.monotonic()
        for node in ("a", "b"):
            self.wait_for_reach(self.receipts[node][-1], "上级已接收", node, 30.0)
        reach = self.wait_for_reach(self.receipts[self.home][-1], "上级已接收", self.home)
        took_s = time.monotonic() - began
        self.say(
            "补传",
            f"专线恢复，{waiting.group(1) if waiting else '全部'} 条积压在 {took_s:.1f} 秒内补传并逐条核验：{reach}",
        )

    def review(self) -> None:
        """The reviewer walks the timeline and asks; the question comes down; the answer goes up."""
        above = self.person("R-01", "prefecture")
        timeline = f"/prefecture/lots/{cast.LOT_CODE}"
        page = above.open(timeline)
        found = re.search(r'解密失败</th>.*?href="(/prefecture/logs/[0-9a-f]+/[0-9]+)"', page.html, re.DOTALL)
        if found is None:
            raise PageFault(page.url, "does not show the failed seal", page.words)
        entry = found.group(1)
        question = "第六份投标文件没有解密，请说明通知投标人解密的情况。"
        page = above.submit(entry, entry, {"rule": "电子招标投标办法第三十一条", "text": question})
        self.say(
            "审查",
            f"上级查阅经过 {page.url.count('/') and len(re.findall('<tr>', above.open(timeline).html)) - 1} 条，对解密失败一条提出“请说明”，回执 {self.receipt(page, 'prefecture')}",
        )
        answer = f"/desk/findings/{cast.LOT_CODE}/1"
        until = time.monotonic() + 20
        while question not in self.person("O-01").open("/desk").words:
            if time.monotonic() > until:
                raise PageFault("/desk", "the question did not come down")
            time.sleep(0.2)
        text = "文件按收到的摘要原样保存，摘要与回执一致；文件本身末尾损坏，系投标人生成时的问题。"
        number = self.receipt(self.person("O-01").submit(answer, answer, {"text": text}), self.home)
        self.say(
            "答复",
            f"问题下行到县中心，答复写入本县日志，回执 {number}：{self.wait_for_reach(number, '上级已接收', self.home)}",
        )
        closing = f"/prefecture/findings/{cast.LOT_CODE}/1"
        until = time.monotonic() + 20
        while text not in above.open(closing).words:
            if time.monotonic() > until:
                raise PageFault(closing, "the answer did not come up")
            time.sleep(0.2)
        self.receipt(above.submit(closing, closing, {"outcome": "settled", "text": "说明清楚。"}), "prefecture")
        for form in [one for one in above.open(timeline).forms if one.action.endswith("/reviewed")]:
            done = above.post(self._url("prefecture", form.action), dict(form.fields))
            self.receipt(done, "prefecture")
        self.say("已审查", self.wait_for_reach(self.archived, "已审查", self.home))

    def wait_seats(self, word: str, count: int, timeout_s: float = 20.0) -> None:
        """Wait until so many seats show a word."""
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
