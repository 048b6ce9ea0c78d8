"""Texts on small displays: whole sentences where they fit, and no page of a lone word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.counter import screens as counter
from edge_agents.devices.paging import headed, lines_of, pages_of
from edge_agents.display_board import Page
from edge_agents.gate import screens as gate
from edge_agents.tap import PHONE_SAYS_NO
from edge_agents.vending import screens as vending
from kessai.decline import MEANINGS
from kessai.money import Money
from kessai.v1.decline_pb2 import DeclineReason

TOTAL = Money(349, "EUR")


def words(page: Page) -> list[str]:
    return " ".join(page).split()


@pytest.mark.parametrize("reason", MEANINGS)
def test_every_decline_of_every_agent(reason: DeclineReason.ValueType) -> None:
    """On 2x20 at counters and gates, on 32 characters at machines and doors."""
    for pages in (counter.declined(reason, TOTAL), gate.refused(reason)):
        assert all(len(line) <= 20 for page in pages for line in page)
        # A headline of one word has a line below it.
        assert all(len(words(page)) > 1 for page in pages)
    for lines in pages_of(vending.declined(reason), 32, 1):
        assert len(lines[0]) <= 32
        assert len(lines[0].split()) > 1


@pytest.mark.parametrize("text", [text for _, text in PHONE_SAYS_NO.values()])
def test_what_a_phone_does_not_pay(text: str) -> None:
    for lines in pages_of(vending.refused(text), 32, 1):
        assert len(lines[0].split()) > 1


@pytest.mark.parametrize(
    ("text", "rows", "pages"),
    [
        ("Not enough money in the account.", 2, [["Not enough money", "in the account."]]),
        ("Nothing was paid. PAY asks again.", 2, [["Nothing was paid.", "PAY asks again."]]),
        ("This ticket was used.", 1, [["This ticket"], ["was used."]]),
        ("One. Two. Three.", 1, [["One. Two. Three."]]),
        ("Pay from the account that you entered with.", 2,
         [["Pay from the", "account that you"], ["entered with."]]),
    ],
)  # fmt: skip
def test_a_page_is_a_sentence_if_it_fits(text: str, rows: int, pages: list[list[str]]) -> None:
    assert pages_of(text, 20, rows) == pages


def test_the_first_sentence_stands_under_its_headline() -> None:
    assert headed("NOT YET PAID", "Do not hand over. The till asks on.", 20) == [
        ("NOT YET PAID", "Do not hand over."),
        ("The till asks on.", ""),
    ]
    assert headed("STOP", "You cannot pay yourself.", 20, "The gate stays shut") == [
        ("STOP", "The gate stays shut"),
        ("You cannot", "pay yourself."),
    ]


@given(st.text("ab .!", max_size=120), st.integers(5, 40), st.integers(1, 2))
def test_no_word_is_lost(text: str, columns: int, rows: int) -> None:
    """Whatever is to be shown, in lines that fit; a word that is longer than a line is divided."""
    pages = pages_of(text, columns, rows)
    assert all(len(page) <= rows and len(line) <= columns for page in pages for line in page)
    shown = "".join(line for page in pages for line in page)
    assert shown.replace(" ", "") == text.replace(" ", "")
    assert "".join(lines_of(text, columns)).replace(" ", "") == text.replace(" ", "")
