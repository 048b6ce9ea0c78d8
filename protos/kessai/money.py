"""Money: whole minor units of one currency (design rule 1). No float anywhere.

Used wherever an amount enters, leaves or is shown. The ledger itself works on bare int64 minor
units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kessai.currency import BY_CODE, Currency
from kessai.v1 import money_pb2

MAX_AMOUNT = 2**63 - 1

_DECIMAL = re.compile(r"(-?)([0-9]{1,19})(?:\.([0-9]{1,4}))?")


class MoneyError(ValueError):
    """An amount or a currency that cannot be; the message is for people."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (int64) and its ISO 4217 code."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse unknown currencies and amounts outside int64 with MoneyError."""
        currency_of(self.currency)
        if not -MAX_AMOUNT - 1 <= self.minor <= MAX_AMOUNT:
            raise MoneyError("the amount does not fit into 64 bits")

    def __str__(self) -> str:
        """Write it as people read it: "12.34 EUR"."""
        return f"{self.decimal()} {self.currency}"

    def decimal(self) -> str:
        """Write the amount alone, with the currency's digits: "12.34"."""
        return format_minor(self.minor, self.currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read "12.34" (or "12") exactly; MoneyError if it has too many digits or is no number."""
        digits = currency_of(currency).digits
        match = _DECIMAL.fullmatch(text.strip())
        if match is None or len(match[3] or "") > digits:
            raise MoneyError(f'"{text[:40]}" is not an amount of {currency} with {digits} decimals')
        fraction = (match[3] or "").ljust(digits, "0")
        return cls(int(match[1] + match[2] + fraction), currency)

    @classmethod
    def read(cls, text: str, currency: str = "") -> Money:
        """Read "5.00 EUR" or "5.00 eur", or "5.00" of a currency that is known; MoneyError."""
        amount, _, code = text.strip().partition(" ")
        code = code.strip().upper() or currency
        if not code:
            raise MoneyError(f'"{text[:40]}" names no currency: write it such as "5.00 EUR"')
        return cls.parse(amount, code)

    @classmethod
    def from_proto(cls, message: money_pb2.Money) -> Money:
        """Take it from the wire; MoneyError for an unknown currency."""
        return cls(message.amount_minor, message.currency_code)

    def to_proto(self) -> money_pb2.Money:
        """Put it on the wire."""
        return money_pb2.Money(amount_minor=self.minor, currency_code=self.currency)


def currency_of(code: str) -> Currency:
    """Look a currency up by its alphabetic code; MoneyError if ISO 4217 has none such."""
    try:
        return BY_CODE[code]
    except KeyError:
        what = f'"{code[:10]}" is not a currency of ISO 4217' if code else "the currency is missing"
        raise MoneyError(what) from None


def format_minor(minor: int, currency: str) -> str:
    """Write minor units with the currency's digits after the point: 1234 EUR is "12.34"."""
    digits = currency_of(currency).digits
    sign, number = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    if digits == 0:
        return sign + number
    return f"{sign}{number[:-digits]}.{number[-digits:]}"
