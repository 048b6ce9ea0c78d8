"""An agent that waits for customers is small: it shares a till's computer with other programs."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.radios import Radio
from tests.scenarios.shop import COFFEE, MILK, Customer, Shop

LIMIT_MB = 80


def resident_mb(pid: int) -> float:
    """Tell what a process holds in memory, its share of libraries that others use too included."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss:"))


def test_a_register_that_has_sold_is_below_80_mb(shop: Shop, alice: Customer, radio: Radio) -> None:
    """Plain codes, and a GS1-128 code, for which a table is loaded."""
    register = shop.register(f"small-{radio.kind}", radio.reader(code=False))
    register.start(cold=True)
    register.sell(alice, COFFEE, f"]C1010{MILK}10LOT7")
    register.clear()
    assert resident_mb(register.steps.pid) < LIMIT_MB
