"""The draw at the desk, as browsers without JavaScript see it: each party by its own sign-in, counts only, no name too early."""

from dataclasses import replace

import pytest

from node.domain.draw import drawn_option
from node.domain.draw_proof import judge_options
from node.domain.exact import ratio_text
from node.domain.opening import StartOpening
from node.domain.price_terms import price_terms
from node.domain.scoring import PricedBid, score_prices
from node.domain.streams import lot_stream
from node.draw_json import parse_proof
from node.drawing import Drawings
from tests.data import bank
from tests.faults import small_node
from tests.pages.room import LOT, OPERATOR, Browser, Room, new_id
from tests.pages.room import SEATS as PANEL
from web.demo import cast

DRAWS, DRAW = f"/desk/lots/{LOT}/draws", f"/desk/draws/{LOT}-1-E1"
NODE = small_node.NODE
REQUEST = {
    "begins": "2026-03-25 10:00",
    "hours": "8",
    "groups": f"施工,A08,4,5329,{NODE}\n造价,A06,1,,{NODE}",
    "tenderer_seats": "0",
    "recusals": "第3设计院,,1",
}
SEATS = "\n".join(f"E{n},{NODE},0{n}" for n in range(1, 6))


@pytest.fixture
async def room(tmp_path):
    found = Room.in_folder(tmp_path)
    found.node.settings = replace(found.node.settings, trustees=bank.TRUSTEES)
    await (await found.filing()).noticed()
    found.at("2026-03-20 09:00")
    taken = cast.ms("2026-03-10 00:00")
    await Drawings(found.node).import_bank(bank.csv(), taken, command_id=new_id(), actor=OPERATOR)
    found.at("2026-03-24 16:00")
    yield found
    await found.node.close()


@pytest.fixture
async def desk(room):
    """Browsers of everybody at one application: the nonces live in it."""
    first = await Browser.of(room, "O-1")
    app_of = {"O-1": first}

    async def browser(person: str) -> Browser:
        if person not in app_of:
            app_of[person] = await Browser.at(first, person)
        return app_of[person]

    yield browser
    for one in reversed(app_of.values()):
        await one.close()


async def frozen(desk, **changes: str):
    page = await (await desk("O-1")).fill(f"{DRAWS}/freeze", {**REQUEST, **changes})
    assert page.status == 200, page.words
    return page


async def committed(desk):
    await frozen(desk)
    for person in ("O-1", "S-1", "G-1"):
        page = await (await desk(person)).fill(f"{DRAW}/commit", {})
        assert "/receipts/" in page.path


async def ranked(desk):
    await committed(desk)
    for person in ("G-1", "S-1", "O-1"):
        page = await (await desk(person)).fill(f"{DRAW}/reveal", {})
        assert "/receipts/" in page.path


async def answer_all(desk, decline: int = 0):
    """The witness calls whoever is pending; the first ones decline."""
    for _ in range(20):
        witness = await desk("W-1")
        page = await witness.get(DRAW)
        if "待通知" not in page.words:
            return
        place = int(page.words.split("第 ")[1].split(" 位")[0]) - 1
        outcome = "declined" if decline else "accepted"
        decline = max(0, decline - 1)
        done = await witness.fill(f"{DRAW}/outcome", {"place": str(place), "outcome": outcome})
        assert "/receipts/" in done.path, done.words


def nobody_named(page) -> bool:
    return not any(name in page.html for name in bank.NAMES)


async def test_a_lot_without_a_draw_says_so_and_only_the_operator_may_ask(desk):
    assert "还没有抽取" in (await (await desk("O-1")).get(DRAWS)).words
    assert "申请抽取专家" not in (await (await desk("S-1")).get(DRAWS)).words
    assert (await (await desk("S-1")).get(f"{DRAWS}/freeze")).status == 403


async def test_each_party_commits_and_reveals_by_its_own_sign_in(desk):
    await frozen(desk)
    for person in ("O-1", "S-1", "G-1"):
        browser = await desk(person)
        assert f"{DRAW}/commit" in (await browser.get(DRAW)).html
        await browser.fill(f"{DRAW}/commit", {})
        page = await browser.get(DRAW)
        assert "您的随机数" in page.words
        assert f"{DRAW}/commit" not in page.html
    assert "您的随机数" not in (await (await desk("W-1")).get(DRAW)).words
    for person in ("O-1", "S-1", "G-1"):
        await (await desk(person)).fill(f"{DRAW}/reveal", {})
    page = await (await desk("O-1")).get(DRAW)
    assert page.words.count("✓ 已揭示") == 3
    assert nobody_named(page)
    assert f"{DRAW}/outcome" not in page.html  # the operator sees counts; another one calls


async def test_the_day_from_request_to_committee_with_two_who_decline(desk, room):
    await ranked(desk)
    await answer_all(desk, decline=2)
    operator = await desk("O-1")
    early = await operator.fill(f"{DRAW}/seat", {"seats": SEATS})
    assert early.status == 409
    assert "专家名单仍在保密时间内" in early.words
    room.at("2026-03-25 09:40")
    wrong = await operator.fill(f"{DRAW}/seat", {"seats": "E1,elsewhere,01"})
    assert wrong.status == 422
    assert "不在本开评标室" in wrong.words
    done = await operator.fill(f"{DRAW}/seat", {"seats": SEATS})
    assert "/receipts/" in done.path, done.words
    page = await operator.get(DRAW)
    assert "评标委员会名单" in page.words
    assert sum(name in page.words for name in bank.NAMES) == 5
    assert nobody_named(await (await desk("S-1")).get(DRAW))
    assert nobody_named(await operator.get(f"/desk/lots/{LOT}"))
    sealed = await operator.fill(f"{DRAW}/publish", {})
    assert sealed.status == 409
    assert (await operator.get(f"{DRAW}/proof.json")).status == 409


async def test_a_member_who_does_not_come_is_replaced_by_the_next_and_the_operator_sees_counts(desk, room):
    await ranked(desk)
    await answer_all(desk)
    room.at("2026-03-25 09:40")
    operator, witness = await desk("O-1"), await desk("W-1")
    await operator.fill(f"{DRAW}/seat", {"seats": SEATS})
    assert f"{DRAW}/replace" not in (await operator.get(DRAW)).html
    state = await Drawings(room.node).state(f"{LOT}-1-E1")
    place = str(state.accepted[0].place)
    await witness.fill(f"{DRAW}/outcome", {"place": place, "outcome": "absent"})
    page = await operator.get(DRAW)
    assert "需要更换 1 人，已有 0 人同意递补" in page.words
    given = {"reason": "absent", "text": "电话联系不上，未到场", "seat": f"E6,{NODE},06"}
    early = await operator.fill(f"{DRAW}/replace", given)
    assert early.status == 409
    await answer_all(desk)
    assert "需要更换 1 人，已有 1 人同意递补" in (await operator.get(DRAW)).words
    assert (await operator.fill(f"{DRAW}/replace", {**given, "seat": "E6"})).status == 422
    wrong = await operator.fill(f"{DRAW}/replace", {**given, "reason": "recusal"})
    assert wrong.status == 409
    assert "抽取记录中没有这一原因" in wrong.words
    done = await operator.fill(f"{DRAW}/replace", given)
    assert "/receipts/" in done.path, done.words
    page = await operator.get(DRAW)
    assert "需要更换" not in page.words
    assert f"{DRAW}/replace" not in page.html
    lot = await room.node.state(lot_stream(LOT))
    assert "E6" in {member.no for member in lot.panel.members}
    assert len(lot.panel.replaced) == 1


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"groups": "施工,A08,四,5329,x"}, 422, "人数须为整数"),
        ({"groups": "施工,A08"}, 422, "第 1 行须有 5 到 5 项"),
        ({"groups": "施工,A08,5,,elsewhere"}, 422, "不在本开评标室"),
        ({"recusals": "甲公司"}, 422, "第 1 行须有 3 到 3 项"),
        ({"groups": f"施工,A08,4,,{NODE}"}, 409, "评标委员会人数不足"),
        ({"groups": f"施工,A08,6,,{NODE}"}, 409, "应为单数"),
        ({"groups": f"施工,A08,3,,{NODE}", "tenderer_seats": "2"}, 409, "三分之二"),
        ({"groups": f"施工,C01,5,,{NODE}"}, 409, "可抽取名单为空|符合条件的专家不足"),
        ({"groups": f"施工,A08,9,,{NODE}"}, 409, "难以保密"),
        ({"begins": "2026-03-01 10:00"}, 409, "评标开始时间已过"),
        ({"approver": "S-1", "approver_pin": "0000"}, 422, "人员号或口令不对"),
        ({"approver": "W-1", "approver_pin": "1234"}, 422, "角色不能"),
    ],
)
async def test_a_request_that_cannot_be_served_says_why_and_freezes_nothing(desk, changes, status, says):
    page = await (await desk("O-1")).fill(f"{DRAWS}/freeze", {**REQUEST, **changes})
    assert page.status == status
    assert any(word in page.words for word in says.split("|")), page.words
    assert "还没有抽取" in (await (await desk("O-1")).get(DRAWS)).words


async def test_a_small_choice_is_approved_by_the_supervisor_and_shown_as_such(desk):
    approved = {"approver": "S-1", "approver_pin": "1234", "reason": "本县专业人员不足"}
    await frozen(desk, groups=f"施工,A08,9,,{NODE}", **approved)
    assert "已由行政监督人员批准" in (await (await desk("O-1")).get(DRAW)).words


async def test_nobody_acts_for_another_party_or_before_its_turn(desk):
    await frozen(desk)
    witness = await desk("W-1")
    assert (await witness.get(f"{DRAW}/commit")).status == 404
    assert (await (await desk("O-1")).get(f"{DRAW}/reveal")).status == 404
    assert (await (await desk("O-1")).get(f"{DRAW}/nothing")).status == 404
    assert (await (await desk("O-1")).get("/desk/draws/none")).status == 404


async def test_a_page_older_than_the_draw_is_stale_where_it_matters(desk):
    await ranked(desk)
    witness = await desk("W-1")
    page = await witness.get(f"{DRAW}/outcome")
    await witness.fill(f"{DRAW}/outcome", {"place": _first(await witness.get(DRAW)), "outcome": "accepted"})
    late = await witness.send(page, f"{DRAW}/outcome", {"place": "0", "outcome": "declined"})
    assert late.status == 409


def _first(page) -> str:
    return str(int(page.words.split("待通知")[1].split("第 ")[1].split(" 位")[0]) - 1)


async def test_a_false_share_is_refused_by_name_and_the_reveal_time_is_waited_for(desk, room):
    await committed(desk)
    operator = await desk("O-1")
    share = {"party": "TENDERER", "trustee": "1", "share": "ab" * 32}
    assert "揭示随机数的时间还没有到" in (await operator.fill(f"{DRAW}/share", share)).words
    room.at("2026-03-24 16:05")
    assert "份额与承诺时记录的不一致" in (await operator.fill(f"{DRAW}/share", share)).words


async def test_the_supervisor_and_a_second_person_end_a_draw_and_it_stays_on_record(desk):
    await committed(desk)
    given = {"reason": "专业代码填错", "second": "W-1", "second_pin": "1234"}
    done = await (await desk("S-1")).fill(f"{DRAW}/cancel", given)
    assert "/receipts/" in done.path, done.words
    page = await (await desk("O-1")).get(DRAW)
    assert "本次抽取已作废" in page.words
    assert f"{DRAW}/reveal" not in page.html
    assert "申请抽取专家" in (await (await desk("O-1")).get(DRAWS)).words


async def test_a_node_that_cannot_record_says_so_and_still_shows_the_draw(desk, room):
    await frozen(desk)
    from node.recorder import NodeFault

    room.node.stopped = NodeFault("the disk is full", "free some space")
    page = await (await desk("O-1")).fill(f"{DRAW}/commit", {})
    assert page.status == 503
    assert (await (await desk("O-1")).get(DRAW)).status == 200
    room.node.stopped = None


DRAWN_K = replace(cast.SCHEME, price=replace(cast.SCHEME.price, k="", drawn="k", options=("0.03", "0.04", "0.05")))


async def drawn_by_all(browsers, draw: str) -> None:
    for step in ("commit", "reveal"):
        for browser in browsers:
            done = await browser.fill(f"{draw}/{step}", {})
            assert "/receipts/" in done.path, done.words


@pytest.fixture
async def opened_with_k(tmp_path):
    """Documents that leave k to a draw; the opening is confirmed."""
    room = Room.in_folder(tmp_path)
    room.scheme = DRAWN_K
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    operator = await Browser.of(room, "O-1")
    browsers = [operator, await Browser.at(operator, "S-1"), await Browser.at(operator, "G-1")]
    yield room, browsers
    for browser in reversed(browsers):
        await browser.close()
    await room.node.close()


async def test_a_coefficient_is_drawn_after_the_opening_and_never_twice(opened_with_k):
    room, browsers = opened_with_k
    operator = browsers[0]
    await room.bidding()
    early = await operator.fill(f"{DRAWS}/options", {"kind": "coefficient"})
    assert early.status == 409
    assert "尚未开标" in early.words
    room.at("2026-03-25 09:31")
    await room.do(StartOpening(("G-1", "S-1")), OPERATOR)
    assert "0.03、0.04、0.05" in (await operator.get(f"{DRAWS}/options")).words
    await operator.fill(f"{DRAWS}/options", {"kind": "coefficient"})
    draw = f"/desk/draws/{LOT}-1-K1"
    await drawn_by_all(browsers, draw)
    state = await Drawings(room.node).state(f"{LOT}-1-K1")
    assert state.drawn == (drawn_option(state.seed, "k", DRAWN_K.price.options),)
    assert f"结果 {state.drawn[0]}" in (await operator.get(draw)).words
    proof = await operator.get(f"{draw}/proof.json")
    assert judge_options(parse_proof(proof.html.encode())) is None
    assert (await operator.fill(f"{DRAWS}/options", {"kind": "coefficient"})).status == 409  # no second draw of k


async def test_scoring_waits_for_the_coefficient_and_the_report_carries_it_with_its_proof(opened_with_k):
    room, browsers = opened_with_k
    operator, lot_url = browsers[0], f"/desk/lots/{LOT}"
    await room.scoring()
    for no in PANEL:
        await room.mark_all(no)
    refused = await operator.fill(f"{lot_url}/scoring-close", {})
    assert refused.status == 409
    assert "招标文件规定的系数还没有抽取" in refused.words
    await operator.fill(f"{DRAWS}/options", {"kind": "coefficient"})
    await drawn_by_all(browsers, f"/desk/draws/{LOT}-1-K1")
    done = await operator.fill(f"{lot_url}/scoring-close", {})
    assert "/receipts/" in done.path, done.words
    lot = await room.node.state(lot_stream(LOT))
    state = await Drawings(room.node).state(f"{LOT}-1-K1")
    used = lot.evaluation.ranking.draws[0]
    assert (used.draw_id, used.result, used.seed) == (f"{LOT}-1-K1", state.drawn, state.seed)
    fixed = replace(lot.notice.documents.scheme.price, k=state.drawn[0], drawn="", options=())
    prices = [PricedBid(ref, lot.opening.content(ref).price_fen) for ref in lot.standing_refs]
    expected = score_prices(price_terms(fixed, cast.CONTROL_PRICE_FEN), prices).benchmark
    assert lot.evaluation.ranking.benchmark_exact == ratio_text(expected.value)
    expert = await Browser.at(operator, next(iter(PANEL)))
    page = await expert.get(f"/expert/lots/{LOT}/report")
    await expert.close()
    assert "公开抽取：系数 k" in page.words
    assert state.seed.hex() in page.words
    assert all(party.nonce.hex() in page.words for party in state.ceremony.parties)


async def test_documents_that_fix_every_parameter_have_nothing_to_draw(tmp_path):
    room = Room.in_folder(tmp_path)
    await room.opened()
    operator = await Browser.of(room, "O-1")
    assert "抽取系数或并列次序" not in (await operator.get(DRAWS)).words
    await operator.close()
    await room.node.close()
