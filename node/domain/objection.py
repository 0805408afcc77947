"""Objections to the tenderer (异议): documents, opening, result. They pause the procedure until answered. E07, E11, E16."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaiseObjection:
    """kind: documents | opening | result. Who objects is sealed while bidders are secret."""

    kind: str
    text: str
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ObjectionRaised:
    """Paused until answered (ZBT 22, 54), except an opening objection, which is answered on the spot (ZBT 44)."""

    no: int
    kind: str
    text: str
    commitment: bytes
    sealed: bytes
    answer_by_ms: int
    pauses: bool


@dataclass(frozen=True, slots=True)
class AnswerObjection:
    """status: replied 已回复 | amended 澄清修改 | other."""

    no: int
    text: str
    status: str


@dataclass(frozen=True, slots=True)
class ObjectionAnswered:
    """The pause, if any, ends; `late` when the answer came after its time."""

    no: int
    text: str
    status: str
    late: bool
