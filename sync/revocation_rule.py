"""What a certificate may still do by what is known of its revocation, offline (吊销规则). Data and pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DAY_MS = 86_400_000
GRACE_DAYS = 7


class Purpose(StrEnum):
    """What a person wants to do with a certificate (用途)."""

    LOGIN = "login"
    SUBMIT = "submit"  # hand in or withdraw a bid
    OPEN = "open"  # decrypt at the opening
    SIGN = "sign"  # an award, an expert's evaluation, every other binding act


class Standing(StrEnum):
    """The four states (吊销状态)."""

    FRESH = "fresh"  # not revoked by data that has not run out
    GRACE = "grace"  # not revoked by data that ran out, within the anchor's grace
    UNKNOWN = "unknown"  # the data is older, or there is none
    REVOKED = "revoked"  # revoked before the act


class Verdict(StrEnum):
    """What follows from a state for a purpose (处理)."""

    YES = "yes"
    BANNER = "banner"  # yes, and the person is told
    PENDING = "pending"  # yes, marked, and judged again by later data
    SECOND_PERSON = "second-person"  # yes with a second person, marked
    READ_ONLY = "read-only"
    NO = "no"


RULE: dict[tuple[Standing, Purpose], Verdict] = {
    (Standing.FRESH, Purpose.LOGIN): Verdict.YES,
    (Standing.FRESH, Purpose.SUBMIT): Verdict.YES,
    (Standing.FRESH, Purpose.OPEN): Verdict.YES,
    (Standing.FRESH, Purpose.SIGN): Verdict.YES,
    (Standing.GRACE, Purpose.LOGIN): Verdict.BANNER,
    (Standing.GRACE, Purpose.SUBMIT): Verdict.PENDING,
    (Standing.GRACE, Purpose.OPEN): Verdict.YES,
    (Standing.GRACE, Purpose.SIGN): Verdict.SECOND_PERSON,
    (Standing.UNKNOWN, Purpose.LOGIN): Verdict.READ_ONLY,
    (Standing.UNKNOWN, Purpose.SUBMIT): Verdict.NO,
    (Standing.UNKNOWN, Purpose.OPEN): Verdict.PENDING,  # the bid was accepted already
    (Standing.UNKNOWN, Purpose.SIGN): Verdict.NO,
    (Standing.REVOKED, Purpose.LOGIN): Verdict.NO,
    (Standing.REVOKED, Purpose.SUBMIT): Verdict.NO,
    (Standing.REVOKED, Purpose.OPEN): Verdict.NO,
    (Standing.REVOKED, Purpose.SIGN): Verdict.NO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one list or answer says of one certificate (吊销证据). Times are Unix milliseconds; `revoked_ms` 0: it is not."""

    serial: int
    kind: str  # crl | ocsp
    sha256: str
    this_update_ms: int
    next_update_ms: int
    revoked_ms: int = 0

    def age_ms(self, at_ms: int) -> int:
        """Return how old it is at a moment; negative where it was issued later."""
        return at_ms - self.this_update_ms


def standing_of(evidence: Evidence | None, at_ms: int, grace_days: int) -> Standing:
    """Return the state of one certificate at the act's time.

    Data issued after the act decides about the act (ETSI TS 119 172-3, time after signature): it cannot run out.
    """
    if evidence is None:
        return Standing.UNKNOWN
    if evidence.revoked_ms and evidence.revoked_ms <= at_ms:
        return Standing.REVOKED
    if at_ms <= evidence.next_update_ms:
        return Standing.FRESH
    return Standing.GRACE if at_ms <= evidence.next_update_ms + grace_days * DAY_MS else Standing.UNKNOWN


def newest(found: Iterable[Evidence]) -> Evidence | None:
    """Return what decides: a revocation, the earliest one; otherwise the latest data."""
    rows = tuple(found)
    revoked = sorted((row for row in rows if row.revoked_ms), key=lambda row: row.revoked_ms)
    if revoked:
        return revoked[0]
    return max(rows, key=lambda row: (row.this_update_ms, row.sha256), default=None)


_WORST = (Standing.REVOKED, Standing.UNKNOWN, Standing.GRACE, Standing.FRESH)


def worst(standings: Iterable[Standing]) -> Standing:
    """Return the state of a path by the states of its certificates."""
    return min(standings, key=_WORST.index)


class Outcome(StrEnum):
    """What later data says of an act that was accepted (复核结果)."""

    CONFIRMED = "confirmed"  # pending no more: not revoked at the time of the act
    STILL_PENDING = "still-pending"  # nothing issued after the act yet
    WAS_REVOKED = "was-revoked"  # revoked before the act: to be decided by people, never silently


def rejudged(path: Iterable[Evidence | None], at_ms: int) -> Outcome:
    """Return the outcome to append for an act at `at_ms`, by the newest data of each certificate of its path. Pure."""
    rows = tuple(path)
    if any(row is not None and row.revoked_ms and row.revoked_ms <= at_ms for row in rows):
        return Outcome.WAS_REVOKED
    later = all(row is not None and row.this_update_ms > at_ms for row in rows)
    return Outcome.CONFIRMED if later and rows else Outcome.STILL_PENDING
