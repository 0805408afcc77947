"""The certificate matrix before BouncyCastle: every case in every family, paths by RFC 5280, then with the lists. No line is used."""

from collections import Counter

import pytest

from tests.judges import bouncy_castle
from tests.person_lab import FAMILIES, vendor
from tests.shell.test_person_certificates import CASES, CHAIN, STANDINGS

needs_java = pytest.mark.skipif(bool(bouncy_castle.missing()), reason=bouncy_castle.missing())
_TOLD = {"fresh": "good", "revoked": "revoked", "grace": "no-data", "unknown": "no-data"}
# Where our rule says more than a path of RFC 5280 does: the path itself stands.
_OUR_OWN = {"usage", "identity", "anchor-purpose", "anchor-out-of-time"}
# Where the judge is asked something else, and what it says then.
_DIFFERS = {
    "too many certificates": "no-data",  # our own limit; the judge finds a path and no list of the superfluous
    "revoked after the act": "revoked",  # the judge looks at no date of revocation
    "to be revoked tomorrow": "revoked",
    "revoked by an old list, forgotten by a new one": "good",  # it takes the newest list alone
    "no list at all but bytes": "no",  # it reads no file that is none
}


def _asked(name: str, family: str) -> str:
    shown = CASES[name][0](family)
    roots = [vendor(one).root.der for one in FAMILIES]
    joined = (",".join(der.hex() for der in ders) or "-" for ders in (shown.chain, roots, shown.crls))
    return f"path {shown.at_ms // 1_000} {shown.leaf.hex()} {' '.join(joined)}"


def _expected(name: str) -> str:
    word = CASES[name][1]
    if name in _DIFFERS:
        return _DIFFERS[name]
    if "answer" in name or "responder" in name:
        return "no-data"  # it is given lists, no OCSP
    if word in _OUR_OWN:
        return "good"
    return _TOLD.get(word, "chain")


@needs_java
def test_bouncy_castle_agrees_on_more_than_sixty_cases_in_all_four_families():
    names = [name for name, (_, word) in CASES.items() if word in STANDINGS | CHAIN | _OUR_OWN]
    assert len(names) >= 60
    pairs = [(name, family) for name in names for family in FAMILIES]
    answers = bouncy_castle.ask([_asked(*pair) for pair in pairs])
    assert len(answers) == len(pairs)
    wrong = {pair: answer for pair, answer in zip(pairs, answers, strict=True) if answer != _expected(pair[0])}
    assert wrong == {}
    # every kind of answer was given, so that the judge is no machine that says one word
    assert set(Counter(answers)) >= {"good", "revoked", "no-data", "chain"}


def test_what_is_told_to_differ_is_in_the_matrix_and_few():
    assert set(_DIFFERS) <= set(CASES)
    assert len(_DIFFERS) <= 5
