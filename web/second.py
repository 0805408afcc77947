"""The second person of an act for two (第二人): a number and a PIN typed at the same form, never the first person's own."""

from typing import Any

from aiohttp.web import Request

from node.domain.guards import SECOND_ROLES
from node.domain.values import Role
from node.people import Person, pin_fits
from web.forms import Field, FieldErrors
from web.keys import NODE, SESSIONS
from web.security import signed_in

SECOND = (
    Field("second", "第二人的人员号", longest=20, hint="交易中心工作人员、行政监督人员或见证人，不能是您本人"),
    Field("second_pin", "第二人的口令", "pin", longest=40, hint="由第二人本人输入"),
)


def second_person(request: Request, values: dict[str, Any]) -> str:
    """Return the second person as role:number. Raises FieldErrors where it is nobody who may stand there."""
    person = confirm(request, values, ("second", "second_pin"), SECOND_ROLES)
    return f"{person.role}:{person.no}"


def confirm(request: Request, values: dict[str, Any], names: tuple[str, str], roles: tuple[Role, ...]) -> Person:
    """Return another person who has typed the own number and PIN. Raises FieldErrors naming the field.

    `names` are the fields of number and PIN in `values`.
    """
    number_field, pin_field = names
    number, pin = values[number_field], values[pin_field]
    node, sessions, place = request.app[NODE], request.app[SESSIONS], request.remote or ""
    if number == signed_in(request).person.no:
        raise FieldErrors({number_field: "不能是您本人，请由另一人输入"})
    if not sessions.may_try(number, place):
        raise FieldErrors({pin_field: "错误次数过多，请五分钟后再试"})
    person = node.people.get(number)
    if person is None or not pin_fits(person, pin):
        sessions.failed(number, place)
        raise FieldErrors({pin_field: "人员号或口令不对，请重新填写"})
    if person.role not in roles:
        raise FieldErrors({number_field: "这位人员的角色不能作第二人"})
    return person
