"""The `gmssl` program (GmSSL 3) as judge, where a machine has it: `pip install easy-gmssl` builds it into the home folder."""

import base64
import os
import shutil
import subprocess
from pathlib import Path

from asn1crypto import algos, core, keys
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

_HOMES = sorted(Path.home().glob(".gmssl_*_install/bin/gmssl"))
PROGRAM = shutil.which("gmssl") or (str(_HOMES[-1]) if _HOMES else "")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it and return what came of it."""
    library = str(Path(PROGRAM).parent.parent / "lib")
    environment = {**os.environ, "LD_LIBRARY_PATH": library}
    return subprocess.run(
        (PROGRAM, *arguments), check=False, env=environment, capture_output=True, text=True, timeout=60
    )


class _Pbkdf2(core.Sequence):
    _fields = [  # noqa: RUF012
        ("salt", core.OctetString),
        ("count", core.Integer),
        ("length", core.Integer),
        ("prf", algos.AlgorithmIdentifier),
    ]


class _Pbes2(core.Sequence):
    _fields = [("kdf", algos.AlgorithmIdentifier), ("cipher", algos.AlgorithmIdentifier)]  # noqa: RUF012


class _Encrypted(core.Sequence):
    _fields = [("algorithm", algos.AlgorithmIdentifier), ("body", core.OctetString)]  # noqa: RUF012


class _EcKey(core.Sequence):
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("d", core.OctetString),
        ("curve", core.ObjectIdentifier, {"explicit": 0}),
        ("point", keys.ECPointBitString, {"explicit": 1}),
    ]


class _Pkcs8(core.Sequence):
    _fields = [("version", core.Integer), ("algorithm", algos.AlgorithmIdentifier), ("key", core.OctetString)]  # noqa: RUF012


def _algorithm(oid: str, parameters: core.Asn1Value) -> dict[str, object]:
    return {"algorithm": oid, "parameters": parameters}


def key_pem(pkcs8: bytes, password: str) -> bytes:
    """Return a private key as GmSSL keeps it: PBES2 of PBKDF2-HMAC-SM3 and SM4-CBC."""
    salt, iv, count = os.urandom(8), os.urandom(16), 65_536
    key = PBKDF2HMAC(hashes.SM3(), 16, salt, count).derive(password.encode())
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.SM4(key), modes.CBC(iv)).encryptor()
    body = encryptor.update(padder.update(_with_curve(pkcs8)) + padder.finalize()) + encryptor.finalize()
    kdf = _Pbkdf2({"salt": salt, "count": count, "length": 16, "prf": {"algorithm": "1.2.156.10197.1.401.2"}})
    scheme = _Pbes2(
        {
            "kdf": _algorithm("1.2.840.113549.1.5.12", kdf),
            "cipher": _algorithm("1.2.156.10197.1.104.2", core.OctetString(iv)),
        }
    )
    whole = _Encrypted({"algorithm": _algorithm("1.2.840.113549.1.5.13", scheme), "body": body}).dump()
    text = base64.encodebytes(whole).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def _with_curve(pkcs8: bytes) -> bytes:
    """GmSSL wants the curve inside the key as well."""
    inner = keys.PrivateKeyInfo.load(pkcs8)["private_key"].parsed
    sm2 = "1.2.156.10197.1.301"
    key = _EcKey({"version": 1, "d": inner["private_key"].contents, "curve": sm2, "point": inner["public_key"].untag()})
    algorithm = _algorithm("1.2.840.10045.2.1", core.ObjectIdentifier(sm2))
    return _Pkcs8({"version": 0, "algorithm": algorithm, "key": key.dump()}).dump()


def der_of(path: Path) -> bytes:
    """Return what a PEM file of GmSSL holds."""
    return base64.b64decode("".join(line for line in path.read_text("ascii").splitlines() if not line.startswith("-")))
