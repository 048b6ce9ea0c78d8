"""The wallet's dialogue: one decision a request, the same bytes for ever, and receipts (row B1)."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from kessai.envelope import PAYMENT_AUTHORIZATION, load_public_key, open_signed
from kessai.money import Money
from kessai.seal import unseal
from kessai.v1 import decline_pb2, payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    MerchantCertificate,
    PaymentAuthorization,
    PaymentRequest,
    Receipt,
)
from kessai.v1.tap_pb2 import TapStatus
from simulators.phone.customer import Approving, Customer, Declining, GivingUp, Thinking
from simulators.phone.screen import View
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import (
    ACCOUNT,
    PIN,
    SECOND_US,
    Counter,
    hash_of,
    read,
    status_of,
)

BY_PHONE = payment_pb2.PAYMENT_SUBMITTER_PHONE


def open_authorization(answer: bytes, request: Signed, counter: Counter) -> PaymentAuthorization:
    """Open the sealed authorisation as the switch does."""
    sealed = read(answer).sealed_authorization
    signed = Signed.FromString(unseal(sealed, counter.sealing_key, hash_of(request)))
    return PaymentAuthorization.FromString(signed.payload)


def test_the_customer_agrees(counter: Counter, make_pocket: PocketMaker) -> None:
    """The authorisation says what the customer saw, signed by the vault's key."""
    pocket, request = make_pocket(), counter.request()
    answer = pocket.wallet.answer(counter.present(request))
    assert status_of(answer) == "AUTHORIZED"
    sealed = read(answer).sealed_authorization
    signed = Signed.FromString(unseal(sealed, counter.sealing_key, hash_of(request)))
    key = load_public_key(pocket.vault.public_key)
    said = open_signed(signed, PAYMENT_AUTHORIZATION, key, PaymentAuthorization.FromString)
    asked = PaymentRequest.FromString(request.payload)
    assert said == PaymentAuthorization(
        request_hash=hash_of(request),
        merchant_id="bakery",
        terminal_id="till-1",
        amount=asked.total,
        account_number=ACCOUNT,
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=asked.expire_time,
    )
    assert [page.view for page in pocket.pages] == [View.PURCHASE, View.ENTER_PIN, View.AUTHORIZED]
    assert pocket.pages[0].shop == "Corner Bakery"
    assert pocket.pages[0].total == "5.00 EUR"


def test_a_repeated_exchange_has_the_same_bytes(counter: Counter, make_pocket: PocketMaker) -> None:
    """Also when the customer has decided in between."""
    customer = Thinking(60, Approving(PIN))
    pocket, request = make_pocket(customer, patience_s=0.01), counter.request()
    present = counter.present(request)
    first = pocket.wallet.answer(present)
    assert status_of(first) == "CUSTOMER_DECIDING"
    customer.hurry()
    patient = make_pocket(Declining())  # the same store
    while status_of(pocket.wallet.answer(counter.inquire(request))) == "CUSTOMER_DECIDING":
        pass
    assert pocket.wallet.answer(present) == first
    assert status_of(patient.wallet.answer(counter.present(request))) == "AUTHORIZED"


def test_the_same_number_with_other_content(counter: Counter, make_pocket: PocketMaker) -> None:
    """It is no repetition, and gets no answer of the other's."""
    pocket = make_pocket()
    one, other = counter.request(), counter.request()
    assert status_of(pocket.wallet.answer(counter.present(one))) == "AUTHORIZED"
    twin = Counter()
    twin.session_id = counter.session_id
    assert status_of(pocket.wallet.answer(twin.present(other))) == "NOT_UNDERSTOOD"


@pytest.mark.parametrize("customer", [Approving(PIN), Declining()], ids=["agreed", "declined"])
def test_an_id_is_for_one_request(
    counter: Counter, make_pocket: PocketMaker, customer: Customer
) -> None:
    """Two tills that share an id cannot have the customer agree to both, nor after a restart."""
    first = counter.request()

    def reuse(request: PaymentRequest) -> None:
        request.request_id = PaymentRequest.FromString(first.payload).request_id
        request.order_id = "another"

    altered = counter.request(reuse)
    decided = status_of(make_pocket(customer).wallet.answer(counter.present(first)))
    pocket = make_pocket()
    assert status_of(pocket.wallet.answer(counter.present(altered))) == "REQUEST_REFUSED"
    assert [page.view for page in pocket.pages] == [View.REFUSED]
    assert status_of(pocket.wallet.answer(counter.present(first))) == decided


def test_a_second_tap_gets_the_same_bytes(counter: Counter, make_pocket: PocketMaker) -> None:
    """In a new session, after a restart, after the PIN was changed to a wrong one."""
    request = counter.request()
    first = read(make_pocket().wallet.answer(counter.present(request)))
    counter.session_id = bytes(16)
    again = make_pocket(GivingUp([]))
    second = read(again.wallet.answer(counter.present(request)))
    assert second.sealed_authorization == first.sealed_authorization
    assert again.pages[-1].view is View.AUTHORIZED


def test_no_is_remembered(counter: Counter, make_pocket: PocketMaker) -> None:
    """A customer who said no is not asked again for the same request."""
    request = counter.request()
    pocket = make_pocket(Declining())
    assert status_of(pocket.wallet.answer(counter.present(request))) == "CUSTOMER_DECLINED"
    assert pocket.pages[-1].view is View.CANCELLED
    again = make_pocket().wallet.answer(counter.present(request))
    assert status_of(again) == "CUSTOMER_DECLINED"
    assert not read(again).HasField("sealed_authorization")


def test_giving_up_at_the_pin_is_a_no(counter: Counter, make_pocket: PocketMaker) -> None:
    """After one wrong PIN the customer walks away."""
    pocket = make_pocket(GivingUp(["0000"]))
    assert status_of(pocket.wallet.answer(counter.present(counter.request()))) == (
        "CUSTOMER_DECLINED"
    )
    assert [page.tries_left for page in pocket.pages if page.view is View.ENTER_PIN] == [5, 4]


def test_a_wrong_pin_then_the_right_one(counter: Counter, make_pocket: PocketMaker) -> None:
    """Tries are counted, and the right PIN gives them back."""
    pocket = make_pocket(Approving("0000", "9999", PIN))
    assert status_of(pocket.wallet.answer(counter.present(counter.request()))) == "AUTHORIZED"
    assert pocket.vault.tries_left == 5


def test_five_wrong_pins_lock_the_phone(counter: Counter, make_pocket: PocketMaker) -> None:
    """Nothing is signed, the right PIN does not help, nor does a restart, nor another request."""
    request = counter.request()
    pocket = make_pocket(Approving("0000"))
    answer = pocket.wallet.answer(counter.present(request))
    assert status_of(answer) == "PHONE_LOCKED"
    assert not read(answer).HasField("sealed_authorization")
    assert pocket.pages[-1].view is View.LOCKED
    assert status_of(pocket.wallet.answer(counter.inquire(request))) == "PHONE_LOCKED"
    restarted = make_pocket(Approving(PIN))
    assert status_of(restarted.wallet.answer(counter.present(request))) == "PHONE_LOCKED"
    other = counter.present(counter.request())
    assert status_of(restarted.wallet.answer(other)) == "PHONE_LOCKED"
    assert View.PURCHASE not in [page.view for page in restarted.pages]


def test_nothing_is_signed_after_the_request_expired(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """A customer who thinks too long has not paid."""

    class Slow(Approving):
        def enter_pin(self, tries_left: int) -> str | None:
            counter.now_us += 126 * SECOND_US
            return PIN

    pocket, request = make_pocket(Slow(PIN)), counter.request()
    assert status_of(pocket.wallet.answer(counter.present(request))) == "REQUEST_REFUSED"
    assert pocket.store.history() == []
    assert pocket.pages[-1].reason == "EXPIRED"


def test_an_unknown_request_is_asked_for(counter: Counter, make_pocket: PocketMaker) -> None:
    """After a restart in the middle, the terminal presents it again."""
    inquiry = counter.inquire(counter.request())
    assert status_of(make_pocket().wallet.answer(inquiry)) == "REQUEST_UNKNOWN"


def test_one_purchase_at_a_time(counter: Counter, make_pocket: PocketMaker) -> None:
    """A second terminal waits until the customer has decided on the first; a crowd is refused."""
    deciding, shown = threading.Event(), queue.SimpleQueue[object]()

    class Busy(Approving):
        def agrees(self, purchase: object) -> bool:
            shown.put(purchase)
            return deciding.wait(10)

    pocket = make_pocket(Busy(PIN), patience_s=0.01)
    requests = [counter.request() for _ in range(5)]
    answers = [status_of(pocket.wallet.answer(counter.present(request))) for request in requests]
    assert answers == ["CUSTOMER_DECIDING"] * 4 + ["REQUEST_REFUSED"]
    shown.get(timeout=10)
    assert shown.empty()
    deciding.set()
    for request in requests[:4]:
        answer = b""
        while not answer or status_of(answer) == "CUSTOMER_DECIDING":
            answer = pocket.wallet.answer(counter.inquire(request))
        assert open_authorization(answer, request, counter).request_hash == hash_of(request)


def test_what_is_no_message(counter: Counter, make_pocket: PocketMaker) -> None:
    """Garbage, no body, a session id that is too short: each gets a polite answer."""
    wallet = make_pocket().wallet
    assert status_of(wallet.answer(b"\xff" * 40)) == "NOT_UNDERSTOOD"
    assert status_of(wallet.answer(b"")) == "NOT_UNDERSTOOD"
    assert status_of(wallet.answer(counter.message())) == "NOT_UNDERSTOOD"
    counter.session_id = b"short"
    assert status_of(wallet.answer(counter.present(counter.request()))) == "NOT_UNDERSTOOD"


def test_the_receipt_is_shown_and_kept(counter: Counter, make_pocket: PocketMaker) -> None:
    """Twice is as good as once; the number is shard and row of the log."""
    pocket, request = make_pocket(), counter.request()
    pocket.wallet.answer(counter.present(request))
    receipt = counter.receipt(request)
    for _ in range(2):
        assert status_of(pocket.wallet.answer(counter.deliver(receipt))) == "RECEIPT_ACCEPTED"
    page = pocket.pages[-1]
    assert (page.view, page.total, page.receipt_number) == (View.PAID, "5.00 EUR", "2-127")
    kept = pocket.store.history()[0].read_receipt()
    assert kept == Receipt.FromString(receipt.payload)


def test_a_declined_payment_says_why(counter: Counter, make_pocket: PocketMaker) -> None:
    """With the words of the registry."""
    pocket, request = make_pocket(), counter.request()
    pocket.wallet.answer(counter.present(request))

    def decline(receipt: Receipt) -> None:
        receipt.outcome = payment_pb2.PAYMENT_OUTCOME_DECLINED
        receipt.decline_reason = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS

    answer = pocket.wallet.answer(counter.deliver(counter.receipt(request, decline)))
    assert status_of(answer) == "RECEIPT_ACCEPTED"
    page = pocket.pages[-1]
    assert (page.view, page.reason) == (View.NOT_PAID, "INSUFFICIENT_FUNDS")
    assert page.message == "Not enough money in the account."


def test_receipts_that_are_not_believed(counter: Counter, make_pocket: PocketMaker) -> None:
    """Forged, for another payment, without outcome, or contradicting the first one."""
    pocket, request = make_pocket(), counter.request()
    pocket.wallet.answer(counter.present(request))

    def is_refused(receipt: Signed) -> bool:
        return status_of(pocket.wallet.answer(counter.deliver(receipt))) == "RECEIPT_REFUSED"

    assert is_refused(counter.receipt(request, key=counter.terminal_key))
    assert is_refused(counter.receipt(counter.request()))
    assert is_refused(counter.receipt(request, lambda r: setattr(r, "request_id", bytes(16))))
    assert is_refused(counter.receipt(request, lambda r: setattr(r.amount, "amount_minor", 499)))
    assert is_refused(counter.receipt(request, lambda r: setattr(r, "outcome", 0)))
    assert pocket.store.history()[0].receipt == b""
    assert View.PAID not in [page.view for page in pocket.pages]
    pocket.wallet.answer(counter.deliver(counter.receipt(request)))
    declined = payment_pb2.PAYMENT_OUTCOME_DECLINED
    assert is_refused(counter.receipt(request, lambda r: setattr(r, "outcome", declined)))
    assert pocket.pages[-1].view is View.PAID


def test_a_decline_that_no_log_has_is_not_final(counter: Counter, make_pocket: PocketMaker) -> None:
    """A terminal can get one with spoilt bytes, and settle the good ones after it."""
    pocket, request = make_pocket(), counter.request()
    pocket.wallet.answer(counter.present(request))

    def spoil(receipt: Receipt) -> None:
        receipt.outcome = payment_pb2.PAYMENT_OUTCOME_DECLINED
        receipt.decline_reason = decline_pb2.DECLINE_REASON_AUTHORIZATION_UNREADABLE
        receipt.ClearField("log_position")

    spoilt = counter.deliver(counter.receipt(request, spoil))
    assert status_of(pocket.wallet.answer(spoilt)) == "RECEIPT_ACCEPTED"
    assert (pocket.pages[-1].view, "Not final before" in pocket.pages[-1].message) == (
        View.NOT_PAID,
        True,
    )
    pocket.wallet.answer(counter.deliver(counter.receipt(request)))
    assert pocket.pages[-1].view is View.PAID
    late = counter.deliver(counter.receipt(request, spoil))
    assert status_of(pocket.wallet.answer(late)) == "RECEIPT_REFUSED"


def test_no_receipt_for_what_the_customer_declined(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """A receipt for it would mean that somebody else signed."""
    pocket, request = make_pocket(Declining()), counter.request()
    pocket.wallet.answer(counter.present(request))
    answer = pocket.wallet.answer(counter.deliver(counter.receipt(request)))
    assert status_of(answer) == "RECEIPT_REFUSED"


def test_nothing_is_given_that_is_not_kept(
    counter: Counter, make_pocket: PocketMaker, folder: Path
) -> None:
    """What the terminal got is in the file, byte for byte."""
    request = counter.request()
    answer = make_pocket().wallet.answer(counter.present(request))
    kept = make_pocket().store.find(hash_of(request))
    assert kept is not None
    assert kept.sealed == read(answer).sealed_authorization.SerializeToString()


@pytest.mark.parametrize(
    ("wallet_minor", "merchant_minor", "verification"),
    [(500, 500, "NONE"), (499, 500, "DEVICE_PIN"), (500, 499, "DEVICE_PIN"),
     (500, 0, "DEVICE_PIN"), (0, 500, "DEVICE_PIN")],
)  # fmt: skip
def test_the_pin_is_left_out_where_both_allow_it(
    counter: Counter,
    make_pocket: PocketMaker,
    wallet_minor: int,
    merchant_minor: int,
    verification: str,
) -> None:
    """The customer and the merchant certificate, each up to a limit of its own: 5.00 is paid."""
    pocket, request = make_pocket(), counter.request()
    if wallet_minor:
        pocket.vault.allow_small(PIN, Money(wallet_minor, "EUR"), counter.random_bytes)

    def limit(certificate: MerchantCertificate) -> None:
        if merchant_minor:
            certificate.unverified_limit.CopyFrom(Money(merchant_minor, "EUR").to_proto())

    answer = pocket.wallet.answer(counter.present(request, counter.certificate(limit)))
    said = open_authorization(answer, request, counter).customer_verification
    assert said == payment_pb2.CustomerVerification.Value(f"CUSTOMER_VERIFICATION_{verification}")
    asked_for_pin = View.ENTER_PIN in [page.view for page in pocket.pages]
    assert asked_for_pin == (verification == "DEVICE_PIN")


def test_a_direct_request_is_submitted_and_the_terminal_gets_nothing(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """Also when it is presented again; the same decision, with the same sealed bytes (row B2)."""
    pocket = make_pocket()
    request = counter.request(lambda r: setattr(r, "submitter", BY_PHONE))
    answer = read(pocket.wallet.answer(counter.present(request)))
    assert TapStatus.Name(answer.status) == "TAP_STATUS_SUBMITTING"
    assert not answer.HasField("sealed_authorization")
    again = read(pocket.wallet.answer(counter.inquire(request)))
    assert (again.status, again.HasField("sealed_authorization")) == (answer.status, False)
    assert {decision.sealed for decision in pocket.submitted} == {
        decision.sealed for decision in pocket.store.history()
    }
    assert "asks the bank" in pocket.pages[-1].message


def test_nothing_is_submitted_that_the_customer_did_not_agree_to(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    pocket = make_pocket(Declining())
    request = counter.request(lambda r: setattr(r, "submitter", BY_PHONE))
    assert status_of(pocket.wallet.answer(counter.present(request))) == "CUSTOMER_DECLINED"
    odd = counter.request(lambda r: setattr(r, "submitter", 99))
    assert status_of(pocket.wallet.answer(counter.present(odd))) == "REQUEST_REFUSED"
    assert pocket.submitted == []
