"""The screen: every page travels as JSON, is drawn as a phone, and says what it must."""

from __future__ import annotations

import pytest
from rich.console import Console

from simulators.phone.screen import Item, Screen, View
from simulators.phone.screen_view import HEIGHT, WIDTH, draw

ROLLS = Item("Roll", 3, "1.80")
PAGES = {
    "idle": Screen(View.IDLE, message="Hold your phone to the terminal."),
    "purchase": Screen(View.PURCHASE, "Corner Bakery", (ROLLS,), "1.80 EUR", message="Pay?"),
    "many items": Screen(View.PURCHASE, "Corner Bakery", (ROLLS,) * 200, "360.00 EUR"),
    "pin": Screen(View.ENTER_PIN, "Corner Bakery", (ROLLS,), "1.80 EUR", tries_left=5),
    "wrong pin": Screen(
        View.ENTER_PIN, "Bakery", (ROLLS,) * 9, "1.80 EUR", message="Wrong PIN.", tries_left=1
    ),
    "authorized": Screen(View.AUTHORIZED, "Corner Bakery", (ROLLS,), "1.80 EUR"),
    "paid": Screen(View.PAID, "Corner Bakery", (), "1.80 EUR", receipt_number="2-127"),
    "not paid": Screen(View.NOT_PAID, "Bakery", (), "1.80 EUR", "X", "Not enough money."),
    "refused": Screen(View.REFUSED, message="This payment could not be trusted."),
    "cancelled": Screen(View.CANCELLED, "Corner Bakery", (ROLLS,), "1.80 EUR"),
    "locked": Screen(View.LOCKED, message="The PIN was wrong too often."),
    "markup": Screen(View.PURCHASE, "[red]Shop[/]", (Item("[b]x[/nope]", 1, "1"),), "1 EUR"),
    "long": Screen(View.PURCHASE, "W" * 40, (Item("x" * 60, 9_999, "9" * 12),), "9" * 19 + " EUR"),
}


def _text_of(page: Screen) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(draw(page))
    return capture.get()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_page_is_a_phone(page: Screen) -> None:
    """One size, and nothing that matters is cut off."""
    lines = _text_of(page).splitlines()
    assert len(lines) == HEIGHT
    assert {len(line.rstrip()) for line in lines} == {WIDTH}
    text = " ".join(" ".join(lines).replace("│", " ").split())
    for word in (page.total, page.message, page.receipt_number):
        assert word in text
    if page.view is not View.PAID and len(page.shop) < WIDTH - 6:
        assert page.shop in text


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_page_travels(page: Screen) -> None:
    """One line of JSON, and back."""
    line = page.to_json()
    assert "\n" not in line
    assert Screen.from_json(line) == page


def test_tries_are_counted_for_people() -> None:
    """One try is not tries."""
    assert "1 try left" in _text_of(PAGES["wrong pin"])
    assert "left" not in _text_of(PAGES["pin"])
    assert "and 194 more" in _text_of(PAGES["many items"])


def test_a_long_item_is_folded_and_never_cut() -> None:
    """A price by weight is read whole beside its amount; what has no room is counted."""
    cheese = Item("Mountain cheese 0.350 kg x 24.90", 1, "8.72")
    bananas = Item("Bananas 1.250 kg x 1.79", 2, "4.48")
    page = Screen(View.PURCHASE, "Shop", (cheese, bananas), "13.20 EUR", message="Pay?")
    text = " ".join(_text_of(page).replace("│", " ").split())
    assert "…" not in text
    assert "Mountain cheese 0.350 8.72 kg x 24.90" in text
    assert "2× Bananas 1.250 kg x 4.48 1.79" in text
    many = _text_of(Screen(View.PURCHASE, "Shop", (cheese,) * 7, "61.04 EUR", message="Pay?"))
    assert many.count("8.72") == 3
    for words in ("and 4 more", "61.04 EUR", "Pay?"):
        assert words in many
