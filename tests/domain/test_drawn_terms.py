"""What scoring takes from draws: a declared coefficient, and the order of a tie that decides who is a candidate."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain import ceremony, draw, drawing, drawn, evaluation, notice, wire
from node.domain.draw_proof import PARTIES, drawn_of
from node.domain.draw_replay import Replay
from node.domain.drawn_terms import declared_terms, undrawn_tie
from node.domain.refused import Refused
from node.domain.report import evaluation_report, report_sha256
from node.domain.sheet import SignReport
from node.domain.values import Recorded, Role
from tests.domain import lot_story as s
from tests.domain.evaluation_story import SIGN, Session, concluded, marks, opened, signed

A, B, C = s.REFS

OPTIONS = ("0.95", "0.96", "0.97")
METHOD = notice.PriceMethod("benchmark", "30", above="1", below="0.5", drawn="r", options=OPTIONS)
NONCES = tuple(bytes([n]) * 32 for n in (1, 2, 3))
TRUSTEES = tuple(ceremony.Trustee(f"T{n}", bytes([n]) * 32) for n in range(5))
CODE = s.REGISTER.lot_code


def finished(kind: str, name: str, options: tuple[str, ...]) -> dict[str, Any]:
    """A draw of this lot that is drawn, as the node looks it up."""
    found = drawn.draw_id(CODE, 1, kind, 1)
    pool = tuple(sorted(options))
    seed = draw.seed_of(found, draw.pool_hash(pool), NONCES)
    events = [
        drawn.OptionsFrozen(kind, CODE, 1, 1, "works", name, pool, draw.pool_hash(pool), PARTIES, TRUSTEES),
        *(
            ceremony.NonceCommitted(party, draw.commit_of(nonce), (s.D32,) * 5, (b"w",) * 5)
            for party, nonce in zip(PARTIES, NONCES, strict=True)
        ),
        *(ceremony.NonceRevealed(party, b"sealed") for party in PARTIES),
        drawn.OptionDrawn(seed, NONCES, drawn_of(kind, seed, name, pool)),
    ]
    state = drawn.DrawState()
    for event in events:
        state = drawing.evolve(state, event, Recorded(1, "operator:O-1", "o", 1, s.D32))
    return {f"draw/{found}": state}


class Drawn(Session):
    """A session that also finds draws."""

    draws: dict[str, Any]

    def look(self, stream: str) -> Any:
        if stream.startswith("draw/"):
            return self.draws.get(stream, drawn.DrawState())
        return super().look(stream)


def drawing_session(session: Session) -> Drawn:
    session.__class__ = Drawn
    session.draws = {}  # type: ignore[attr-defined]
    return session  # type: ignore[return-value]


def with_r() -> Drawn:
    return drawing_session(signed(opened(scheme=replace(s.SCHEME, price=METHOD))))


def test_scoring_is_refused_until_the_declared_coefficient_is_drawn_and_then_uses_it() -> None:
    session = with_r()
    with pytest.raises(Refused, match="coefficient-not-drawn"):
        session.operator(session.closing())
    session.draws = finished("coefficient", "r", OPTIONS)
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    value = ranking.draws[0].result[0]
    fixed = signed(opened(scheme=replace(s.SCHEME, price=replace(METHOD, r=value, drawn="", options=()))))
    expected = fixed.operator(fixed.closing()).state.evaluation.ranking
    assert expected is not None
    assert (ranking.benchmark_exact, ranking.rows) == (expected.benchmark_exact, expected.rows)


@pytest.mark.parametrize(("name", "options"), [("k", OPTIONS), ("r", OPTIONS[:2]), ("r", ("0.95", "0.96", "0.98"))])
def test_a_draw_of_another_name_or_from_other_options_does_not_count(name: str, options: tuple[str, ...]) -> None:
    session = with_r()
    session.draws = finished("coefficient", name, options)
    with pytest.raises(Refused, match="coefficient-not-drawn"):
        session.operator(session.closing())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"drawn": "full"}, "word-unknown"),
        ({"method": "lowest-ratio", "above": "", "below": ""}, "word-unknown"),
        ({"r": "0.9"}, "drawn-not-fixed"),
        ({"options": ("0.95",)}, "out-of-range"),
        ({"options": ("0.95", "0.950")}, "stands-twice"),
        ({"options": ("0.95", "9")}, "out-of-range"),
        ({"options": ("0.95", "x")}, "quantity-malformed"),
        ({"drawn": ""}, "not-of-this-method"),
        ({"drawn": "k"}, "out-of-range"),
    ],
)
def test_documents_whose_draw_could_not_be_used_never_go_out(changes: dict[str, Any], code: str) -> None:
    declared_terms(METHOD, None)
    with pytest.raises(Refused) as refused:
        declared_terms(replace(METHOD, **{"options": (*OPTIONS, "1")} | changes), None)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"result": ("0.94",)},
        {"seed": bytes(32)},
        {"options": OPTIONS[:2]},
        {"name": "k"},
        {"draw_id": "another"},
    ],
)
def test_a_ranking_that_says_otherwise_than_the_draw_is_found_in_the_log(change: dict[str, Any]) -> None:
    session = with_r()
    session.draws = finished("coefficient", "r", OPTIONS)
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    told, recorded = Replay(draws=session.draws), Recorded(2, "operator:O-1", "o", 2, s.D32)
    assert told.tell(f"lot/{CODE}", ranking, recorded) == ""
    used = replace(ranking.draws[0], **change)
    assert told.tell(f"lot/{CODE}", replace(ranking, draws=(used,)), recorded) != ""


def tied(candidates: int) -> Drawn:
    """A leads; B and C share the second place."""
    session = concluded(opened(s.content(C, s.PRICES[B]), scheme=replace(s.SCHEME, candidates=candidates)))
    for no in session.sitting:
        session.act(no, marks(A, 4000), marks(B, 3000), marks(C, 3000), SIGN)
    return drawing_session(session.operator(session.closing()))


def test_a_tie_at_the_candidates_number_keeps_the_report_open_until_its_order_is_drawn() -> None:
    session = tied(2)
    ranking = session.state.evaluation.ranking
    assert ranking is not None
    assert (ranking.candidates, undrawn_tie(session.state)) == ((A,), (B, C))
    digest = report_sha256(evaluation_report(session.state))
    with pytest.raises(Refused, match="tie-not-drawn"):
        session.at_sheet("E1", SignReport(digest, "agree", ""))
    with pytest.raises(Refused, match="tie-not-drawn"):
        session.operator(evaluation.CompleteReport(digest))
    with pytest.raises(Refused, match="tie-not-drawn"):
        session.operator(evaluation.ResolveTie())
    session.draws = finished("tie", "tie", (B, C))
    session.operator(evaluation.ResolveTie())
    after = session.state.evaluation.ranking
    assert after is not None
    first = after.draws[-1].result[0]
    assert after.candidates == (A, first)
    assert [row.ref for row in after.rows] == [A, *after.draws[-1].result]
    assert [row.rank for row in after.rows] == [1, 2, 2]
    report = evaluation_report(session.state)
    assert report.draws[0].what == "并列投标人的先后"
    assert after.draws[-1].draw_id in report.open_matters[0]
    assert report_sha256(report) != digest
    with pytest.raises(Refused, match="nothing-to-draw"):
        session.operator(evaluation.ResolveTie())
    session.at_sheet("E1", SignReport(report_sha256(report), "agree", ""))


@pytest.mark.parametrize("candidates", [1, 3])
def test_a_tie_that_leaves_the_candidates_certain_is_shown_and_not_drawn(candidates: int) -> None:
    session = tied(candidates)
    assert undrawn_tie(session.state) == ()
    with pytest.raises(Refused, match="nothing-to-draw"):
        session.operator(evaluation.ResolveTie())


@pytest.mark.parametrize(
    ("kind", "name", "options", "code"),
    [
        ("tie", "tie", (B, C), ""),
        ("tie", "another", (B, C), "options-differ"),
        ("tie", "tie", (A, B, C), "options-differ"),
        ("coefficient", "r", OPTIONS, "nothing-to-draw"),
    ],
)
def test_only_what_the_lot_needs_is_frozen(kind: str, name: str, options: tuple[str, ...], code: str) -> None:
    session = tied(2)
    command = drawn.FreezeOptions(kind, CODE, 1, name, options, PARTIES, TRUSTEES)
    stream = f"draw/{drawn.draw_id(CODE, 1, kind, 1)}"

    def look(name: str) -> Any:
        return session.state if name == f"lot/{CODE}" else session.look(name)

    asked = replace(session.asked(Role.OPERATOR), look=look)
    if code:
        with pytest.raises(Refused, match=code):
            drawing.decide(drawn.DrawState(), stream, command, asked)
    else:
        assert drawing.decide(drawn.DrawState(), stream, command, asked)[0].options == tuple(sorted(options))


def test_documents_and_rankings_from_before_coefficients_were_drawn_are_read_as_they_were() -> None:
    documents = notice.DocumentsIssued(s.D32, s.SCHEME, 1, s.BOND, 90, False)
    name, version, raw = wire.encode(documents)
    sha256, scheme, *rest = raw
    old = (sha256, (*scheme[:3], scheme[3][:-2], *scheme[4:]), *rest)
    assert (version, wire.decode(name, 1, old)) == (2, documents)
    name, version, raw = wire.encode(s.ranking())
    assert (version, wire.decode(name, 1, raw[:-1])) == (2, s.ranking())
