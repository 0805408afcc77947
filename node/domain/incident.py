"""Incidents of the room (异常): mains, link, environment, recorded by a person or by a device. Stream: room/<node code>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordIncident:
    """kind: mains-lost | link-lost | node-lost | device | environment | conduct | other."""

    kind: str
    text: str
    began_at_ms: int
    lots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentRecorded:
    """Incident no n of this room."""

    no: int
    kind: str
    text: str
    began_at_ms: int
    lots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseIncident:
    """Over."""

    no: int
    text: str
    ended_at_ms: int


@dataclass(frozen=True, slots=True)
class IncidentClosed:
    """How it ended."""

    no: int
    text: str
    ended_at_ms: int
