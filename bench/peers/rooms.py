"""An aggregate of the `eventsourcing` library that records what our incident stream records."""

from eventsourcing.domain import Aggregate, event


class Room(Aggregate):
    """A room and how many incidents it has seen."""

    @event("Opened")
    def __init__(self) -> None:
        self.count = 0

    @event("IncidentRecorded")
    def record(self, text: str, at_ms: int) -> None:  # noqa: ARG002 - the library keeps them in the event
        """Record one incident."""
        self.count += 1
