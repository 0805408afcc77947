"""Draws of a log told again while its bundle is verified (证据包内的抽取重演), and a published proof held against them."""

from collections.abc import Callable

from node.domain import wire
from node.domain.draw_proof import OptionProof, Problem, Proof
from node.domain.draw_replay import Replay
from node.domain.drawn import proof_of
from node.domain.refused import Refused
from node.domain.streams import draw_stream
from node.domain.values import Recorded
from sync.codec import Entry
from sync.tampered import Problem as LogProblem
from sync.tampered import Tampered

TOLD = (
    "draw.",
    "panel.committee-formed",
    "panel.member-replaced",
    "evaluation.ranking-computed",
)  # the events that a draw's story is made of


def telling(replay: Replay) -> Callable[[Entry], None]:
    """Return what takes a log's entries in order. It raises Tampered at the first step of a draw that does not follow."""

    def tell(entry: Entry) -> None:
        recorded = Recorded(entry.at_ms, entry.actor, entry.origin, entry.seq, b"")
        for name, version, raw in entry.events:
            if not name.startswith(TOLD):
                continue
            try:
                found = replay.tell(entry.stream, wire.decode(name, version, raw), recorded)
            except wire.WireMalformed as malformed:
                found = f"malformed {malformed.name}"
            if found:
                raise Tampered(LogProblem.DRAW_DIFFERS, seq=entry.seq, got=found, detail=f"{entry.stream} {name}")

    return tell


def judge_entries() -> Callable[[Entry], None]:
    """Return a fresh judge of one log's draws."""
    return telling(Replay())


def held_against(replay: Replay, proof: Proof | OptionProof) -> Problem | None:
    """Return what a proof says otherwise than the log; None where both say the same."""
    stream = draw_stream(proof.draw_id)
    state = replay.draws.get(stream)
    if state is None:
        return Problem("not-in-log", "draw_id")
    try:
        told = proof_of(state, stream)
    except Refused:
        return Problem("not-in-log", "draw_id")
    if type(told) is not type(proof):
        return Problem("log-differs", "kind")
    for name in told.__dataclass_fields__:
        if getattr(told, name) != getattr(proof, name):
            return Problem("log-differs", name)
    return None
