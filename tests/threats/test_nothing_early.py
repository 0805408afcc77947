"""Names, prices, files and marks are planted and looked for everywhere before their time: files, copies, pages, logs, errors."""

import logging
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner

from node.cli_log import cli_log
from node.domain import opening, sheet
from node.domain.bidding import SubmitBid
from node.domain.refused import Refused
from node.opening_desk import submit_bid
from tests.pages.room import BIDS, FULL, LOT, OPERATOR, Browser, Room, actor_of, member, new_id
from tests.shell.test_bid_tools import Bench

ROLES = ("witness", "tenderer", "prefecture")
STAFF = ("G-1", "O-1", "S-1", "W-1", "M-1")
ATTACHED = "机密附件之正文".encode()
REASON = "机密评分理由"


def spellings(price_fen: int) -> list[bytes]:
    """Return a price as pages, JSON and MessagePack write it."""
    yuan, fen = divmod(price_fen, 100)
    texts = (str(price_fen), f"{yuan}.{fen:02d}", f"{yuan:,}.{fen:02d}")
    return [*(text.encode() for text in texts), b"\xce" + price_fen.to_bytes(4)]


NAMES = [text.encode() for one in BIDS for text in (one.name, one.uscc, one.contact, one.phone)]
PRICES = [spelt for one in BIDS for spelt in spellings(one.price_fen)]


def files_of(room: Room) -> dict[str, bytes]:
    """Everything that the node keeps: database, write-ahead log, blobs, half received files, keys, settings."""
    return {str(path): path.read_bytes() for path in room.node.settings.data.rglob("*") if path.is_file()}


def copies_of(room: Room, folder: Path) -> dict[str, bytes]:
    """A backup page by page, one written anew, and the bundle for a stranger with the files of openings."""
    data, found = room.node.settings.data, {}
    source = apsw.Connection(str(data / "erhai.db"), flags=apsw.SQLITE_OPEN_READONLY)
    paged, anew = folder / "paged.db", folder / "anew.db"
    target = apsw.Connection(str(paged))
    with target.backup("main", source, "main") as backup:
        backup.step()
    target.close()
    source.execute("VACUUM INTO ?", (str(anew),))
    source.close()
    bundle = folder / "bundle.zip"
    done = CliRunner().invoke(cli_log, ["export", "--data", str(data), "--files", "-o", str(bundle)])
    assert done.exit_code == 0, done.output
    told = CliRunner().invoke(cli_log, ["show", "--data", str(data), "--count", "1000", "--json"])
    found |= {path.name: path.read_bytes() for path in (paged, anew, bundle)} | {"log show": told.output.encode()}
    for path in (paged, anew, bundle):
        path.unlink()
    return found


async def pages_of(room: Room, people: Iterable[str]) -> dict[str, bytes]:
    """Every page that these people reach by links, and the public ones, and the state for machines."""
    found: dict[str, bytes] = {}
    first = await Browser.of(room, "O-1")
    opened = [first]
    for person in people:
        browser = await Browser.at(first, person)
        left, seen = (
            ["/", "/desk", f"/desk/lots/{LOT}", "/public", f"/public/lots/{LOT}", "/node", "/healthz"],
            set[str](),
        )
        while left and len(seen) < 120:
            path = left.pop(0)
            if path in seen or path.startswith("/static"):
                continue
            seen.add(path)
            answer = await browser.client.get(path)
            found[f"{person} {path}"] = await answer.read()
            if answer.content_type == "text/html":
                left += re.findall(r'href="(/[^"#]*)"', found[f"{person} {path}"].decode())
        opened.append(browser)
    for browser in opened:
        await browser.close()
    return found


def leaks(places: dict[str, bytes], needles: Iterable[bytes]) -> list[tuple[str, bytes]]:
    return [(place, needle) for place, data in places.items() for needle in needles if needle in data]


async def everything(room: Room, folder: Path, caplog: pytest.LogCaptureFixture) -> dict[str, bytes]:
    pages = await pages_of(room, STAFF)
    assert len(pages) > 40
    said = "\n".join((*caplog.messages, caplog.text)).encode()
    return {**files_of(room), **copies_of(room, folder), **pages, "messages": said}


@pytest.fixture
async def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Bench]:
    caplog.set_level(logging.DEBUG)
    made = Bench(tmp_path)
    await made.noticed()
    attached = tmp_path / "施工组织设计.pdf"
    attached.write_bytes(ATTACHED * 2_000)
    for number, ref in enumerate(made.room.refs):
        assert made.seal(ref, number, attached).exit_code == 0
        await made.hand_in(ref)
    yield made
    await made.room.node.close()


async def test_nothing_of_a_bid_is_anywhere_before_its_seal_is_broken_and_then_it_is(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = bench.room
    secret = [*NAMES, *PRICES, ATTACHED]
    assert leaks(await everything(room, tmp_path, caplog), secret) == []
    room.at("2026-03-25 09:31")
    await room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()
    for role in ROLES:
        await bench.give_release(bench.release(role))
    assert leaks(await everything(room, tmp_path, caplog), secret) == []  # every share is here, no half yet
    first, *rest = room.refs
    await bench.give_half(first)
    await room.node.open_bid(LOT, first, command_id=new_id(), actor=OPERATOR)
    still = [needle for one in BIDS[1:] for needle in (one.name.encode(), one.uscc.encode(), *spellings(one.price_fen))]
    assert leaks(await everything(room, tmp_path, caplog), still) == []  # of those whose turn has not come
    for ref in rest:
        await bench.give_half(ref)
    for ref in rest:
        await room.node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)
    shown = await everything(room, tmp_path, caplog)
    for one in BIDS:  # the search finds what is there
        assert leaks(shown, [one.name.encode()])
        assert leaks(shown, spellings(one.price_fen))
    assert leaks(shown, [ATTACHED])


async def test_what_goes_wrong_before_the_opening_says_nothing_of_a_bid(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused files, refused acts and faults: their words, their reports and the log of the program."""
    room, said = bench.room, []
    one, other, _ = room.refs
    data = (bench.folder / f"{one}.erb").read_bytes()
    for changed in (
        data[:-1],
        data[:1000],
        data.replace(b"manifest.json", b"manifest.jsom"),
        data[:70_000] + b"x" + data[70_001:],
    ):
        digest = room.node.blobs.put(changed)
        with pytest.raises(Refused) as caught:
            await submit_bid(
                room.node, LOT, SubmitBid(one, digest, len(changed), "desk"), command_id=new_id(), actor=OPERATOR
            )
        said.append(f"{caught.value!r} {caught.value}")
    digest = room.node.blobs.put(data)
    with pytest.raises(Refused) as caught:
        await submit_bid(
            room.node, LOT, SubmitBid(other, digest, len(data), "desk"), command_id=new_id(), actor=OPERATOR
        )
    said.append(f"{caught.value!r} {caught.value}")
    browser = await Browser.of(room, "O-1")
    for path in (
        f"/desk/lots/{LOT}/open-next",
        f"/desk/lots/{LOT}/ceremony-begin",
        f"/desk/lots/{LOT}/ceremony-request.json",
    ):
        answer = await browser.get(path)
        said += [answer.html, (await browser.post(path, {"command_id": new_id().hex()})).html]
    with pytest.MonkeyPatch.context() as patch:

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError(f"{BIDS[0].name} {BIDS[0].price_fen}")  # whatever an error of a library may carry

        patch.setattr(room.node, "state", broken)
        fault = await browser.get(f"/desk/lots/{LOT}")
        assert fault.status == 500
        said.append(fault.html)
    await browser.close()
    texts = {"said": "\n".join(said).encode(), "messages": caplog.text.encode()}
    assert "RuntimeError test_nothing_early.py" in caplog.text  # the report of the fault is among what was searched
    assert leaks(texts, [*NAMES, *PRICES, ATTACHED]) == []


async def test_marks_are_nowhere_before_the_scoring_closes_and_then_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    room = await Room.in_folder(tmp_path / "node").scoring()
    ref = room.refs[0]
    for no in ("X-1", "X-2"):
        marks = tuple(
            sheet.CriterionMark(criterion, centi, f"{REASON}{no}" if centi else "") for criterion, centi in FULL.items()
        )
        await room.node.submit_marks(
            LOT, member(no), sheet.SubmitMarks(ref, marks), command_id=new_id(), actor=actor_of(no)
        )
    needles = [REASON.encode()]
    pages = await pages_of(room, (*STAFF, "X-3"))
    own = await pages_of(room, ("X-1",))
    said = {"messages": caplog.text.encode()}
    assert leaks({**files_of(room), **copies_of(room, tmp_path), **pages, **said}, needles) == []
    assert leaks(own, [f"{REASON}X-2".encode()]) == []  # nobody reads a neighbour's
    for no in ("X-1", "X-2", "X-3", "X-4", "X-5"):
        for other in room.refs if no not in {"X-1", "X-2"} else room.refs[1:]:
            marks = tuple(sheet.CriterionMark(criterion, centi) for criterion, centi in FULL.items())
            await room.node.submit_marks(
                LOT, member(no), sheet.SubmitMarks(other, marks), command_id=new_id(), actor=actor_of(no)
            )
        await room.say(no, sheet.SignSheet("本人独立评审"))
    await room.close_scoring()
    assert leaks(files_of(room), needles)
    await room.node.close()
