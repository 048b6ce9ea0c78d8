"""The cashier's side of the register: scans, function codes, and everything that is neither."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.unit.edge_agents.parties import Phone
from tests.unit.edge_agents.shop import BREAD, MILK, Shop, open_till


async def test_every_kind_of_code_is_scanned(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD)
        await shop.shows("Rye bread 1 kg  3.49 Total EUR       3.49")
        await shop.scan(f"010{BREAD}2112", f"https://id.gs1.org/01/0{MILK}", "96385074")
        await shop.shows("Total EUR       9.37")


async def test_the_last_item_is_removed(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, MILK, "%REMOVE")
        await shop.shows("Whole milk 1 l -1.29 Total EUR       3.49")
        await shop.scan("%remove", "%REMOVE")
        await shop.shows("Nothing to remove")
        await shop.scan("%PAY")
        await shop.shows("Nothing to pay")
    assert shop.states() == []


@pytest.mark.parametrize(
    ("code", "says", "event"),
    [
        ("9506000134353", "Not a bar code", "code_unreadable"),
        ("hello", "Not a bar code", "code_unreadable"),
        ("%PAYY", "Not a bar code", "code_unreadable"),
        ("9" * 500, "Not a bar code", "code_unreadable"),
        ("5901234123457", "Unknown goods", "goods_unknown"),
    ],
)
async def test_what_cannot_be_sold_is_said(shop: Shop, code: str, says: str, event: str) -> None:
    """A bad check digit above all; the basket stays as it is."""
    async with open_till(shop):
        await shop.scan(BREAD, code)
        await shop.shows(f"{says} Total EUR       3.49")
        await shop.events.wait_for(event)


async def test_garbage_on_the_line_does_no_harm(shop: Shop, random_seed: int) -> None:
    source = random.Random(random_seed)
    async with open_till(shop):
        await shop.scan(BREAD)
        for _ in range(20):
            await asyncio.to_thread(shop.scanner.type, source.randbytes(200) + b"\r")
        await shop.scan(MILK, "%PAY")
        await shop.shows("To pay EUR      4.78")
        shop.reader.put(Phone())
        await shop.shows("Paid")


async def test_goods_are_not_changed_while_a_phone_is_awaited(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("To pay EUR      3.49")
        await shop.scan(MILK, "%REMOVE", "%PAY", "rubbish")
        await shop.events.wait_for("key_refused", 3)
        await shop.events.wait_for("code_unreadable")
        await shop.shows("To pay EUR      3.49 Hold phone to reader")
    assert shop.states() == ["requested"]


async def test_cancel_empties_the_basket(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, "%CANCEL")
        await shop.shows("Corner Shop")
        await shop.scan(MILK)
        await shop.shows("Total EUR       1.29")


async def test_a_copy_is_printed(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan("%REPRINT")
        await shop.shows("Nothing to reprint")
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.slips(1)
        await shop.events.wait_for("receipt_printed")
        await shop.scan("%REPRINT")
        original, copy = await shop.slips(2)
    assert "COPY" not in original
    assert "COPY" in copy
