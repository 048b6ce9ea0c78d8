"""Goods of variable measure: what a label says of weight and price, and what that comes to.

GS1 General Specifications, section 3: application identifiers 310n and 320n are a net weight in
kilograms or pounds, 392n is a price, 393n a price with its ISO 4217 currency, each with n decimals.
A GTIN-14 that begins with 9 is of variable measure, whatever else its label says. Every other
measure of goods (a count, a length, an area, a volume, ounces) is known as one and sold by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kessai.currency import BY_CODE
from kessai.money import MAX_AMOUNT, Money

VARIABLE = "9"
KILOGRAM, POUND = "kg", "lb"
UNITS = (KILOGRAM, POUND)

_WEIGHT = re.compile(r"3(1|2)0([0-5])")
_PRICE = re.compile(r"39(2|3)([0-9])")
# Counts, lengths, areas, volumes, ounces; 33nn and 34nn are of logistic units.
_OTHER = re.compile(r"30|31[1-6][0-5]|32[1-9][0-5]|35[0-7][0-5]|36[0-9][0-5]|8001")
_UNIT_OF = {"1": KILOGRAM, "2": POUND}
_CURRENCY_DIGITS = 3
# Nobody else looks at the length of what a link says.
_WEIGHT_DIGITS = 6


class MeasureRefused(Exception):
    """The label does not say what is to be paid; the message is for cashier and customer."""


@dataclass(frozen=True, slots=True)
class LabelNumber:
    """A number as a label has it: `digits` with the point `places` from the right."""

    digits: int
    places: int

    def __str__(self) -> str:
        """As people read it: 1.250."""
        text = f"{self.digits:0{self.places + 1}d}"
        return f"{text[: -self.places]}.{text[-self.places :]}" if self.places else text


@dataclass(frozen=True, slots=True)
class Measure:
    """What a label says of its goods beside the GTIN; nothing of it: the weight is missing.

    `unit` belongs to `weight`; `currency_number`, of ISO 4217, to `price`, and 0 is the shop's own.
    """

    weight: LabelNumber | None = None
    unit: str = ""
    price: LabelNumber | None = None
    currency_number: int = 0
    is_other: bool = False


def read_measure(gtin: str, elements: Mapping[str, str]) -> Measure | None:
    """The measure that the elements of a label say; None for goods that are sold by the piece."""
    weight, unit, price, currency, is_other = None, "", None, 0, False
    for ai, value in elements.items():
        if not (value.isascii() and value.isdigit()):
            continue
        found = _WEIGHT.fullmatch(ai)
        if found and len(value) == _WEIGHT_DIGITS:
            weight, unit = LabelNumber(int(value), int(found[2])), _UNIT_OF[found[1]]
        elif said := _PRICE.fullmatch(ai):
            with_currency = said[1] == "3"
            currency = int(value[:_CURRENCY_DIGITS]) if with_currency else 0
            amount = value[_CURRENCY_DIGITS:] if with_currency else value
            price = LabelNumber(int(amount or "0"), int(said[2]))
        elif found or _OTHER.fullmatch(ai):
            is_other = True
    is_measured = weight is not None or price is not None or is_other
    if not is_measured and not gtin.startswith(VARIABLE):
        return None
    return Measure(weight, unit, price, currency, is_other)


def amount_of(measure: Measure, unit_price: Money, unit: str) -> Money:
    """What is to be paid: the label's price, or else the weight times the price of one unit.

    Half a minor unit and more is rounded up. MeasureRefused with what is missing or contradicts.
    """
    if measure.is_other:
        raise MeasureRefused("Not sold by weight")
    if measure.weight is not None and measure.unit != unit:
        raise MeasureRefused(f"Weighed in {measure.unit}")
    if measure.price is not None:
        minor = _label_minor(measure, measure.price, unit_price.currency)
    elif measure.weight is not None:
        scale = 10**measure.weight.places
        minor = (2 * unit_price.minor * measure.weight.digits + scale) // (2 * scale)
    else:
        raise MeasureRefused("Weight is missing")
    if minor <= 0:
        raise MeasureRefused("It costs nothing")
    if minor > MAX_AMOUNT:
        raise MeasureRefused("It costs too much")
    return Money(minor, unit_price.currency)


def _label_minor(measure: Measure, price: LabelNumber, code: str) -> int:
    currency = BY_CODE[code]
    if measure.currency_number not in (0, currency.number):
        raise MeasureRefused("In another currency")
    one: int = 10**currency.digits
    part: int = 10**price.places
    minor, rest = divmod(price.digits * one, part)
    if rest:
        raise MeasureRefused("Price has a fraction")
    return minor
