"""Signed acts are judged again when newer lists arrive, by stick or by link: the outcome is appended and shown."""

import hashlib
import shutil
from dataclasses import dataclass

import pytest

from node.domain.streams import lot_stream
from node.person_trust import PersonTrust
from node.rejudging import Rejudging
from node.views import signed
from sync.crl_shelf import CrlShelf
from sync.person_lists import LISTS_PATH, LISTS_TYPE, PersonLists, names_in
from tests.pages.room import DESK, LOT, Browser, Room
from tests.pages.seat_agents import card, pair, press, take_certificates
from tests.person_lab import DAY, NOW, NOW_MS, make_crl, vendor

OPINION = f"{DESK}/filing-opinion"
SERIAL = 0x1001 + 3  # S-1's card
HOUR = DAY / 24


@pytest.fixture
async def room(tmp_path):
    """The supervisor's opinion was signed at 10:10 by a list of the day before."""
    found = await Room.in_folder(tmp_path / "node").filing()
    found.at("2026-03-25 10:10")
    take_certificates(found, tmp_path)
    browser = await Browser.of(found, "S-1")
    await browser.fill(OPINION, {"outcome": "no-problem", "opinion": ""})
    line, _ = await pair(browser)
    assert "已签名并写入" in (await press(line, card("S-1")))[-1]
    await browser.close()
    yield found
    await found.node.close()
    shutil.rmtree(tmp_path / "node")


def _newer(number=6, at=NOW + HOUR, revoked=None):
    own = vendor("sm2")
    dates = {"this": at, "until": at + 7 * DAY, "number": number}
    return make_crl(own.root, **dates), make_crl(own.ca, {SERIAL: revoked} if revoked else {}, **dates)


def _task(room):
    return Rejudging(room.node, PersonTrust.of(room.node.settings), ())


def _bring(room, lists):
    trust = PersonTrust.of(room.node.settings)
    for der in lists:
        assert trust.take_crl(der, NOW_MS + 10 * 3_600_000)


async def _outcomes(room):
    (act,) = await room.node.read(lambda db: signed.of_lot(db, LOT))
    return [word for _at_ms, word in act.outcomes]


async def test_by_the_lists_of_that_day_nothing_is_appended(room):
    task, size = _task(room), room.node.recorder.log.size
    assert await task.look() == 0
    assert room.node.recorder.log.size == size
    assert await _outcomes(room) == []


async def test_a_list_issued_after_the_act_confirms_it_once_and_the_lots_page_says_so(room):
    task, size = _task(room), room.node.recorder.log.size
    _bring(room, _newer())
    assert await task.look() == 1
    assert await task.look() == 0
    _bring(room, _newer(7, NOW + 2 * HOUR))
    assert await task.look() == 0
    assert await _task(room).look() == 0  # another start
    assert room.node.recorder.log.size == size + 1
    assert await _outcomes(room) == ["confirmed"]
    browser = await Browser.of(room, "O-1")
    page = await browser.get(DESK)
    assert "复核：行为当时未吊销" in page.words
    await browser.close()


async def test_a_revocation_from_before_the_act_is_appended_and_changes_nothing_else(room):
    before = await room.node.state(lot_stream(LOT))
    task = _task(room)
    _bring(room, _newer(revoked=NOW - HOUR))
    assert await task.look() == 1
    assert await _outcomes(room) == ["was-revoked"]
    after = await room.node.state(lot_stream(LOT))
    assert after == before
    browser = await Browser.of(room, "O-1")
    page = await browser.get(DESK)
    assert "行为之前已吊销，须由人员处理" in page.words
    await browser.close()


async def test_a_revocation_from_after_the_act_does_not_touch_it(room):
    _bring(room, _newer(revoked=NOW + 2 * HOUR))
    assert await _task(room).look() == 1
    assert await _outcomes(room) == ["confirmed"]


async def test_a_later_list_may_find_what_an_earlier_one_confirmed_and_nothing_puts_it_back(room):
    task = _task(room)
    _bring(room, _newer())
    assert await task.look() == 1
    _bring(room, _newer(7, NOW + 2 * HOUR, revoked=NOW - HOUR))
    assert await task.look() == 1
    _bring(room, _newer(8, NOW + 3 * HOUR))
    assert await task.look() == 0
    assert await _outcomes(room) == ["confirmed", "was-revoked"]


async def test_a_newer_set_of_anchors_still_judges_the_acts_of_before(room, monkeypatch):
    trust = PersonTrust.of(room.node.settings)
    held = trust.anchors()

    class Newer(PersonTrust):
        def anchors(self):
            from dataclasses import replace

            return replace(held, issued_ms=NOW_MS + 5 * 86_400_000)

    _bring(room, _newer())
    task = Rejudging(room.node, Newer(trust._folder, trust._keys), ())
    assert await task.look() == 1


async def test_what_was_erased_is_not_judged(room):
    from node import personal

    (act,) = await room.node.read(lambda db: signed.of_lot(db, LOT))
    await room.node.store.write(lambda db: personal.erase(db, act.commitment))
    _bring(room, _newer())
    assert await _task(room).look() == 0


@dataclass
class Reply:
    status: int
    content_type: str
    body: bytes


class Peer:
    """A peer's shelf behind a link; `spoil` changes what it gives."""

    def __init__(self, shelf, spoil=lambda der: der):
        self.shelf, self.spoil, self.asked = shelf, spoil, []

    async def get(self, path, *, limit):
        self.asked.append(path)
        lists = {hashlib.sha256(der).hexdigest(): der for der in self.shelf.all()}
        if path == LISTS_PATH:
            return Reply(200, LISTS_TYPE, "".join(f"{name}\n" for name in lists).encode())
        return Reply(200, "application/pkix-crl", self.spoil(lists[path.rpartition("/")[2]]))


def _shelf(folder, lists):
    shelf = CrlShelf(folder / "peer")
    own = vendor("sm2")
    for der in lists:
        shelf.take(der, (own.root.der, own.ca.der), NOW_MS + 10 * 3_600_000)
    return shelf


async def test_a_peers_newer_lists_are_taken_by_link_and_judged_by(room, tmp_path):
    peer, task = Peer(_shelf(tmp_path, _newer())), _task(room)
    assert await task.ask(peer) == 2
    assert await task.ask(peer) == 0
    assert len(peer.asked) == 4  # what is held is not fetched again
    assert await task.look() == 1
    assert await _outcomes(room) == ["confirmed"]


@pytest.mark.parametrize("spoil", [lambda der: der[:-1], lambda _der: b"", lambda der: der[:-9] + b"\0" + der[-8:]])
async def test_a_peers_broken_lists_are_not_taken(room, tmp_path, spoil):
    task = _task(room)
    assert await task.ask(Peer(_shelf(tmp_path, _newer()), spoil)) == 0
    assert await task.look() == 0


async def test_a_peers_older_lists_never_replace_newer_ones(room, tmp_path):
    _bring(room, _newer(9))
    assert await _task(room).ask(Peer(_shelf(tmp_path, vendor("sm2").crls()))) == 0
    assert PersonLists(PersonTrust.of(room.node.settings).shelf).names() == {
        hashlib.sha256(der).hexdigest() for der in PersonTrust.of(room.node.settings).shelf.all()
    }


def test_names_are_names_and_nothing_else():
    name = "ab" * 32
    assert names_in(f"{name}\n../../etc/passwd\n{name[:-1]}\n{name.upper()}\n".encode()) == {name}
