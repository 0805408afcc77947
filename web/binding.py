"""How a binding act becomes a record (有法律效力的行为): its words, the seat's agent, the record with the signature's commitment.

One way for every act. Where the node takes certificates, the rules first say whether they would take the act; then the
person, and the second person of an act for two, sign its words; only then is it recorded. Elsewhere it is recorded at once.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response

from node.domain.binding import BINDING
from node.people import Person
from node.receipts import Receipt
from node.signatures import Agreed, Signature, rehearsing, signed_with
from node.witness import NotWitnessed
from sync import jcs
from sync.acts import act_text
from web.forms import Field, rows_of, typed
from web.keys import NODE, SIGNING
from web.security import signed_in
from web.signing import Matter, NotSigned, ask_at_seat
from web.words import ROLES

_LONGEST = 4_000  # characters of one field that a person reads at the agent; longer ones are named by digest
_LINES = 60
_TOKEN = 200  # characters without a comma; a longer base64 is no word of a person


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One act that is asked for: what it says and how it is done. `fresh` tells whether what was shown still is so."""

    command: type
    title: str
    stream: str
    command_id: bytes
    back: str
    do: Callable[[], Awaitable[Receipt]]
    lines: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)  # what the digest binds besides the words
    digest: bytes = b""  # where the act has a digest of its own
    second: Person | None = None
    binds: bool = False  # though its command alone does not
    fresh: Callable[[], Awaitable[bool]] = _always


async def conclude(request: Request, act: Binding) -> Response:
    """Do an act and lead to its receipt; one that binds is signed before, where this node takes certificates."""
    signing = request.app[SIGNING]
    if signing is None or not (act.binds or act.command in BINDING):
        receipt = await act.do()
        raise HTTPSeeOther(f"/receipts/{receipt.number}?next={act.back}")
    try:
        with rehearsing():
            receipt = await act.do()  # known by its number: it was recorded before
        raise HTTPSeeOther(f"/receipts/{receipt.number}?next={act.back}")
    except Agreed:
        pass

    async def record(signatures: tuple[Signature, ...]) -> str:
        if not await act.fresh():
            raise NotSigned("other-words")
        try:
            with signed_with(*signatures):
                done = await act.do()
        except NotWitnessed as alone:
            return f"/recorded/{alone.command_id.hex()}"
        return f"/receipts/{done.number}"

    return ask_at_seat(request, Matter(text=_words(request, act), back=act.back, record=record, second=act.second))


def _words(request: Request, act: Binding) -> bytes:
    """Return the words of an act: where, who, what was filled in, and the digest of all of it."""
    node, person = request.app[NODE], signed_in(request).person
    kind, _, rest = act.stream.partition("/")
    lines = {"节点": node.settings.node}
    lines |= {"标段编号": rest.split("/")[0]} if kind in {"lot", "sheet"} else {"事项编号": act.stream}
    lines |= {"人员": f"{ROLES[str(person.role)]} {person.no}"}
    if act.second is not None:
        lines |= {"第二人": f"{ROLES[str(act.second.role)]} {act.second.no}"}
    lines |= act.lines
    bound = {
        "act": act.command.__name__,
        "stream": act.stream,
        "command": act.command_id.hex(),
        "person": person.no,
        "second": act.second.no if act.second else "",
        "about": dict(act.about),
        "lines": [f"{name}：{value}" for name, value in lines.items()],
    }
    return act_text(act.title, lines, act.digest or hashlib.sha256(jcs.encode(bound)).digest())


def foot_of(request: Request, command: type, *, binds: bool = False) -> str:
    """Return what a form says of signing: that it follows, or that nothing is signed here; "" for an act that binds nobody."""
    if not (binds or command in BINDING):
        return ""
    if request.app[SIGNING] is None:
        return "本机未启用数字证书：本次办理以登录身份记录，没有用证书签名。"
    return "提交后请在签名器上核对文字，用证书签名；签名后才写入记录。"


def filled(fields: Sequence[Field], data: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a form as words to be signed, and the digest of every value as it was sent. PINs and files are in neither."""
    lines: dict[str, str] = {}
    values = typed(fields, data)
    shown = [one for one in fields if one.kind not in {"pin", "file"}]
    for one in shown:
        lines |= _lines(one, values[one.name].strip())
    about = {one.name: hashlib.sha256(values[one.name].encode()).hexdigest() for one in shown}
    return lines, about


def _row(row: str) -> str:
    """Return a row as it is read: a certificate within it, which nobody can read, by its fingerprint."""
    parts = []
    for part in row.strip().split(","):
        der = b""
        if len(part.strip()) > _TOKEN:
            with suppress(ValueError):
                der = base64.b64decode(part.strip(), validate=True)
        parts.append(f"SHA-256 {hashlib.sha256(der).hexdigest()}" if der else part)
    return ",".join(parts)


def _lines(one: Field, text: str) -> dict[str, str]:
    if not text:
        return {}
    if one.kind == "choice":
        return {one.label: dict(one.choices).get(text, text)}
    if one.kind == "flag":
        return {one.label: "是"}
    rows = [_row(row) for row in rows_of(text)]
    if sum(map(len, rows)) > _LONGEST or len(rows) > _LINES:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return {one.label: f"共 {len(text)} 字，SHA-256 {digest}"}
    if len(rows) == 1:
        return {one.label: rows[0]}
    return {f"{one.label} {number}": row for number, row in enumerate(rows, 1)}
