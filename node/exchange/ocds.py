"""OCDS 1.1 release packages in: pure mapping from a file's bytes to the commands that record its lots.

Carried are the tender, its lots, the buyer and the procuring entity, the documents' addresses and the amendments, every word
as received. Everything else is listed by JSON pointer, not dropped in silence: other parties and contact points may be
natural persons, items and criteria have no place in a lot that is never run. A file is taken whole or refused whole.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from node.domain.imported import (
    ForeignAmendment,
    ForeignDocument,
    ForeignLot,
    ForeignTender,
    ImportedLots,
    ImportLot,
    Money,
    Organisation,
    Span,
    implicit_lot,
)
from node.exchange.pointed import Pointed, kind
from node.exchange.strict_json import read_json, refusal

RULE: Final = "ocds-1.1-release-package"
VERSION: Final = "1.1"
MAX_RELEASES: Final = 200
MAX_LISTED: Final = 200
MAX_ID: Final = 200
MAX_TITLE: Final = 1_000
MAX_DESCRIPTION: Final = 5_000
MAX_UNMAPPED: Final = 200
_MAX_POINTER = 200
_CARRIED_ROLES = ("buyer", "procuringEntity")
_OCID = re.compile(r"[!-~]{1,100}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class PlannedImport:
    """One command and the stream it goes to."""

    stream: str
    command: ImportLot


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a file asks for, oldest release first. `unmapped` are all pointers of the file that have no place here."""

    source_sha256: bytes
    source_size: int
    steps: tuple[PlannedImport, ...]
    unmapped: tuple[str, ...]


def import_stream(ocid: str) -> str:
    """Name of the stream of one contracting process."""
    return f"import/{ocid}"


def plan_import(body: bytes) -> ImportPlan:
    """Return the commands that record a file's releases. Raises Refused with the pointer of what is wrong."""
    digest = sha256(body).digest()
    releases, unmapped = map_package(read_json(body), source_sha256=digest, source_size=len(body))
    ordered = sorted(releases, key=lambda release: release.released_at_ms)
    steps = tuple(PlannedImport(import_stream(release.ocid), ImportLot(release)) for release in ordered)
    return ImportPlan(digest, len(body), steps, unmapped)


def map_package(
    data: Any, *, source_sha256: bytes, source_size: int
) -> tuple[tuple[ImportedLots, ...], tuple[str, ...]]:
    """Return the releases of a parsed package in its order, and every pointer that has no place here. Raises Refused."""
    if not isinstance(data, dict):
        raise refusal("not-a-release-package", "", value=kind(data), rule=RULE)
    if "records" in data:
        raise refusal("record-package", "/records", value="records", limit="releases", rule=RULE)
    if "releases" not in data:
        found = "a bare release" if "ocid" in data else ", ".join(data)
        raise refusal("not-a-release-package", "/releases", value=found, limit="releases", rule=RULE)
    package = Pointed(data, "")
    if (version := package.text("version", MAX_ID)) != VERSION:
        raise refusal("version-unsupported", "/version", value=version, limit=VERSION, rule=RULE)
    package.moment("publishedDate")
    publisher = package.part("publisher")
    origin = _Origin(
        publisher=publisher.text("name", MAX_TITLE) if publisher else "",
        package_uri=package.text("uri", MAX_TITLE),
        license=package.text("license", MAX_TITLE),
        source_sha256=source_sha256,
        source_size=source_size,
    )
    entries = package.parts("releases", MAX_RELEASES)
    around = [pointer for pointer in package.rest() if not pointer.startswith("/releases/")]
    around += [entry.pointer for entry in entries if not entry.has("tender")]
    tendered = [entry for entry in entries if entry.has("tender")]
    if not tendered:
        raise refusal("tender-missing", "/releases", limit="a release with a tender", rule=RULE)
    releases = [_release(entry, origin) for entry in tendered]
    _once(tendered, [(release.ocid, release.release_id) for release in releases])
    rests = [tuple(entry.rest()) for entry in tendered]
    listed = tuple(_listed(release, [*around, *rest]) for release, rest in zip(releases, rests, strict=True))
    return listed, (*around, *(pointer for rest in rests for pointer in rest))


@dataclass(frozen=True, slots=True)
class _Origin:
    """What every release of a package has in common."""

    publisher: str
    package_uri: str
    license: str
    source_sha256: bytes
    source_size: int


def _listed(release: ImportedLots, pointers: list[str]) -> ImportedLots:
    fit = tuple(pointer for pointer in pointers if len(pointer) <= _MAX_POINTER)[:MAX_UNMAPPED]
    return replace(release, unmapped=fit, unmapped_more=len(pointers) - len(fit))


def _release(entry: Pointed, origin: _Origin) -> ImportedLots:
    ocid = entry.text("ocid", MAX_ID, required=True)
    if not _OCID.fullmatch(ocid):
        raise refusal("ocid-malformed", entry.at("ocid"), value=ocid, limit="1–100 visible ASCII characters", rule=RULE)
    released, released_at_ms = entry.moment("date", required=True)
    block = entry.part("tender")
    if block is None:
        raise refusal("tender-missing", entry.at("tender"), rule=RULE)
    tender = _tender(block)
    lots = tuple(_lot(part) for part in _identified(block, "lots"))
    return ImportedLots(
        ocid=ocid,
        release_id=entry.text("id", MAX_ID, required=True),
        released=released,
        released_at_ms=released_at_ms,
        tags=entry.texts("tag", MAX_LISTED, MAX_ID),
        language=entry.text("language", MAX_ID),
        publisher=origin.publisher,
        package_uri=origin.package_uri,
        license=origin.license,
        source_sha256=origin.source_sha256,
        source_size=origin.source_size,
        tender=tender,
        lots=lots or (implicit_lot(tender),),
        organisations=_organisations(entry, block),
        documents=tuple(_document(part) for part in _identified(block, "documents")),
        amendments=tuple(_amendment(part) for part in _identified(block, "amendments")),
        unmapped=(),
        unmapped_more=0,
    )


def _tender(block: Pointed) -> ForeignTender:
    return ForeignTender(
        id=block.id("id", MAX_ID),
        title=block.text("title", MAX_TITLE),
        description=block.text("description", MAX_DESCRIPTION),
        status=block.text("status", MAX_ID),
        category=block.text("mainProcurementCategory", MAX_ID),
        method=block.text("procurementMethod", MAX_ID),
        method_details=block.text("procurementMethodDetails", MAX_DESCRIPTION),
        award_criteria=block.text("awardCriteria", MAX_ID),
        award_criteria_details=block.text("awardCriteriaDetails", MAX_DESCRIPTION),
        value=_money(block, "value"),
        min_value=_money(block, "minValue"),
        tender_period=_span(block, "tenderPeriod"),
        enquiry_period=_span(block, "enquiryPeriod"),
        award_period=_span(block, "awardPeriod"),
        contract_period=_span(block, "contractPeriod"),
    )


def _lot(part: Pointed) -> ForeignLot:
    return ForeignLot(
        id=part.id("id", MAX_ID),
        title=part.text("title", MAX_TITLE),
        description=part.text("description", MAX_DESCRIPTION),
        status=part.text("status", MAX_ID),
        value=_money(part, "value"),
        min_value=_money(part, "minValue"),
        implicit=False,
    )


def _document(part: Pointed) -> ForeignDocument:
    return ForeignDocument(
        id=part.id("id", MAX_ID),
        kind=part.text("documentType", MAX_ID),
        title=part.text("title", MAX_TITLE),
        url=part.text("url", MAX_TITLE),
        published=part.moment("datePublished")[0],
    )


def _amendment(part: Pointed) -> ForeignAmendment:
    return ForeignAmendment(
        id=part.id("id", MAX_ID),
        date=part.moment("date")[0],
        rationale=part.text("rationale", MAX_DESCRIPTION),
        description=part.text("description", MAX_DESCRIPTION),
        amends=part.text("amendsReleaseID", MAX_ID),
    )


def _money(owner: Pointed, key: str) -> Money | None:
    """Return an amount with its currency; an amount without one says nothing and stays unmapped."""
    part = owner.part(key)
    if part is None:
        return None
    amount, currency = part.amount("amount"), part.text("currency", MAX_ID)
    if currency and not _CURRENCY.fullmatch(currency):
        raise refusal("currency-malformed", part.at("currency"), value=currency, limit="ISO 4217", rule=RULE)
    if amount and currency:
        return Money(amount, currency)
    part.leave()
    return None


def _span(owner: Pointed, key: str) -> Span:
    part = owner.part(key)
    return Span(part.moment("startDate")[0], part.moment("endDate")[0]) if part else Span()


def _organisations(entry: Pointed, block: Pointed) -> tuple[Organisation, ...]:
    """Return who buys: the parties with such a role, and whoever is named only as buyer or procuring entity."""
    found: dict[str, Organisation] = {}
    for party in _identified(entry, "parties"):
        roles = tuple(role for role in party.texts("roles", MAX_LISTED, MAX_ID) if role in _CARRIED_ROLES)
        if not roles:
            party.leave()
            continue
        identifier = party.part("identifier")
        one = Organisation(
            id=party.id("id", MAX_ID),
            name=party.text("name", MAX_TITLE),
            scheme=identifier.text("scheme", MAX_ID) if identifier else "",
            identifier=identifier.id("id", MAX_ID) if identifier and identifier.has("id") else "",
            roles=roles,
        )
        found[one.id] = one
    for owner, key in ((entry, "buyer"), (block, "procuringEntity")):
        reference = owner.part(key)
        if reference is None:
            continue
        named = Organisation(reference.id("id", MAX_ID), reference.text("name", MAX_TITLE), "", "", (key,))
        found.setdefault(named.id, named)
    return tuple(found.values())


def _identified(owner: Pointed, key: str) -> tuple[Pointed, ...]:
    """Return a list's objects. Raises Refused where two have the same id, which is how releases are matched."""
    parts = owner.parts(key, MAX_LISTED)
    _once(parts, [part.value.get("id") for part in parts])
    return parts


def _once(parts: Iterable[Pointed], keys: Iterable[Any]) -> None:
    seen: set[str] = set()
    for part, key in zip(parts, keys, strict=True):
        if (spelled := str(key)) in seen:
            raise refusal("id-repeated", part.at("id"), value=spelled, rule=RULE)
        seen.add(spelled)
