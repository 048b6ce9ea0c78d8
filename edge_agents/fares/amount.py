"""Amounts as feeds write them: decimals of a currency, also with zeros that carry nothing."""

from __future__ import annotations

from kessai.money import Money, currency_of


def read_amount(text: str, currency: str) -> Money:
    """Read "2.7500" USD or "230.00" JPY exactly; MoneyError for a fraction of the minor unit."""
    digits = currency_of(currency).digits
    whole, point, fraction = text.strip().partition(".")
    kept = fraction[:digits] + fraction[digits:].rstrip("0")
    return Money.parse(whole + point * bool(kept) + kept, currency)
