"""SM2 signatures and encryption, and SM3, by the system's libcrypto (国密).

`cryptography` has SM3 and SM4 but no SM2. The identity that goes into an SM2 signature is always passed: OpenSSL before 4.0
takes an empty one unless told, GM/T 0009 says 1234567812345678. A system may carry a libcrypto without SM2, so whoever
uses the GM profile calls `self_test` at start and does not use it where that fails.
"""

import base64
import ctypes
import re
import weakref
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SM2_ID = b"1234567812345678"
_LIBRARY = "libcrypto.so.3"
_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*")
_LONGEST_PLAIN = 2**16

_P, _S, _I = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_OUT, _SIZE = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "EVP_PKEY_CTX_new": (_P, (_P, _P)),
    "EVP_PKEY_CTX_new_from_name": (_P, (_P, ctypes.c_char_p, ctypes.c_char_p)),
    "EVP_PKEY_CTX_free": (None, (_P,)),
    "EVP_PKEY_CTX_set1_id": (_I, (_P, ctypes.c_char_p, _I)),
    "EVP_PKEY_keygen_init": (_I, (_P,)),
    "EVP_PKEY_generate": (_I, (_P, _OUT)),
    "EVP_PKEY_encrypt_init": (_I, (_P,)),
    "EVP_PKEY_encrypt": (_I, (_P, _P, _SIZE, ctypes.c_char_p, _S)),
    "EVP_PKEY_decrypt_init": (_I, (_P,)),
    "EVP_PKEY_decrypt": (_I, (_P, _P, _SIZE, ctypes.c_char_p, _S)),
    "EVP_PKEY_public_check_quick": (_I, (_P,)),
    "EVP_PKEY_is_a": (_I, (_P, ctypes.c_char_p)),
    "EVP_PKEY_free": (None, (_P,)),
    "EVP_PKEY2PKCS8": (_P, (_P,)),
    "PKCS8_PRIV_KEY_INFO_free": (None, (_P,)),
    "i2d_PKCS8_PRIV_KEY_INFO": (_I, (_P, _OUT)),
    "i2d_PUBKEY": (_I, (_P, _OUT)),
    "d2i_PUBKEY": (_P, (_P, _OUT, ctypes.c_long)),
    "d2i_AutoPrivateKey": (_P, (_P, _OUT, ctypes.c_long)),
    "EVP_MD_CTX_new": (_P, ()),
    "EVP_MD_CTX_free": (None, (_P,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (_P, _P)),
    "EVP_sm3": (_P, ()),
    "EVP_DigestSignInit": (_I, (_P, _P, _P, _P, _P)),
    "EVP_DigestSign": (_I, (_P, _P, _SIZE, ctypes.c_char_p, _S)),
    "EVP_DigestVerifyInit": (_I, (_P, _P, _P, _P, _P)),
    "EVP_DigestVerify": (_I, (_P, ctypes.c_char_p, _S, ctypes.c_char_p, _S)),
    "EVP_Digest": (_I, (ctypes.c_char_p, _S, _P, _P, _P, _P)),
    "ERR_clear_error": (None, ()),
}


@dataclass(eq=False)
class GmFault(Exception):
    """This machine cannot do SM2, SM3 or SM4. `why` is missing-library, missing-function, failed or wrong-answer."""

    what: str
    why: str

    def __str__(self) -> str:
        """One line for a technician."""
        return f"GM profile unusable: {self.what}: {self.why}"


@dataclass(eq=False)
class GmRefused(Exception):
    """Bytes that came from outside are no SM2 key or no SM2 ciphertext for this key. `what` is key or ciphertext."""

    what: str

    def __str__(self) -> str:
        """Which bytes; never the bytes."""
        return f"not a usable SM2 {self.what}"


@cache
def _lib() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise GmFault(_LIBRARY, "missing-library") from error
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(lib, name)
        except AttributeError as error:
            raise GmFault(name, "missing-function") from error
        function.restype, function.argtypes = result, arguments
    return lib


def _require(ok: object, what: str) -> None:
    if not ok or ok == -1:
        _lib().ERR_clear_error()
        raise GmFault(what, "failed")


class _Key:
    """An EVP_PKEY of type SM2, freed with its holder."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        weakref.finalize(self, _lib().EVP_PKEY_free, pointer)

    @classmethod
    def read(cls, der: bytes, *, private: bool) -> Self:
        lib = _lib()
        buffer = ctypes.create_string_buffer(der, len(der))
        at = ctypes.c_void_p(ctypes.addressof(buffer))
        read = lib.d2i_AutoPrivateKey if private else lib.d2i_PUBKEY
        pointer = read(None, ctypes.byref(at), len(der))
        if not pointer:
            lib.ERR_clear_error()
            raise GmRefused("key")
        key = cls(pointer)
        if (at.value or 0) - ctypes.addressof(buffer) != len(der) or lib.EVP_PKEY_is_a(pointer, b"SM2") != 1:
            raise GmRefused("key")
        context = key.context()
        fine = lib.EVP_PKEY_public_check_quick(context)  # the cofactor is 1: on the curve and not infinity is enough
        lib.EVP_PKEY_CTX_free(context)
        lib.ERR_clear_error()
        if fine != 1:
            raise GmRefused("key")
        return key

    def context(self) -> int:
        context: int | None = _lib().EVP_PKEY_CTX_new(self.pointer, None)
        _require(context, "EVP_PKEY_CTX_new")
        return context or 0

    def digest_context(self, user_id: bytes) -> tuple[int, int]:
        """Return an EVP_MD_CTX of this key and identity, and its EVP_PKEY_CTX; free both, the first one first."""
        lib, inner = _lib(), self.context()
        outer: int = lib.EVP_MD_CTX_new()
        _require(lib.EVP_PKEY_CTX_set1_id(inner, user_id, len(user_id)) == 1, "EVP_PKEY_CTX_set1_id")
        lib.EVP_MD_CTX_set_pkey_ctx(outer, inner)
        return outer, inner

    def crypt(self, data: bytes, *, encrypt: bool) -> bytes | None:
        """Return ciphertext or plaintext; None where the library says no."""
        lib, context = _lib(), self.context()
        start, run = (
            (lib.EVP_PKEY_encrypt_init, lib.EVP_PKEY_encrypt)
            if encrypt
            else (lib.EVP_PKEY_decrypt_init, lib.EVP_PKEY_decrypt)
        )
        try:
            _require(start(context) == 1, "EVP_PKEY_encrypt_init")
            size = ctypes.c_size_t()
            if run(context, None, ctypes.byref(size), data, len(data)) != 1:
                return None
            out = ctypes.create_string_buffer(max(size.value, 1))
            if run(context, out, ctypes.byref(size), data, len(data)) != 1:
                return None
            return out.raw[: size.value]
        finally:
            lib.EVP_PKEY_CTX_free(context)
            lib.ERR_clear_error()


def _der(write: Any, pointer: int, what: str) -> bytes:
    size = write(pointer, None)
    _require(size > 0, what)
    out = ctypes.create_string_buffer(size)
    _require(write(pointer, ctypes.byref(ctypes.c_void_p(ctypes.addressof(out)))) == size, what)
    return out.raw


def _length(der: bytes) -> int:
    """Return how long a SEQUENCE says it is, with its head; -1 where it does not say."""
    if len(der) < 2 or der[0] != 0x30:
        return -1
    if der[1] < 0x80:
        return 2 + der[1]
    more = der[1] & 0x7F
    return 2 + more + int.from_bytes(der[2 : 2 + more], "big")


class Sm2Key:
    """An SM2 private key in memory (软件私钥). Its repr shows nothing of it."""

    def __init__(self, key: _Key) -> None:
        """Take over a key that was read or made here."""
        self._key = key
        self.spki = _der(_lib().i2d_PUBKEY, key.pointer, "i2d_PUBKEY")

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read an unencrypted PKCS 8 key, DER or PEM. Raises GmRefused, GmFault."""
        found = _PEM.fullmatch(data.strip() + b"\n")
        try:
            der = base64.b64decode(b"".join(found[1].split()), validate=True) if found else data
        except ValueError as error:
            raise GmRefused("key") from error
        return cls(_Key.read(der, private=True))

    def pkcs8(self) -> bytes:
        """Return the key as unencrypted PKCS 8 DER. The caller keeps it secret."""
        lib = _lib()
        info = lib.EVP_PKEY2PKCS8(self._key.pointer)
        _require(info, "EVP_PKEY2PKCS8")
        try:
            return _der(lib.i2d_PKCS8_PRIV_KEY_INFO, info, "i2d_PKCS8_PRIV_KEY_INFO")
        finally:
            lib.PKCS8_PRIV_KEY_INFO_free(info)

    def sign(self, data: bytes, user_id: bytes = SM2_ID) -> bytes:
        """Return an SM2 signature with SM3 over `data`: DER of r and s (GM/T 0009). Raises GmFault."""
        lib = _lib()
        outer, inner = self._key.digest_context(user_id)
        try:
            _require(lib.EVP_DigestSignInit(outer, None, lib.EVP_sm3(), None, self._key.pointer) == 1, "sign")
            size = ctypes.c_size_t()
            _require(lib.EVP_DigestSign(outer, None, ctypes.byref(size), data, len(data)) == 1, "sign")
            out = ctypes.create_string_buffer(size.value)
            _require(lib.EVP_DigestSign(outer, out, ctypes.byref(size), data, len(data)) == 1, "sign")
            return out.raw[: size.value]
        finally:
            lib.EVP_MD_CTX_free(outer)
            lib.EVP_PKEY_CTX_free(inner)
            lib.ERR_clear_error()

    def decrypt(self, cipher: bytes) -> bytes:
        """Open a DER SM2Cipher (GM/T 0009). Raises GmRefused where it was not made for this key, GmFault."""
        whole = _length(cipher) == len(cipher)  # libcrypto ignores what follows the structure
        plain = self._key.crypt(cipher, encrypt=False) if whole else None
        if plain is None:
            raise GmRefused("ciphertext")
        return plain


def generate_sm2() -> Sm2Key:
    """Make a key. Raises GmFault."""
    lib = _lib()
    context = lib.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)
    _require(context, "SM2")
    try:
        pointer = ctypes.c_void_p()
        _require(lib.EVP_PKEY_keygen_init(context) == 1, "keygen")
        _require(lib.EVP_PKEY_generate(context, ctypes.byref(pointer)) == 1, "keygen")
        return Sm2Key(_Key(pointer.value or 0))
    finally:
        lib.EVP_PKEY_CTX_free(context)


def sm2_verify(spki_der: bytes, data: bytes, signature: bytes, user_id: bytes = SM2_ID) -> bool:
    """Whether this is an SM2 signature by the key's owner. Raises GmRefused for a key that is none, GmFault."""
    key, lib = _Key.read(spki_der, private=False), _lib()
    outer, inner = key.digest_context(user_id)
    try:
        _require(lib.EVP_DigestVerifyInit(outer, None, lib.EVP_sm3(), None, key.pointer) == 1, "verify")
        return bool(lib.EVP_DigestVerify(outer, signature, len(signature), data, len(data)) == 1)
    finally:
        lib.EVP_MD_CTX_free(outer)
        lib.EVP_PKEY_CTX_free(inner)
        lib.ERR_clear_error()


def sm2_encrypt(spki_der: bytes, data: bytes) -> bytes:
    """Encrypt 1 to 65,536 bytes to a key, as DER SM2Cipher (GM/T 0009). Raises GmRefused, GmFault, ValueError."""
    if not 1 <= len(data) <= _LONGEST_PLAIN:
        raise ValueError(len(data))
    cipher = _Key.read(spki_der, private=False).crypt(data, encrypt=True)
    _require(cipher, "encrypt")
    return cipher or b""


def sm3(data: bytes) -> bytes:
    """Return the SM3 digest (GM/T 0004), 32 bytes. Raises GmFault."""
    lib, out = _lib(), ctypes.create_string_buffer(32)
    _require(lib.EVP_Digest(data, len(data), out, None, lib.EVP_sm3(), None) == 1, "SM3")
    return out.raw


# GM/T 0003.5 appendix A and C, DER of GM/T 0009; GM/T 0004; RFC 8998 appendix A.1.
_SPKI_HEAD = "3059301306072a8648ce3d020106082a811ccf5501822d03420004"
_PKCS8_HEAD = "308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420"
_D = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
_XY = (
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_SIGNATURE = (
    "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
_CIPHER = (
    "307c022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
    "022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
    "042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766041321886ca989ca9c7d58087307ca93092d651efa"
)
_SM3_EMPTY = "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
_SM3_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
_SM4_KEY, _SM4_IV = "0123456789abcdeffedcba9876543210", "00001234567800000000abcd"
_SM4_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
_SM4_PLAIN = "".join(two * 8 for two in ("aa", "bb", "cc", "dd", "ee", "ff", "ee", "aa"))
_SM4_CIPHER = (
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
    "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
)
_SM4_TAG = "83de3541e4c2b58177e065a9bf7b62ec"


def self_test() -> None:
    """Check SM2, SM3 and SM4 on this machine by published vectors, right and wrong ones. Raises GmFault: loud by intent."""
    if sm3(b"").hex() != _SM3_EMPTY or sm3(b"abc").hex() != _SM3_ABC:
        raise GmFault("SM3", "wrong-answer")
    spki, signature, message = bytes.fromhex(_SPKI_HEAD + _XY), bytes.fromhex(_SIGNATURE), b"message digest"
    try:
        key = Sm2Key.load(bytes.fromhex(_PKCS8_HEAD + _D + "a14403420004" + _XY))
        good = sm2_verify(spki, message, signature)
        bad = sm2_verify(spki, message, signature, b"") or sm2_verify(spki, message + b"s", signature)
        opened = key.decrypt(bytes.fromhex(_CIPHER))
        own = sm2_verify(spki, message, key.sign(message))
    except GmRefused as refused:
        raise GmFault("SM2", "failed") from refused
    if not good or bad or not own or key.spki != spki or opened != b"encryption standard":
        raise GmFault("SM2", "wrong-answer")
    _test_sm4()


def _test_sm4() -> None:
    if _open_sm4(_SM4_TAG).hex() != _SM4_PLAIN or _open_sm4(_SM4_TAG[:-2] + "ed"):
        raise GmFault("SM4-GCM", "wrong-answer")


def _open_sm4(tag: str) -> bytes:
    mode = modes.GCM(bytes.fromhex(_SM4_IV), bytes.fromhex(tag))
    decryptor = Cipher(algorithms.SM4(bytes.fromhex(_SM4_KEY)), mode).decryptor()
    decryptor.authenticate_additional_data(bytes.fromhex(_SM4_AAD))
    plain = decryptor.update(bytes.fromhex(_SM4_CIPHER))
    try:
        return plain + decryptor.finalize()
    except (InvalidTag, ValueError):  # ValueError: an older error of this thread still lay in OpenSSL's queue
        return b""
