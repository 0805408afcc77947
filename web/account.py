"""Signing in and out, the first page, help, receipts: what every role shares."""

import re
from dataclasses import dataclass

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.branches import Doubles, doubles
from node.domain.secrecy import Secret, Stage, may_read
from node.domain.values import Role
from node.people import Person, pin_fits
from node.projection import events_of
from node.receipts import Reach, Receipt
from node.signatures import noted_in
from sync.codec import decode
from sync.log import read_entry
from web.disclosure import is_secret
from web.forms import Field, FieldErrors, FormState, parse, typed
from web.keys import NODE, SESSION, SESSIONS, SIGNING
from web.pending import station_of
from web.render import page
from web.security import not_found, read_form, signed_in
from web.sessions import COOKIE
from web.words import ROLES, signer_words

routes = RouteTableDef()

# An address on this node: no second slash, no backslash, which browsers take for one.
_HERE = re.compile(r"/(?!/)[A-Za-z0-9/_.\-]*(\?[A-Za-z0-9=&%_.\-]*)?", re.ASCII)
HOMES = {
    Role.EXPERT: "/expert",
    Role.SUPERVISOR: "/desk",
    Role.REVIEWER: "/prefecture",
}
_SIGN_IN = (Field("person", "人员号", longest=20), Field("pin", "口令", longest=40))


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One line of the demo's list of people."""

    no: str
    name: str
    role: str
    seat: str


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """A receipt as its holder sees it."""

    receipt: Receipt
    reach: Reach
    lot_code: str
    ref: str  # the reference that a participant is handed with this receipt
    next_url: str
    signers: tuple[str, ...]  # whose certificates signed it
    unsigned: bool  # nothing is signed by certificate at this node
    doubles: Doubles


def home_of(person: Person) -> str:
    """Return the first page of a role."""
    return HOMES.get(person.role, "/desk")


@routes.get("/")
async def home(request: Request) -> Response:
    """Lead to the role's first page, or to the public page of a node."""
    session = request.get(SESSION)
    raise HTTPSeeOther(home_of(session.person) if session else "/public")


@routes.get("/sign-in")
async def sign_in_form(request: Request) -> Response:
    """Show the sign-in form; in a demonstration also everybody in it."""
    return _sign_in(request, FormState("/sign-in", _SIGN_IN, {}, button="登录"))


def _sign_in(request: Request, form: FormState, status: int = 200) -> Response:
    node = request.app[NODE]
    lines = [
        PersonLine(person.no, person.name, ROLES[str(person.role)], person.seat) for person in node.people.values()
    ]
    shown = tuple(sorted(lines, key=lambda line: line.no)) if node.settings.demo else ()
    prefix = "错误：" if form.errors else ""
    token = request.app[SIGNING] is not None
    return page(request, "frame/sign-in.html", status=status, title_prefix=prefix, form=form, people=shown, token=token)


@routes.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session for a number and PIN."""
    data = await read_form(request)
    form = FormState("/sign-in", _SIGN_IN, {"person": typed(_SIGN_IN, data)["person"]}, button="登录")
    try:
        values = parse(_SIGN_IN, data)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _sign_in(request, form, 422)
    sessions, node = request.app[SESSIONS], request.app[NODE]
    person = node.people.get(values["person"])
    if not sessions.may_try(values["person"], request.remote or ""):
        form.errors = {"pin": "错误次数过多，请五分钟后再试，或呼叫工作人员"}
        return _sign_in(request, form, 422)
    if person is None or not pin_fits(person, values["pin"]):
        sessions.failed(values["person"], request.remote or "")
        form.errors = {"pin": "人员号或口令不对，请重新填写"}
        return _sign_in(request, form, 422)
    return _opened(request, person)


@routes.post("/demo/sign-in")
async def demo_sign_in(request: Request) -> Response:
    """Open a session for anybody of the demonstration, by one button."""
    node = request.app[NODE]
    data = await read_form(request)
    person = node.people.get(str(data.get("person", "")))
    if not node.settings.demo or person is None:
        return not_found()
    return _opened(request, person)


def _opened(request: Request, person: Person) -> Response:
    answer = HTTPSeeOther(home_of(person))
    token = request.app[SESSIONS].begin(person)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
    raise answer


@routes.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Close the session."""
    session, signing = request.get(SESSION), request.app[SIGNING]
    if session is not None and signing is not None:
        if session.by_token:
            signing.desk.unpair(station_of(session.person))
        signing.desk.forget(station_of(session.person), session.person.no)
    request.app[SESSIONS].end(request.cookies.get(COOKIE, ""))
    answer = HTTPSeeOther("/sign-in")
    answer.del_cookie(COOKIE, path="/")
    raise answer


@routes.get("/help")
async def help_page(request: Request) -> Response:
    """Say how to call staff and how to go on."""
    return page(request, "frame/help.html")


@routes.get("/receipts/{number}")
async def receipt(request: Request) -> Response:
    """Show a receipt: number, fingerprint, how far it has travelled."""
    signed_in(request)
    node = request.app[NODE]
    found = await node.receipt(request.match_info["number"])
    if found is None or not await _may_see(request, found):
        return not_found()
    reach = await node.reach(found.origin, found.seq)
    parts = found.stream.split("/")
    lot_code = parts[1] if parts[0] in {"lot", "sheet", "answers", "review"} else ""
    target = request.query.get("next", "/")
    entry = decode(await node.read(lambda db: read_entry(db, found.origin, found.seq)))
    ref = ""
    if found.events == ("notice.participation-registered",):
        ref = next((event.ref for event in events_of(entry)), "")
    signers = tuple(signer_words(one.by) for one in noted_in(entry.evidence))
    unsigned = not signers and not node.settings.asks_certificates
    twice = await node.read(lambda db: doubles(db, found.number))
    next_url = target if _HERE.fullmatch(target) else "/"
    model = ReceiptPage(found, reach, lot_code, ref, next_url, signers, unsigned, twice)
    return page(request, "frame/receipt.html", live="log", model=model)


async def _may_see(request: Request, found: Receipt) -> bool:
    if may_read(Secret.COUNTS, Stage.BIDDING, signed_in(request).person.role):
        return True
    return not await is_secret(request.app[NODE], found)


@routes.get("/healthz")
async def health(request: Request) -> Response:
    """Answer a machine: does this node answer and may it write."""
    well = request.app[NODE].fault is None
    return Response(text="ok\n" if well else "read-only\n", status=200 if well else 503)
