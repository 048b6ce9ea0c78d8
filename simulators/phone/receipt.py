"""The receipts that a phone believes: signed by the switch, for a payment that it authorised.

Called by `wallet`; the outcome on the screen comes from here and from nothing that a terminal says.
"""

from __future__ import annotations

from datetime import UTC

from kessai.envelope import RECEIPT, EnvelopeError, PublicKey, open_signed
from kessai.settlement_terms import fits_terms, is_outcome
from kessai.v1 import payment_pb2, tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import Receipt
from simulators.phone import screen
from simulators.phone.screen import Screen
from simulators.phone.store import Store

_ENDS = (
    payment_pb2.PAYMENT_OUTCOME_SETTLED,
    payment_pb2.PAYMENT_OUTCOME_VOIDED,
    payment_pb2.PAYMENT_OUTCOME_EXPIRED,
)


class ReceiptRefused(Exception):
    """The receipt does not verify, or is for no payment of this phone."""


def accept_receipt(raw: bytes, switch_key: PublicKey, store: Store) -> Screen:
    """Verify and keep a serialised `Signed` receipt; give the page that tells the outcome.

    A decline without a log position is of one submission, not of the purchase: a dishonest terminal
    can get it with spoilt bytes, and settle the good ones after. It is shown as such and not kept.
    ReceiptRefused if it is not the switch's, if it is not for a request that was authorised here,
    or if it contradicts the receipt that came before. That of a hold is followed by one of its end.
    """
    signed = Signed.FromString(raw)
    try:
        receipt = open_signed(signed, RECEIPT, switch_key, Receipt.FromString)
    except EnvelopeError as error:
        raise ReceiptRefused(str(error)) from None
    decision = store.find(receipt.request_hash)
    if decision is None or decision.status != tap_pb2.TAP_STATUS_AUTHORIZED:
        raise ReceiptRefused("for no payment that was authorised here")
    request = decision.read_request()
    if not is_outcome(receipt):
        raise ReceiptRefused("it tells no outcome")
    if receipt.request_id != request.request_id or not fits_terms(receipt, request):
        raise ReceiptRefused("for another payment")
    if not receipt.HasField("log_position") and not decision.receipt:
        return screen.not_final(decision.shop, receipt, request.expire_time.ToDatetime(UTC))
    before = decision.read_receipt()
    was_held = before is not None and before.outcome == payment_pb2.PAYMENT_OUTCOME_HELD
    ended = decision.receipt if was_held and receipt.outcome in _ENDS else b""
    kept = Signed.FromString(store.keep_receipt(receipt.request_hash, raw, instead_of=ended))
    if kept.payload != signed.payload:
        raise ReceiptRefused("it contradicts the receipt that came before")
    store.marks.keep(kept)
    return screen.outcome(decision.shop, receipt)
