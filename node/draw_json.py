"""The proof of a draw as JSON (PROOF.json, design 8): strict in, canonical out."""

import json
from dataclasses import dataclass
from typing import Any, Final

from node.domain.draw_proof import VERSION, Proof, ProofGroup, ProofParty
from node.exchange.strict_json import read_json, refusal

KEYS: Final = ("v", "draw_id", "pool", "pool_hash", "parties", "seed", "order", "groups")
_PARTY: Final = ("name", "commit", "nonce", "source")
_GROUP: Final = ("name", "need", "taken", "passed")
_PASSED: Final = ("no", "outcome")


@dataclass(eq=False)
class ProofMalformed(Exception):
    """An object that names itself a draw's proof has not its shape. `where` is the path of what is wrong."""

    where: str


def parse_proof(body: bytes) -> Proof:
    """Return the proof. Raises Refused for bytes that are no proof at all, ProofMalformed for one that was changed in shape."""
    tree = read_json(body)
    if not isinstance(tree, dict) or not {*KEYS} & {*tree}:
        raise refusal("not-a-proof", "", limit=", ".join(KEYS))
    members = _object(tree, KEYS, "$")
    if members["v"] != VERSION or isinstance(members["v"], bool):
        raise ProofMalformed("v")
    return Proof(
        draw_id=_text(members["draw_id"], "draw_id"),
        pool=_texts(members["pool"], "pool"),
        pool_hash=_text(members["pool_hash"], "pool_hash"),
        parties=tuple(_party(one, f"parties[{at}]") for at, one in enumerate(_list(members["parties"], "parties"))),
        seed=_text(members["seed"], "seed"),
        order=_texts(members["order"], "order"),
        groups=tuple(_group(one, f"groups[{at}]") for at, one in enumerate(_list(members["groups"], "groups"))),
    )


def proof_json(proof: Proof) -> bytes:
    """Return a proof as the bytes that are published."""
    tree = {
        "v": VERSION,
        "draw_id": proof.draw_id,
        "pool": list(proof.pool),
        "pool_hash": proof.pool_hash,
        "parties": [{key: getattr(party, key) for key in _PARTY} for party in proof.parties],
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
    return (json.dumps(tree, ensure_ascii=False, indent=2) + "\n").encode()


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
