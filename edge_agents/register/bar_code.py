"""Reading bar codes: from what a scanner types to a GTIN-14.

Used by agents that sell by scanning. Reads EAN-8, EAN-13, UPC-A and GTIN-14 by their check digit,
and everything else, GS1-128 with application identifier 01 and GS1 Digital Link above all (GS1
General Specifications), by way of biip. That is loaded when the first such code comes, because a
till that reads plain codes need not keep its tables in memory.
"""

from __future__ import annotations

import functools
from types import ModuleType

from edge_agents.memory import give_back

_GTIN_LENGTHS = (8, 12, 13, 14)


def read_gtin(text: str) -> str | None:
    """Give the GTIN-14 in a scanned text, 14 digits; None for anything else.

    A wrong check digit reads as None too.
    """
    if not text.isascii():  # digits are taken of no other script
        return None
    digits = text.strip()
    if digits.isdigit() and len(digits) in _GTIN_LENGTHS and _has_good_check_digit(digits):
        return digits.zfill(14)
    return _read_with_biip(text)


def _has_good_check_digit(digits: str) -> bool:
    """Weigh the digits from the right with 1 and 3 in turn (GS1 General Specifications, 7.9)."""
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + 3 * sum(backwards[1::2])) % 10 == 0


@functools.cache
def _load_biip() -> ModuleType:
    """Load it without its table of companies, of which nothing is asked here: 12 MB less."""
    import biip
    from biip import gs1_prefixes

    vars(gs1_prefixes).get("_GS1_COMPANY_PREFIX_TRIE", {}).clear()
    give_back()
    return biip


def _read_with_biip(text: str) -> str | None:
    biip = _load_biip()
    try:
        gtin = biip.parse(text).gtin
    # Besides its own error biip lets some of Python's through: "]" alone is an IndexError.
    except (biip.ParseError, ValueError, LookupError, ArithmeticError):
        return None
    # It does not raise for a wrong check digit, it gives no GTIN.
    return gtin.as_gtin_14() if gtin is not None else None
