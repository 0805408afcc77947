"""Two real OCDS 1.1 files, who imports them, and ways to change them."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.domain.values import Actor, Asked, ClockQuality, Role
from node.exchange.ocds import ImportPlan

DATA = Path(__file__).parent.parent / "data" / "ocds"
TENDER = (DATA / "ocds-213czf-000-00001-02-tender.json").read_bytes()
AMENDMENT = (DATA / "ocds-213czf-000-00001-03-tenderAmendment.json").read_bytes()

ASKED = Asked(
    at_ms=1_772_413_200_000,
    clock_quality=ClockQuality.SYNCHRONISED,
    actor=Actor("p-1", Role.OPERATOR),
    profiles=(),
    calendar=None,
    look=lambda _stream: None,
)

Edit = Callable[[dict[str, Any]], Any]


def edited(edit: Edit) -> bytes:
    package = copy.deepcopy(json.loads(TENDER))
    edit(package)
    return json.dumps(package).encode()


def tender_of(package: dict[str, Any]) -> dict[str, Any]:
    tender: dict[str, Any] = package["releases"][0]["tender"]
    return tender


def only(plan: ImportPlan) -> Any:
    (step,) = plan.steps
    return step.command.release
