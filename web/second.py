"""The second person of an act for two (第二人), never the first: a number and a PIN typed at the same form; where the node takes
certificates, a number alone, for that person then signs at the own agent.
"""

from collections.abc import Sequence
from typing import Any

from aiohttp.web import Request

from node.domain.guards import SECOND_ROLES
from node.domain.values import Role
from node.node import Node
from node.people import Person, pin_fits
from web.forms import Field, FieldErrors
from web.keys import NODE, SESSIONS
from web.security import signed_in

SECOND = (
    Field("second", "第二人的人员号", longest=20, hint="交易中心工作人员、行政监督人员或见证人，不能是您本人"),
    Field("second_pin", "第二人的口令", "pin", longest=40, hint="由第二人本人输入"),
)


def asked_here(node: Node, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return a form's fields as this node asks them: no other person's PIN where that person signs by certificate."""
    return tuple(one for one in fields if one.kind != "pin" or not node.settings.asks_certificates)


def second_person(request: Request, values: dict[str, Any]) -> Person:
    """Return the second person. Raises FieldErrors where it is nobody who may stand there."""
    return confirm(request, values, ("second", "second_pin"), SECOND_ROLES)


def role_and_no(person: Person | None) -> str:
    """Return a person as commands name it, role:number; "" for nobody."""
    return f"{person.role}:{person.no}" if person else ""


def confirm(request: Request, values: dict[str, Any], names: tuple[str, str], roles: tuple[Role, ...]) -> Person:
    """Return another person who has typed the own number and PIN, or is to sign. Raises FieldErrors naming the field.

    `names` are the fields of number and PIN in `values`.
    """
    number_field, pin_field = names
    number = values[number_field]
    node, sessions, place = request.app[NODE], request.app[SESSIONS], request.remote or ""
    if number == signed_in(request).person.no:
        raise FieldErrors({number_field: "不能是您本人，请由另一人输入"})
    if node.settings.asks_certificates:
        named = node.people.get(number)
        if named is None or named.role not in roles or not named.holder:
            raise FieldErrors({number_field: "没有可以在此签名的这位人员：须在规定的角色中，账户已登记证书"})
        if named.holder == signed_in(request).person.holder:
            raise FieldErrors({number_field: "这位人员的账户登记的是您本人的证书，须由另一人签名"})
        return named
    pin = values[pin_field]
    if not sessions.may_try(number, place):
        raise FieldErrors({pin_field: "错误次数过多，请五分钟后再试"})
    person = node.people.get(number)
    if person is None or not pin_fits(person, pin):
        sessions.failed(number, place)
        raise FieldErrors({pin_field: "人员号或口令不对，请重新填写"})
    if person.role not in roles:
        raise FieldErrors({number_field: "这位人员的角色不能作第二人"})
    return person
