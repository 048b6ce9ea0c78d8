"""The customer display's texts: they fit into 2 lines of 20 characters and say the right thing."""

from __future__ import annotations

import pytest

from edge_agents.counter import screens
from edge_agents.devices.display import COLUMNS
from edge_agents.display_board import Page
from kessai.decline import MEANINGS
from kessai.money import MAX_AMOUNT, Money

TOTALS = [Money(5, "EUR"), Money(123_456, "JPY"), Money(MAX_AMOUNT, "KWD")]
BREAD = "Rye bread with sunflower seeds 1 kg"


def all_screens(total: Money) -> list[list[Page]]:
    return [
        screens.idle("The Corner Shop of a Long Name"),
        screens.closed(),
        screens.line(BREAD, "3.49", total),
        screens.line(BREAD, "-3.49", total),
        screens.refused("Unknown goods", total),
        screens.refused("Nothing to remove", None),
        screens.hold_phone(total),
        screens.hold_phone(total, "0417"),
        [screens.fetch_receipt("0417")],
        screens.confirm_on_phone(total),
        screens.paying(total),
        screens.paid(total),
        screens.unknown(total),
        *[screens.declined(reason, total) for reason in MEANINGS],
    ]


@pytest.mark.parametrize("total", TOTALS)
def test_every_page_fits_and_shows_the_amount(total: Money) -> None:
    for pages in all_screens(total):
        assert pages
        for upper, lower in pages:
            assert len(upper) <= COLUMNS
            assert len(lower) <= COLUMNS
    assert total.decimal() in screens.paid(total)[0][0]
    assert total.decimal() in screens.hold_phone(total)[0][0]
    assert screens.hold_phone(total, "0417")[0][1].endswith("0417")


def test_only_paid_says_paid() -> None:
    for pages in all_screens(TOTALS[0]):
        if pages != screens.paid(TOTALS[0]):
            assert not any(upper.startswith("Paid") for upper, _ in pages)


def test_unknown_says_what_the_cashier_must_not_do() -> None:
    assert screens.unknown(TOTALS[0])[0] == ("NOT YET PAID", "Do not hand over")


def test_a_long_reason_is_told_in_whole_sentences() -> None:
    total = Money(349, "EUR")
    assert screens.message("NOT PAID", "Not enough money in the account.", total) == [
        ("NOT PAID", "To pay EUR      3.49"),
        ("Not enough money", "in the account."),
    ]
    assert screens.message("TIME IS UP", "Nothing was paid. PAY asks again.", total) == [
        ("TIME IS UP", "Nothing was paid."),
        ("PAY asks again.", ""),
    ]


def test_a_long_name_is_shown_whole_after_its_price() -> None:
    """Beside the price it ends with a word."""
    assert screens.line("Bananas 1.250 kg x 1.79", "2.24", Money(224, "EUR")) == [
        ("Bananas 1.250   2.24", "Total EUR       2.24"),
        ("Bananas 1.250", "kg x 1.79"),
    ]
    name = "The Corner Shop of a Long Name"
    assert [upper.strip() for upper, _ in screens.idle(name)] == [
        "The Corner Shop",
        "of a Long Name",
    ]
