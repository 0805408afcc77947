"""The proof of a draw as JSON (PROOF.json, design 8): strict in, canonical out.

Version 2, which is published, ends with `digest`: SHA-256 over everything else. So a word that nothing else binds (a group's
name, why somebody did not come, reveal or escrow) cannot be changed by itself; the log says whether the whole is the true one.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from node.domain.draw_proof import VERSIONS, OptionProof, Proof, ProofGroup, ProofParty
from node.exchange.strict_json import read_json, refusal
from sync import jcs
from sync.tampered import Malformed

_DIGEST_TAG: Final = b"erhai-proof-v1\n"
KEYS: Final = ("v", "draw_id", "pool", "pool_hash", "parties", "seed", "order", "groups")
OPTION_KEYS: Final = ("v", "draw_id", "kind", "name", "options", "pool_hash", "parties", "seed", "drawn")
_PARTY: Final = ("name", "commit", "nonce", "source")
_GROUP: Final = ("name", "need", "taken", "passed")
_PASSED: Final = ("no", "outcome")


@dataclass(eq=False)
class ProofMalformed(Exception):
    """An object that names itself a draw's proof was changed: its shape, or what its digest covers. `where` is a path."""

    where: str
    code: str = "malformed"


def parse_proof(body: bytes) -> Proof | OptionProof:
    """Return the proof. Raises Refused for bytes that are no proof at all, ProofMalformed for one that was changed in shape."""
    tree = read_json(body)
    if not isinstance(tree, dict) or not {*KEYS, *OPTION_KEYS} & {*tree}:
        raise refusal("not-a-proof", "", limit=", ".join(KEYS))
    version = tree.get("v")
    if type(version) is not int or version not in VERSIONS:
        raise ProofMalformed("v")
    options = "options" in tree
    keys = OPTION_KEYS if options else KEYS
    members = _object(tree, keys if version == 1 and not options else (*keys, "digest"), "$")
    proof = _options(members) if options else _experts(members)
    if "digest" in members and members["digest"] != _digest_of(members):
        raise ProofMalformed("digest", "digest-differs")
    return proof


def _digest_of(members: dict[str, Any]) -> str:
    try:
        return proof_digest(members).hex()
    except (Malformed, UnicodeEncodeError):
        raise ProofMalformed("digest", "digest-differs") from None


def proof_digest(members: dict[str, Any]) -> bytes:
    """Return SHA-256 of the tag and of the canonical JSON (RFC 8785) of all members but `digest`."""
    return hashlib.sha256(_DIGEST_TAG + jcs.encode({k: v for k, v in members.items() if k != "digest"})).digest()


def proof_json(proof: Proof | OptionProof) -> bytes:
    """Return a proof as the bytes that are published."""
    tree = _option_tree(proof) if isinstance(proof, OptionProof) else _expert_tree(proof)
    tree["digest"] = proof_digest(tree).hex()
    return (json.dumps(tree, ensure_ascii=False, indent=2) + "\n").encode()


def _experts(members: dict[str, Any]) -> Proof:
    return Proof(
        draw_id=_text(members["draw_id"], "draw_id"),
        pool=_texts(members["pool"], "pool"),
        pool_hash=_text(members["pool_hash"], "pool_hash"),
        parties=_parties(members),
        seed=_text(members["seed"], "seed"),
        order=_texts(members["order"], "order"),
        groups=tuple(_group(one, f"groups[{at}]") for at, one in enumerate(_list(members["groups"], "groups"))),
    )


def _options(members: dict[str, Any]) -> OptionProof:
    return OptionProof(
        draw_id=_text(members["draw_id"], "draw_id"),
        kind=_text(members["kind"], "kind"),
        name=_text(members["name"], "name"),
        options=_texts(members["options"], "options"),
        pool_hash=_text(members["pool_hash"], "pool_hash"),
        parties=_parties(members),
        seed=_text(members["seed"], "seed"),
        drawn=_texts(members["drawn"], "drawn"),
    )


def _expert_tree(proof: Proof) -> dict[str, Any]:
    return {
        "v": VERSIONS[-1],
        "draw_id": proof.draw_id,
        "pool": list(proof.pool),
        "pool_hash": proof.pool_hash,
        "parties": _party_trees(proof.parties),
        "seed": proof.seed,
        "order": list(proof.order),
        "groups": [
            {
                "name": group.name,
                "need": group.need,
                "taken": list(group.taken),
                "passed": [{"no": number, "outcome": outcome} for number, outcome in group.passed],
            }
            for group in proof.groups
        ],
    }


def _option_tree(proof: OptionProof) -> dict[str, Any]:
    return {
        "v": VERSIONS[-1],
        "draw_id": proof.draw_id,
        "kind": proof.kind,
        "name": proof.name,
        "options": list(proof.options),
        "pool_hash": proof.pool_hash,
        "parties": _party_trees(proof.parties),
        "seed": proof.seed,
        "drawn": list(proof.drawn),
    }


def _party_trees(parties: tuple[ProofParty, ...]) -> list[dict[str, str]]:
    return [{key: getattr(party, key) for key in _PARTY} for party in parties]


def _parties(members: dict[str, Any]) -> tuple[ProofParty, ...]:
    return tuple(_party(one, f"parties[{at}]") for at, one in enumerate(_list(members["parties"], "parties")))


def _party(value: Any, where: str) -> ProofParty:
    members = _object(value, _PARTY, where)
    return ProofParty(**{key: _text(members[key], f"{where}.{key}") for key in _PARTY})


def _group(value: Any, where: str) -> ProofGroup:
    members = _object(value, _GROUP, where)
    need = members["need"]
    if isinstance(need, bool) or not isinstance(need, int):
        raise ProofMalformed(f"{where}.need")
    passed = []
    for at, one in enumerate(_list(members["passed"], f"{where}.passed")):
        pair = _object(one, _PASSED, f"{where}.passed[{at}]")
        passed.append((_text(pair["no"], f"{where}.passed[{at}].no"), _text(pair["outcome"], f"{where}.passed[{at}]")))
    return ProofGroup(
        name=_text(members["name"], f"{where}.name"),
        need=need,
        taken=_texts(members["taken"], f"{where}.taken"),
        passed=tuple(passed),
    )


def _object(value: Any, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or {*value} != {*keys}:
        raise ProofMalformed(where)
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProofMalformed(where)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ProofMalformed(where)
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_text(one, f"{where}[{at}]") for at, one in enumerate(_list(value, where)))
