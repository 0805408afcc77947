"""Debian's `ssss` and PyPI's `pyhpke` judge the shares and their wraps, both ways."""

import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from pyhpke.kem_key import KEMKey

from sync.shares import combine, split
from sync.wrap import unwrap_share, wrap_share

_SECRET = bytes(range(7, 39))
needs_ssss = pytest.mark.skipif(shutil.which("ssss-combine") is None, reason="Debian's ssss is not installed")


def _ssss(*command: str, text: str) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


@needs_ssss
@pytest.mark.parametrize("numbers", [(1, 2, 3), (5, 2, 4), (1, 3, 5)])
def test_ssss_combine_reads_our_shares(numbers: tuple[int, ...]) -> None:
    shares = split(_SECRET, t=3, n=5)
    for half in (slice(0, 16), slice(16, 32)):
        lines = "".join(f"{i}-{shares[i - 1][half].hex()}\n" for i in numbers)
        said = _ssss("ssss-combine", "-t", "3", "-x", "-D", "-q", text=lines)
        assert said.split()[-1] == _SECRET[half].hex()


@needs_ssss
def test_we_combine_what_ssss_split() -> None:
    halves = []
    for half in (slice(0, 16), slice(16, 32)):
        said = _ssss("ssss-split", "-t", "3", "-n", "5", "-x", "-D", "-s", "128", "-q", text=_SECRET[half].hex() + "\n")
        halves.append({int(line[0]): bytes.fromhex(line[2:]) for line in said.split() if line[1:2] == "-"})
    assert combine({i: halves[0][i] + halves[1][i] for i in (1, 4, 5)}, t=3) == _SECRET


def _suite() -> CipherSuite:
    return CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def test_pyhpke_opens_our_wrap_and_we_open_its() -> None:
    private = X25519PrivateKey.generate()
    theirs = KEMKey.from_pyca_cryptography_key(private)
    blob = wrap_share(private.public_key().public_bytes_raw(), b"what for", _SECRET)
    assert _suite().create_recipient_context(blob[:32], theirs, info=b"what for").open(blob[32:]) == _SECRET
    enc, sender = _suite().create_sender_context(KEMKey.from_pyca_cryptography_key(private.public_key()), info=b"x")
    assert unwrap_share(private, b"x", enc + sender.seal(_SECRET)) == _SECRET
