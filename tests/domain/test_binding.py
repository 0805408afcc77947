"""Which acts bind, and whose signatures each needs before it is recorded."""

from typing import Any

import pytest

from node.domain import award, bidding, binding, incident, project
from node.domain.binding import BINDING, SignedBy, require_signed
from node.domain.duties import DUTIES
from node.domain.refused import Refused
from node.domain.values import Actor, Role

AWARD = award.DecideAward("P-AAAAAA")
RELAX = incident.RelaxWitness("邻机断电", "supervisor:S-1")
TENDERER, OPERATOR = Actor("T-1", Role.TENDERER), Actor("O-1", Role.OPERATOR)


def by(*signers: str, standing: str = "fresh") -> tuple[SignedBy, ...]:
    return tuple(SignedBy(one, standing) for one in signers)


def test_every_binding_act_is_somebodys_duty_and_none_is_the_technicians() -> None:
    assert set(DUTIES) >= BINDING
    assert not [one for one in BINDING if Role.TECHNICIAN in DUTIES[one]]


@pytest.mark.parametrize(
    ("command", "actor", "signers"),
    [
        (AWARD, TENDERER, by("tenderer:T-1")),
        (AWARD, TENDERER, by("tenderer:T-1", "supervisor:S-1", standing="grace")),
        (RELAX, OPERATOR, by("operator:O-1", "supervisor:S-1")),
        (RELAX, OPERATOR, by("operator:O-1", "supervisor:S-1", standing="grace")),
        (project.Suspend("outage", "停电"), Actor("node", Role.SYSTEM), ()),
        (bidding.SubmitBid("P-AAAAAA", bytes(32), 1, "desk"), OPERATOR, ()),
    ],
    ids=["one", "one in grace with a second", "two", "two in grace", "the node itself", "an act that binds nobody"],
)
def test_an_act_with_its_signatures_is_taken(command: Any, actor: Actor, signers: tuple[SignedBy, ...]) -> None:
    require_signed(command, actor, signers)


@pytest.mark.parametrize(
    ("command", "actor", "signers", "code"),
    [
        (AWARD, TENDERER, (), "signature-missing"),
        (AWARD, TENDERER, by("tenderer:T-2"), "signature-missing"),
        (AWARD, TENDERER, by("operator:T-1"), "signature-missing"),
        (RELAX, OPERATOR, by("operator:O-1"), "signature-missing"),
        (RELAX, OPERATOR, by("supervisor:S-1"), "signature-missing"),
        (RELAX, OPERATOR, by("operator:O-1", "witness:W-1"), "signature-missing"),
        (AWARD, TENDERER, by("tenderer:T-1", standing="unknown"), "standing-open"),
        (AWARD, TENDERER, by("tenderer:T-1", standing="revoked"), "standing-open"),
        (AWARD, TENDERER, by("tenderer:T-1", standing="grace"), "grace-needs-second"),
        (AWARD, TENDERER, by("tenderer:T-1", "tenderer:T-1", standing="grace"), "grace-needs-second"),
    ],
)
def test_an_act_without_them_is_refused(command: Any, actor: Actor, signers: tuple[SignedBy, ...], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        require_signed(command, actor, signers)
    assert refusal.value.code == code


@pytest.mark.parametrize("holders", [("k1", "k1"), ("k1", "k2")])
def test_one_persons_card_under_two_accounts_is_one_signature(holders: tuple[str, str]) -> None:
    signers = tuple(
        SignedBy(who, "fresh", holder) for who, holder in zip(("operator:O-1", "supervisor:S-1"), holders, strict=True)
    )
    if holders[0] != holders[1]:
        require_signed(RELAX, OPERATOR, signers)
        return
    with pytest.raises(Refused) as refusal:
        require_signed(RELAX, OPERATOR, signers)
    assert refusal.value.code == "one-card-for-two"


def test_an_act_for_two_names_its_second_in_the_command() -> None:
    assert binding.second_of(RELAX) == "supervisor:S-1"
    assert binding.second_of(AWARD) == ""
