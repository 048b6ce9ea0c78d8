"""What a gate's display says fits it, and is meant for the person before it."""

from __future__ import annotations

import pytest

from edge_agents.devices.display import COLUMNS
from edge_agents.gate import screens
from kessai.decline import MEANINGS
from kessai.money import MAX_AMOUNT, Money
from kessai.v1.decline_pb2 import DeclineReason


@pytest.mark.parametrize("reason", MEANINGS)
def test_every_refusal_fits_the_display(reason: DeclineReason.ValueType) -> None:
    pages = screens.refused(reason)
    assert all(len(line) <= COLUMNS for page in pages for line in page)
    assert pages[0][0].strip() == "STOP"
    said = " ".join(line.strip() for page in pages for line in page if line.strip())
    assert said.removeprefix("STOP ").removeprefix("The gate stays shut ") == (
        MEANINGS[reason].customer
    )


def test_all_other_pages_fit() -> None:
    shown = [
        screens.ready("A station with a very long name", True),
        screens.come_in(),
        screens.goodbye(Money(10**12, "EUR")),
        screens.goodbye(Money(MAX_AMOUNT, "KWD")),
        screens.goodbye(Money(0, "EUR")),
        screens.not_paid(True),
        screens.asking(),
        screens.tap_again(),
        screens.one_at_a_time(),
        screens.failed(),
        screens.closed(),
        [screens.code("0042")],
    ]
    assert all(len(line) <= COLUMNS for pages in shown for page in pages for line in page)
    most = Money(MAX_AMOUNT, "KWD")
    assert most.decimal() in screens.goodbye(most)[0][1]
