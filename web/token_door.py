"""Sign-in by certificate (证书登录): a challenge of this node for this person, good for a minute and once, signed by the token agent.

The agent is paired with the door, a place of this browser alone; whose place it belongs to is known once the certificate has
said so. A challenge has a first line of its own, so that an answer to it is never an act.
"""

import hashlib
import logging
import secrets

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.node import Node
from node.people import Person
from sync.acts import LOGIN_HEAD, act_text
from sync.revocation_rule import Purpose, Verdict
from web.account import home_of
from web.doors import CHALLENGE_S, COOKIE, Door
from web.keys import DOORS, NODE, SESSIONS, SIGNING
from web.pending import Stage, station_of
from web.render import page
from web.security import read_form, see_other
from web.sessions import COOKIE as SESSION_COOKIE
from web.sessions import GRACE, LIMITED
from web.signing import NotSigned, Signing, coming_again
from web.words import civil

routes = RouteTableDef()
logger = logging.getLogger("erhai.signing")
_NOTES = {Verdict.YES: "", Verdict.BANNER: GRACE, Verdict.READ_ONLY: LIMITED}


def challenge_text(node: Node, person: str, nonce: bytes) -> bytes:
    """Return the words of a challenge: of which node, for whom, in which minute, and 32 random bytes."""
    lines = {
        "节点": node.settings.node,
        "日志": node.settings.origin,
        "节点公钥 SHA-256": hashlib.sha256(str(node.keys.log_signer.vkey).encode()).hexdigest(),
        "人员": person,
        "时间": civil(node.clock.now().at_ms)[:16],
        "有效": f"{CHALLENGE_S:.0f} 秒，一次",
    }
    return act_text("登录", lines, hashlib.sha256(nonce).digest(), LOGIN_HEAD)


def _challenge(request: Request, signing: Signing, door: Door) -> None:
    """Put a fresh challenge before the door's agent."""
    node, sessions = request.app[NODE], request.app[SESSIONS]
    text = challenge_text(node, door.person, secrets.token_bytes(32))

    async def finish(cms: bytes) -> str:
        person = node.people.get(door.person)
        if person is None:
            raise NotSigned("other-person")
        _signature, verdict = await signing.check(node, person, text, cms, Purpose.LOGIN)
        door.session = sessions.begin(person, by_token=True, note=_NOTES[verdict])
        signing.desk.move(door.place, station_of(person))
        logger.info("signed in by certificate: %s", person.no)
        return "/"

    door.challenge = signing.desk.ask(door.place, door.person, text, finish, CHALLENGE_S)


@routes.post("/sign-in/token")
async def begin(request: Request) -> Response:
    """Open a door for a number. Whose it is, and whether anybody's, is not said before a certificate is shown."""
    data = await read_form(request)
    number = str(data.get("person", "")).strip()
    if request.app[SIGNING] is None or not _plain(number):
        raise HTTPSeeOther("/sign-in")
    token = request.app[DOORS].open(number)
    answer = HTTPSeeOther("/sign-in/token")
    answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/sign-in")
    raise answer


def _plain(number: str) -> bool:
    return 0 < len(number) <= 20 and number.isascii() and number.isprintable() and " " not in number


def _door(request: Request) -> tuple[Signing, Door]:
    signing, door = request.app[SIGNING], request.app[DOORS].find(request.cookies.get(COOKIE, ""))
    if signing is None or door is None:
        raise HTTPSeeOther("/sign-in")
    return signing, door


@routes.get("/sign-in/token")
async def wait_here(request: Request) -> Response:
    """Show the pairing code, then the challenge, then hand over the session that a good answer has opened."""
    signing, door = _door(request)
    desk = signing.desk
    if door.session:
        person = _person_of(request, door)
        request.app[DOORS].close(request.cookies.get(COOKIE, ""))
        home = HTTPSeeOther(home_of(person) if person else "/")
        home.set_cookie(SESSION_COOKIE, door.session, httponly=True, samesite="Strict", path="/")
        home.del_cookie(COOKIE, path="/sign-in")
        raise home
    paired = desk.paired(door.place)
    if paired and door.challenge is None:
        _challenge(request, signing, door)
    desk.pending(door.place)  # so that one that waits too long is late
    act = door.challenge
    going = act is None or act.stage in {Stage.WAITING, Stage.CHECKING}
    answer = page(
        request,
        "frame/token-door.html",
        code="" if paired else desk.code_of(door.place) or desk.code_for(door.place),
        stage=str(act.stage) if act else "",
        going=going,
        why=act.why if act else "",
        text=act.text.decode() if act else "",
    )
    return coming_again(answer) if going else answer


def _person_of(request: Request, door: Door) -> Person | None:
    found = request.app[SESSIONS].find(door.session)
    return found.person if found else None


@routes.post("/sign-in/token/again")
async def again(request: Request) -> Response:
    """Ask anew: another challenge, for what was asked before is void."""
    await read_form(request)
    signing, door = _door(request)
    if not door.session and signing.desk.paired(door.place):
        _challenge(request, signing, door)
    return see_other("/sign-in/token")
