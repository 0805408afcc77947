"""The second person of an act for two (第二人): a number and a PIN typed at the same form, never the first person's own."""

from typing import Any

from aiohttp.web import Request

from node.domain.guards import SECOND_ROLES
from node.people import pin_fits
from web.forms import Field, FieldErrors
from web.keys import NODE, SESSIONS
from web.security import signed_in

SECOND = (
    Field("second", "第二人的人员号", longest=20, hint="交易中心工作人员、行政监督人员或见证人，不能是您本人"),
    Field("second_pin", "第二人的口令", "pin", longest=40, hint="由第二人本人输入"),
)


def second_person(request: Request, values: dict[str, Any]) -> str:
    """Return the second person as role:number. Raises FieldErrors where it is nobody who may stand there."""
    node, sessions = request.app[NODE], request.app[SESSIONS]
    number = values["second"]
    if number == signed_in(request).person.no:
        raise FieldErrors({"second": "第二人不能是您本人，请由另一人输入"})
    if not sessions.may_try(number):
        raise FieldErrors({"second_pin": "错误次数过多，请五分钟后再试"})
    person = node.people.get(number)
    if person is None or not pin_fits(person, values["second_pin"]):
        sessions.failed(number)
        raise FieldErrors({"second_pin": "第二人的人员号或口令不对，请重新填写"})
    if person.role not in SECOND_ROLES:
        raise FieldErrors({"second": "这位人员的角色不能作第二人"})
    return f"{person.role}:{person.no}"
