"""A node's key in strange hands: it is taken off the list once, and then renews nothing, reads nothing and brings nothing."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from node import enrol
from node.places import ENROLLING
from sync.enrolment import EnrolRefused
from sync.keys import load_identity
from sync.link import PeerLink
from sync.receiver import RENEWAL
from sync.trust_port import RENEWAL_TYPE
from tests.faults.test_enrolled_running import Enrolled
from tests.shell.judged_room import age
from tests.shell.test_enrolment import PINS
from web.demo.world import CODES, ORIGINS, PREFECTURE
from web.serve import running


@pytest.fixture
def made(tmp_path: Path) -> Enrolled:
    return Enrolled(tmp_path)


async def test_a_revoked_nodes_old_key_renews_nothing_over_the_line_and_by_hand(made: Enrolled) -> None:
    keys = load_identity(made.world.data("a") / "keys")
    age(keys, made.office.authority, 61)  # due for renewal
    shutil.copytree(keys.folder, made.world.folder / "stolen")
    now = dt.datetime.now(dt.UTC)
    officers = {no: made.office.officer_key(no, pin) for no, pin in PINS.items()}
    made.office.revoke(CODES["a"], officers, now)
    thief = load_identity(made.world.folder / "stolen")
    paper = enrol.renewal(thief, made.now_ms)
    acts = len(list((made.world.folder.parent / "office" / "acts").iterdir()))
    async with running(made.settings("prefecture")) as above:
        # The leaf is of an age that no act knows, so the list cannot name it: renewal still stops at the roster.
        link = PeerLink(
            url=f"https://127.0.0.1:{above.settings.sync_port}",
            node=CODES["prefecture"],
            prefecture=PREFECTURE,
            context=thief.client_context(),
        )
        reply = await link.post(RENEWAL, paper, content_type=RENEWAL_TYPE, limit=65_536)
        await link.close()
        assert (reply.status, b"revoked" in reply.body) == (403, True)
    with pytest.raises(EnrolRefused, match="revoked"):
        made.office.renew(paper, now)
    assert len(list((made.world.folder.parent / "office" / "acts").iterdir())) == acts


def test_another_key_under_the_nodes_name_is_not_renewed_without_two_officers(made: Enrolled, tmp_path: Path) -> None:
    asked = enrol.request(
        tmp_path / "other",
        node=CODES["a"],
        prefecture=PREFECTURE,
        origin=ORIGINS["a"],
        kind="county",
        room="532924-room-1",
        url="",
        now_ms=made.now_ms,
    )
    officer = made.office.officer_key("O-01", PINS["O-01"])
    now = dt.datetime.now(dt.UTC)
    with pytest.raises(EnrolRefused, match="two-officers"):
        made.office.enrol(asked.paper, asked.token, {"O-01": officer}, now)
    with pytest.raises(EnrolRefused, match="two-officers"):
        made.office.enrol(asked.paper, asked.token, {"O-01": officer, "O-02": officer}, now)
    thief = made.world.data("a") / "keys"
    keys = load_identity(thief)
    shutil.copy(tmp_path / "other" / ENROLLING / "tls.key", thief / "tls.key")
    with pytest.raises(EnrolRefused, match="other-key"):
        made.office.renew(enrol.renewal(keys, made.now_ms), now)
    assert {one.member.tls_public for one in made.office.roster() if one.member.node == CODES["a"]} == {
        keys.tls_public.hex()
    }
