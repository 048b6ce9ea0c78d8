"""B2: the phone sends the authorisation to the switch itself; the switch tells the register.

Refused or survived: a phone that merely claims to have paid; a result that arrives late or twice.
Each over NFC and over BLE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from edge_agents.journal import PaymentState
from edge_agents.payment_request import PendingPayment
from kessai.decline import name_of
from kessai.device_identity import load_identity, write_identity
from kessai.envelope import PAYMENT_REQUEST, sign
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import FollowPaymentsRequest, PaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from simulators.devices.paper_roll import text_of
from tests.running import CALL_LIMIT_S
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    COFFEE,
    EGGS,
    MILK,
    SHOP_NAME,
    Customer,
    Register,
    Shop,
    reason_of,
    total_of,
)
from tests.scenarios.wires import Line

NOT_PAID = 3


@pytest.fixture(scope="module")
def running_register(shop: Shop, radio: Radio) -> Register:
    """Give a register that leaves it to the phone to submit."""
    return shop.direct_register(radio)


@pytest.fixture
def line(shop: Shop) -> Iterator[Line]:
    """Give a line to the switch that the test holds in its hand."""
    line = Line(shop.switch.address)
    yield line
    line.close()


def test_the_phone_pays_by_its_own_line(shop: Shop, register: Register, alice: Customer) -> None:
    """The register is told by the switch; it was never given an authorisation to relay."""
    before, shop_before = shop.switch.balance(alice.account), shop.earned()
    asked = register.ring_up(BREAD, MILK)
    phone = register.tap(alice, *APPROVE)
    purchase = phone.next("purchase")
    assert (purchase["shop"], purchase["total"]) == (SHOP_NAME, "4.78 EUR")
    assert "Your phone asks the bank" in phone.next("authorized")["message"]
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    register.display.wait_for("Paid EUR        4.78 Thank you!")
    paid = phone.next("paid")
    assert (paid["total"], bool(paid["receipt_number"]), phone.end()) == ("4.78 EUR", True, 0)
    entry = register.entry(asked["payment_id"])
    assert (entry.state, entry.sealed) == (PaymentState.SETTLED, None)
    assert shop.switch.balance(alice.account) == before - 478
    assert shop.earned() == shop_before + 478


@OVER_NFC
def test_too_little_money(shop: Shop, register: Register) -> None:
    """Declined: both learn why, each from the switch."""
    poor = shop.customer("poor", cash=100, shard=2)
    register.ring_up(COFFEE)
    phone = register.tap(poor, *APPROVE)
    assert register.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    register.display.wait_for("Not enough money in the account.")
    assert (phone.next("not-paid")["reason"], phone.end()) == ("INSUFFICIENT_FUNDS", NOT_PAID)
    assert shop.switch.balance(poor.account) == 100


@OVER_BLE
def test_the_phone_merely_claims_to_have_paid(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """Its word opens nothing: no receipt, no paper, no money; the till says so and asks on."""
    liar, slips = shop.customer("liar", cash=1_000), len(register.printer.roll.slips)
    asked = register.ring_up(EGGS)
    phone = register.tap(liar, *APPROVE, "--submit-late", "3600")
    register.steps.next("submitting")
    assert register.steps.next("unknown")["payment_id"] == asked["payment_id"]
    register.display.wait_for("NOT YET PAID Do not hand over")
    assert register.entry(asked["payment_id"]).state is PaymentState.PRESENTED
    phone.kill()
    register.clear()
    honest = register.sell(alice, MILK)
    assert register.entry(honest["payment_id"]).state is PaymentState.SETTLED
    assert shop.switch.balance(liar.account) == 1_000
    paper = "".join(map(text_of, register.printer.wait_for_slips(slips + 1)[slips:]))
    assert asked["payment_id"] not in paper


@OVER_NFC
def test_the_result_comes_late(shop: Shop, register: Register, alice: Customer) -> None:
    """The customer walks off and agrees elsewhere: the till is told, though no phone is there."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(BREAD)
    gone = register.tap(alice, *APPROVE, "--submit-late", "1", "--leave-after-exchanges", "1")
    register.steps.next("phone_left")
    assert register.entry(asked["payment_id"]).state is PaymentState.PRESENTED
    gone.end()
    back = register.tap(alice, *APPROVE, "--submit-late", "1")
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    back.next("paid")
    register.display.wait_for("Paid EUR        3.49")
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)


@OVER_BLE
def test_a_result_after_the_sale_was_cancelled(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """It does no harm: its receipt is printed, and the next sale goes on as it was."""
    slips = len(register.printer.roll.slips)
    asked = register.ring_up(BREAD)
    phone = register.tap(alice, *APPROVE, "--think", "1")
    register.steps.next("customer_deciding")
    register.clear()
    register.scanner.scan(MILK)
    register.display.wait_for("Total EUR       1.29")
    phone.next("paid")
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    assert asked["order_id"] in text_of(register.printer.wait_for_slips(slips + 1)[-1])
    register.display.wait_for("Total EUR       1.29")


@OVER_NFC
def test_the_phone_does_not_hear_the_answer(
    shop: Shop, register: Register, alice: Customer, line: Line
) -> None:
    """It sends the same bytes again; the till has the result already, and gives it the receipt."""
    write_identity(alice.folder, replace(load_identity(alice.folder), server_address=line.address))
    before = shop.switch.balance(alice.account)
    line.withhold_answers()
    register.ring_up(EGGS, EGGS)
    phone = register.tap(alice, *APPROVE)
    phone.next("authorized")
    line.heal()
    register.steps.next("settled")
    phone.next("paid")
    assert shop.switch.balance(alice.account) == before - total_of(EGGS, EGGS)
    write_identity(
        alice.folder, replace(load_identity(alice.folder), server_address=shop.switch.address)
    )


@OVER_BLE
def test_killed_before_it_could_submit(shop: Shop, register: Register, alice: Customer) -> None:
    """What the customer agreed to is on the phone's disk: it goes on when it is started again."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(MILK)
    phone = register.tap(alice, *APPROVE, "--submit-late", "30")
    register.steps.next("submitting")
    phone.kill()
    again = register.tap(alice, "--answer", "decline")
    again.next("paid")
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    assert shop.switch.balance(alice.account) == before - total_of(MILK)


@OVER_NFC
def test_who_submits_is_in_the_request(shop: Shop, register: Register, alice: Customer) -> None:
    """A relayed request from a phone, a direct one from a terminal or another's phone: refused."""
    before = shop.switch.balance(alice.account)
    mallory = shop.customer("mallory", cash=1_000)
    terminal, relayed = register.terminal, register.ask(100)
    request = PaymentRequest.FromString(register.ask(100).signed.payload)
    request.submitter = payment_pb2.PAYMENT_SUBMITTER_PHONE
    direct = PendingPayment(sign(PAYMENT_REQUEST, request, terminal.signing_key), request)
    for who, pending, reason in (
        (alice.identity, relayed, "SUBMITTER_MISMATCH"),
        (register.identity, direct, "SUBMITTER_MISMATCH"),
        (mallory.identity, direct, "WALLET_NOT_CALLER"),
    ):
        receipt = shop.receipt(shop.settle(who, pending, alice.authorize(pending, terminal)))
        assert name_of(receipt.decline_reason) == reason
    assert shop.switch.balance(alice.account) == before
    sealed = alice.authorize(direct, terminal)
    first = shop.settle(alice.identity, direct, sealed)
    assert shop.settle(alice.identity, direct, sealed).payload == first.payload
    assert shop.switch.balance(alice.account) == before - 100
    with pytest.raises(grpc.RpcError) as refused:
        shop.settle(mallory.identity, direct, mallory.authorize(direct, terminal))
    assert reason_of(refused.value) == "REQUEST_ID_REUSED"


def test_a_revoked_register_is_cut_off(shop: Shop, alice: Customer) -> None:
    """It followed its payments up to then; its stream ends with what its next call would say."""
    register = shop.register("till-revoked")
    identity, terminal = register.identity, register.terminal
    with shop.switch.channel(identity) as channel:
        stub = PaymentServiceStub(channel)
        told = stub.FollowPayments(FollowPaymentsRequest(), timeout=CALL_LIMIT_S)
        assert not next(told).HasField("receipt")
        request = PaymentRequest.FromString(register.ask(100).signed.payload)
        request.submitter = payment_pb2.PAYMENT_SUBMITTER_PHONE
        direct = PendingPayment(sign(PAYMENT_REQUEST, request, terminal.signing_key), request)
        receipt = shop.settle(alice.identity, direct, alice.authorize(direct, terminal))
        assert next(told).receipt.payload == receipt.payload
        shop.switch.revoke(identity.device)
        with pytest.raises(grpc.RpcError) as cut:
            next(told)
        assert reason_of(cut.value) == "CERTIFICATE_REFUSED"
