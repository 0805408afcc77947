"""Opening to signed report in Debian's Chromium, with JavaScript and without; axe-core on every page on the way."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.seat_agent import SeatAgent
from web.demo import cast
from web.demo.agents import Agents
from web.demo.day import LOT, Day
from web.demo.link import Link
from web.demo.processes import Processes
from web.demo.world import make_world

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
IN_BROWSER = 3  # of the seven members
EXPERT = f"/expert/lots/{cast.LOT_CODE}"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield _launched(playwright)


def _launched(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class Desk:
    """One person's browser window: opens pages, fills forms, and lets no error, foreign request or axe finding pass."""

    def __init__(self, browser: Browser, base: str, *, javascript: bool, agents: Agents | None = None) -> None:
        self.base = base
        self.agents = agents
        self.token: SeatAgent | None = None  # the real `erhai agent` of this seat, where it has one
        self.person = ""
        self.javascript = javascript
        self.seen: set[str] = set()
        context = browser.new_context(
            java_script_enabled=javascript,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            viewport={"width": 1280, "height": 900},
        )
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.page.on("request", self._request)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self.base):
            self.problems.append(f"request off the origin: {request.url}")

    def _console(self, message: Any) -> None:
        # axe styles its own probes while it measures; pages' own inline styles show in the run without JavaScript.
        from_axe = self.javascript and "inline style" in message.text
        if message.type == "error" and not from_axe and "/live" not in (message.location or {}).get("url", ""):
            self.problems.append(f"console: {message.text} {(message.location or {}).get('url', '')}")

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.look()

    def look(self) -> None:
        """Check the page that is shown: title, one h1, language, and once a kind of page axe's rules."""
        assert self.page.title()
        assert self.page.locator("h1").count() == 1, self.page.url
        assert self.page.locator("html").get_attribute("lang") == "zh-CN"
        kind = re.sub(r"P-[A-Z2-7]{6}|R-[A-Z2-7]{4}-[0-9]+|[0-9]+", "#", self.page.url.partition("?")[0])
        if self.javascript and kind not in self.seen:
            self.seen.add(kind)
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
            found = self.page.evaluate("async () => (await axe.run()).violations")
            self.problems += [f"{kind} {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]

    def send(self, path: str, action: str, values: dict[str, str] | None = None) -> None:
        """Open a page, fill its form and press its button."""
        self.open(path)
        self.fill(action, values or {})

    def fill(self, action: str, values: dict[str, str]) -> None:
        form = self.page.locator(f'form[action="{action}"]')
        for name, value in values.items():
            field = form.locator(f'[name="{name}"]')
            if field.first.get_attribute("type") in {"radio", "checkbox"}:
                form.locator(f'[name="{name}"][value="{value}"]').check()
            else:
                field.fill(value)
        form.locator("button[type=submit], button:not([type])").first.click()
        self.page.wait_for_load_state()
        if self.page.title().startswith("已记录，未存证"):  # a slow neighbour: the page goes on by itself
            self.page.wait_for_url(re.compile("/receipts/"), timeout=20_000)
        if "/signing" in self.page.url and self.agents is not None:
            self.sign(self.agents)
        self.look()

    def sign(self, agents: Agents) -> None:
        """Connect the person's token agent by the code on the page, where it is not yet; sign; the page goes on by itself."""
        self.look()
        waits = self.page.url
        if self.page.locator('form[action="/signing/pair"]').count():
            self.page.locator('form[action="/signing/pair"] button').click()
            self.page.wait_for_load_state()
            self.look()
            code = self.page.locator("#code").inner_text()
            if self.token is None:
                agents.connect(self.person, "a", self.base, code)
            else:
                self.token.pair(code)
            self.page.goto(waits)
        if self.token is None:
            assert "已签名" in agents.press(self.person, "a")
        else:
            assert self.page.locator("pre.words").inner_text().splitlines()[-1] in self.token.sign()
        self.page.wait_for_url(re.compile("/receipts/"), timeout=20_000)

    def hand_in(self, what: str, data: bytes) -> None:
        """Give a file of the ceremony to its form."""
        url = f"{LOT}/ceremony/{what}"
        self.open(url)
        file = {"name": f"{what}.json", "mimeType": "application/json", "buffer": data}
        self.page.locator(f'form[action="{url}"] input[type=file]').set_input_files(files=[file])  # type: ignore[list-item]
        self.fill(url, {})
        assert self.receipt().startswith("R-")

    def receipt(self) -> str:
        assert "/receipts/" in self.page.url, self.page.locator("main").inner_text()
        return self.page.locator(".number").first.inner_text()

    def sign_in(self, person: str) -> None:
        self.person = person
        self.send("/sign-in", "/sign-in", {"person": person, "pin": "1234"})


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_people_play_opening_to_signed_report_in_chromium(
    tmp_path: Path, chromium: Browser, *, javascript: bool
) -> None:
    world = make_world(tmp_path / "world", 18700 if javascript else 18730)
    processes, link = Processes(world), Link(world.line, world.sync("prefecture"))
    link.heal()
    try:
        processes.start_all()
        day = Day(world, processes, link, lambda _step, _text: None)
        for step in ("tender", "bidders", "committee", "bids"):
            getattr(day, step)()
        _play(day, chromium, javascript=javascript)
    finally:
        link.cut()
        processes.stop()


def _play(day: Day, browser: Browser, *, javascript: bool) -> None:
    base = f"http://127.0.0.1:{day.world.pages('a')}"
    desks = []

    def window(person: str) -> Desk:
        desk = Desk(browser, base, javascript=javascript, agents=day.agents)
        desk.sign_in(person)
        desks.append(desk)
        return desk

    operator = window("O-01")
    day.at("2026-03-25 09:31")
    operator.open("/desk")
    operator.send(f"{LOT}/opening-start", f"{LOT}/opening-start", {"attendees": "G-01\nS-01\nW-01"})
    operator.send(f"{LOT}/ceremony-begin", f"{LOT}/ceremony-begin")
    request = day.person("O-01").fetch(f"{LOT}/ceremony-request.json")
    for role, _, _ in cast.SEAL_TRUSTEES[: cast.OPENERS]:
        operator.hand_in("release", day.seals.release(request, role))
    for company, ref in zip(cast.BIDDERS, day.refs, strict=True):
        if company.fate != cast.UNDECRYPTED:
            operator.hand_in("half", day.seals.half(request, company, ref))
    day.at("2026-03-25 10:02")
    for _ in day.refs:
        operator.send(f"{LOT}/open-next", f"{LOT}/open-next")
    for _ in day.refs[:-1]:
        operator.send(f"{LOT}/announce-next", f"{LOT}/announce-next")
    operator.send(f"{LOT}/opening-confirm", f"{LOT}/opening-confirm", {"confirmed_by": "G-01\nS-01\nW-01"})
    operator.open(LOT)
    assert "视为撤销投标文件" in operator.page.locator("main").inner_text()

    day.seat()
    day.at("2026-03-25 10:10")
    experts = [window(member.person) for member in day.members[:IN_BROWSER]]
    with SeatAgent.of(day.agents.vendors, day.members[0].person, base) as token:
        experts[0].token = token
        _evaluate(day, browser, operator, experts, desks, javascript=javascript)


def _evaluate(
    day: Day, browser: Browser, operator: Desk, experts: list[Desk], desks: list[Desk], *, javascript: bool
) -> None:
    for expert in experts:
        expert.open("/expert")
        expert.send(f"{EXPERT}/sign-in", f"{EXPERT}/sign-in")
        expert.send(f"{EXPERT}/recusal", f"{EXPERT}/recusal", {"conflict": "no"})
    others = day.members[IN_BROWSER:]
    for member in others:
        day.expert(member, "sign-in", {})
        day.expert(member, "recusal", {"conflict": "no"})
    day.wait_seats("无回避情形", len(day.members))
    operator.send(f"{LOT}/chair", f"{LOT}/chair", {"no": "E1"})
    operator.send(f"{LOT}/evaluation-start", f"{LOT}/evaluation-start")

    passed = {f"check-{one.no}": "pass" for one in cast.SCHEME.checks}
    for _, ref in day.standing():
        for expert in experts:
            checklist = f"{EXPERT}/checklist/{ref}"
            expert.send(checklist, f"{checklist}/check", passed)
            expert.fill(checklist, {})
            assert expert.receipt().startswith("R-")
    day._wait_lot("b", "评标")
    for member in others:
        for _, ref in day.standing():
            day.expert(member, f"checklist/{ref}", dict(passed), "/check")
    day._wait_cells(3, "5", len(day.members))
    operator.send(f"{LOT}/preliminary-close", f"{LOT}/preliminary-close")

    scored = [(index, ref) for index, ref in day.standing() if not cast.BIDDERS[index].fate]
    _a_wrong_mark_is_named_and_nothing_typed_is_lost(experts[0], scored[0][1])
    for member_index, expert in enumerate(experts):
        for company_index, ref in scored:
            marks = cast.marks_of(member_index, company_index)
            url = f"{EXPERT}/marks/{ref}"
            expert.send(
                url, f"{url}/check", {f"mark-{no}": f"{centi // 100}.{centi % 100:02d}" for no, centi in marks.items()}
            )
            expert.fill(url, {})
            expert.receipt()
        expert.open(f"{EXPERT}/sheet")
        expert.send(f"{EXPERT}/sign", f"{EXPERT}/sign", {"confirm": "yes"})
    _a_press_of_the_back_button_makes_no_second_entry(experts[0])
    for member_index, member in enumerate(others, start=IN_BROWSER):
        for company_index, ref in scored:
            day.mark(member_index, company_index, ref)
        day.expert(member, "sign", {"confirm": "yes"})
    day.wait_seats("✓ 已签字", len(day.members))
    operator.open(LOT)
    assert "评标基准价" not in operator.page.locator("main").inner_text()
    operator.send(f"{LOT}/scoring-close", f"{LOT}/scoring-close")

    for expert in experts:
        expert.send(f"{EXPERT}/report", f"{EXPERT}/report", {"word": "agree"})
        expert.open(f"{EXPERT}/done")
    day._wait_lot("b", "详细评审已完成")
    for member in others:
        day.expert(member, "report", {"word": "agree"})
    day.wait_seats("✓ 已签署", len(day.members))
    operator.send(f"{LOT}/report", f"{LOT}/report")
    operator.open(LOT)
    text = operator.page.locator("main").inner_text()
    assert "评标报告（PDF）" in text
    assert "大理苍洱智能工程有限公司" in text
    for path in (
        "/public",
        f"/public/lots/{cast.LOT_CODE}",
        "/public/verify",
        "/help",
        "/help/duties",
        "/desk/incidents/new",
        f"{LOT}/custody",
        f"{LOT}/custody/release",
        "/desk/witness",
        "/desk/witness/relax",
        "/node",
        "/desk/nothing",
    ):
        operator.open(path)
    reviewer = Desk(browser, f"http://127.0.0.1:{day.world.pages('prefecture')}", javascript=javascript)
    reviewer.sign_in("R-01")
    desks.append(reviewer)
    day.wait_for_reach(day.receipts["a"][-1], "上级已接收", "a")
    reviewer.open("/prefecture")
    reviewer.open(f"/prefecture/lots/{cast.LOT_CODE}")
    reviewer.page.locator("table a").first.click()
    reviewer.look()
    reviewer.page.locator(".crumbs a").last.click()
    reviewer.look()
    # What the test itself provokes: a mark out of range, a page that is not there, a form sent again after going back.
    provoked = re.compile(r"status of (422 .*/check|404 .*/desk/nothing|409 .*/sign)$")
    for desk in desks:
        assert "\n".join(sorted({one for one in desk.problems if not provoked.search(one)})) == ""


def _a_wrong_mark_is_named_and_nothing_typed_is_lost(expert: Desk, ref: str) -> None:
    url = f"{EXPERT}/marks/{ref}"
    typed = {f"mark-{one.no}": "1" for one in cast.SCHEME.criteria} | {"mark-T1": "99"}
    expert.send(url, f"{url}/check", typed)
    assert expert.page.title().startswith("错误：")
    assert expert.page.locator('[name="mark-T1"]').input_value() == "99"
    assert "施工组织设计" in expert.page.locator(".govuk-error-summary").inner_text()


def _a_press_of_the_back_button_makes_no_second_entry(expert: Desk) -> None:
    number = expert.receipt()
    form = expert.page.locator(f'form[action="{EXPERT}/sign"]')
    for _ in range(4):  # past the pages of the signature
        expert.page.go_back()
        expert.page.wait_for_load_state()
        if form.count():
            break
    if form.count():
        form.locator('[name="confirm"]').check()
        form.locator("button[type=submit]").click()
        expert.page.wait_for_load_state()
        shown = expert.page.locator("main").inner_text()
        assert number in shown or "没有写入任何记录" in shown
