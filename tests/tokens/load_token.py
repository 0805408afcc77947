"""Put a key and its certificate into a PKCS #11 token, as a vendor does."""

import pkcs11
from asn1crypto import keys, x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

ID = b"\x01"


def _private(pkcs8: bytes) -> dict[Attribute, object]:
    key = load_der_private_key(pkcs8, None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {
            Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
            Attribute.EC_PARAMS: bytes.fromhex("130c656477617264733235353139"),
            Attribute.VALUE: key.private_bytes_raw(),
        }
    info = keys.PrivateKeyInfo.load(pkcs8)["private_key"].parsed
    if isinstance(info, keys.RSAPrivateKey):
        names = {
            "modulus": Attribute.MODULUS,
            "public_exponent": Attribute.PUBLIC_EXPONENT,
            "private_exponent": Attribute.PRIVATE_EXPONENT,
            "prime1": Attribute.PRIME_1,
            "prime2": Attribute.PRIME_2,
            "exponent1": Attribute.EXPONENT_1,
            "exponent2": Attribute.EXPONENT_2,
            "coefficient": Attribute.COEFFICIENT,
        }
        numbers = {word: info[name].native for name, word in names.items()}
        return {
            Attribute.KEY_TYPE: KeyType.RSA,
            **{word: number.to_bytes((number.bit_length() + 7) // 8, "big") for word, number in numbers.items()},
        }
    return {
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1"),
        Attribute.VALUE: info["private_key"].native.to_bytes(32, "big"),
    }


def load(library: str, token: str, pin: str, pkcs8: bytes, certificate: bytes) -> None:
    """Store both under one id."""
    with pkcs11.lib(library).get_token(token_label=token).open(rw=True, user_pin=pin) as session:
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.PRIVATE_KEY,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.SIGN: True,
                Attribute.ID: ID,
                **_private(pkcs8),
            }
        )
        parsed = x509.Certificate.load(certificate)
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.ID: ID,
                Attribute.SUBJECT: parsed.subject.dump(),
                Attribute.ISSUER: parsed.issuer.dump(),
                Attribute.VALUE: certificate,
            }
        )
