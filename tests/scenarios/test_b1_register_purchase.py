"""B1: items are scanned, the phone authorises, the register forwards, the switch settles at once.

The shop hands over the goods on that answer, and on nothing else. What goes wrong on the way to the
answer is in `test_b1_lost_answer.py`.
"""

from __future__ import annotations

import io

import grpc
import pytest
import zxingcpp
from PIL import Image
from rich.console import Console

from edge_agents.journal import PaymentState
from edge_agents.payment_request import PendingPayment, Terminal
from kessai.envelope import PAYMENT_REQUEST, sign
from kessai.v1.payment_pb2 import PaymentRequest
from simulators.devices.paper_roll import Printed, draw_slip, text_of
from tests.running import kessai
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    CHOCOLATE,
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

NOT_PAID = 3

# Else a pattern within it may be taken for a bar code of another kind.
QR_CODE = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)

LIES = [
    ("nfc", ("--authorize-minor", "1"), "AUTHORIZATION_MISMATCH"),
    ("ble", ("--authorize-minor", "99999"), "AUTHORIZATION_MISMATCH"),
    ("nfc", ("--authorize-merchant", "other-shop"), "AUTHORIZATION_MISMATCH"),
    ("ble", ("--authorize-terminal", "till-9"), "AUTHORIZATION_MISMATCH"),
    ("nfc", ("--alter",), "AUTHORIZATION_UNREADABLE"),
    ("ble", ("--replay",), "AUTHORIZATION_UNREADABLE"),
]
LEAVES = [
    *(("nfc", ("--leave-after-frames", frames)) for frames in ("1", "3", "5")),
    ("nfc", ("--leave-after-exchanges", "2")),
    *(("ble", ("--leave-after-frames", frames)) for frames in ("2", "4")),
    ("ble", ("--leave-after-exchanges", "1")),
]


def name_case(value: str | tuple[str, ...]) -> str:
    """Write what a phone does, or over which radio."""
    return " ".join(value) if isinstance(value, tuple) else value


# A label that weighs them: GTIN-14 of variable measure, net weight 1.250 kg.
BANANAS = "01995060001343553103001250"


@pytest.fixture(scope="module")
def running_register(shop: Shop, radio: Radio) -> Register:
    """Give a register with each kind of radio in turn."""
    return shop.running_register(radio)


def test_a_purchase_is_paid(shop: Shop, register: Register, alice: Customer) -> None:
    """The phone shows shop, items and total; the switch settles; display and paper say paid."""
    before, shop_before = shop.switch.balance(alice.account), shop.earned()
    slips = len(register.printer.roll.slips)
    asked = register.ring_up(BREAD, MILK, MILK, BANANAS)
    how = "Code for phone: " if register.is_with_code else "Hold phone to reader"
    register.display.wait_for(f"To pay EUR      8.31 {how}")
    phone = register.tap(alice, *APPROVE)
    purchase = phone.next("purchase")
    assert (purchase["shop"], purchase["total"]) == (SHOP_NAME, "8.31 EUR")
    assert [(i["description"], i["quantity"], i["amount"]) for i in purchase["items"]] == [
        ("Rye bread 1 kg", 1, "3.49"),
        ("Whole milk 1 l", 2, "2.58"),
        ("Bananas 1.250 kg x 1.79", 1, "2.24"),
    ]
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    register.display.wait_for("Paid EUR        8.31 Thank you!")
    paid = phone.next("paid")
    assert (paid["shop"], paid["total"], phone.end()) == (SHOP_NAME, "8.31 EUR", 0)
    paper = text_of(register.printer.wait_for_slips(slips + 1)[-1])
    for said in (
        SHOP_NAME,
        "Rye bread 1 kg",
        "2 x 1.29",
        "Bananas 1.250 kg x 1.79",
        "8.31 EUR",
        "PAID",
        "Signed by the switch",
    ):
        assert said in paper
    assert asked["payment_id"] in paper
    assert shop.switch.balance(alice.account) == before - 831
    assert shop.earned() == shop_before + 831
    shop.switch.verify()


@OVER_NFC
def test_too_little_money(shop: Shop, register: Register) -> None:
    """Declined: display and phone say why, nothing moves, and cheaper goods can be bought then."""
    bob = shop.customer("bob", cash=500, shard=2)
    register.ring_up(COFFEE)
    phone = register.tap(bob, *APPROVE)
    assert register.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    register.display.wait_for("Not enough money in the account.")
    refused = phone.next("not-paid")
    assert refused["message"] == "Not enough money in the account."
    assert (refused["reason"], phone.end()) == ("INSUFFICIENT_FUNDS", NOT_PAID)
    assert shop.switch.balance(bob.account) == 500
    register.clear()
    register.sell(bob, BREAD)
    assert shop.switch.balance(bob.account) == 151


@OVER_BLE
def test_wrong_pin(shop: Shop, register: Register) -> None:
    """Five wrong PINs lock the phone; the register says so; the right one does not help later."""
    carol = shop.customer("carol", cash=5_000)
    register.ring_up(MILK)
    phone = register.tap(carol, "--answer", "wrong-pin")
    assert [phone.next("enter-pin")["tries_left"] for _ in range(5)] == [5, 4, 3, 2, 1]
    assert "Call your bank" in phone.next("locked")["message"]
    register.steps.next("phone_refused")
    register.display.wait_for("NOT PAID The phone is locked.")
    assert phone.end() == NOT_PAID
    register.pay()
    later = register.tap(carol, *APPROVE)
    later.next("locked")
    register.steps.next("phone_refused")
    assert shop.switch.balance(carol.account) == 5_000


@OVER_NFC
def test_the_customer_declines(shop: Shop, register: Register, alice: Customer) -> None:
    """A no is a no; the basket stays, and another customer can pay it."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(EGGS)
    phone = register.tap(alice, "--answer", "decline")
    phone.next("cancelled")
    register.steps.next("customer_declined")
    register.display.wait_for("Declined on the phone.")
    assert phone.end() == NOT_PAID
    assert register.entry(asked["payment_id"]).state is PaymentState.ABANDONED
    again = register.pay()
    assert again["payment_id"] != asked["payment_id"]
    phone = register.tap(alice, *APPROVE)
    phone.next("paid")
    register.steps.next("settled")
    assert shop.switch.balance(alice.account) == before - total_of(EGGS)


@pytest.mark.parametrize(("radio", "lie", "reason"), LIES, indirect=["radio"], ids=name_case)
def test_an_authorisation_for_something_else(
    shop: Shop, register: Register, alice: Customer, lie: tuple[str, ...], reason: str
) -> None:
    """Another amount, shop or terminal, altered bytes, an old authorisation: nothing moves."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(CHOCOLATE)
    phone = register.tap(alice, *APPROVE, *lie)
    declined = register.steps.next("declined")
    assert (declined["payment_id"], declined["reason"]) == (asked["payment_id"], reason)
    register.display.wait_for("NOT PAID")
    assert phone.next("not-paid")["reason"] == reason
    assert register.entry(asked["payment_id"]).state is PaymentState.DECLINED
    assert shop.switch.balance(alice.account) == before


@pytest.mark.parametrize(("radio", "leave"), LEAVES, indirect=["radio"], ids=name_case)
def test_a_phone_that_leaves_half_way(
    shop: Shop, register: Register, alice: Customer, leave: tuple[str, str]
) -> None:
    """At whatever frame it is torn off: the customer taps again, and pays once."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(BREAD)
    torn = register.tap(alice, *APPROVE, *leave, field=register.field_of_small_frames)
    torn.end()
    assert "paid" not in torn.names[:-1]
    phone = register.tap(alice, *APPROVE)
    phone.next("paid")
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)
    assert register.steps.names.count("settled") == settled_in(register)


@OVER_BLE
def test_agreed_while_away_from_the_reader(shop: Shop, radio: Radio, alice: Customer) -> None:
    """The customer takes the phone away to read, agrees, and taps again: then it is paid."""
    before = shop.switch.balance(alice.account)
    reach = radio.reach()
    register = shop.register(f"till-away-{radio.kind}", reach.reader)
    register.start()
    register.ring_up(EGGS, EGGS)
    phone = register.tap(alice, *APPROVE, "--think", "0.5", field=reach.field)
    register.steps.next("customer_deciding")
    register.display.wait_for("To pay EUR      6.38 Confirm on the phone")
    reach.shut()
    register.steps.next("phone_left")
    phone.next("authorized")
    assert shop.switch.balance(alice.account) == before
    reach.open()
    register.steps.next("settled")
    phone.next("paid")
    assert shop.switch.balance(alice.account) == before - total_of(EGGS, EGGS)
    register.close()
    reach.close()


@OVER_NFC
@pytest.mark.parametrize("trouble", ["has no paper", "is open"])
def test_the_printer_cannot_print(
    shop: Shop, register: Register, alice: Customer, trouble: str
) -> None:
    """The payment stands, the display says that the receipt follows, and it does, once."""
    printer = register.printer
    printer.take_paper() if trouble == "has no paper" else printer.open_cover()
    slips = len(register.printer.roll.slips)
    asked = register.ring_up(MILK)
    phone = register.tap(alice, *APPROVE)
    phone.next("paid")
    assert register.steps.next("receipt_waits")["payment_id"] == asked["payment_id"]
    register.display.wait_for(f"Receipt follows: printer {trouble}")
    assert len(register.printer.roll.slips) == slips
    printer.put_paper() if trouble == "has no paper" else printer.open_cover(False)
    assert register.steps.next("receipt_printed")["payment_id"] == asked["payment_id"]
    printed = register.printer.wait_for_slips(slips + 1)[slips:]
    assert [asked["payment_id"] in text_of(slip) for slip in printed] == [True]


@OVER_BLE
def test_the_receipt_is_checked_offline(register: Register, alice: Customer) -> None:
    """Its QR code, read from the drawn paper, is what the switch signed; an altered one is not."""
    slips = len(register.printer.roll.slips)
    asked = register.sell(alice, BREAD, CHOCOLATE)
    text = read_qr(register.printer.wait_for_slips(slips + 1)[-1])
    checked = kessai("agent", "check-receipt", "--folder", str(register.folder), text)
    for said in ("PAID", "4.98 EUR", asked["payment_id"], asked["order_id"]):
        assert said in checked.stdout
    middle = len(text) // 2
    altered = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
    words = ("agent", "check-receipt", "--folder", str(register.folder), altered)
    refused = kessai(*words, check=False)
    assert (refused.returncode, "Do not accept this receipt" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr


def test_over_a_pn532_reader(shop: Shop, alice: Customer) -> None:
    """The same over a PN532 chip on a serial line, with nfcpy's own driver: paid, then refused."""
    before = shop.switch.balance(alice.account)
    line = shop.folder / "pn532"
    register = shop.register("till-pn532", reader=f"pn532:{line}")
    phone = register.tap(alice, *APPROVE)
    phone.next("idle")
    register.start()
    register.ring_up(BREAD)
    phone.next("paid")
    register.steps.next("settled")
    register.display.wait_for("Paid EUR        3.49")
    assert phone.end() == 0
    assert not line.is_symlink()
    register.ring_up(MILK)
    away = register.tap(alice, "--answer", "decline")
    away.next("cancelled")
    register.steps.next("customer_declined")
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)


def test_one_request_id_pays_one_thing(shop: Shop, alice: Customer) -> None:
    """The same id with other content is refused, also when another payer's shard would take it."""
    dave = shop.customer("dave", cash=5_000, shard=3)
    register = shop.register("till-direct")
    identity, terminal = register.identity, register.terminal
    before = shop.switch.balance(alice.account)
    first = register.ask(250)
    sealed = alice.authorize(first, terminal)
    receipt = shop.settle(identity, first, sealed)
    assert shop.settle(identity, first, sealed).payload == receipt.payload
    other = with_id(register.ask(350), first.request_id, terminal)
    for pending, payer in ((other, alice), (other, dave), (first, dave)):
        with pytest.raises(grpc.RpcError) as refused:
            shop.settle(identity, pending, payer.authorize(pending, terminal))
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert reason_of(refused.value) == "REQUEST_ID_REUSED"
    again = shop.find(identity, first.payment_id)
    assert again is not None
    assert again.payload == receipt.payload
    assert shop.switch.balance(alice.account) == before - 250
    assert shop.switch.balance(dave.account) == 5_000


def settled_in(register: Register) -> int:
    """Count the settled payments of a journal."""
    return sum(entry.state is PaymentState.SETTLED for entry in register.journal())


def with_id(pending: PendingPayment, request_id: bytes, terminal: Terminal) -> PendingPayment:
    """Sign a request again under another id."""
    request = PaymentRequest.FromString(pending.signed.payload)
    request.request_id = request_id
    return PendingPayment(sign(PAYMENT_REQUEST, request, terminal.signing_key), request)


def read_qr(slip: list[Printed]) -> str:
    """Photograph the drawn slip, two pixels by two a module, and read its QR code."""
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(draw_slip(slip))
    rows = [line for line in console.export_text().splitlines() if not line.strip(" ▀▄█")]
    image = Image.new("L", (120 * 4, len(rows) * 8 + 16), 255)
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            for half, dark in enumerate((character in "█▀", character in "█▄")):
                if dark:
                    image.paste(0, (x * 4, y * 8 + half * 4, x * 4 + 4, y * 8 + half * 4 + 4))
    (code,) = zxingcpp.read_barcodes(image, formats=QR_CODE)
    return str(code.text)
