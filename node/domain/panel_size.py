"""What sizes the law allows a committee (评标委员会人数): at least five, odd, two thirds of it experts (ZB 37)."""

from fractions import Fraction

from node.domain.guards import breach
from node.domain.profile import Profile


def check_numbers(count: int, experts: int, profile: Profile) -> None:
    """Raise Refused for a committee of a size or a share of experts that the law does not allow (ZB 37)."""
    least, odd = profile.rule("committee-min"), profile.rule("committee-odd")
    share = profile.rule("committee-expert-share")
    if count < profile.number(least.id):
        raise breach(least, "committee-too-small", value=count)
    if profile.flag(odd.id) and count % 2 == 0:
        raise breach(odd, "committee-even", value=count, limit="odd")
    if Fraction(experts, count) < Fraction(str(share.value)):
        raise breach(share, "too-few-experts", value=f"{experts}/{count}")
