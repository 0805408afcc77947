"""Pages from templates: one environment, the writing rules as filters, the frame's facts with every page."""

import hashlib
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp.web import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from node.domain.secrecy import Secret, Stage, may_read
from node.node import Node
from node.people import Person
from web import status, words
from web.keys import NODE, REQUEST_ID, SESSION, TEMPLATES
from web.sessions import Session
from web.status import Notice

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
    neighbours_state: str  # ok | warn | bad
    prefecture: str
    prefecture_state: str
    power: str
    healed: str
    node: Notice
    notices: tuple[Notice, ...]
    writable: bool
    why_not: str
    demo: bool
    log: str
    stale_views: bool
    files_away: bool  # some file that an entry names is not here: how many would say how many bid
    version: str
    live: bool
    note: str  # what this session's certificate allows


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
    doubted = status.doubt(node)
    neighbours, neighbours_state = status.neighbours(status.pushes(node, "room"), doubted)
    person = session.person if session else None
    above = status.pushes(node, "prefecture")
    prefecture, prefecture_state = status.prefecture(above, doubted, counts=_counts(person))
    files = sum(one.entries_behind for one in status.pushes(node, "prefecture", "blobs"))
    reading = node.clock.now()
    if files:
        prefecture += f"，附件待传 {files} 个" if _counts(person) else "，附件待传"
    return Bar(
        centre=node.settings.centre_name,
        room=node.settings.room_name,
        who=person.name if person else "",
        role=words.ROLES[str(person.role)] if person else "",
        seat=person.seat if person else "",
        clock=words.civil(reading.at_ms),
        clock_quality=words.QUALITIES[str(reading.quality)],
        neighbours=neighbours,
        neighbours_state=neighbours_state,
        prefecture=prefecture,
        prefecture_state=prefecture_state,
        # The room's power is not measured by this program yet; the bar says so instead of saying nothing.
        power="" if node.settings.is_prefecture else "供电未监测",
        healed=_healed(node),
        node=status.of_node(node),
        notices=status.notices(node),
        writable=node.fault is None,
        why_not=status.why_not(node),
        demo=node.settings.demo,
        log=_log_of(node, person),
        stale_views=bool(node.stale_views),
        files_away=session is not None and bool(node.attachments.missing),
        version=VERSION,
        live=live,
        note=session.note if session else "",
    )


def _log_of(node: Node, person: Person | None) -> str:
    """Return the log's name, with its size for those whose work it is: others could count bids by it (ZB 22)."""
    return node.settings.origin + (f" #{node.recorder.size}" if _counts(person) else "")


def _counts(person: Person | None) -> bool:
    return person is not None and may_read(Secret.COUNTS, Stage.BIDDING, person.role)


def _healed(node: Node) -> str:
    """Return what was healed since the start, and from whom; empty while the node is stopped or nothing was."""
    one = node.healed
    if one is None or node.stopped is not None:
        return ""
    aside = f"，{one.set_aside} 条受损的已移出留存" if one.set_aside else ""
    return f"本机日志启动时由 {one.source} 补回 {one.fetched} 条并核验{aside}，现有 {one.size} 条。"


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
