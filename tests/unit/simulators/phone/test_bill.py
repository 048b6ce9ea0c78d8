"""A bill on the phone that is to pay it: what is checked before the customer sees it (row B5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.envelope import BILL, WALLET_CERTIFICATE, PrivateKey, raw_public_key, sign
from kessai.request_id import new_request_id
from kessai.v1 import bill_pb2, tap_pb2
from kessai.v1.bill_pb2 import Bill, WalletCertificate
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import Receipt
from kessai.v1.tap_pb2 import PresentBill
from simulators.phone.bill import open_bill
from simulators.phone.customer import Approving, Declining
from simulators.phone.purchase import Refused
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import PIN, SECOND_US, Counter, hash_of, read, status_of

PAYEE = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
BY_PAYER = bill_pb2.BILL_SUBMITTER_PAYER

ChangeBill = Callable[[Bill], object]
ChangeCertificate = Callable[[WalletCertificate], object]


def nothing(document: object) -> None:
    """Leave it as it is."""


def make_bill(counter: Counter, change: ChangeBill = nothing, key: PrivateKey = PAYEE) -> Signed:
    """Ask for 12.50 EUR."""
    bill = Bill(
        request_id=new_request_id(counter.now_us // 1_000, counter.random_bytes),
        wallet_id="ann",
        description="Half a pizza",
        amount=Money(amount_minor=1250, currency_code="EUR"),
    )
    bill.create_time.FromMicroseconds(counter.now_us)
    bill.expire_time.FromMicroseconds(counter.now_us + 120 * SECOND_US)
    change(bill)
    return sign(BILL, bill, key)


def certify(
    counter: Counter, change: ChangeCertificate = nothing, key: PrivateKey | None = None
) -> Signed:
    """Say whose phone it is."""
    certificate = WalletCertificate(
        wallet_id="ann",
        display_name="Ann",
        wallet_public_key=raw_public_key(PAYEE.public_key()),
    )
    certificate.issue_time.FromMicroseconds(counter.now_us - SECOND_US)
    certificate.expire_time.FromMicroseconds(counter.now_us + 3_600 * SECOND_US)
    change(certificate)
    return sign(WALLET_CERTIFICATE, certificate, key or counter.switch_key)


def present(counter: Counter, bill: Signed, certificate: Signed | None = None) -> bytes:
    """Write the message that presents a bill."""
    body = PresentBill(bill=bill, wallet_certificate=certificate or certify(counter))
    return counter.message(present_bill=body)


def test_the_customer_sees_who_asks_what_for_and_how_much(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    pocket, bill = make_pocket(), make_bill(counter)
    answer = read(pocket.wallet.answer(present(counter, bill)))
    assert answer.status == tap_pb2.TAP_STATUS_AUTHORIZED
    assert answer.HasField("sealed_authorization")
    page = pocket.pages[0]
    assert (page.shop, page.total) == ("Ann (ann)", "12.50 EUR")
    assert [item.description for item in page.items] == ["Half a pizza"]
    again = read(pocket.wallet.answer(counter.inquire(bill)))
    assert again.sealed_authorization == answer.sealed_authorization
    assert pocket.submitted == []


def test_what_the_payer_submits_is_shown_with_its_receipt(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """To the phone that made the bill; the authorisation stays here."""
    pocket, bill = make_pocket(), make_bill(counter, lambda b: setattr(b, "submitter", BY_PAYER))
    answer = read(pocket.wallet.answer(present(counter, bill)))
    assert answer.status == tap_pb2.TAP_STATUS_SUBMITTING
    assert not answer.HasField("sealed_authorization")
    assert not answer.HasField("receipt")
    assert {decision.request_hash for decision in pocket.submitted} == {hash_of(bill)}

    def of_bill(receipt: Receipt) -> None:
        asked = Bill.FromString(bill.payload)
        receipt.request_id, receipt.request_hash = asked.request_id, hash_of(bill)
        receipt.amount.CopyFrom(asked.amount)

    receipt = counter.receipt(counter.request(), of_bill)
    assert status_of(pocket.wallet.answer(counter.deliver(receipt))) == "RECEIPT_ACCEPTED"
    again = read(pocket.wallet.answer(counter.inquire(bill)))
    assert (again.status, again.receipt) == (tap_pb2.TAP_STATUS_SUBMITTING, receipt)


def test_a_terminal_is_shown_no_receipt(counter: Counter, make_pocket: PocketMaker) -> None:
    """It must ask the switch: a phone's word is nothing."""
    pocket = make_pocket()
    request = counter.request(lambda r: setattr(r, "submitter", 1))
    pocket.wallet.answer(counter.present(request))
    pocket.wallet.answer(counter.deliver(counter.receipt(request)))
    assert not read(pocket.wallet.answer(counter.inquire(request))).HasField("receipt")


def test_a_no_is_kept(counter: Counter, make_pocket: PocketMaker) -> None:
    bill = make_bill(counter)
    no = make_pocket(Declining()).wallet.answer(present(counter, bill))
    assert status_of(no) == "CUSTOMER_DECLINED"
    later = make_pocket(Approving(PIN)).wallet.answer(present(counter, bill))
    assert status_of(later) == "CUSTOMER_DECLINED"


def test_an_expired_bill_is_not_shown(counter: Counter, make_pocket: PocketMaker) -> None:
    pocket, bill = make_pocket(), make_bill(counter)
    counter.now_us += 126 * SECOND_US
    assert status_of(pocket.wallet.answer(present(counter, bill))) == "REQUEST_REFUSED"
    assert pocket.pages[-1].reason == "EXPIRED"


def test_an_expired_certificate_is_not_trusted(counter: Counter, make_pocket: PocketMaker) -> None:
    over = certify(counter, lambda c: c.expire_time.FromMicroseconds(counter.now_us))
    pocket = make_pocket()
    answer = pocket.wallet.answer(present(counter, make_bill(counter), over))
    assert status_of(answer) == "REQUEST_REFUSED"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: setattr(b, "wallet_id", "bob"), "BILL_MALFORMED"),
        (lambda b: setattr(b, "description", ""), "BILL_MALFORMED"),
        (lambda b: setattr(b, "description", "x" * 61), "BILL_MALFORMED"),
        (lambda b: setattr(b, "description", "a\nb"), "BILL_MALFORMED"),
        (lambda b: setattr(b, "submitter", 99), "BILL_MALFORMED"),
        (lambda b: setattr(b, "request_id", b"short"), "REQUEST_MALFORMED"),
        (lambda b: setattr(b.amount, "amount_minor", 0), "AMOUNT_NOT_POSITIVE"),
        (lambda b: setattr(b.amount, "currency_code", "XXY"), "REQUEST_MALFORMED"),
        (lambda b: b.expire_time.FromMicroseconds(0), "REQUEST_MALFORMED"),
        (lambda b: b.MergeFromString(b"\xf8\x07\x01"), "BILL_MALFORMED"),
    ],
)
def test_a_bill_that_makes_no_sense_is_refused(
    counter: Counter, change: ChangeBill, reason: str
) -> None:
    body = PresentBill(bill=make_bill(counter, change), wallet_certificate=certify(counter))
    with pytest.raises(Refused) as refused:
        open_bill(body, counter.switch_key.public_key())
    assert DeclineReason.Name(refused.value.reason) == f"DECLINE_REASON_{reason}"


@pytest.mark.parametrize("what", ["bill", "certificate", "another phone's name", "no name"])
def test_a_forged_bill_is_refused(counter: Counter, what: str) -> None:
    """Signed by another phone than the certificate's, or certified by somebody else."""
    bill, certificate = make_bill(counter), certify(counter)
    if what == "bill":
        bill = make_bill(counter, key=STRANGER)
    elif what == "certificate":
        certificate = certify(counter, key=counter.terminal_key)
    elif what == "another phone's name":
        certificate = certify(counter, lambda c: setattr(c, "wallet_public_key", b"\4" * 65))
    else:
        certificate = certify(counter, lambda c: setattr(c, "display_name", ""))
    with pytest.raises(Refused):
        open_bill(
            PresentBill(bill=bill, wallet_certificate=certificate), counter.switch_key.public_key()
        )
