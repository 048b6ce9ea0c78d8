"""What a fleet's server can tell of the calls that it passes: item, price, and how it ended.

Nothing of the customer is in it: his answer is sealed to the switch, and the receipt names nobody.
Nothing here decides anything; what cannot be read was passed all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError

from kessai.decline import name_of
from kessai.enum_name import enum_name
from kessai.envelope import (
    RECEIPT,
    RELAYED_ANSWER,
    EnvelopeError,
    PublicKey,
    open_signed,
    read_unverified,
)
from kessai.relayed import (
    CAPTURE_PAYMENT,
    GET_PAYMENT,
    RENEW_CERTIFICATE,
    SETTLE_PAYMENT,
    VOID_PAYMENT,
)
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    CapturePaymentResponse,
    GetPaymentRequest,
    GetPaymentResponse,
    PaymentOutcome,
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
    SettlePaymentResponse,
    VoidPaymentRequest,
    VoidPaymentResponse,
)
from kessai.v1.relay_pb2 import (
    PassCallRequest,
    PassCallResponse,
    RelayedAnswer,
    RelayedCall,
)

Fields = dict[str, str | int]
Receipted = (
    SettlePaymentResponse | GetPaymentResponse | CapturePaymentResponse | VoidPaymentResponse
)

_ID_CHARACTERS, _ITEM_CHARACTERS, _LINES = 36, 60, 5

_RESPONSES: dict[str, Callable[[bytes], Receipted]] = {
    SETTLE_PAYMENT: SettlePaymentResponse.FromString,
    GET_PAYMENT: GetPaymentResponse.FromString,
    CAPTURE_PAYMENT: CapturePaymentResponse.FromString,
    VOID_PAYMENT: VoidPaymentResponse.FromString,
}


def told_of(request: bytes, response: bytes, switch_key: PublicKey) -> Fields:
    """What was asked and how it ended, as far as it can be read, for the log."""
    fields: Fields = {}
    try:
        call = read_unverified(PassCallRequest.FromString(request).call, RelayedCall)
        fields["method"] = call.method.rpartition("/")[2][:_ID_CHARACTERS]
        fields |= _asked(call)
        answer = open_signed(
            PassCallResponse.FromString(response).answer,
            RELAYED_ANSWER,
            switch_key,
            RelayedAnswer.FromString,
        )
        fields |= _ended(call.method, answer, switch_key)
    except (DecodeError, EnvelopeError):
        fields["unread"] = "not all of it can be read here"
    return fields


def _asked(call: RelayedCall) -> Fields:
    if call.method == GET_PAYMENT:
        asked = GetPaymentRequest.FromString(call.request)
        return {"payment_id": asked.request_id[:_ID_CHARACTERS]}
    if call.method == CAPTURE_PAYMENT:
        captured = CapturePaymentRequest.FromString(call.request)
        return {"payment_id": captured.payment_id[:_ID_CHARACTERS]}
    if call.method == VOID_PAYMENT:
        voided = VoidPaymentRequest.FromString(call.request)
        return {"payment_id": voided.payment_id[:_ID_CHARACTERS]}
    if call.method != SETTLE_PAYMENT:
        return {}
    settled = SettlePaymentRequest.FromString(call.request)
    request = read_unverified(settled.payment_request, PaymentRequest)
    lines = [f"{i.quantity} x {i.description[:_ITEM_CHARACTERS]}" for i in request.items[:_LINES]]
    return {
        "payment_id": settled.request_id[:_ID_CHARACTERS],
        "items": ", ".join(lines),
        "amount_minor": request.total.amount_minor,
        "currency": request.total.currency_code[:3],
    }


def _ended(method: str, answer: RelayedAnswer, switch_key: PublicKey) -> Fields:
    if answer.WhichOneof("result") == "status":
        return {"outcome": "refused"}
    if method == RENEW_CERTIFICATE:
        return {"outcome": "renewed"}
    parse = _RESPONSES.get(method)
    if parse is None:
        return {"unread": "no call that is known here"}
    response = parse(answer.response)
    receipt = open_signed(response.receipt, RECEIPT, switch_key, Receipt.FromString)
    outcome = enum_name(PaymentOutcome.DESCRIPTOR, receipt.outcome, "PAYMENT_OUTCOME_").lower()
    ended: Fields = {"outcome": outcome}
    if receipt.decline_reason:
        reason = name_of(receipt.decline_reason)
        ended["reason"] = reason
    return ended
