"""How a rule of the profile becomes a refusal: with its id, its limit and its clauses, and the checks every subject shares."""

from collections.abc import Iterable

from node.domain.profile import Rule
from node.domain.refused import Refused
from node.domain.values import Asked, Role

DIGEST_BYTES = 32
TEXT_MOST = 2_000


def breach(
    rule: Rule, code: str, *, value: object, limit: object = None, facts: tuple[tuple[str, str], ...] = ()
) -> Refused:
    """Return the refusal that a legal number makes. `limit` is what it allows in this case; the number itself by default."""
    allowed = rule.value if limit is None else limit
    text = ", ".join(allowed) if isinstance(allowed, tuple) else str(allowed)
    if not rule.confirmed:
        facts = (*facts, ("confirmed", "no"))
    return Refused(code, rule=rule.id, value=str(value), limit=text, cites=rule.cites, facts=facts)


def require_text(**fields: str) -> None:
    """Raise Refused for the first of these fields that is blank."""
    for name, text in fields.items():
        if not text.strip():
            raise Refused("field-missing", rule="fields-complete", facts=(("field", name),))


def require_short(**fields: str) -> None:
    """Raise Refused for the first of these fields that is longer than a person will read."""
    for name, text in fields.items():
        if len(text) > TEXT_MOST:
            facts = (("field", name),)
            raise Refused("text-too-long", rule="text-length", value=str(len(text)), limit=str(TEXT_MOST), facts=facts)


def require_digest(**fields: bytes) -> None:
    """Raise Refused for the first of these fields that is not a SHA-256."""
    for name, digest in fields.items():
        if len(digest) != DIGEST_BYTES:
            raise Refused(
                "digest-malformed", rule="sha256", value=str(len(digest)), limit="32", facts=(("field", name),)
            )


def require_one_of(value: str, allowed: Iterable[str], field: str) -> None:
    """Raise Refused for a word outside a closed list."""
    words = tuple(allowed)
    if value not in words:
        raise Refused(
            "word-unknown", rule="closed-list", value=value, limit=", ".join(words), facts=(("field", field),)
        )


def require_distinct(items: Iterable[str], field: str) -> None:
    """Raise Refused for the first item that stands twice."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise Refused("stands-twice", rule="no-duplicates", value=item, facts=(("field", field),))
        seen.add(item)


# Who may stand beside the first person of an act for two; the system administrator signs nothing in a procedure.
SECOND_ROLES = (Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS)


def require_second(asked: Asked, second: str) -> None:
    """Raise Refused unless a second person, given as role:person, stands beside the one who asks."""
    role, _, person = second.partition(":")
    if not person or person == asked.actor.person:
        raise Refused("second-person-missing", rule="two-persons", value=person, limit="2")
    require_one_of(role, tuple(str(one) for one in SECOND_ROLES), "second")
