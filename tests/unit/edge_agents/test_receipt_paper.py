"""The printed receipt: what stands on it, and that it fits."""

from __future__ import annotations

from datetime import UTC

import pytest

from edge_agents.devices.printer import COLUMNS, Element, QrCode, Text
from edge_agents.payment_request import PendingPayment, RequestMaker
from edge_agents.receipt_paper import lay_out_receipt
from kessai.money import Money
from kessai.v1 import decline_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.payment_pb2 import LineItem
from tests.unit.edge_agents.parties import NOW_US, make_pending, make_receipt, make_terminal

PAID = decline_pb2.DECLINE_REASON_UNSPECIFIED


def text_of(paper: list[Element]) -> str:
    return "\n".join(item.text for item in paper if isinstance(item, Text))


def lay_out(
    pending: PendingPayment, shop: str = "Corner Shop", reason: DeclineReason.ValueType = PAID
) -> list[Element]:
    receipt = make_receipt(pending, reason)
    return lay_out_receipt(shop, pending, receipt, "kessai:receipt:x", zone=UTC)


def test_it_says_what_was_paid() -> None:
    pending = make_pending(minor=434)
    paper = lay_out(pending)
    text = text_of(paper)
    assert paper[0] == Text("Corner Shop", bold=True, large=True, centred=True)
    for expected in ("Rye bread 1 kg", "4.34 EUR", "PAID", "till-1-000001", pending.payment_id):
        assert expected in text
    assert "2026-09-21 14:13:20 +0000" in text
    assert "shard 0, row 42, 000102030405" in text
    assert QrCode("kessai:receipt:x") in paper
    assert "NOT PAID" not in text


def test_a_declined_one_says_why_and_never_paid() -> None:
    reason = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS
    lines = text_of(lay_out(make_pending(), reason=reason)).splitlines()
    assert "NOT PAID" in lines
    assert "PAID" not in lines
    assert "Not enough money in the account." in lines


def test_a_copy_says_so() -> None:
    pending = make_pending()
    paper = lay_out_receipt("Shop", pending, make_receipt(pending), "x", copy=True)
    assert "* COPY *" in text_of(paper)


@pytest.mark.parametrize("description", ["x" * 60, "A rather long name of goods " * 2, "é" * 60])
def test_every_line_fits(description: str) -> None:
    """No line is longer than the paper is wide; the printer would break it anywhere."""
    item = LineItem(description=description, quantity=9_999, unit_price_minor=10**12)
    maker = RequestMaker(make_terminal(), 60, lambda: NOW_US, bytes)
    pending = maker.make("o" * 40, [item], Money(9_999 * 10**12, "EUR"))
    for line in lay_out(pending, shop="The Very Long Name of a Shop in Two Lines"):
        if isinstance(line, Text):
            assert len(line.text) <= (COLUMNS // 2 if line.large else COLUMNS), line
