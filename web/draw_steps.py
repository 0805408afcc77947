"""What each party can do with a draw at the desk (抽取办理事项): who, which fields, when it is offered, what is recorded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from node.domain import ceremony, drawn
from node.domain.ceremony import PARTY_ROLES
from node.domain.drawn import DrawState, ExpertsFrozen
from node.domain.duties import DUTIES
from node.domain.panel import FormCommittee, ReplaceMember
from node.domain.values import Actor, Role
from node.drawing import Drawings, Seat
from node.node import Node
from node.receipts import Receipt
from web.acts_opening import members_of, venue_nodes
from web.forms import Field, FieldErrors, rows_of
from web.second import SECOND

PARTIES = {"CENTER": "交易中心", "SUPERVISOR": "行政监督", "TENDERER": "招标人", "WITNESS": "见证"}
OUTCOMES = {
    "accepted": "同意参加",
    "declined": "不能参加",
    "no-answer": "未应答",
    "withdrawn": "同意后退出",
    "absent": "未到场",
    "recused": "需要回避",
}


REPLACED = {"absent": "未到场", "recusal": "需要回避", "unable": "不能继续履职", "misconduct": "违规被更换"}


@dataclass(frozen=True, slots=True)
class Given:
    """One filled form, checked."""

    draws: Drawings
    node: Node
    draw_id: str
    state: DrawState
    values: dict[str, Any]
    command_id: bytes
    actor: Actor
    second: str = ""  # as role:number


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do with a draw. `shared` steps are not refused for a page opened before somebody else acted."""

    slug: str
    title: str
    button: str
    command: type
    fields: Callable[[DrawState, Role], tuple[Field, ...]]
    offered: Callable[[DrawState, Role], bool]
    do: Callable[[Given], Awaitable[Receipt]]
    shared: bool = False
    note: str = ""

    def may(self, state: DrawState, role: Role) -> bool:
        """Whether this role can do it now."""
        return role in DUTIES[self.command] and self.offered(state, role)


def party_of(state: DrawState, role: Role) -> str:
    """Return the party that this role acts for; empty where it is none."""
    names = [one.name for one in state.ceremony.parties if role in PARTY_ROLES[one.name]]
    return names[0] if names else ""


def _open(state: DrawState) -> bool:
    return state.frozen is not None and not state.voided and not state.ranked


def _own(state: DrawState, role: Role) -> ceremony.Party | None:
    name = party_of(state, role)
    return state.ceremony.party(name) if name else None


def _may_commit(state: DrawState, role: Role) -> bool:
    own = _own(state, role)
    return _open(state) and own is not None and not own.commit


def _may_reveal(state: DrawState, role: Role) -> bool:
    own = _own(state, role)
    return _open(state) and state.ceremony.committed and own is not None and not own.revealed


def _silent(state: DrawState) -> tuple[tuple[str, str], ...]:
    if not _open(state) or not state.ceremony.committed:
        return ()
    return tuple((one.name, PARTIES[one.name]) for one in state.ceremony.parties if not one.revealed)


def _reached(state: DrawState) -> tuple[tuple[str, str], ...]:
    return tuple((str(one.place), f"第 {one.place + 1} 位") for one in state.reached if one.stands)


async def _commit(g: Given) -> Receipt:
    party = party_of(g.state, g.actor.role)
    return await g.draws.commit(g.draw_id, party, command_id=g.command_id, actor=g.actor)


async def _reveal(g: Given) -> Receipt:
    party, nonce = party_of(g.state, g.actor.role), g.values["nonce"] or None
    return await g.draws.reveal(g.draw_id, party, nonce, command_id=g.command_id, actor=g.actor)


async def _share(g: Given) -> Receipt:
    v = g.values
    return await g.draws.release(
        g.draw_id, v["party"], int(v["trustee"]), v["share"], command_id=g.command_id, actor=g.actor
    )


async def _escrow(g: Given) -> Receipt:
    return await g.draws.open_escrow(g.draw_id, g.values["party"], command_id=g.command_id, actor=g.actor)


async def _outcome(g: Given) -> Receipt:
    place, word = int(g.values["place"]), g.values["outcome"]
    return await g.draws.outcome(g.draw_id, place, word, command_id=g.command_id, actor=g.actor)


async def _cancel(g: Given) -> Receipt:
    command = drawn.CancelDraw(g.values["reason"], g.second)
    return await g.node.submit(f"draw/{g.draw_id}", command, command_id=g.command_id, actor=g.actor)


async def _publish(g: Given) -> Receipt:
    return await g.draws.publish(g.draw_id, command_id=g.command_id, actor=g.actor)


async def _replace(g: Given) -> Receipt:
    v = g.values
    seats = _seats_of(v["seat"], "seat", venue_nodes(g.node))
    if len(seats) != 1:
        raise FieldErrors({"seat": "一次更换一位成员"})
    lot_code, reason = g.state.lot_code, v["reason"]
    return await g.draws.replace(lot_code, reason, v["text"], seats[0], command_id=g.command_id, actor=g.actor)


def _seats_of(text: str, field: str, nodes: tuple[str, ...]) -> tuple[Seat, ...]:
    seats = []
    for number, line in enumerate(rows_of(text), 1):
        parts = [part.strip() for part in line.replace("，", ",").split(",")]
        if len(parts) != 3 or not all(parts):
            raise FieldErrors({field: f"第 {number} 行须有三项，用逗号分开：成员编号、节点、席位"})
        if parts[1] not in nodes:
            raise FieldErrors({field: f"第 {number} 行的节点“{parts[1]}”不在本开评标室：{'、'.join(nodes)}"})
        seats.append(Seat(*parts))
    return tuple(seats)


async def _seat(g: Given) -> Receipt:
    nodes = venue_nodes(g.node)
    seats = _seats_of(g.values["seats"], "seats", nodes)
    tenderer = members_of(g.values["tenderer"], nodes)
    if any(member.kind != "tenderer" for member in tenderer):
        raise FieldErrors({"tenderer": "这里只填招标人代表，专家由抽取确定"})
    return await g.draws.seat(g.state.lot_code, g.draw_id, seats, tenderer, command_id=g.command_id, actor=g.actor)


_HOLDERS = tuple((str(at), f"第 {at} 位受托人") for at in range(1, ceremony.TRUSTEES + 1))
STEPS: dict[str, Step] = {
    step.slug: step
    for step in (
        Step(
            "commit",
            "承诺随机数",
            "确认承诺",
            ceremony.CommitNonce,
            lambda _state, _role: (),
            _may_commit,
            _commit,
            shared=True,
            note="本机为您产生 32 字节随机数，只公布其散列值，并分成五份加密托管。承诺后请记下页面显示的随机数。",
        ),
        Step(
            "reveal",
            "揭示随机数",
            "揭示",
            drawn.RevealNonce,
            lambda _state, _role: (
                Field(
                    "nonce", "承诺时记下的随机数", "digest", required=False, longest=64, hint="本机还保存着的不必填写"
                ),
            ),
            _may_reveal,
            _reveal,
            shared=True,
        ),
        Step(
            "share",
            "提交受托人份额",
            "提交份额",
            ceremony.ReleaseShare,
            lambda state, _role: (
                Field("party", "未揭示随机数的一方", "choice", choices=_silent(state)),
                Field("trustee", "受托人", "choice", choices=_HOLDERS),
                Field("share", "份额", "digest", longest=64, hint="由受托人用 erhai draw share 解出"),
            ),
            lambda state, _role: bool(_silent(state)),
            _share,
            shared=True,
            note="各方承诺齐备后，逾时未揭示的，由受托人提交份额，三份即可开启。",
        ),
        Step(
            "escrow",
            "开启托管",
            "开启托管",
            drawn.OpenEscrow,
            lambda state, _role: (Field("party", "未揭示随机数的一方", "choice", choices=_silent(state)),),
            lambda state, _role: (
                bool(_silent(state)) and any(len(one.shares) >= ceremony.THRESHOLD for one in state.ceremony.parties)
            ),
            _escrow,
        ),
        Step(
            "outcome",
            "记录通知结果",
            "记录",
            drawn.RecordOutcome,
            lambda state, _role: (
                Field("place", "排序", "choice", choices=_reached(state)),
                Field("outcome", "结果", "choice", choices=tuple(OUTCOMES.items())),
            ),
            lambda state, _role: bool(state.reached),
            _outcome,
        ),
        Step(
            "seat",
            "组建评标委员会",
            "确认组建",
            FormCommittee,
            lambda state, _role: (
                Field(
                    "seats", "专家席位", "area", longest=2_000, hint="按专业组、再按排序，每行一位：成员编号,节点,席位"
                ),
                Field(
                    "tenderer",
                    f"招标人代表（{state.tenderer_seats} 人）",
                    "area",
                    required=bool(state.tenderer_seats),
                    longest=2_000,
                    hint="每行一人：编号,tenderer,人员号,节点,席位,姓名,身份证号,电话,单位",
                ),
            ),
            lambda state, _role: isinstance(state.frozen, ExpertsFrozen) and state.complete and not state.order,
            _seat,
        ),
        Step(
            "replace",
            "更换未到场或者回避的成员",
            "更换",
            ReplaceMember,
            lambda _state, _role: (
                Field("reason", "原因", "choice", choices=tuple(REPLACED.items())),
                Field("text", "说明", "area", longest=2_000),
                Field("seat", "递补成员的席位", longest=100, hint="新成员编号,节点,席位"),
            ),
            lambda state, _role: bool(state.gone) and not state.order,
            _replace,
            note="见证人员记录未到场、需要回避或者退出后，同一排序的下一位递补。更换谁、由谁递补由抽取记录确定，不能选择；"
            "被更换成员作出的评审结论无效（《招标投标法实施条例》第四十八条）。",
        ),
        Step(
            "publish",
            "公布抽取证明",
            "公布",
            drawn.PublishDraw,
            lambda _state, _role: (),
            lambda state, _role: isinstance(state.frozen, ExpertsFrozen) and state.complete and not state.order,
            _publish,
            note="评标报告完成后公布；公布后任何人可以用 erhai draw verify 核验。",
        ),
        Step(
            "cancel",
            "作废本次抽取",
            "作废",
            drawn.CancelDraw,
            lambda _state, _role: (Field("reason", "理由", "area", longest=2_000), *SECOND),
            lambda state, _role: state.frozen is not None and not state.voided and not state.complete,
            _cancel,
            note="作废的抽取仍然保留在记录中。",
        ),
    )
}
