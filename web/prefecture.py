"""The prefecture's reviewer: counties, a log with its integrity, one entry with bytes and proof, a lot's timeline, findings."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain import review
from node.domain.duties import DUTIES
from node.domain.values import Role
from node.export import proof_of
from node.node import Node
from node.projection import events_of
from node.receipts import number_of
from node.views import log as log_view
from node.views import project as project_view
from node.views import review as review_view
from node.views.county import counties
from sync.codec import Entry, decode
from sync.log import LogFault, head, read_entry
from sync.merkle import leaf_hash
from sync.succession import epoch_of
from web.forms import Field, FieldErrors, FormState, command_id_of, parse, typed
from web.keys import NODE
from web.render import new_command_id, page
from web.security import for_roles, not_found, read_form, signed_in

routes = RouteTableDef()
reviewer_only = for_roles(Role.REVIEWER, Role.TECHNICIAN)
_PAGE = 100
_FINDING = (
    Field("rule", "依据的规则", longest=200, hint="例如：实施条例第五十一条"),
    Field("text", "请说明", "area", longest=2_000),
)
_CLOSING = (
    Field("outcome", "结果", "choice", choices=(("settled", "说明清楚，办结"), ("followed-up", "另行处理"))),
    Field("text", "说明", "area", longest=2_000),
)
_ANSWER = (Field("text", "答复", "area", longest=2_000),)


@dataclass(frozen=True, slots=True)
class EntryPage:
    """One entry as a reviewer sees it: what it says, its bytes, its place."""

    number: str
    origin: str
    hex_origin: str
    seq: int
    size: int
    at_ms: int
    clock_quality: str
    stream: str
    actor: str
    events: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    leaf: bytes
    length: int
    raw: str
    lot_code: str
    proof: str


def _names(node: Node) -> dict[str, str]:
    names = {node.settings.origin: node.settings.node} | {peer.origin: peer.name for peer in node.settings.peers}
    return {one.old_origin: f"{one.node} e{epoch_of(one.old_origin)}" for one in node.statements} | names


def _origin(request: Request) -> str:
    try:
        return bytes.fromhex(request.match_info["origin"]).decode()
    except ValueError:
        return not_found()  # type: ignore[return-value]


@routes.get("/prefecture")
@reviewer_only
async def overview(request: Request) -> Response:
    """List the logs and lots held here, and the open findings."""
    node = request.app[NODE]
    names = _names(node)
    around, settings = node.around, node.settings
    rows = await node.read(
        lambda db: counties(
            db,
            names,
            settings.origin,
            expected={peer.origin for peer in settings.peers} if settings.is_prefecture else (),
            heard_ms=around.heard_ms,
            silent={one.name for one in around.silent()},
        )
    )
    lots = await node.read(project_view.lots)
    findings = await node.read(review_view.findings)
    return page(request, "prefecture/overview.html", live="log", rows=rows, lots=lots, findings=findings)


@routes.get("/prefecture/logs/{origin}")
@reviewer_only
async def log(request: Request) -> Response:
    """List a log's entries, newest first."""
    node, origin = request.app[NODE], _origin(request)
    try:
        held = await node.read(lambda db: head(db, origin))
    except LogFault:
        return not_found()
    text = request.query.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else held.size
    rows = await node.read(lambda db: log_view.of_origin(db, origin, before, _PAGE))
    return page(
        request,
        "prefecture/log.html",
        live="log",
        origin=origin,
        hex_origin=origin.encode().hex(),
        size=held.size,
        verified=held.checkpoint_size,
        cosigners=tuple(one.cosigner for one in held.cosignatures),
        rows=rows,
        older=rows[-1].seq if rows and rows[-1].seq > 0 else 0,
        number_of=number_of,
    )


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} 字节 {value.hex()[:64]}{'…' if len(value) > 32 else ''}"
    if isinstance(value, tuple):
        return f"{len(value)} 项" if len(value) > 8 else "；".join(_shown(item) for item in value) or "无"
    if is_dataclass(value) and not isinstance(value, type):
        return "（" + "，".join(f"{one.name} {_shown(getattr(value, one.name))}" for one in fields(value)) + "）"
    return str(value) if value is not None and value != "" else "无"


def _facts(event: Any) -> tuple[tuple[str, str], ...]:
    names = getattr(event, "__dataclass_fields__", {})
    return tuple((name, _shown(getattr(event, name))) for name in names)


def _entry_page(origin: str, entry: Entry, body: bytes, size: int, proof: bytes) -> EntryPage:
    named = tuple((name, _facts(event)) for (name, _, _), event in zip(entry.events, events_of(entry), strict=True))
    parts = entry.stream.split("/")
    return EntryPage(
        number=number_of(origin, entry.seq),
        origin=origin,
        hex_origin=origin.encode().hex(),
        seq=entry.seq,
        size=size,
        at_ms=entry.at_ms,
        clock_quality=entry.clock_quality,
        stream=entry.stream,
        actor=entry.actor,
        events=named,
        leaf=leaf_hash(body),
        length=len(body),
        raw=body.hex(),
        lot_code=parts[1] if parts[0] in {"lot", "sheet", "answers"} else "",
        proof=proof.decode(),
    )


async def _load(request: Request) -> EntryPage:
    node, origin = request.app[NODE], _origin(request)
    text = request.match_info["seq"]
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return not_found()  # type: ignore[return-value]
    seq = int(text)
    body, size, proof = await node.read(
        lambda db: (read_entry(db, origin, seq), head(db, origin).size, proof_of(db, origin, seq))
    )
    return _entry_page(origin, decode(body), body, size, proof)


@routes.get("/prefecture/logs/{origin}/{seq}")
@reviewer_only
async def entry(request: Request) -> Response:
    """Show one entry with its bytes and its proof; ask about it."""
    model = await _load(request)
    url = f"/prefecture/logs/{model.hex_origin}/{model.seq}"
    form = FormState(url, _FINDING, {}, command_id=new_command_id(), button="提出，请县中心说明")
    return page(request, "prefecture/entry.html", live="log", model=model, form=form, may_ask=_may_ask(request, model))


def _may_ask(request: Request, model: EntryPage) -> bool:
    node = request.app[NODE]
    role = signed_in(request).person.role
    return node.settings.is_prefecture and role in DUTIES[review.RaiseFinding] and bool(model.lot_code)


@routes.post("/prefecture/logs/{origin}/{seq}")
@for_roles(Role.REVIEWER)
async def raise_finding(request: Request) -> Response:
    """Record a finding about an entry in the prefecture's own log; it travels down to the county."""
    node, model, data = request.app[NODE], await _load(request), await read_form(request)
    url = f"/prefecture/logs/{model.hex_origin}/{model.seq}"
    form = FormState(url, _FINDING, typed(_FINDING, data), command_id=new_command_id(), button="提出，请县中心说明")
    if not _may_ask(request, model):
        return not_found()
    try:
        command_id, values = command_id_of(data), parse(_FINDING, data)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return page(
            request, "prefecture/entry.html", status=422, title_prefix="错误：", model=model, form=form, may_ask=True
        )
    command = review.RaiseFinding(model.origin, model.seq, values["rule"], values["text"])
    receipt = await node.submit(
        f"review/{model.lot_code}", command, command_id=command_id, actor=signed_in(request).actor
    )
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next=/prefecture/lots/{model.lot_code}")


@routes.get("/prefecture/lots/{lot}")
@reviewer_only
async def timeline(request: Request) -> Response:
    """Walk through everything about a lot: what, when, who, where it stands; findings beside it."""
    node, lot_code = request.app[NODE], request.match_info["lot"]
    rows = await node.read(lambda db: log_view.of_lot(db, lot_code))
    if not rows:
        return not_found()
    findings = await node.read(lambda db: review_view.findings(db, lot_code))
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.origin] = max(sizes.get(row.origin, 0), row.seq + 1)
    return page(
        request,
        "prefecture/timeline.html",
        live="log",
        lot_code=lot_code,
        rows=rows,
        findings=findings,
        number_of=number_of,
        sizes=sizes,
        command_id=new_command_id(),
        may_review=node.settings.is_prefecture and signed_in(request).person.role is Role.REVIEWER,
    )


@routes.post("/prefecture/lots/{lot}/reviewed")
@for_roles(Role.REVIEWER)
async def mark_reviewed(request: Request) -> Response:
    """Record that one log has been looked at for this lot up to what the page showed."""
    node, data, lot_code = request.app[NODE], await read_form(request), request.match_info["lot"]
    size, origin = str(data.get("size", "")), str(data.get("origin", ""))[:200]
    if not (size.isascii() and size.isdigit() and len(size) < 12):
        return not_found()
    command = review.MarkReviewed(origin, int(size), "已逐条查阅")
    receipt = await node.submit(
        f"review/{lot_code}", command, command_id=command_id_of(data), actor=signed_in(request).actor
    )
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next=/prefecture/lots/{lot_code}")


@routes.get("/prefecture/findings/{lot}/{no}")
@for_roles(Role.REVIEWER)
async def closing_form(request: Request) -> Response:
    """Show a finding with its answer, and the form that closes it."""
    return await _finding_page(request, _CLOSING, "办结", "/prefecture")


@routes.post("/prefecture/findings/{lot}/{no}")
@for_roles(Role.REVIEWER)
async def close_finding(request: Request) -> Response:
    """Close a finding."""
    return await _do_finding(request, _CLOSING, "办结", "/prefecture")


@routes.get("/desk/findings/{lot}/{no}")
@for_roles(Role.TENDERER, Role.AGENCY, Role.OPERATOR)
async def answer_form(request: Request) -> Response:
    """Show a finding that came down, and the form that answers it."""
    return await _finding_page(request, _ANSWER, "答复", "/desk")


@routes.post("/desk/findings/{lot}/{no}")
@for_roles(Role.TENDERER, Role.AGENCY, Role.OPERATOR)
async def answer_finding(request: Request) -> Response:
    """Answer a finding in the county's own log."""
    return await _do_finding(request, _ANSWER, "答复", "/desk")


async def _finding(request: Request) -> review_view.FindingRow:
    lot_code, text = request.match_info["lot"], request.match_info["no"]
    for row in await request.app[NODE].read(lambda db: review_view.findings(db, lot_code)):
        if str(row.no) == text:
            return row
    return not_found()  # type: ignore[return-value]


async def _finding_page(
    request: Request, fields: tuple[Field, ...], button: str, base: str, form: FormState | None = None
) -> Response:
    row = await _finding(request)
    url = f"{base}/findings/{row.lot_code}/{row.no}"
    form = form or FormState(url, fields, {}, command_id=new_command_id(), button=button)
    return page(
        request,
        "prefecture/finding.html",
        status=422 if form.errors else 200,
        title_prefix="错误：" if form.errors else "",
        row=row,
        form=form,
        hex_origin=row.origin.encode().hex(),
        base=base,
    )


async def _do_finding(request: Request, fields: tuple[Field, ...], button: str, base: str) -> Response:
    node, row, data = request.app[NODE], await _finding(request), await read_form(request)
    url = f"{base}/findings/{row.lot_code}/{row.no}"
    try:
        command_id, values = command_id_of(data), parse(fields, data)
    except FieldErrors as wrong:
        form = FormState(url, fields, typed(fields, data), wrong.errors, new_command_id(), button=button)
        return await _finding_page(request, fields, button, base, form)
    actor = signed_in(request).actor
    if base == "/desk":
        answer = review.AnswerFinding(row.no, values["text"])
        receipt = await node.submit(f"answers/{row.lot_code}", answer, command_id=command_id, actor=actor)
    else:
        closing = review.CloseFinding(row.no, values["outcome"], values["text"])
        receipt = await node.submit(f"review/{row.lot_code}", closing, command_id=command_id, actor=actor)
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next={base}")
