"""Whether an evaluation scheme (评标办法) can be worked with at all, judged before the documents go out, never during the evaluation.

A minimum price (ZBT 27) is not checked because a scheme has no place for one.
"""

from typing import TYPE_CHECKING

from node.domain.drawn_terms import declared_terms
from node.domain.guards import breach, require_distinct, require_one_of, require_text
from node.domain.profile import Profile
from node.domain.refused import Refused

if TYPE_CHECKING:
    from node.domain.notice import Check, Criterion, Scheme

GROUPS = ("technical", "business", "credit", "other")
CRITERION_KINDS = ("subjective", "objective")
CHECK_KINDS = ("form", "qualification", "response")
AGGREGATIONS = ("mean", "trimmed")
TRIM_LEAVES_ONE = 3  # one highest and one lowest are dropped, one must be left


def check_scheme(scheme: "Scheme", control_price_fen: int, profile: Profile) -> None:
    """Raise Refused for the first thing that would make the evaluation impossible or unlawful."""
    require_text(name=scheme.name)
    require_distinct((criterion.no for criterion in scheme.criteria), "criteria")
    for criterion in scheme.criteria:
        _check_criterion(criterion)
    require_distinct((check.no for check in scheme.checks), "checks")
    if not scheme.checks:
        raise Refused("checks-missing", rule="preliminary-review", cites=("ZBT 49", "ZBT 51"))
    for check in scheme.checks:
        _check_check(check, profile)
    require_one_of(scheme.aggregation, AGGREGATIONS, "aggregation")
    if scheme.aggregation == "trimmed" and scheme.trim_from < TRIM_LEAVES_ONE:
        raise Refused("trim-too-few", rule="trimmed-mean", value=str(scheme.trim_from), limit=str(TRIM_LEAVES_ONE))
    declared_terms(scheme.price, control_price_fen or None)
    most = profile.rule("candidates-max")
    if not 1 <= scheme.candidates <= profile.number(most.id):
        raise breach(most, "candidates-out-of-range", value=scheme.candidates)


def _check_criterion(criterion: "Criterion") -> None:
    require_text(no=criterion.no, criterion_name=criterion.name, standard=criterion.standard)
    require_one_of(criterion.group, GROUPS, "group")
    require_one_of(criterion.kind, CRITERION_KINDS, "kind")
    facts = (("criterion", criterion.no),)
    if criterion.full_centi <= 0:
        raise Refused(
            "criterion-without-marks",
            rule="full-marks",
            value=str(criterion.full_centi),
            cites=("ZBT 49",),
            facts=facts,
        )
    if criterion.step_centi <= 0 or criterion.full_centi % criterion.step_centi:
        raise Refused(
            "step-does-not-divide",
            rule="step-of-marks",
            value=str(criterion.step_centi),
            limit=str(criterion.full_centi),
            facts=facts,
        )


def _check_check(check: "Check", profile: Profile) -> None:
    require_text(no=check.no, check_name=check.name)
    require_one_of(check.kind, CHECK_KINDS, "kind")
    grounds = profile.rule("rejection-grounds")
    if check.ground not in profile.words(grounds.id):
        raise breach(grounds, "ground-unknown", value=check.ground, facts=(("check", check.no),))
