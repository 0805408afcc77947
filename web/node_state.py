"""The node itself (本机状态): start-up gate, heals, copies of the database, epochs, evidence. For whoever keeps it running."""

from dataclasses import dataclass, replace

from aiohttp.web import Request, Response, RouteTableDef

from node.branches import Branch
from node.clock import SystemClock
from node.domain.duties import DUTIES
from node.domain.epoch import NoteBranch
from node.domain.values import Role
from node.export import evidence_zip
from node.node import Node
from node.receipts import Receipt
from node.replica import ReplicaStatus
from node.verdict import words_of
from sync.heal import heals
from sync.succession import epoch_of
from sync.witness import misbehaviours
from web import alarms, status
from web.alarms import alarm_rows
from web.binding import Binding, conclude, filled, foot_of
from web.forms import Field, FieldErrors, FormState, command_id_of, parse
from web.keys import NODE
from web.render import new_command_id, page
from web.second import SECOND, asked_here, role_and_no, second_person
from web.security import for_roles, not_found, read_form, signed_in

routes = RouteTableDef()
_KEEPERS = for_roles(Role.TECHNICIAN, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS, Role.REVIEWER)
REPLICA_STATES = {
    "starting": "正在启动",
    "current": "已同步",
    "behind": "正在追赶",
    "stalled": "停滞，请检查副本所在磁盘或线路",
    "broken": "缺少文件，不能恢复；正在重做全量快照",
    "down": "没有运行，正在重新启动",
    "waiting": "暂停，不是最新：等本机通过启动检查，副本保持原样",
}
_NOTE_TITLE, _NOTE_BUTTON = "另一段历史的记录已处理", "两人记为已处理"
_NOTE = (
    Field("text", "怎样处理的", "area", longest=2_000, hint="例如：第 85 至 140 条已逐条补办，重复的两条不再办理"),
    *SECOND,
)
CAUSES = {"restore": "恢复了旧备份", "damage": "日志受损", "replace": "更换主机、磁盘或密钥"}
HEAL_CAUSES = {
    "fence-ahead": "少于已经发出的记录",
    "peer-ahead": "少于邻机存证的记录",
    "entry-changed": "记录受损",
    "unsigned-tail": "末尾没有本机签名",
    "closed": "封存日志的缺失部分",
}
PROBLEMS = {
    "two-branches": "同一密钥签过两段不同的历史",
    "rolled-back": "同一密钥在别处签过更多记录",
    "inconsistent-history": "历史前后不一致",
}


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """One copy of a database, in words."""

    status: ReplicaStatus
    word: str
    age_s: int | None  # since everything had last reached it
    lag_s: int
    proved_s: int | None  # since its files were last seen to lead from a snapshot to the newest transaction


def _rows(node: Node, now_ms: int) -> list[ReplicaRow]:
    return [
        ReplicaRow(
            status=one,
            word=REPLICA_STATES[one.state],
            age_s=None if one.synced_ms is None else max(now_ms - one.synced_ms, 0) // 1_000,
            lag_s=one.lag_ms(now_ms) // 1_000,
            proved_s=None if one.proved_ms is None else max(now_ms - one.proved_ms, 0) // 1_000,
        )
        for one in node.replica_status()
    ]


@routes.get("/node")
@_KEEPERS
async def state(request: Request) -> Response:
    """Show how this node stands, each line true when the page was made."""
    node = request.app[NODE]
    return page(
        request,
        "node/state.html",
        live="status",
        gate=node.gate,
        gate_words=words_of(node.gate) if node.stopped is not None else "",
        refused="" if node.stopped is not None else status.why_not(node),
        asked=status.asked(node),
        size=node.recorder.size,
        origin=node.settings.origin,
        replicas=_rows(node, SystemClock().now().at_ms),  # the time of files, whatever a demo's clock says
        healed=tuple(reversed(await node.read(heals))),
        heal_causes=HEAL_CAUSES,
        successions=[(one, epoch_of(one.new_origin)) for one in node.statements],
        causes=CAUSES,
        evidence=await node.read(misbehaviours),
        problems=PROBLEMS,
        branches=node.branches,
        may_note=signed_in(request).person.role in DUTIES[NoteBranch],
        alarms=alarm_rows(node.trust_alarms),
        notices=[
            *([] if node.fault is None else [status.of_node(node)]),
            *(one for one in status.notices(node) if one.cause not in alarms.WORDS),
        ],
        strangers=node.strangers,
    )


@routes.get("/node/conflict.zip")
@_KEEPERS
async def evidence(request: Request) -> Response:
    """Return everything kept as evidence, for somebody else to judge."""
    data = await request.app[NODE].read(evidence_zip)
    headers = {"Content-Disposition": 'attachment; filename="conflict.zip"'}
    return Response(body=data, content_type="application/zip", headers=headers)


def _branch(request: Request) -> Branch:
    found = [one for one in request.app[NODE].branches if one.digest.hex() == request.match_info["digest"]]
    if not found or found[0].noted:
        return not_found()  # type: ignore[return-value]
    return found[0]


def _note_form(request: Request, branch: Branch, form: FormState, status_code: int = 200) -> Response:
    return page(
        request,
        "desk/form.html",
        status=status_code,
        title_prefix="错误：" if form.errors else "",
        form=form,
        title=_NOTE_TITLE,
        back="/node",
        note=f"{branch.origin} 的另一段历史有 {len(branch.records)} 条记录未计入。记为已处理后，告警不再显示，清单保留。",
    )


@routes.get("/node/branches/{digest}")
@for_roles(*DUTIES[NoteBranch])
async def note_form(request: Request) -> Response:
    """Show the form by which two persons say that the other history was dealt with."""
    fields = asked_here(request.app[NODE], _NOTE)
    form = FormState(request.path, fields, {}, command_id=new_command_id(), button=_NOTE_BUTTON)
    form.foot = foot_of(request, NoteBranch)
    return _note_form(request, _branch(request), form)


@routes.post("/node/branches/{digest}")
@for_roles(*DUTIES[NoteBranch])
async def note(request: Request) -> Response:
    """Record it. The command is named by what it is about: the same records are noted once."""
    node, branch, data = request.app[NODE], _branch(request), await read_form(request)
    fields = asked_here(node, _NOTE)
    form = FormState.returned(request.path, fields, data, _NOTE_BUTTON)
    form.foot = foot_of(request, NoteBranch)
    try:
        command_id_of(data)
        values = parse(fields, data)
        second = second_person(request, values)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _note_form(request, branch, form, 422)
    command = NoteBranch(branch.origin, len(branch.records), branch.digest, values["text"], role_and_no(second))
    stream, actor = f"room/{node.settings.node}", signed_in(request).actor

    async def do() -> Receipt:
        receipt = await node.submit(stream, command, command_id=branch.digest[:16], actor=actor)
        node.branches = tuple(replace(one, noted=True) if one == branch else one for one in node.branches)
        return receipt

    lines, about = filled(fields, data)
    lines |= {"日志": branch.origin, "未计入的记录": f"{len(branch.records)} 条"}
    about |= {"branch": branch.digest.hex()}
    return await conclude(
        request,
        Binding(
            command=NoteBranch,
            title=_NOTE_TITLE,
            stream=stream,
            command_id=branch.digest[:16],
            back="/node",
            do=do,
            lines=lines,
            about=about,
            second=second,
        ),
    )
