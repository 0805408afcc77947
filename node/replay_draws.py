"""Draws told again from a log's entries (抽取重演), and a published proof held against them."""

from collections.abc import Iterable

from node.domain.draw_proof import OptionProof, Proof
from node.domain.draw_proof import Problem as Found
from node.domain.draw_replay import Replay
from node.domain.drawn import proof_of
from node.domain.refused import Refused
from node.domain.streams import draw_stream
from node.domain.values import Recorded
from node.projection import events_of
from node.replay_seals import Problem
from sync.codec import Entry, decode


class Draws:
    """The draws of one log, and whether committees and rankings are those that were drawn."""

    def __init__(self) -> None:
        """Nothing is told yet."""
        self._told = Replay()

    @property
    def computed(self) -> int:
        """How many draws have a seed that was computed again."""
        return sum(bool(state.seed) for state in self._told.draws.values())

    def tell(self, entry: Entry, events: Iterable[object]) -> tuple[Problem, ...]:
        """Take the next entry. Return the first thing in it that does not follow; its stream is not judged any further."""
        recorded = Recorded(entry.at_ms, entry.actor, entry.origin, entry.seq, b"")
        for event in events:
            code = self._told.tell(entry.stream, event, recorded)
            if code:
                self._told.unknown.add(entry.stream)
                return (Problem("draw-differs", code),)
        return ()

    def begun_elsewhere(self, stream: str) -> bool:
        """Whether the log holds no beginning of a draw, or one that is judged no further."""
        return stream in self._told.unknown

    def partly_elsewhere(self, streams: Iterable[str]) -> None:
        """What goes on in another log for a time is judged no further."""
        for stream in streams:
            self._told.unknown.add(stream)
            self._told.draws.pop(stream, None)

    def unseen(self, stream: str) -> str:
        """Return what of a draw these entries do not show, in words; "" where they show all of it."""
        return self._told.unseen.get(stream, "")

    def held_against(self, proof: Proof | OptionProof) -> Found | None:
        """Return what a proof says otherwise than the log; None where both say the same."""
        stream = draw_stream(proof.draw_id)
        state = self._told.draws.get(stream)
        try:
            told = None if state is None or stream in self._told.unknown else proof_of(state, stream)
        except Refused:
            told = None
        if told is None:
            return Found("not-in-log", "draw_id")
        if type(told) is not type(proof):
            return Found("log-differs", "kind")
        differs = (name for name in told.__dataclass_fields__ if getattr(told, name) != getattr(proof, name))
        found = next(differs, "")
        return Found("log-differs", found) if found else None


def draws_of(bodies: Iterable[bytes]) -> tuple[Draws, tuple[Problem, ...]]:
    """Return the draws of a log, and what does not follow in them. Raises WireMalformed for an event without its shape."""
    draws = Draws()
    found: list[Problem] = []
    for body in bodies:
        entry = decode(body)
        if entry.stream.startswith(("draw/", "lot/")):
            found += draws.tell(entry, events_of(entry))
    return draws, tuple(found)
