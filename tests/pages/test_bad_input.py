"""What a person or a hostile client sends wrong is named, changes nothing, and never makes a second entry."""

import io
import re
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from node.domain.incident import RecordIncident
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.node import Node
from node.people import Person, hash_pin
from web.main import create_app
from web.messages import sentence

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from small_node import make, opened  # type: ignore[import-not-found]

SAME = {"Sec-Fetch-Site": "same-origin"}
OPERATOR = Person("O-01", "施文静", Role.OPERATOR, hash_pin("1234"))
EXPERT = Person("X-01", "王建国", Role.EXPERT, hash_pin("1234"))
INCIDENT = {"kind": "mains-lost", "text": "市电中断", "began_at": "2026-02-25 10:00", "lots": "", "revision": "0"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    make(tmp_path)
    made = opened(tmp_path)
    made.people = {one.no: one for one in (OPERATOR, EXPERT)}
    yield made
    await made.close()


@pytest.fixture
async def client(node: Node) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(node))) as made:
        yield made


async def sign_in(client: TestClient, person: str = "O-01") -> None:
    answer = await client.post("/sign-in", data={"person": person, "pin": "1234"}, headers=SAME, allow_redirects=False)
    assert answer.status == 303


async def test_a_form_from_another_site_is_refused(client: TestClient, node: Node) -> None:
    await sign_in(client)
    data = {**INCIDENT, "command_id": secrets.token_hex(16)}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {}):
        answer = await client.post("/desk/incidents/new", data=data, headers=headers)
        assert answer.status == 403
    assert node.recorder.log.size == 0


async def test_a_form_sent_twice_makes_one_entry_and_gives_the_first_receipt(client: TestClient, node: Node) -> None:
    await sign_in(client)
    data = {**INCIDENT, "command_id": secrets.token_hex(16)}
    answers = [
        await client.post("/desk/incidents/new", data=data, headers=SAME, allow_redirects=False) for _ in range(3)
    ]
    assert {answer.headers["Location"] for answer in answers} == {answers[0].headers["Location"]}
    assert node.recorder.log.size == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "earthquake"),
        ("kind", ""),
        ("text", ""),
        ("text", "长" * 2_001),
        ("text", "看不见\u202e的字符"),
        ("began_at", "昨天"),
        ("began_at", "2026-13-01 10:00"),
        ("command_id", ""),
        ("command_id", "z" * 32),
    ],
)
async def test_a_wrong_field_gives_the_same_page_with_the_field_marked_and_values_kept(
    client: TestClient, node: Node, field: str, value: str
) -> None:
    await sign_in(client)
    data = {**INCIDENT, "command_id": secrets.token_hex(16), field: value}
    answer = await client.post("/desk/incidents/new", data=data, headers=SAME)
    text = await answer.text()
    assert answer.status == 422
    assert "<title>错误：" in text
    assert f'href="#f-{field}"' in text
    if field != "began_at":
        assert "2026-02-25 10:00" in text
    assert node.recorder.log.size == 0


async def test_a_time_to_come_is_refused_by_the_rule_with_its_number(client: TestClient, node: Node) -> None:
    await sign_in(client)
    data = {**INCIDENT, "began_at": "2027-01-01 10:00", "command_id": secrets.token_hex(16)}
    answer = await client.post("/desk/incidents/new", data=data, headers=SAME)
    assert answer.status == 409
    assert "没有写入任何记录" in await answer.text()
    assert node.recorder.log.size == 0


async def test_a_role_without_the_duty_gets_a_page_that_says_so(client: TestClient, node: Node) -> None:
    await sign_in(client, "X-01")
    for path in ("/desk", "/desk/incidents/new", "/prefecture"):
        assert (await client.get(path)).status == 403
    answer = await client.post("/desk/incidents/new", data=INCIDENT, headers=SAME)
    assert answer.status == 403
    assert node.recorder.log.size == 0


async def test_nobody_without_a_session_reads_or_writes(client: TestClient, node: Node) -> None:
    for path in ("/desk", "/expert", "/prefecture", "/receipts/R-AAAA-000000"):
        answer = await client.get(path, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/sign-in")
    answer = await client.post("/desk/incidents/new", data=INCIDENT, headers=SAME, allow_redirects=False)
    assert answer.status == 303
    assert node.recorder.log.size == 0


async def test_five_wrong_pins_close_the_door_for_a_while(client: TestClient) -> None:
    for _ in range(5):
        answer = await client.post("/sign-in", data={"person": "O-01", "pin": "0000"}, headers=SAME)
        assert answer.status == 422
    answer = await client.post("/sign-in", data={"person": "O-01", "pin": "1234"}, headers=SAME)
    assert answer.status == 422
    assert "五分钟后再试" in await answer.text()


async def test_every_answer_carries_the_headers_of_the_house(client: TestClient) -> None:
    for path in ("/public", "/sign-in", "/nothing", "/static/app.css"):
        answer = await client.get(path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == (
            "no-store" if "static" not in path else "public, max-age=31536000, immutable"
        )


async def test_no_page_has_an_inline_script_or_style(client: TestClient) -> None:
    await sign_in(client)
    for path in ("/public", "/sign-in", "/desk", "/desk/register", "/desk/incidents/new", "/help", "/public/verify"):
        text = await (await client.get(path)).text()
        assert re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text) is None, path


async def test_a_form_larger_than_allowed_is_refused(client: TestClient, node: Node) -> None:
    await sign_in(client)
    data = {**INCIDENT, "text": "x" * (2 * 1024 * 1024 + 1), "command_id": secrets.token_hex(16)}
    answer = await client.post("/desk/incidents/new", data=data, headers=SAME)
    assert answer.status == 413
    assert node.recorder.log.size == 0


async def test_a_refused_upload_leaves_no_file_behind(client: TestClient, node: Node) -> None:
    await sign_in(client)
    form = FormData()
    form.add_field("command_id", secrets.token_hex(16))
    form.add_field("revision", "0")
    form.add_field("ref", "P-AAAA11")
    form.add_field("file", io.BytesIO(b"sealed" * 1_000), filename="../../etc/passwd")
    answer = await client.post("/desk/lots/E5329240000000001001001/bid", data=form, headers=SAME)
    assert answer.status == 404
    assert [path for path in node.blobs.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", ["R-AAAA-000000", "R-", "' OR 1=1", "R-3TSW-999999999999999", "<script>"])
async def test_a_receipt_number_that_names_nothing_is_not_found(client: TestClient, number: str) -> None:
    answer = await client.get("/public/verify", params={"number": number})
    text = await answer.text()
    assert answer.status == 404
    assert "<script>" not in text.replace("<script src", "")


def test_a_refusal_without_a_sentence_of_its_own_still_says_rule_value_and_source() -> None:
    shown = sentence(Refused("never-heard-of", rule="some-rule", value="3", limit="5", cites=("ZB 1",)))
    assert (shown.rule, shown.value, shown.limit, shown.cites) == ("some-rule", "3", "5", ("ZB 1",))
    assert shown.title
    assert shown.todo


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data", b"nonsense"),
        ("application/x-www-form-urlencoded; charset=nosuch", b"person=O-1"),
    ],
)
async def test_a_body_that_is_no_form_is_a_bad_request_and_never_a_fault(
    client: TestClient, kind: str, body: bytes
) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": kind}
    for path in ("/sign-in", "/demo/sign-in"):
        answer = await client.post(path, data=body, headers=headers)
        assert answer.status in {400, 404, 422}, (path, answer.status)
    packed = {**headers, "Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert (await client.post("/sign-in", data=b"person=O-1", headers=packed)).status == 400


async def test_one_command_id_with_other_content_is_refused_and_nothing_is_dropped_silently(node: Node) -> None:
    actor, command_id = Actor("O-1", Role.OPERATOR), b"\x07" * 16
    stream = f"room/{node.settings.node}"
    first = RecordIncident("other", "第一件", 1_772_000_000_000, ())
    receipt = await node.submit(stream, first, command_id=command_id, actor=actor)
    assert (await node.submit(stream, first, command_id=command_id, actor=actor)) == receipt
    with pytest.raises(Refused) as refused:
        await node.submit(stream, replace(first, text="第二件"), command_id=command_id, actor=actor)
    assert refused.value.code == "command-id-reused"


@pytest.mark.parametrize("target", ["/\\evil.example", "//evil.example", "https://evil.example", "javascript:x"])
async def test_a_receipt_never_leads_to_another_site(client: TestClient, node: Node, target: str) -> None:
    command = RecordIncident("other", "一件", 1_772_000_000_000, ())
    stream, actor = f"room/{node.settings.node}", Actor("O-1", Role.OPERATOR)
    receipt = await node.submit(stream, command, command_id=b"\x09" * 16, actor=actor)
    await sign_in(client)
    answer = await client.get(f"/receipts/{receipt.number}", params={"next": target})
    assert "evil" not in await answer.text()
    assert 'href="/">继续' in (await answer.text()).replace('class="govuk-button" ', "")
