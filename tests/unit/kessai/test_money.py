"""Money is whole minor units: what people write is read exactly, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.currency import BY_CODE
from kessai.money import MAX_AMOUNT, Money, MoneyError, format_minor

currencies = st.sampled_from(sorted(BY_CODE))
amounts = st.integers(-MAX_AMOUNT - 1, MAX_AMOUNT)


@given(amounts, currencies)
def test_what_is_written_is_read_again(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(money.decimal(), currency) == money
    assert Money.from_proto(money.to_proto()) == money


@given(amounts, currencies)
def test_the_digits_are_the_currency_s(minor: int, currency: str) -> None:
    whole, _, fraction = format_minor(minor, currency).partition(".")
    assert len(fraction) == BY_CODE[currency].digits
    assert int(whole + fraction) == minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "EUR", 1234),
        ("12.3", "EUR", 1230),
        ("12", "EUR", 1200),
        (" 0.05 ", "EUR", 5),
        ("-0.05", "EUR", -5),
        ("1500", "JPY", 1500),
        ("1.234", "BHD", 1234),
        ("0.0001", "CLF", 1),
        ("007", "EUR", 700),
        ("92233720368547758.07", "EUR", MAX_AMOUNT),
        ("-92233720368547758.08", "EUR", -MAX_AMOUNT - 1),
    ],
)
def test_amounts_as_people_write_them(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency).minor == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("12.345", "EUR"),
        ("12.0", "JPY"),
        ("12.", "EUR"),
        (".5", "EUR"),
        ("1,50", "EUR"),
        ("1e3", "EUR"),
        ("1_000", "EUR"),
        ("+1", "EUR"),
        ("--1", "EUR"),
        ("1 000", "EUR"),
        ("nan", "EUR"),
        ("", "EUR"),
        ("\u0661\u0662", "EUR"),
        ("9" * 5000, "EUR"),
        ("92233720368547758.08", "EUR"),
        ("1", "XXX"),
        ("1", "eur"),
        ("1", ""),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, currency)


@pytest.mark.parametrize("minor", [MAX_AMOUNT + 1, -MAX_AMOUNT - 2])
def test_amounts_beyond_64_bits_are_refused(minor: int) -> None:
    with pytest.raises(MoneyError, match="64 bits"):
        Money(minor, "EUR")


def test_people_read_the_currency_too() -> None:
    assert str(Money(1234, "EUR")) == "12.34 EUR"
    assert str(Money(-5, "EUR")) == "-0.05 EUR"
    assert str(Money(1500, "JPY")) == "1500 JPY"
