"""Pages from templates: one environment, the writing rules as filters, the frame's facts with every page."""

import hashlib
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp.web import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from node.domain.values import Role
from node.node import Links, Node
from node.people import Person
from sync.status import LinkState, PeerStatus
from web import words
from web.alarms import REASONS, alarm_rows
from web.keys import NODE, REQUEST_ID, SESSION, TEMPLATES
from web.sessions import Session

HERE = Path(__file__).parent
STATIC = HERE / "static"
VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Bar:
    """What the dark bar and the foot of every page say."""

    centre: str
    room: str
    who: str
    role: str
    seat: str
    clock: str
    clock_quality: str
    neighbours: str
    neighbours_state: str  # ok | warn
    prefecture: str
    prefecture_state: str
    power: str
    copies: str
    healed: str
    alarms: tuple[str, ...]
    writable: bool
    why_not: str
    demo: bool
    log: str
    stale_views: bool
    files_away: bool  # some file that an entry names is not here: how many would say how many bid
    version: str
    live: bool


def environment() -> Environment:
    """Return the template environment."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("civil", "clock", "yuan", "mark", "fingerprint", "event_words", "minutes"):
        made.filters[name] = getattr(words, name)
    made.globals["words"] = words
    made.globals["static"] = static_url
    return made


@cache
def _version_of(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def static_url(name: str) -> str:
    """Return a static file's address with its content hash."""
    return f"/static/{name}?v={_version_of(name)}"


def new_command_id() -> str:
    """Return the id of the command that this form will make: pressing twice makes one entry."""
    return secrets.token_hex(16)


def bar_of(node: Node, session: Session | None, *, live: bool) -> Bar:
    """Return the bar: the node's links in words, each true when the page was made."""
    links = node.links()
    neighbours, neighbours_state = _neighbours(_pushes(node, links, "room"))
    person = session.person if session else None
    prefecture, prefecture_state = _prefecture(_pushes(node, links, "prefecture"), counts=_counts(person))
    files = sum(status.entries_behind for status in _pushes(node, links, "prefecture", "blobs"))
    if files:
        prefecture += f"，附件待传 {files} 个" if _counts(person) else "，附件待传"
    return Bar(
        centre=node.settings.centre_name,
        room=node.settings.room_name,
        who=person.name if person else "",
        role=words.ROLES[str(person.role)] if person else "",
        seat=person.seat if person else "",
        clock=words.civil(links.at_ms),
        clock_quality=words.QUALITIES[links.clock_quality],
        neighbours=neighbours,
        neighbours_state=neighbours_state,
        prefecture=prefecture,
        prefecture_state=prefecture_state,
        # The room's power is not measured by this program yet; the bar says so instead of saying nothing.
        power="" if node.settings.is_prefecture else "供电未监测",
        copies=_copies(node),
        healed=_healed(node),
        alarms=tuple(row.line for row in alarm_rows(node.trust_alarms)),
        writable=links.writable,
        why_not=links.why_not,
        demo=node.settings.demo,
        log=_log_of(node, person),
        stale_views=bool(node.stale_views),
        files_away=session is not None and bool(node.attachments.missing),
        version=VERSION,
        live=live,
    )


def _log_of(node: Node, person: Person | None) -> str:
    """Return the log's name, with its size for those whose work it is: others could count bids by it (ZB 22)."""
    return node.settings.origin + (f" #{node.recorder.log.size}" if _counts(person) else "")


def _counts(person: Person | None) -> bool:
    return person is not None and person.role in {Role.OPERATOR, Role.REVIEWER, Role.TECHNICIAN}


def _healed(node: Node) -> str:
    """Return what was healed since the start, and from whom; empty while the node is stopped or nothing was."""
    one = node.healed
    if one is None or node.stopped is not None:
        return ""
    aside = f"，{one.set_aside} 条受损的已移出留存" if one.set_aside else ""
    return f"本机日志启动时由 {one.source} 补回 {one.fetched} 条并核验{aside}，现有 {one.size} 条。"


def _copies(node: Node) -> str:
    """Return an alarm about a copy of the database; nothing while all is well."""
    bad = [one.name for one in node.replica_status() if one.alarming]
    return f"数据库副本停滞：{'、'.join(bad)}" if bad else ""


def _pushes(node: Node, links: Links, kind: str, direction: str = "push") -> list[PeerStatus]:
    """Return the state of pushing the own log (or files) to peers of one kind: what decides how far a record travels."""
    found = []
    own = node.settings.origin
    for status in links.peers:
        peer = node.settings.peer(status.name)
        if peer is not None and peer.kind == kind and status.direction == direction and status.origin == own:
            found.append(status)
    return found


def _good(status: PeerStatus) -> bool:
    return status.state in {LinkState.CURRENT, LinkState.SENDING}


def _certificate(status: PeerStatus, who: str) -> str:
    """Return whose certificate ends a link, and why; "" where it is something else."""
    why = status.detail.partition(": ")[2]
    if status.why == "own-certificate":
        return f"{who}不接受本机：本机{REASONS.get(why, why)}"
    return f"本机不接受{who}：{who}{REASONS.get(why, why)}" if status.why == "peer-certificate" else ""


def _neighbours(rooms: list[PeerStatus]) -> tuple[str, str]:
    if not rooms:
        return "", "ok"
    if any(peer.state is LinkState.TAMPERED for peer in rooms):
        return "邻机证据不一致，请立即报告", "bad"
    if any(peer.state is LinkState.FAULT for peer in rooms):
        return "本机磁盘或数据库故障，邻机未能存证", "bad"
    good = [peer for peer in rooms if _good(peer)]
    text = f"邻机 {len(good)}/{len(rooms)}"
    if len(good) == len(rooms):
        return text, "ok"
    since = min((peer.last_contact_ms or 0) for peer in rooms if not _good(peer))
    text += f"，{words.clock(since)} 起" if since else ""
    refused = [peer for peer in rooms if peer.state is LinkState.REFUSED]
    if any(peer.why in _STRANGERS for peer in rooms):
        text += "：应答的不是邻机"
    elif refused:
        text += "：" + (_certificate(refused[0], "邻机") or "邻机拒收")
    return text + ("：记录只存于本机" if not good else ""), "warn"


_STRANGERS = {"foreign-certificate": "证书不符", "not-tls": "可能是上网认证页"}


def _prefecture(above: list[PeerStatus], *, counts: bool = True) -> tuple[str, str]:
    """Return what the bar says of the prefecture; numbers only for those whose work it is, as in `_log_of`."""
    if not above:
        return "", "ok"
    one = above[0]
    if one.state is LinkState.TAMPERED:
        return "上级发现证据不一致，请立即报告", "bad"
    waiting = "待传" if one.entries_behind else ""
    if waiting and counts:
        waiting += f" {one.entries_behind:,} 条"
        if one.state is LinkState.SENDING and one.expected_s is not None:
            waiting += f"，{words.about(one.expected_s)}"
    if _good(one):
        return (f"上级{waiting}" if waiting else "上级已同步"), "ok"
    comma = "，" if waiting else ""
    if one.state is LinkState.FAULT:
        return f"本机磁盘或数据库故障，上报停止{comma}{waiting}", "bad"
    if one.why in _STRANGERS:
        return f"线路上应答的不是上级（{_STRANGERS[one.why]}），未发送任何记录{comma}{waiting}", "warn"
    if one.state is LinkState.REFUSED:
        why = _certificate(one, "上级") or "上级拒收本机记录"
        return f"{why}，请联系上级管理员{comma}{waiting}", "warn"
    since = f"{words.clock(one.last_contact_ms)} 起上级不可达" if one.last_contact_ms else "上级不可达"
    return f"{since}{comma}{waiting}", "quiet"


def page(
    request: Request, template: str, *, status: int = 200, live: str = "", title_prefix: str = "", **context: Any
) -> Response:
    """Render a page. `live` names the topics whose change refreshes its live part; `context` is the view model."""
    session = request.get(SESSION)
    bar = bar_of(request.app[NODE], session, live=bool(live))
    html = (
        request.app[TEMPLATES]
        .get_template(template)
        .render(
            bar=bar,
            live=live,
            refresh="yes" if request.method == "GET" else "no",
            here=request.path,
            title_prefix=title_prefix,
            request_id=request.get(REQUEST_ID, ""),
            **context,
        )
    )
    return Response(text=html, content_type="text/html", status=status)
