"""A vendor's samples, held against the access standard (厂商样例检测). What is asked for stands in docs/certificates.md."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sync.acts import ActRefused, verify_act
from sync.anchors import Anchor, Anchors, AnchorsRefused, read_anchor
from sync.certificate_form import CertRefused, read_certificate
from sync.gm import GmFault, self_test
from sync.person_certs import Judgement, judge
from sync.revocation_rule import DAY_MS, Purpose, Standing

_MOST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One check: what, whether it passed, and what was found."""

    what: str
    ok: bool
    found: str


class _Missing(Exception):
    """A sample is not there."""


def check_samples(folder: Path, now_ms: int) -> tuple[Line, ...]:
    """Check every sample of a folder. Raises OSError where a file that is there cannot be read."""
    return tuple(_lines(folder, now_ms))


def _lines(folder: Path, now_ms: int) -> Iterator[Line]:
    samples = _Samples(folder, now_ms)
    for what, check in (
        ("anchor", samples.anchor_line),
        ("sign", samples.sign_line),
        ("seal", samples.seal_line),
        ("revoked", samples.revoked_line),
        ("act", samples.act_line),
    ):
        yield _line(what, check)


def _line(what: str, check: Callable[[], str]) -> Line:
    try:
        return Line(what, True, check())
    except _Missing as missing:
        return Line(what, False, f"missing: {missing}")
    except (CertRefused, ActRefused, AnchorsRefused, GmFault) as refused:
        return Line(what, False, str(refused))


class _Samples:
    def __init__(self, folder: Path, now_ms: int) -> None:
        self._folder, self._now_ms = folder, now_ms

    def _bytes(self, name: str) -> bytes:
        path = self._folder / name
        if not path.is_file():
            raise _Missing(name)
        with path.open("rb") as file:
            return file.read(_MOST)

    def _all(self, pattern: str) -> list[bytes]:
        return [self._bytes(path.name) for path in sorted(self._folder.glob(pattern))]

    def _anchor(self) -> Anchor:
        der = self._bytes("root.der")
        return read_anchor(hashlib.sha256(der).hexdigest(), der, self._bytes("anchor.toml"))

    def _anchors(self) -> Anchors:
        now = self._now_ms
        return Anchors(version=1, issued_ms=now - DAY_MS, expires_ms=now + DAY_MS, anchors=(self._anchor(),), text="")

    def _judge(self, name: str, purpose: Purpose) -> Judgement:
        return judge(
            self._bytes(name),
            chain=self._all("ca*.der"),
            anchors=self._anchors(),
            at_ms=self._now_ms,
            purpose=purpose,
            crls=self._all("*.crl"),
            source=name,
        )

    def anchor_line(self) -> str:
        anchor = self._anchor()
        root = read_certificate(anchor.der, "root.der")
        if root.family == "sm2":
            self_test()
        return f"{root.family}, profile {anchor.profile}, vouches {' '.join(sorted(anchor.vouches))}"

    def _fresh(self, name: str, purpose: Purpose) -> str:
        found = self._judge(name, purpose)
        if found.standing is not Standing.FRESH:
            raise CertRefused(why="not-fresh", serial=found.serial, rule=str(found.standing), source=name)
        return f"{found.family}, {found.holder.kind} found, revocation {found.standing}"

    def sign_line(self) -> str:
        return self._fresh("sign.der", Purpose.SIGN)

    def seal_line(self) -> str:
        return self._fresh("seal.der", Purpose.OPEN)

    def revoked_line(self) -> str:
        found = self._judge("revoked.der", Purpose.SIGN)
        if found.standing is not Standing.REVOKED:
            raise CertRefused(why="not-revoked", serial=found.serial, rule=str(found.standing), source="revoked.der")
        return "revoked"

    def act_line(self) -> str:
        text, cms = self._bytes("act.txt"), self._bytes("act.cms")
        found = verify_act(text, cms, self._anchors(), at_ms=self._now_ms, crls=self._all("*.crl"), source="act.cms")
        if found.certificate != hashlib.sha256(self._bytes("sign.der")).hexdigest():
            raise ActRefused("certificate", "act.cms is not by sign.der")
        return f"{found.state.family}, {found.state.verdict}"
