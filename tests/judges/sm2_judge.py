"""`make sm2-judge N=10000`: random keys and messages; ours signs, BouncyCastle and GmSSL judge, and the other way round."""

import secrets
import sys

import gmssl_pyx
from asn1crypto.keys import PrivateKeyInfo

from sync.gm import generate_sm2, sm2_verify
from tests.judges import bouncy_castle


def raw_key(pkcs8: bytes) -> bytes:
    """Return the 32 bytes of a private key."""
    return bytes(PrivateKeyInfo.load(pkcs8)["private_key"].parsed["private_key"].contents)


def leading(signature: bytes) -> bool:
    """Whether r or s is short, or begins with 00 or 04: what other people's readers have tripped over."""
    first = signature[3]
    return first != 32 + (signature[4] == 0) or signature[4 : 4 + first].lstrip(b"\0")[:1] in {b"\4", b""}


def compare(count: int) -> tuple[int, int, int]:
    """Return how many were compared with both, how many disagreed, how many had a leading 00 or 04 in X, r or s."""
    rows, special, wrong = [], 0, 0
    for _ in range(count):
        key, data = generate_sm2(), secrets.token_bytes(secrets.randbelow(300) + 1)
        signature = key.sign(data)
        special += leading(signature) or key.spki[27] in {0, 4}
        changed = data[:-1] + bytes([data[-1] ^ 1])
        theirs = gmssl_pyx.sm2_sign(raw_key(key.pkcs8()), key.spki[-64:], data)
        wrong += not sm2_verify(key.spki, data, theirs) or sm2_verify(key.spki, changed, theirs)
        rows.append((key.spki, data, signature, True))
        rows.append((key.spki, changed, signature, False))
    asked = [f"sm2 {spki.hex()} {data.hex()} {signature.hex()}" for spki, data, signature, _ in rows]
    messages = [secrets.token_bytes(secrets.randbelow(300) + 1) for _ in range(count)]
    answers = bouncy_castle.ask([*asked, *(f"sign {data.hex()}" for data in messages)])
    wrong += sum(
        answer != ("yes" if right else "no")
        or sm2_verify(spki, data, signature) != right
        or gmssl_pyx.sm2_verify(spki[-64:], data, signature) != right
        for answer, (spki, data, signature, right) in zip(answers, rows, strict=False)
    )
    for data, answer in zip(messages, answers[len(rows) :], strict=True):
        spki, signature = (bytes.fromhex(word) for word in answer.split(" "))
        wrong += not sm2_verify(spki, data, signature)
        wrong += sm2_verify(spki, data + b"\0", signature)
    return len(rows) + 2 * count, wrong, special


def main() -> None:
    """Print the figures; exit 1 at any disagreement."""
    lacking = bouncy_castle.missing()
    if lacking:
        print(lacking)
        sys.exit(2)
    compared, wrong, special = compare(int(sys.argv[1]))
    print(f"{compared} compared with BouncyCastle and GmSSL, {wrong} disagree; {special} with a leading 00 or 04")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
