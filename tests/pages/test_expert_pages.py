"""A committee member at the kiosk, without JavaScript: every form a rule can refuse, and nothing of another member."""

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from node.domain.notice import Criterion
from node.domain.project import Suspend
from node.domain.sheet import CriterionMark, DeclareRecusal, SignIn, SubmitMarks
from node.domain.streams import lot_stream
from tests.pages.room import EXPERT, FULL, LOT, OPERATOR, SEATS, Browser, Room, actor_of, new_id
from web.demo import cast
from web.marks import MarkUnreadable, read_mark

TYPED = {"mark-T1": "12.5", "mark-T2": "8", "mark-T3": "9.50", "mark-T4": "4.5", "mark-B1": "7.5", "mark-B2": "2.50"}
TYPED |= {"mark-C1": "3"}
T1 = cast.SCHEME.criteria[0]


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[Room]]]:
    """A room whose story has come to a station."""
    rooms = []

    async def station(name: str) -> Room:
        room = Room.in_folder(tmp_path / "a")
        rooms.append(room)
        await getattr(room, name)()
        return room

    yield station
    for room in rooms:
        await room.node.close()
    shutil.rmtree(tmp_path / "a")


@pytest.fixture
async def browser() -> AsyncIterator[Callable[[Room, str], Awaitable[Browser]]]:
    """Browsers that are closed at the end."""
    opened: list[Browser] = []

    async def of(room: Room, person: str) -> Browser:
        opened.append(await Browser.of(room, person))
        return opened[-1]

    yield of
    for one in opened:
        await one.close()


Rooms = Callable[[str], Awaitable[Room]]
Browsers = Callable[[Room, str], Awaitable[Browser]]


# -- who sits here --------------------------------------------------------------------------------------------------


async def test_an_expert_finds_the_lot_it_sits_in_and_is_led_to_sign_in_and_recusal(
    at: Rooms, browser: Browsers
) -> None:
    room = await at("opened")
    seat = await browser(room, "X-1")
    assert EXPERT in (await seat.get("/expert")).html
    assert (await seat.get(EXPERT)).path == f"{EXPERT}/sign-in"
    receipt = await seat.fill(f"{EXPERT}/sign-in", {})
    assert receipt.path.startswith("/receipts/R-")
    assert (await seat.get(EXPERT)).path == f"{EXPERT}/recusal"
    await seat.fill(f"{EXPERT}/recusal", {"conflict": "no"})
    assert (await seat.get(EXPERT)).path == EXPERT
    assert (await room.sheet_state("X-1")).conflict is False


async def test_a_member_does_not_sign_in_at_the_seat_of_another(at: Rooms, browser: Browsers) -> None:
    room = await at("opened")
    one = room.node.people["X-1"]
    room.node.people["X-1"] = type(one)(one.no, one.name, one.role, one.pin_hash, SEATS["X-2"])
    seat = await browser(room, "X-1")
    answer = await seat.fill(f"{EXPERT}/sign-in", {})
    assert answer.status == 409
    assert "wrong-seat" in answer.words
    assert not (await room.sheet_state("X-1")).signed_in


async def test_an_expert_who_does_not_sit_in_the_lot_finds_nothing_there(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    stranger = await browser(room, "X-9")
    assert "目前没有需要您" in (await stranger.get("/expert")).words
    for page in ("", "/sign-in", "/sheet", "/sign", f"/marks/{room.refs[0]}", f"/checklist/{room.refs[0]}", "/report"):
        assert (await stranger.get(EXPERT + page)).status == 404


@pytest.mark.parametrize("person", ["G-1", "O-1", "M-1"])
async def test_no_other_role_reaches_a_page_of_an_expert(at: Rooms, browser: Browsers, person: str) -> None:
    room = await at("scoring")
    other = await browser(room, person)
    for page in ("", "/sheet", f"/marks/{room.refs[0]}", "/sign", "/done"):
        assert (await other.get(EXPERT + page)).status == 403
    posted = await other.post(f"{EXPERT}/marks/{room.refs[0]}", {**TYPED, "command_id": "0" * 32, "revision": "2"})
    assert posted.status == 403


async def test_who_is_not_signed_in_is_led_to_the_sign_in_page(at: Rooms, browser: Browsers) -> None:
    room = await at("opened")
    seat = await browser(room, "X-1")
    await seat.post("/sign-out", {})
    assert (await seat.get(EXPERT)).path == "/sign-in"


# -- recusal --------------------------------------------------------------------------------------------------------


async def test_bidders_are_named_for_the_recusal_only_after_the_opening_is_confirmed(
    at: Rooms, browser: Browsers
) -> None:
    room = await at("bidding")
    seat = await browser(room, "X-1")
    await seat.fill(f"{EXPERT}/sign-in", {})
    page = await seat.get(f"{EXPERT}/recusal")
    assert "投标人名单在开标记录确认后公布" in page.words
    for company, ref in zip(cast.BIDDERS, room.refs, strict=False):
        assert company.name not in page.html
        assert ref not in page.html


async def test_a_recusal_without_choice_or_without_reason_comes_back_with_what_was_typed(
    at: Rooms, browser: Browsers
) -> None:
    room = await at("opened")
    seat = await browser(room, "X-1")
    await seat.fill(f"{EXPERT}/sign-in", {})
    page = await seat.fill(f"{EXPERT}/recusal", {"reason": "近亲属"})
    assert page.status == 422
    assert page.html.count("<title>错误：") == 1
    assert 'href="#conflict"' in page.html
    assert page.form(f"{EXPERT}/recusal").fields["reason"] == ["近亲属"]
    page = await seat.send(page, f"{EXPERT}/recusal", {"conflict": "yes", "reason": " "})
    assert page.status == 422
    assert 'href="#reason"' in page.html
    assert page.form(f"{EXPERT}/recusal").fields["conflict"] == ["yes"]
    assert (await room.sheet_state("X-1")).conflict is None


async def test_a_member_with_a_conflict_is_told_to_wait_and_gets_no_task(at: Rooms, browser: Browsers) -> None:
    room = await at("opened")
    await room.say("X-1", SignIn(SEATS["X-1"]))
    await room.say("X-1", DeclareRecusal(True, "近亲属"))
    page = await (await browser(room, "X-1")).get(EXPERT)
    assert "您已声明需要回避" in page.words
    assert "/checklist/" not in page.html


# -- preliminary review ---------------------------------------------------------------------------------------------


async def test_a_failed_check_needs_a_reason_and_the_choices_are_kept(at: Rooms, browser: Browsers) -> None:
    room = await at("evaluating")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/checklist/{room.refs[0]}"
    page = await seat.fill(url, {"check-F1": "pass", "check-Q1": "fail"}, f"{url}/check")
    assert page.status == 422
    assert "“工期、质量、投标有效期响应招标文件”是否通过" in page.words
    assert 'href="#reason-Q1"' in page.html
    assert page.form(f"{url}/check").fields["check-Q1"] == ["fail"]
    assert (await room.sheet_state("X-1")).checklists == ()


async def test_a_checklist_is_recorded_only_after_its_check_page(at: Rooms, browser: Browsers) -> None:
    room = await at("evaluating")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/checklist/{room.refs[0]}"
    said = {"check-F1": "pass", "check-Q1": "fail", "reason-Q1": "证书过期", "check-R1": "pass"}
    check = await seat.fill(url, said, f"{url}/check")
    assert check.status == 200
    assert "尚未提交" in check.words
    assert (await room.sheet_state("X-1")).checklists == ()
    back = await seat.post(f"{url}/edit", _first(check, url))
    assert back.form(f"{url}/check").fields["reason-Q1"] == ["证书过期"]
    receipt = await seat.send(check, url, {})
    assert receipt.path.startswith("/receipts/R-")
    own = await seat.get(f"{EXPERT}/sheet")
    assert "✗ 不通过" in own.words
    assert "证书过期" in own.words


def _first(page: object, action: str) -> dict[str, str]:
    return {name: given[0] for name, given in page.form(action).fields.items()}  # type: ignore[attr-defined]


# -- marks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "centi"), [("0", 0), ("15", 1500), ("12.5", 1250), ("12.50", 1250), (" 7 ", 700), ("0.5", 50)]
)
def test_a_mark_is_read_in_hundredths(typed: str, centi: int) -> None:
    assert read_mark(typed, T1) == centi


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "没有得分请填 0"),
        ("１２.５", "全角"),
        ("12．5", "全角"),
        ("12。5", "全角"),
        ("十二", "应为数字"),
        ("-1", "应为数字"),
        ("1e1", "应为数字"),
        ("12.505", "最多两位小数"),
        (".5", "应为数字"),
        ("15.5", "0 至 15.00 之间"),
        ("9999", "0 至 15.00 之间"),
        ("12.25", "0.50 的整倍数"),
        ("٣", "应为数字"),
        ("12\u200b", "应为数字"),
    ],
)
def test_a_mark_that_cannot_be_read_says_what_to_do(typed: str, said: str) -> None:
    with pytest.raises(MarkUnreadable, match=re.escape(said)):
        read_mark(typed, T1)


def test_every_step_from_nothing_to_full_marks_is_read_back_as_it_is_written() -> None:
    one = Criterion("T1", "方案", "technical", "subjective", 2_000, 25, "标准")
    for centi in range(0, 2_001, 25):
        assert read_mark(f"{centi // 100}.{centi % 100:02d}", one) == centi


async def test_wrong_marks_come_back_each_with_its_error_and_every_value_kept(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    wrong = {**TYPED, "mark-T1": "15.5", "mark-T2": "８", "mark-B1": "7", "mark-C1": ""}
    page = await seat.fill(url, wrong, f"{url}/check")
    assert page.status == 422
    assert "<title>错误：评分：" in page.html
    for no in ("T1", "T2", "B1", "C1"):
        assert f'href="#mark-{no}"' in page.html
        assert f'id="mark-{no}"' in page.html
        assert f'aria-describedby="mark-{no}-error"' in page.html
    assert 'href="#mark-T3"' not in page.html
    kept = page.form(f"{url}/check").fields
    assert {name: kept[name][0] for name in wrong} == wrong
    assert (await room.sheet_state("X-1")).marks == ()


async def test_marks_are_shown_with_their_sum_before_they_are_recorded_and_stand_in_the_own_sheet_after(
    at: Rooms, browser: Browsers
) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    check = await seat.fill(url, TYPED, f"{url}/check")
    assert "尚未提交" in check.words
    assert "47.50" in check.words
    assert (await room.sheet_state("X-1")).marks == ()
    receipt = await seat.send(check, url, {})
    assert receipt.path.startswith("/receipts/R-")
    assert (await room.sheet_state("X-1")).marks[0].revision == 1
    assert "47.50" in (await seat.get(f"{EXPERT}/sheet")).words
    again = await seat.get(url)
    assert again.form(f"{url}/check").fields["mark-T1"] == ["12.50"]
    assert "已提交" in (await seat.get(EXPERT)).words


async def test_the_same_form_pressed_twice_makes_one_entry_and_one_receipt(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    check = await seat.fill(url, TYPED, f"{url}/check")
    size = room.node.recorder.log.size
    first, second = await seat.send(check, url, {}), await seat.send(check, url, {})
    assert first.path == second.path
    assert room.node.recorder.log.size == size + 1


async def test_a_page_older_than_the_sheet_is_refused_and_nothing_is_recorded(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    check = await seat.fill(url, TYPED, f"{url}/check")
    newer = SubmitMarks(room.refs[0], tuple(CriterionMark(no, centi) for no, centi in FULL.items()))
    await room.node.submit_marks(LOT, "E1", newer, command_id=new_id(), actor=actor_of("X-1"))
    answer = await seat.send(check, url, {})
    assert answer.status == 409
    assert "页面已过期" in answer.words
    assert (await room.sheet_state("X-1")).marks[0].revision == 1


async def test_an_error_or_a_way_back_does_not_make_an_old_page_new(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    check = await seat.fill(url, TYPED, f"{url}/check")
    newer = SubmitMarks(room.refs[0], tuple(CriterionMark(no, centi) for no, centi in FULL.items()))
    await room.node.submit_marks(LOT, "E1", newer, command_id=new_id(), actor=actor_of("X-1"))
    edited = await seat.post(f"{url}/edit", _first(check, url))
    wrong = await seat.send(edited, f"{url}/check", {"mark-T1": ""})
    right = await seat.send(wrong, f"{url}/check", {"mark-T1": "12"})
    assert (await seat.send(right, url, {})).status == 409


async def test_a_form_that_was_not_made_here_is_not_recorded(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    size = room.node.recorder.log.size
    for hidden in ({}, {"command_id": "zz", "revision": "3"}, {"command_id": "0" * 32, "revision": "-1"}):
        assert 400 <= (await seat.post(url, {**TYPED, **hidden})).status < 500
    assert room.node.recorder.log.size == size


async def test_marks_of_other_members_are_on_no_page_of_a_member(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    await room.mark_all("X-2", {**FULL, "T1": 1_150})
    seat = await browser(room, "X-1")
    for path in ("/expert", EXPERT, f"{EXPERT}/sheet", f"{EXPERT}/marks/{room.refs[0]}"):
        page = await seat.get(path)
        assert page.status == 200
        assert "11.50" not in page.html


async def test_pages_of_what_cannot_be_done_now_lead_back_to_the_tasks(at: Rooms, browser: Browsers) -> None:
    room = await at("evaluating")
    seat = await browser(room, "X-1")
    for page in (f"/marks/{room.refs[0]}", "/sign", "/report", "/done"):
        assert (await seat.get(EXPERT + page)).path == EXPERT
    assert (await seat.get(f"{EXPERT}/marks/P-NONE99")).status == 404


# -- signature ------------------------------------------------------------------------------------------------------


async def test_the_task_list_names_the_bids_that_stand_before_the_signature(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    page = await (await browser(room, "X-1")).get(EXPERT)
    assert (
        f"尚未提交评分：{'、'.join(company.name for company in (*cast.BIDDERS[:2], cast.BIDDERS[3]))}。" in page.words
    )
    assert f"{EXPERT}/sign" not in page.html


async def test_a_sheet_is_signed_with_the_statement_and_then_takes_no_marks(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat = await browser(room, "X-1")
    for ref in room.refs:
        url = f"{EXPERT}/marks/{ref}"
        await seat.send(await seat.fill(url, TYPED, f"{url}/check"), url, {})
    unsaid = await seat.fill(f"{EXPERT}/sign", {})
    assert unsaid.status == 422
    assert 'href="#confirm"' in unsaid.html
    late = await seat.fill(f"{EXPERT}/marks/{room.refs[0]}", TYPED, f"{EXPERT}/marks/{room.refs[0]}/check")
    signed = await seat.send(unsaid, f"{EXPERT}/sign", {"confirm": "yes"})
    assert signed.path.startswith("/receipts/R-")
    assert (await room.sheet_state("X-1")).signed
    assert (await seat.get(f"{EXPERT}/marks/{room.refs[0]}")).path == EXPERT
    assert (await seat.send(late, f"{EXPERT}/marks/{room.refs[0]}", {})).status == 409


async def test_while_the_procedure_stands_still_nothing_can_be_filled_in(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/marks/{room.refs[0]}"
    check = await seat.fill(url, TYPED, f"{url}/check")
    await room.do(Suspend("outage", "停电"), OPERATOR)
    page = await seat.get(EXPERT)
    assert "程序已中止" in page.words
    assert "/marks/" not in page.html
    refused = await seat.send(check, url, {})
    assert refused.status == 409
    assert "程序已中止" in refused.words


# -- a question to the bidder ---------------------------------------------------------------------------------------


async def test_a_member_asks_a_bidder_in_writing(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    seat, url = await browser(room, "X-1"), f"{EXPERT}/clarification"
    assert url in (await seat.get(EXPERT)).html
    empty = await seat.fill(url, {"text": " "})
    assert empty.status == 422
    asked = await seat.send(empty, url, {"ref": room.refs[1], "text": "请说明工期起算日"})
    assert asked.path.startswith("/receipts/R-")
    assert (await room.node.state(lot_stream(LOT))).evaluation.questions[0].text == "请说明工期起算日"
    assert "请说明工期起算日" in (await seat.get(url)).words


# -- recheck and report ---------------------------------------------------------------------------------------------


async def test_a_recheck_shows_only_the_named_items_and_the_sheet_is_signed_anew(at: Rooms, browser: Browsers) -> None:
    room = await at("scoring")
    await room.mark_all("X-1", {**FULL, "B1": 750})
    for no in list(SEATS)[1:]:
        await room.mark_all(no)
    await room.close_scoring()
    seat, url = await browser(room, "X-1"), f"{EXPERT}/recheck/{room.refs[0]}"
    tasks = await seat.get(EXPERT)
    assert url in tasks.html
    page = await seat.get(url)
    assert {name for name in page.form(url).names if name.startswith("mark-")} == {"mark-B1"}
    assert page.form(url).fields["mark-B1"] == ["7.50"]
    assert (await seat.send(page, url, {"mark-B1": "10"})).status == 422
    for ref in room.refs:
        here = f"{EXPERT}/recheck/{ref}"
        done = await seat.fill(here, {"mark-B1": "10", "reason": "漏计一项业绩"})
        assert done.path.startswith("/receipts/R-")
    own = await seat.get(f"{EXPERT}/sheet")
    assert "原 7.50" in own.words
    assert not (await room.sheet_state("X-1")).signed
    await seat.fill(f"{EXPERT}/sign", {"confirm": "yes"})
    assert (await room.sheet_state("X-1")).signed


async def _ranked(at: Rooms) -> Room:
    room = await at("scoring")
    for no in SEATS:
        await room.mark_all(no)
    await room.close_scoring()
    return room


async def test_dissent_is_recorded_in_the_members_own_words_on_the_report_that_was_shown(
    at: Rooms, browser: Browsers
) -> None:
    room = await _ranked(at)
    seat, url = await browser(room, "X-1"), f"{EXPERT}/report"
    unsaid = await seat.fill(url, {})
    assert unsaid.status == 422
    assert 'href="#word"' in unsaid.html
    wordless = await seat.send(unsaid, url, {"word": "dissent", "text": "  "})
    assert wordless.status == 422
    assert 'href="#text"' in wordless.html
    assert wordless.form(url).fields["word"] == ["dissent"]
    another = await seat.send(wordless, url, {"word": "dissent", "text": "不同意 T1 的评分", "digest": "00" * 32})
    assert another.status == 409
    signed = await seat.send(wordless, url, {"word": "dissent", "text": "不同意 T1 的评分"})
    assert signed.path.startswith("/receipts/R-")
    state = await room.sheet_state("X-1")
    assert (state.report_word, state.report_text) == ("dissent", "不同意 T1 的评分")
    assert state.report_sha256.hex() == wordless.form(url).fields["digest"][0]
    done = await seat.get(f"{EXPERT}/done")
    assert "有不同意见" in done.words
    assert (await seat.get(url)).path == EXPERT


async def test_refusing_to_sign_is_recorded_and_the_page_says_that_it_counts_as_agreement(
    at: Rooms, browser: Browsers
) -> None:
    room = await _ranked(at)
    seat, url = await browser(room, "X-2"), f"{EXPERT}/report"
    page = await seat.get(url)
    assert "视为同意评标结果" in page.words
    await seat.send(page, url, {"word": "silent", "text": "不会写入"})
    state = await room.sheet_state("X-2")
    assert (state.report_word, state.report_text) == ("silent", "")
