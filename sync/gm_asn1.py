"""SM2 and SM3 made known to asn1crypto and to the first validator; pyHanko and its validator then do the rest.

Both libraries choose their own signature check where they are given none, in one place without asking (a delegated OCSP
responder), so that name is replaced as well; a test holds on to it.
"""

import pyhanko_certvalidator.context as validator_context
from asn1crypto import algos, keys
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from pyhanko_certvalidator.sig_validate import (
    DEFAULT_VALIDATION_CONTEXT,
    DefaultSignatureValidator,
    SignatureValidationContext,
)

from sync.gm import GmRefused, sm2_verify

SM2_CURVE = "1.2.156.10197.1.301"
SM2_WITH_SM3 = "1.2.156.10197.1.501"
SM3 = "1.2.156.10197.1.401"
_NAMES = (
    (algos.DigestAlgorithmId, SM3, "sm3"),
    (algos.SignedDigestAlgorithmId, SM2_WITH_SM3, "sm3_sm2"),
)


def _register() -> None:
    for kind, oid, name in _NAMES:
        kind._map[oid] = name  # noqa: SLF001 - asn1crypto has no other way in
        if kind._reverse_map is None:  # noqa: SLF001
            kind._reverse_map = {word: number for number, word in kind._map.items()}  # noqa: SLF001
        kind._reverse_map[name] = oid  # noqa: SLF001


class FamilyValidator(DefaultSignatureValidator):
    """Checks a signature of any of the four families; SM2 with the identity of GM/T 0009."""

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: keys.PublicKeyInfo,
        signature_algorithm: algos.SignedDigestAlgorithm,
        context: SignatureValidationContext = DEFAULT_VALIDATION_CONTEXT,
    ) -> None:
        """Raises InvalidSignature, UnsupportedAlgorithm."""
        if signature_algorithm["algorithm"].dotted == SM2_WITH_SM3:
            try:
                fine = sm2_verify(public_key_info.dump(), signed_data, signature)
            except GmRefused as refused:
                raise InvalidSignature from refused
            if not fine:
                raise InvalidSignature
            return
        try:
            super().validate_signature(signature, signed_data, public_key_info, signature_algorithm, context)
        except (ValueError, TypeError, AssertionError, UnsupportedAlgorithm) as error:  # a key of another family
            raise InvalidSignature from error


def signed_by(tbs: bytes, signature: bytes, algorithm: algos.SignedDigestAlgorithm, key: keys.PublicKeyInfo) -> bool:
    """Whether `key` made this signature."""
    try:
        FamilyValidator().validate_signature(signature, tbs, key, algorithm)
    except InvalidSignature:
        return False
    return True


_register()
validator_context.DefaultSignatureValidator = FamilyValidator  # type: ignore[attr-defined]
