"""The payment request: signed once, complete, and never longer alive than it may be."""

from __future__ import annotations

import hashlib
import os

import pytest

from edge_agents.payment_request import PendingPayment, RequestMaker
from kessai.envelope import PAYMENT_REQUEST, open_signed
from kessai.money import Money
from kessai.request_id import check_request_id, time_of
from kessai.v1.payment_pb2 import LineItem, PaymentRequest
from tests.unit.edge_agents.parties import NOW_US, SIGNING_KEY, make_pending, make_terminal


def test_it_is_signed_by_the_terminal() -> None:
    pending = make_pending(minor=434)
    request = open_signed(
        pending.signed, PAYMENT_REQUEST, SIGNING_KEY.public_key(), PaymentRequest.FromString
    )
    assert request == pending.request
    assert (request.merchant_id, request.terminal_id) == ("corner-shop", "till-1")
    assert pending.total == Money(434, "EUR")
    assert time_of(check_request_id(pending.request_id)) == NOW_US // 1000
    assert pending.request_hash == hashlib.sha256(pending.signed.payload).digest()


@pytest.mark.parametrize(("wanted_s", "given_s"), [(10, 10), (60, 60), (120, 120), (3600, 120)])
def test_it_lives_120_seconds_at_most(wanted_s: int, given_s: int) -> None:
    """No phone and no switch would take one that lives longer."""
    maker = RequestMaker(make_terminal(), wanted_s, lambda: NOW_US, os.urandom)
    item = LineItem(description="Bread", quantity=1, unit_price_minor=1)
    pending = maker.make("order", [item], Money(1, "EUR"))
    assert pending.request.create_time.ToMicroseconds() == NOW_US
    assert pending.expire_us == NOW_US + given_s * 1_000_000


def test_every_request_has_its_own_id() -> None:
    assert len({make_pending().request_id for _ in range(100)}) == 100


def test_it_comes_back_from_its_bytes() -> None:
    pending = make_pending()
    assert PendingPayment.from_bytes(pending.signed.SerializeToString()) == pending
