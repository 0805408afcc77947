"""An SM2 token by SKF (GM/T 0016-2012): the vendor's library, behind the same interface as every signer (国密智能钥匙).

The token signs a digest, so Z and SM3 are computed here, from the public key of the certificate (GM/T 0003.2, 5.5).
"""

import ctypes
from collections.abc import Sequence

from sync.certificate_form import read_certificate
from sync.gm import SM2_ID, sm2_verify, sm3
from sync.signers import TokenFault

_HANDLE, _U32 = ctypes.c_void_p, ctypes.c_uint32
_USER = 1
_WRONG_PIN, _LOCKED = 0x0A000024, 0x0A000025
_A = "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC"
_B = "28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93"
_G = (
    "32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7"
    "BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0"
)


class _Signature(ctypes.Structure):
    """ECCSIGNATUREBLOB: r and s, each right-aligned in 64 bytes."""

    _fields_ = (("r", ctypes.c_ubyte * 64), ("s", ctypes.c_ubyte * 64))


def digest_of(spki: bytes, data: bytes, user_id: bytes = SM2_ID) -> bytes:
    """Return e = SM3(Z ‖ data) of a signer's public key, 32 bytes."""
    z = sm3((len(user_id) * 8).to_bytes(2, "big") + user_id + bytes.fromhex(_A + _B + _G) + spki[-64:])
    return sm3(z + data)


def _integer(raw: bytes) -> bytes:
    body = raw.lstrip(b"\0") or b"\0"
    body = b"\0" + body if body[0] & 0x80 else body
    return b"\x02" + bytes([len(body)]) + body


class SkfSigner:
    """One container of one application of one device, opened with the user's PIN."""

    def __init__(
        self, library: str, *, device: str, application: str, container: str, pin: str, chain: Sequence[bytes] = ()
    ) -> None:
        """Open it and read its signing certificate. Raises TokenFault, CertRefused."""
        try:
            self._lib = ctypes.CDLL(library)
        except OSError as error:
            raise TokenFault("no-library", library) from error
        self.chain = tuple(chain)
        self._device, self._application, self._container = _HANDLE(), _HANDLE(), _HANDLE()
        self._call("SKF_ConnectDev", device.encode(), ctypes.byref(self._device), why="no-token")
        self._call(
            "SKF_OpenApplication", self._device, application.encode(), ctypes.byref(self._application), why="no-token"
        )
        tries = _U32()
        self._call("SKF_VerifyPIN", self._application, _U32(_USER), pin.encode(), ctypes.byref(tries), why="wrong-pin")
        self._call(
            "SKF_OpenContainer", self._application, container.encode(), ctypes.byref(self._container), why="no-key"
        )
        self.certificate = self._read()
        self._spki = read_certificate(self.certificate, "token").parsed.public_key.dump()

    def _call(self, name: str, *arguments: object, why: str = "failed") -> None:
        try:
            function = getattr(self._lib, name)
        except AttributeError as error:
            raise TokenFault("not-offered", name) from error
        function.restype = _U32
        code = function(*arguments)
        if code == _LOCKED:
            raise TokenFault("locked", name)
        if code == _WRONG_PIN:
            raise TokenFault("wrong-pin", name)
        if code:
            raise TokenFault(why, f"{name} {code:#010x}")

    def _read(self) -> bytes:
        size = _U32()
        self._call("SKF_ExportCertificate", self._container, _U32(1), None, ctypes.byref(size), why="no-certificate")
        out = ctypes.create_string_buffer(size.value)
        self._call("SKF_ExportCertificate", self._container, _U32(1), out, ctypes.byref(size), why="no-certificate")
        return out.raw[: size.value]

    def sign(self, data: bytes) -> bytes:
        """Sign in the token, DER of r and s. Raises TokenFault, also where the token's answer does not verify."""
        digest = digest_of(self._spki, data)
        blob = _Signature()
        self._call("SKF_ECCSignData", self._container, digest, _U32(len(digest)), ctypes.byref(blob))
        body = _integer(bytes(blob.r)) + _integer(bytes(blob.s))
        signature = b"\x30" + bytes([len(body)]) + body
        if not sm2_verify(self._spki, data, signature):
            raise TokenFault("failed", "the token's signature does not verify")
        return signature

    def close(self) -> None:
        """Leave the token. Raises TokenFault."""
        self._call("SKF_CloseContainer", self._container)
        self._call("SKF_CloseApplication", self._application)
        self._call("SKF_DisConnectDev", self._device)
