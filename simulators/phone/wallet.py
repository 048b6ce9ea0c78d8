"""The wallet: what the phone answers to a terminal, over whatever radio (mission rows B1, B15).

Bytes of a `TapRequest` in, bytes of a `TapResponse` out. The wallet verifies what is presented,
lets the customer decide in a thread of its own, and answers the same question always the same: a
repeated exchange with the same bytes, a request that was decided with what was decided then. What
it gives a terminal, or submits itself (row B2), is on the disk before. The radios' fields are in
`udp_field`, `pn532_chip` and `ble_field`.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillDeciding

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError

from kessai.envelope import read_verified
from kessai.holder import CHALLENGE_BYTES, Asked, challenge_of
from kessai.seal import sealed_hash
from kessai.ticket import TicketRefused
from kessai.v1 import decline_pb2, tap_pb2
from kessai.v1.envelope_pb2 import Sealed
from kessai.v1.payment_pb2 import Receipt
from kessai.v1.tap_pb2 import (
    ChallengeHolder,
    DeliverReceipt,
    InquirePayment,
    TapRequest,
    TapResponse,
    TapStatus,
)
from simulators.phone import screen
from simulators.phone.bill import open_bill
from simulators.phone.consent import Consent
from simulators.phone.holder_key import HolderKey
from simulators.phone.purchase import (
    Purchase,
    Refused,
    open_purchase,
    time_refusal,
)
from simulators.phone.receipt import ReceiptRefused, accept_receipt
from simulators.phone.screen import Screen
from simulators.phone.store import Decision, Store
from simulators.phone.submitter import is_direct
from simulators.phone.ticket_pocket import TicketPocket
from simulators.phone.travel import TravelCard

SESSION_ID_BYTES = 16
# How long a terminal waits for an answer in which the customer may already have decided.
PATIENCE_S = 0.2

_REMEMBERED_ANSWERS = 64
_MAX_UNDECIDED = 4
_UNSPECIFIED = decline_pb2.DECLINE_REASON_UNSPECIFIED

Exchange = tuple[bytes, int]


class Wallet:
    """The wallet of one phone. `show` is called with every change of the screen.

    `submit` is given what the customer agreed to and the phone is to submit by its own line.
    """

    def __init__(
        self,
        switch_key: Ed25519PublicKey,
        store: Store,
        consent: Consent,
        holder_key: HolderKey,
        tickets: TicketPocket,
        travel: TravelCard,
        submit: Callable[[Decision], None],
        show: Callable[[Screen], None],
        now_us: Callable[[], int],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._switch_key, self._store, self._consent = switch_key, store, consent
        self._holder_key, self._tickets = holder_key, tickets
        self._travel, self._submit = travel, submit
        self._show, self._now_us, self._patience_s = show, now_us, patience_s
        self._answers: OrderedDict[Exchange, tuple[bytes, bytes]] = OrderedDict()
        self._undecided: dict[bytes, Future[TapStatus.ValueType]] = {}
        self._one_at_a_time = threading.Lock()

    def answer(self, message: bytes) -> bytes:
        """Answer a terminal. Raises only what the disk raises: then the phone must stay silent."""
        try:
            request = TapRequest.FromString(message)
        except DecodeError:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD).SerializeToString()
        request.DiscardUnknownFields()  # of a newer terminal; the switch takes no call with one
        exchange = (request.session_id, request.sequence)
        fingerprint = hashlib.sha256(message).digest()
        if exchange in self._answers:
            known, answer = self._answers[exchange]
            return answer if known == fingerprint else _not_understood(request)
        if len(request.session_id) != SESSION_ID_BYTES or request.sequence < 1:
            return _not_understood(request)
        response = self._respond(request)
        response.session_id, response.sequence = exchange
        return self._remember(exchange, fingerprint, response.SerializeToString())

    def _remember(self, exchange: Exchange, fingerprint: bytes, answer: bytes) -> bytes:
        self._answers[exchange] = (fingerprint, answer)
        if len(self._answers) > _REMEMBERED_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    def _respond(self, request: TapRequest) -> TapResponse:
        body = request.WhichOneof("body")
        if body == "present_payment":
            present = self._travel.complete(request)
            return self._present(lambda key: open_purchase(present, key))
        if body == "present_bill":
            return self._present(lambda key: open_bill(request.present_bill, key))
        if body == "inquire_payment":
            return self._inquire(request.inquire_payment)
        if body == "challenge_holder":
            return self._prove(request.session_id, request.challenge_holder)
        if body == "deliver_receipt":
            return self._deliver(request.deliver_receipt)
        if body == "ask_for_ticket":
            return self._tickets.show_ticket(request.ask_for_ticket)
        if body == "tell_entry":
            return self._tickets.hear(request.tell_entry)
        return self._travel.answer(request)

    def _present(self, open_it: Callable[[Ed25519PublicKey], Purchase]) -> TapResponse:
        try:
            purchase = open_it(self._switch_key)
        except Refused as refusal:
            self._show(screen.refused("", refusal.reason))
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
        decided = self._store.find(purchase.request_hash)
        if decided is not None:
            self._show(screen.decided(purchase, decided))
            return self._tell(decided)
        reason = time_refusal(purchase, self._now_us())
        if reason != _UNSPECIFIED:
            self._show(screen.refused(purchase.shop, reason))
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
        return self._wait_for_customer(purchase.request_hash, self._ask(purchase))

    def _ask(self, purchase: Purchase) -> Future[TapStatus.ValueType] | None:
        asked = self._undecided.get(purchase.request_hash)
        if asked is not None and not asked.done():
            return asked
        self._undecided = {key: ask for key, ask in self._undecided.items() if not ask.done()}
        if len(self._undecided) >= _MAX_UNDECIDED:
            return None
        asked = self._undecided[purchase.request_hash] = Future()
        threading.Thread(
            target=self._consult, args=(purchase, asked), name="customer", daemon=True
        ).start()
        return asked

    def _consult(self, purchase: Purchase, asked: Future[TapStatus.ValueType]) -> None:
        with self._one_at_a_time:
            try:
                status = self._consent.ask(purchase)
                if status == tap_pb2.TAP_STATUS_AUTHORIZED and purchase.is_direct:
                    decided = self._store.find(purchase.request_hash)
                    assert decided is not None  # noqa: S101  # consent has kept it
                    self._submit(decided)
                asked.set_result(status)
            except Exception as error:
                asked.set_exception(error)

    def _inquire(self, inquire: InquirePayment) -> TapResponse:
        decided = self._store.find(inquire.request_hash)
        if decided is not None:
            return self._tell(decided)
        asked = self._undecided.get(inquire.request_hash)
        if asked is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_UNKNOWN)
        return self._wait_for_customer(inquire.request_hash, asked)

    def _wait_for_customer(
        self, request_hash: bytes, asked: Future[TapStatus.ValueType] | None
    ) -> TapResponse:
        if asked is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
        try:
            status = asked.result(timeout=self._patience_s)
        except StillDeciding:
            return TapResponse(status=tap_pb2.TAP_STATUS_CUSTOMER_DECIDING)
        decided = self._store.find(request_hash)
        return TapResponse(status=status) if decided is None else self._tell(decided)

    def _prove(self, session_id: bytes, challenge: ChallengeHolder) -> TapResponse:
        """Tell a terminal that verifies that this phone is here; the customer is not asked."""
        if len(challenge.nonce) != CHALLENGE_BYTES:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        gate = self._travel.verify(session_id, challenge.merchant_certificate)
        if gate is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
        nonce, certificate = challenge_of(challenge.nonce), gate.certificate
        asked = Asked(nonce, certificate.merchant_id, certificate.terminal_id)
        answer = self._holder_key.answer(asked, self._now_us())
        if answer is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_HOLDER_UNKNOWN)
        return TapResponse(
            status=tap_pb2.TAP_STATUS_HOLDER_PROVEN,
            holder_answer=answer,
            admission_answer=self._travel.open_admission(gate),
            journey_answer=self._travel.journey(gate) if challenge.with_journey else None,
        )

    def _tell(self, decision: Decision) -> TapResponse:
        if decision.status != tap_pb2.TAP_STATUS_AUTHORIZED:
            return TapResponse(status=decision.status)
        request = decision.read_request()
        if is_direct(request):
            self._submit(decision)
            shown = decision.show_receipt()
            return TapResponse(status=tap_pb2.TAP_STATUS_SUBMITTING, receipt=shown)
        sealed = Sealed.FromString(decision.sealed)
        response = TapResponse(status=decision.status, sealed_authorization=sealed)
        if request.HasField("deferred_expire_time"):
            given = sealed_hash(sealed)
            asked = Asked(decision.request_hash, request.merchant_id, request.terminal_id, given)
            answer = self._holder_key.answer(asked, self._now_us())
            if answer is not None:
                response.holder_answer.CopyFrom(answer)
        return response

    def _deliver(self, delivered: DeliverReceipt) -> TapResponse:
        try:
            raw = delivered.receipt.SerializeToString()
            shown = accept_receipt(raw, self._switch_key, self._store)
            paid = read_verified(delivered.receipt, Receipt)
            self._tickets.keep(delivered.tickets, paid.request_id)
        except (ReceiptRefused, TicketRefused):
            return TapResponse(status=tap_pb2.TAP_STATUS_RECEIPT_REFUSED)
        self._show(screen.with_tickets(shown, len(delivered.tickets)))
        return TapResponse(status=tap_pb2.TAP_STATUS_RECEIPT_ACCEPTED)


def _not_understood(request: TapRequest) -> bytes:
    response = TapResponse(
        session_id=request.session_id,
        sequence=request.sequence,
        status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD,
    )
    return response.SerializeToString()
