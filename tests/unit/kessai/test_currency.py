"""The table of currencies is ISO 4217's: unambiguous, and right where we know it by heart."""

from __future__ import annotations

import hashlib

import pytest

from kessai.currency import BY_CODE, BY_NUMBER, Currency


@pytest.mark.parametrize(
    ("code", "number", "digits"),
    [
        ("EUR", 978, 2),
        ("USD", 840, 2),
        ("GBP", 826, 2),
        ("CHF", 756, 2),
        ("JPY", 392, 0),
        ("KRW", 410, 0),
        ("ISK", 352, 0),
        ("BHD", 48, 3),
        ("KWD", 414, 3),
        ("TND", 788, 3),
        ("CLF", 990, 4),
        ("UYW", 927, 4),
        ("ALL", 8, 2),
        ("XCG", 532, 2),
        ("ZWG", 924, 2),
    ],
)
def test_known_rows(code: str, number: int, digits: int) -> None:
    assert BY_CODE[code] == Currency(code, number, digits)
    assert BY_NUMBER[number].code == code


def test_codes_and_numbers_are_unique() -> None:
    """A dict swallows a doubled row: the rows of the source table are counted against it."""
    assert len(BY_NUMBER) == len(BY_CODE)
    assert len(BY_CODE) > 150
    for code, currency in BY_CODE.items():
        assert code == currency.code
        assert len(code) == 3
        assert code.isascii()
        assert code.isupper()
        assert 0 < currency.number < 1000


@pytest.mark.parametrize("code", ["HRK", "DEM", "ANG", "CUC", "SLL", "ZWL", "XAU", "XTS", "XXX"])
def test_what_is_withdrawn_or_no_money_is_not_there(code: str) -> None:
    assert code not in BY_CODE


def test_the_table_is_the_one_that_was_compared_with_iso() -> None:
    """Compared row by row with list one of 2024-06-25, and with the amendments since then.

    After an amendment, compare again and write the new digest here.
    """
    rows = sorted((row.code, row.number, row.digits) for row in BY_CODE.values())
    assert hashlib.sha256(repr(rows).encode()).hexdigest()[:16] == "54a6ebafb93f1cdf"
