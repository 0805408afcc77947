"""Runs the draw's second implementation (Node.js) over many vectors: `python -m tests.judges.draw_judge [N]` for a long run."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

from node.domain import draw
from node.domain.draw_proof import judge
from node.draw_json import proof_json
from tests.data import draws

NODE = shutil.which("node") or shutil.which("nodejs")
SOURCE = Path(__file__).parent / "draw" / "judge.js"


def asked(lines: list[bytes]) -> list[str]:
    """Give the judge one JSON a line; return its answers."""
    done = subprocess.run(
        [str(NODE), str(SOURCE)], input=b"\n".join(lines), capture_output=True, check=True, timeout=600
    )
    return done.stdout.decode().splitlines()


def one_line(body: bytes) -> bytes:
    return json.dumps(json.loads(body)).encode()


def proofs(count: int, first: int = 0) -> list[str]:
    """Return what the judge says of so many whole random draws."""
    return asked([one_line(proof_json(draws.random_proof(seed))) for seed in range(first, first + count)])


def changed(proof: dict, chance: random.Random) -> dict:
    """A proof with one thing of its result moved."""
    group = chance.choice([group for group in proof["groups"] if group["taken"]] or proof["groups"])
    match chance.randrange(4):
        case 0:
            proof["order"][0], proof["order"][-1] = proof["order"][-1], proof["order"][0]
        case 1:
            proof["seed"] = "00" * 32
        case 2:
            proof["pool"] = proof["pool"][1:]
        case _:
            group["taken"] = group["taken"][1:]
    return proof


def coefficients(count: int) -> list[tuple[int, str]]:
    """Return our index beside the judge's, for random seeds, names and numbers of options."""
    chance = random.Random(9)
    given = [(chance.randbytes(32), f"K{chance.randrange(9)}·系数", chance.randrange(1, 10_000)) for _ in range(count)]
    lines = [json.dumps({"seed": s.hex(), "coef": name, "options": m}).encode() for s, name, m in given]
    ours = [draw.drawn_index(*one) for one in given]
    return list(zip(ours, asked(lines), strict=True))


def main() -> None:
    """Compare N draws and N coefficients, and say so."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    wrong = [seed for seed, said in enumerate(proofs(count)) if said != "ok" or judge(draws.random_proof(seed))]
    wrong += [at for at, (ours, theirs) in enumerate(coefficients(count)) if str(ours) != theirs]
    print(f"{count} draws, {count} coefficients: {len(wrong)} disagreements {wrong[:5]}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
