"""Two unrelated validators of a chain: pyhanko-certvalidator in Python, and OpenSSL by pyOpenSSL's X509Store (双验证).

Both judge chain, signatures and validity at a moment. What only one of them believes is refused and recorded.
"""

import datetime as dt
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from asn1crypto import x509 as asn1
from OpenSSL import crypto
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    ExpiredError,
    NotYetValidError,
    OCSPValidationError,
    PathBuildingError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.validate import async_validate_path

from sync.certificate_form import Certificate
from sync.gm_asn1 import FamilyValidator
from sync.revocation_rule import Evidence

T = TypeVar("T")
_quiet = logging.getLogger("pyhanko_certvalidator")  # its lines name the holder
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False
_NO_CHECK = CertRevTrustPolicy(
    RevocationCheckingPolicy(RevocationCheckingRule.NO_CHECK, RevocationCheckingRule.NO_CHECK)
)
_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
_NO_ISSUER = {2, 18, 19, 20, 21, 27}  # no issuer, self-signed and unknown, untrusted


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing: no line is used here, and an event loop may be running already."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a validator wanted to wait")


def first(
    leaf: Certificate, chain: Sequence[Certificate], roots: Iterable[bytes], at: dt.datetime
) -> ValidationPath | str:
    """Return the path that certvalidator finds, or the word for why there is none."""
    context = _context(roots, chain, at, _NO_CHECK)
    try:
        return finish(CertificateValidator(leaf.parsed, validation_context=context).async_validate_path())
    except ExpiredError:
        return "expired"
    except NotYetValidError:
        return "not-yet-valid"
    except PathBuildingError:
        return "unknown-issuer"
    except (ValidationError, ValueError):
        return "chain"


def second(leaf: Certificate, chain: Sequence[Certificate], roots: Iterable[bytes], at: dt.datetime) -> str:
    """Return "" where OpenSSL believes the chain, or the word for why not."""
    store = crypto.X509Store()
    for root in roots:
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, root))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    store.set_time(at)
    try:
        more = [crypto.load_certificate(crypto.FILETYPE_ASN1, one.der) for one in chain]
        own = crypto.load_certificate(crypto.FILETYPE_ASN1, leaf.der)
        crypto.X509StoreContext(store, own, more).verify_certificate()
    except crypto.X509StoreContextError as error:
        code = error.errors[0]
        return {_EXPIRED: "expired", _NOT_YET: "not-yet-valid"}.get(
            code, "unknown-issuer" if code in _NO_ISSUER else "chain"
        )
    except crypto.Error:
        return "chain"
    return ""


def _context(
    roots: Iterable[bytes],
    chain: Sequence[Certificate],
    at: dt.datetime,
    policy: CertRevTrustPolicy,
    *,
    crls: Iterable[bytes] = (),
    ocsps: Iterable[bytes] = (),
) -> ValidationContext:
    return ValidationContext(
        trust_roots=[asn1.Certificate.load(root) for root in roots],
        other_certs=[one.parsed for one in chain],
        moment=at,
        allow_fetching=False,
        revinfo_policy=policy,
        crls=list(crls),
        ocsps=list(ocsps),
        signature_validator=FamilyValidator(),
        time_tolerance=dt.timedelta(0),
    )


def _rule(kind: str) -> CertRevTrustPolicy:
    rule = RevocationCheckingRule.CRL_REQUIRED if kind == "crl" else RevocationCheckingRule.OCSP_REQUIRED
    return CertRevTrustPolicy(RevocationCheckingPolicy(rule, RevocationCheckingRule.NO_CHECK))


def says(
    path: ValidationPath, index: int, roots: Iterable[bytes], offered: "Offered", chain: Sequence[Certificate]
) -> Evidence | None:
    """Return what one list or answer says of certificate `index` of a path; None where it does not count for it.

    An answer is judged at its own time, a list at its last moment, so that a revocation of any date in it is seen; where a
    certificate did not stand then, at the nearest moment it did. How old the data is, is the rule's affair.
    """
    certificates = list(path.iter_certs(include_root=True))[: index + 1]
    starts = [one.not_valid_before for one in certificates]
    late = min(offered.next_update, *(one.not_valid_after for one in certificates))
    own = offered.this_update + dt.timedelta(
        seconds=1
    )  # the library takes a revocation of that very second for a later one
    moment = max(late, own, *starts) if offered.kind == "crl" else max(own, *starts)
    crls, ocsps = ([offered.der], []) if offered.kind == "crl" else ([], [offered.der])
    context = _context(roots, chain, moment, _rule(offered.kind), crls=crls, ocsps=ocsps)
    short = ValidationPath(path.trust_anchor, certificates[1:-1], certificates[-1])
    revoked_ms = 0
    try:
        if offered.kind == "crl":
            finish(async_validate_path(context, short))
        else:  # asked directly: on the way of a path it is read only for a certificate that lists a responder
            finish(verify_ocsp_response(certificates[-1], short, context))
    except RevokedError as revoked:
        revoked_ms = _ms(revoked.revocation_dt)
    except (ValidationError, PathBuildingError, OCSPValidationError, ValueError):
        return None
    return Evidence(
        serial=certificates[-1].serial_number,
        kind=offered.kind,
        sha256=offered.sha256,
        this_update_ms=_ms(offered.this_update),
        next_update_ms=_ms(offered.next_update),
        revoked_ms=revoked_ms,
    )


class Offered:
    """A CRL or an OCSP answer that was parsed and not believed yet."""

    def __init__(self, kind: str, der: bytes, sha256: str, this_update: dt.datetime, next_update: dt.datetime) -> None:
        """Keep the parts; times are aware."""
        self.kind, self.der, self.sha256 = kind, der, sha256
        self.this_update, self.next_update = this_update, next_update


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)


VALIDATORS: tuple[Callable[..., Any], ...] = (first, second)
