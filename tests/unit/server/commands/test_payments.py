"""`kessai payment show`: by id, by receipt, by order; a payment that was declined is found, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edge_agents.receipts import encode_qr
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.v1.payment_pb2 import PaymentRequest
from tests.attack.world import CASH, SETTLE, World
from tests.running import fresh_id
from tests.unit.server.commands.conftest import Kessai

ORDER = "till-1-42"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A switch with two shops and two phones; its books verify at the end."""
    opened = World(tmp_path_factory.mktemp("payments"))
    yield opened
    opened.close()


@dataclass(frozen=True)
class Paid:
    """A payment's id, its amount, and the text of its receipt."""

    payment_id: str
    amount: str
    text: str


def settle(world: World, minor: int, order_id: str = ORDER) -> Paid:
    """Have ann pay at the corner shop."""

    def of_order(request: PaymentRequest) -> None:
        request.order_id = order_id

    asked = world.terminal.ask(minor, of_order)
    message = world.terminal.settlement(asked, world.phone.agree(asked))
    receipt = world.terminal.call(SETTLE, message).response.receipt
    total = str(Money.from_proto(asked[0].total))
    return Paid(format_request_id(asked[0].request_id), total, encode_qr(receipt))


def test_a_payment_is_found_by_whatever_one_has(world: World, run: Kessai) -> None:
    """Its id, the paper, or the order; the order's declined try is beside it, nobody else's is."""
    data = ("--data", str(world.switch.folder))
    paid, declined = settle(world, 250), settle(world, CASH * 2)
    settle(world, 100, "till-1-4")
    for which in (paid.payment_id, paid.text):
        code, out, error = run("payment", "show", which, *data)
        assert (code, error) == (0, "")
        assert paid.payment_id in out
        assert paid.amount in out
        assert "settled" in out
        assert declined.payment_id not in out
    of_order = ("payment", "show", "--merchant", "corner", "--order", ORDER)
    code, out, _ = run(*of_order, "--json", *data)
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, {one["payment_id"] for one in found}) == (
        0,
        {paid.payment_id, declined.payment_id},
    )
    assert {one["receipt"]["decline_reason"] for one in found} == {
        "DECLINE_REASON_UNSPECIFIED",
        "DECLINE_REASON_INSUFFICIENT_FUNDS",
    }
    assert {one["asked_by"] for one in found} == {"agent/corner/till-1"}
    assert {one["payer_wallet_id"] for one in found} == {"ann"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((fresh_id(),), "there is no such payment"),
        (("--merchant", "rival", "--order", ORDER), "there is no such payment"),
        (("--merchant", "corner", "--order", "till-1"), "there is no such payment"),
        (("--merchant", "corner"), "say which"),
        (("kessai:receipt:AAAA",), "that is no receipt"),
        (("42",), "payment_id"),
    ],
)
def test_what_is_not_there_is_one_line(
    world: World, run: Kessai, words: tuple[str, ...], says: str
) -> None:
    """Another shop's order, a part of its number, damaged paper."""
    code, _, error = run("payment", "show", *words, "--data", str(world.switch.folder))
    assert (code, error.count("\n"), says in error) == (1, 1, True), error
