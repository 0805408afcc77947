"""Which signs a person cannot see (看不见的字符): what is signed, and what is typed to be signed, has none of them."""

import unicodedata

# Controls (C0 and C1), formats (bidi, joiners, soft hyphen, tags), line and paragraph separators, surrogates, private use,
# and what this Python's Unicode does not know: none of them looks the same on every screen (UAX #44, general category).
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})


def unseen(text: str) -> str:
    """Return the first sign that does not show, or that two screens may show differently; "" where there is none."""
    return next((sign for sign in text if unicodedata.category(sign) in _UNSEEN), "")
