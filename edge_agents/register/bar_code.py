"""Reading bar codes: from what a scanner types to a GTIN-14.

Used by agents that sell by scanning. Reads EAN-8, EAN-13, UPC-A, GTIN-14, GS1-128 with application
identifier 01, and GS1 Digital Link (GS1 General Specifications), by way of biip.
"""

from __future__ import annotations

import biip

# Besides its own error biip lets some of Python's through: "]" alone is an IndexError.
_NOT_A_CODE = (biip.ParseError, ValueError, LookupError, ArithmeticError)


def read_gtin(text: str) -> str | None:
    """Give the GTIN-14 in a scanned text, 14 digits; None for anything else.

    A wrong check digit reads as None too: biip does not raise for it, it gives no GTIN.
    """
    if not text.isascii():  # biip takes digits of any script
        return None
    try:
        gtin = biip.parse(text).gtin
    except _NOT_A_CODE:
        return None
    return gtin.as_gtin_14() if gtin is not None else None
