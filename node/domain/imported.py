"""Lots that another system published (外部标段), kept as they were received: own status, own currency, no rule of ours applied.

An imported lot has no stage, no period guard and no procedure; it can be read and compared, never run. One stream holds one
contracting process. The first release opens it; every later one amends it, by the merge rule of OCDS 1.1: what a release
does not mention stays, lists are matched by id. A release is taken once, and never after a newer one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

from node.domain.calendar import DAY_MS, moment_text
from node.domain.guards import require_digest, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

MAX_EVENT_BYTES = 60_000
"""An entry holds 65,535 bytes; the rest is for its other fields."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in its own currency: an exact decimal as text, never converted, never fen."""

    amount: str
    currency: str  # ISO 4217


@dataclass(frozen=True, slots=True)
class Span:
    """A period as the source wrote it: RFC 3339 texts, empty where it said nothing."""

    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class ForeignLot:
    """One lot of the source. `implicit` where the source has none: then the tender itself is the lot."""

    id: str
    title: str
    description: str
    status: str
    value: Money | None
    min_value: Money | None
    implicit: bool


@dataclass(frozen=True, slots=True)
class Organisation:
    """A buyer or procuring entity. Bidders and contact persons are not carried: they may be natural persons."""

    id: str
    name: str
    scheme: str
    identifier: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignDocument:
    """A document that the source names; its bytes stay there."""

    id: str
    kind: str
    title: str
    url: str
    published: str


@dataclass(frozen=True, slots=True)
class ForeignAmendment:
    """What the source says about a change, in its own words."""

    id: str
    date: str
    rationale: str
    description: str
    amends: str  # release id


@dataclass(frozen=True, slots=True)
class ForeignTender:
    """The tender block of a release; every word as received, unknown codes included."""

    id: str
    title: str
    description: str
    status: str
    category: str
    method: str
    method_details: str
    award_criteria: str
    award_criteria_details: str
    value: Money | None
    min_value: Money | None
    tender_period: Span
    enquiry_period: Span
    award_period: Span
    contract_period: Span


@dataclass(frozen=True, slots=True)
class ImportedLots:
    """The lots of one release (一次发布), with where they come from.

    `unmapped` are JSON pointers of the source file that have no place here, at most a fixed number; `unmapped_more` counts
    the rest. `source_sha256` is of the file's bytes.
    """

    ocid: str
    release_id: str
    released: str  # RFC 3339, as received
    released_at_ms: int
    tags: tuple[str, ...]
    language: str
    publisher: str
    package_uri: str
    license: str
    source_sha256: bytes
    source_size: int
    tender: ForeignTender
    lots: tuple[ForeignLot, ...]
    organisations: tuple[Organisation, ...]
    documents: tuple[ForeignDocument, ...]
    amendments: tuple[ForeignAmendment, ...]
    unmapped: tuple[str, ...]
    unmapped_more: int


@dataclass(frozen=True, slots=True)
class ImportLot:
    """Record one release of a contracting process."""

    release: ImportedLots


@dataclass(frozen=True, slots=True)
class Change:
    """One field that an amendment changed, `before` and `after` as text."""

    where: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LotImported:
    """The first release of a contracting process was recorded (外部标段导入)."""

    release: ImportedLots


@dataclass(frozen=True, slots=True)
class LotImportAmended:
    """A later release was recorded; `changes` is what it changed in what was known."""

    release: ImportedLots
    amends: str  # the release id that stood before
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class SeenRelease:
    """A release that was recorded, and when here."""

    release_id: str
    released: str
    recorded_at_ms: int


@dataclass(frozen=True, slots=True)
class ImportState:
    """What is known of one contracting process: `current` is the merge of all releases, `seen` their order of arrival."""

    current: ImportedLots | None = None
    seen: tuple[SeenRelease, ...] = field(default=())


COMMANDS: tuple[type, ...] = (ImportLot,)
EVENTS: tuple[type, ...] = (LotImported, LotImportAmended)


def decide(state: ImportState, command: object, asked: Asked) -> tuple[LotImported | LotImportAmended, ...]:
    """Return LotImported for the first release, LotImportAmended for a later one. Raises Refused."""
    if not isinstance(command, ImportLot):
        raise NotOffered("import/", type(command).__name__)
    release = command.release
    require_text(ocid=release.ocid, release_id=release.release_id, tender_id=release.tender.id)
    require_digest(source_sha256=release.source_sha256)
    if not release.lots:
        raise Refused("lots-missing", rule="at-least-one-lot", value=release.release_id)
    if release.released_at_ms > asked.at_ms + DAY_MS:
        # It would stand before every true release for as long as its date lies ahead.
        raise Refused(
            "release-in-the-future", rule="released-first", value=release.released, limit=moment_text(asked.at_ms)
        )
    before = state.current
    if before is None:
        return (_small(LotImported(release)),)
    if release.ocid != before.ocid:
        raise Refused("ocid-differs", rule="one-process-one-stream", value=release.ocid, limit=before.ocid)
    same_id = next((seen for seen in state.seen if seen.release_id == release.release_id), None)
    if same_id is not None and same_id.released != release.released:
        raise Refused("release-id-reused", rule="one-release-once", value=release.release_id, limit=same_id.released)
    if same_id is not None:
        raise Refused("already-imported", rule="one-release-once", value=release.release_id)
    if release.released_at_ms < before.released_at_ms:
        raise Refused(
            "older-release",
            rule="newer-amends-older",
            value=release.released,
            limit=before.released,
            facts=(("release_id", release.release_id), ("newer", before.release_id)),
        )
    changes = tuple(_changes(before, merge(before, release)))
    return (_small(LotImportAmended(release, before.release_id, changes)),)


def evolve(state: ImportState, event: object, recorded: Recorded) -> ImportState:
    """Return the state after an event."""
    match event:
        case LotImported(release=release):
            current = release
        case LotImportAmended(release=release) if state.current is not None:
            current = merge(state.current, release)
        case _:
            return state
    return ImportState(current, (*state.seen, SeenRelease(release.release_id, release.released, recorded.at_ms)))


def implicit_lot(tender: ForeignTender) -> ForeignLot:
    """Return the lot that a tender without lots is."""
    return ForeignLot(
        tender.id, tender.title, tender.description, tender.status, tender.value, tender.min_value, implicit=True
    )


def merge(before: ImportedLots, after: ImportedLots) -> ImportedLots:
    """Return what is known after a later release: what it leaves out stays, lists are matched by id."""
    tender = _over(before.tender, after.tender)
    lots = _by_id(_explicit(before), _explicit(after)) or (implicit_lot(tender),)
    return replace(
        _over(before, after),
        tender=tender,
        lots=lots,
        organisations=_by_id(before.organisations, after.organisations),
        documents=_by_id(before.documents, after.documents),
        amendments=_by_id(before.amendments, after.amendments),
        unmapped=after.unmapped,
        unmapped_more=after.unmapped_more,
    )


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Record = TypeVar("Record")
Listed = TypeVar("Listed", bound=_Identified)


def _explicit(release: ImportedLots) -> tuple[ForeignLot, ...]:
    return tuple(lot for lot in release.lots if not lot.implicit)


def _over(before: Record, after: Record) -> Record:
    """Return `after` with the fields that it leaves empty taken from `before`. A Span is merged the same way."""
    kept: dict[str, Any] = {}
    for each in fields(after):  # type: ignore[arg-type]
        old, new = getattr(before, each.name), getattr(after, each.name)
        if isinstance(old, Span) and isinstance(new, Span):
            kept[each.name] = Span(new.start or old.start, new.end or old.end)
        elif new in {"", None, ()}:
            kept[each.name] = old
    return replace(after, **kept)  # type: ignore[type-var]


def _by_id(before: tuple[Listed, ...], after: tuple[Listed, ...]) -> tuple[Listed, ...]:
    merged = {item.id: item for item in before}
    for item in after:
        merged[item.id] = _over(merged[item.id], item) if item.id in merged else item
    return tuple(merged.values())


def _changes(before: ImportedLots, after: ImportedLots) -> Iterable[Change]:
    yield from _fields_changed("tender", before.tender, after.tender)
    for name, old, new in (
        ("lots", before.lots, after.lots),
        ("organisations", before.organisations, after.organisations),
        ("documents", before.documents, after.documents),
        ("amendments", before.amendments, after.amendments),
    ):
        known: dict[str, Any] = {item.id: item for item in old}
        held = {item.id for item in new}
        for item in new:
            if item.id in known:
                yield from _fields_changed(f"{name}[{item.id}]", known[item.id], item)
            else:
                yield Change(f"{name}[{item.id}]", "", _text(item))
        for item in old:
            if item.id not in held:
                yield Change(f"{name}[{item.id}]", _text(item), "")


def _fields_changed(where: str, before: Any, after: Any) -> Iterable[Change]:
    for each in fields(after):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old != new:
            yield Change(f"{where}.{each.name}", _text(old), _text(new))


def _text(value: Any) -> str:
    match value:
        case Money(amount=amount, currency=currency):
            return f"{amount} {currency}"
        case Span(start=start, end=end):
            return f"{start} – {end}"
        case ForeignLot(title=title) | ForeignDocument(title=title):
            return str(title)
        case Organisation(name=name):
            return str(name)
        case ForeignAmendment(description=description):
            return str(description)
        case tuple():
            return ", ".join(map(str, value))
        case None:
            return ""
        case _:
            return str(value)


Imported = TypeVar("Imported", LotImported, LotImportAmended)


def _small(event: Imported) -> Imported:
    weight = _weight(event)
    if weight > MAX_EVENT_BYTES:
        raise Refused("release-too-large", rule="fits-an-entry", value=str(weight), limit=str(MAX_EVENT_BYTES))
    return event


def _weight(value: Any) -> int:
    """Return at least the bytes that this value takes on disk."""
    if is_dataclass(value):
        return 5 + sum(_weight(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, tuple):
        return 5 + sum(map(_weight, value))
    if isinstance(value, str):
        return 5 + len(value.encode())
    return 5 + len(value) if isinstance(value, bytes) else 9
