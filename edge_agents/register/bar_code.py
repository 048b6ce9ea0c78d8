"""Reading bar codes: from what a scanner types to GTINs, and to the measure of weighed goods.

Plain digits are read by their check digit: EAN-8, EAN-13, UPC-A, GTIN-14, and UPC-E, which is
written out (GS1 General Specifications, 7.10). Eight digits may be both EAN-8 and UPC-E, so a scan
may name two GTINs. GS1 Digital Links are read here, too; element strings, as in GS1-128 and
DataMatrix, by way of biip, which is loaded when the first one comes: a till that reads plain codes
need not keep its tables in memory.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType
from urllib.parse import parse_qsl, unquote, urlsplit

from edge_agents.memory import give_back
from edge_agents.register.measure import VARIABLE, Measure, read_measure

_GTIN_LENGTHS = (8, 12, 13, 14)
_GTIN = "01"
# Names that Digital Links may use for the GTIN in their path.
_LINK_GTIN = (_GTIN, "gtin")
# AIM's prefixes of EAN and UPC symbols; the second one is EAN-8.
_EAN_PREFIX, _EAN_8_PREFIX, _PREFIX_LENGTH = "]E", "]E4", 3


@dataclass(frozen=True, slots=True)
class Scan:
    """What a code names: its GTIN-14, or the two that it may be; and a measure, if it has one."""

    gtins: tuple[str, ...]
    measure: Measure | None = None


def read_code(text: str) -> Scan | None:
    """What a scanned text names; None if it names no goods, as with a wrong check digit."""
    text = text.strip(" ")
    if not text.isascii():  # digits are taken of no other script
        return None
    if text.startswith(_EAN_PREFIX):
        return _read_digits(text[_PREFIX_LENGTH:], text.startswith(_EAN_8_PREFIX))
    if text.isdigit() and len(text) <= max(_GTIN_LENGTHS):
        return _read_digits(text)
    body = text[_PREFIX_LENGTH:] if text.startswith("]") else text
    if body[:8].lower().startswith(("http://", "https://")):
        return _read_elements(_link_elements(body))
    return _read_elements(_message_elements(text))


def read_gtin(digits: str) -> str | None:
    """The GTIN-14 of 8, 12, 13 or 14 digits; None for anything else, or a wrong check digit."""
    is_whole = digits.isascii() and digits.isdigit() and len(digits) in _GTIN_LENGTHS
    return digits.zfill(14) if is_whole and _has_good_check_digit(digits) else None


def _read_digits(digits: str, is_ean_8: bool = False) -> Scan | None:
    written_out = "" if is_ean_8 else _written_out(digits)
    found = [gtin for code in (digits, written_out) if (gtin := read_gtin(code)) is not None]
    if not found:
        return None
    measure = Measure() if found[0].startswith(VARIABLE) else None
    return Scan(tuple(dict.fromkeys(found)), measure)


def _written_out(digits: str) -> str:
    """UPC-E's eight digits as UPC-A's twelve; nothing for other digits."""
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()) or digits[0] not in "01":
        return ""
    system, body, last, check = digits[0], digits[1:6], digits[6], digits[7]
    if last in "012":
        middle = f"{body[:2]}{last}0000{body[2:]}"
    elif last == "3":
        middle = f"{body[:3]}00000{body[3:]}"
    elif last == "4":
        middle = f"{body[:4]}00000{body[4]}"
    else:
        middle = f"{body}0000{last}"
    return system + middle + check


def _has_good_check_digit(digits: str) -> bool:
    """Weigh the digits from the right with 1 and 3 in turn (GS1 General Specifications, 7.9)."""
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + 3 * sum(backwards[1::2])) % 10 == 0


def _read_elements(elements: dict[str, str]) -> Scan | None:
    gtin = read_gtin(elements.get(_GTIN, ""))
    return Scan((gtin,), read_measure(gtin, elements)) if gtin is not None else None


def _link_elements(link: str) -> dict[str, str]:
    """The elements of a GS1 Digital Link (its standard: URI syntax); none if it is another link.

    Scheme and host are of either case, the path may go on behind other words and end in a slash.
    """
    try:
        parts = urlsplit(link)
    except ValueError:
        return {}
    words = parts.path.removesuffix("/").split("/")
    for at in range(len(words) - 2, 0, -1):
        rest = words[at + 2 :]
        if words[at] in _LINK_GTIN and read_gtin(words[at + 1]) and len(rest) % 2 == 0:
            pairs = dict(zip(rest[::2], map(unquote, rest[1::2]), strict=True))
            return {**dict(parse_qsl(parts.query)), **pairs, _GTIN: words[at + 1]}
    return {}


def _message_elements(text: str) -> dict[str, str]:
    biip = _load_biip()
    try:
        message = biip.parse(text).gs1_message
    # Besides its own error biip lets some of Python's through: "]" alone is an IndexError.
    except (biip.ParseError, ValueError, LookupError, ArithmeticError):
        return {}
    if message is None:
        body = text[_PREFIX_LENGTH:] if text.startswith("]I") else ""
        return {_GTIN: body} if len(body) == max(_GTIN_LENGTHS) else {}
    return {element.ai.ai: element.value for element in message.element_strings}


@functools.cache
def _load_biip() -> ModuleType:
    """Load it without its table of companies, of which nothing is asked here: 12 MB less."""
    import biip
    from biip import gs1_prefixes

    vars(gs1_prefixes).get("_GS1_COMPANY_PREFIX_TRIE", {}).clear()
    give_back()
    return biip
