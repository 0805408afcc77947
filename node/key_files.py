"""Certificates and private keys in the files that people keep them in (证书和密钥文件): PEM or DER, any of the four families."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sync.gm import GmFault, GmRefused, Sm2Key


def certificate_of(path: Path) -> bytes:
    """Return the DER of a certificate file (PEM or DER). Raises ValueError."""
    data = path.read_bytes()
    read = x509.load_pem_x509_certificate if b"-----BEGIN" in data else x509.load_der_x509_certificate
    return read(data).public_bytes(serialization.Encoding.DER)


def chain_of(path: Path | None) -> tuple[bytes, ...]:
    """Return the certificates of a PEM file, DER; none without a file. Raises ValueError."""
    found = x509.load_pem_x509_certificates(path.read_bytes()) if path is not None else []
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in found)


def pkcs8_of(path: Path) -> bytes:
    """Return the PKCS#8 DER of an unencrypted private key file (PEM), SM2 too. Raises ValueError, TypeError."""
    pem = path.read_bytes()
    try:
        return Sm2Key.load(pem).pkcs8()
    except (GmRefused, GmFault):  # a key of another family, or no SM2 here
        return serialization.load_pem_private_key(pem, None).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
