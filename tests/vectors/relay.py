"""A call through a fleet's server: the purchase's settlement, and what the switch answers."""

from __future__ import annotations

import hashlib

from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from kessai import envelope, relayed
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.payment_pb2 import (
    GetPaymentRequest,
    SettlePaymentRequest,
    SettlePaymentResponse,
)
from kessai.v1.relay_pb2 import RelayedAnswer, RelayedCall
from tests.vectors import purchase
from tests.vectors.keys import secret, sign_payload
from tests.vectors.purchase import CREATED_MS, Case, time_of
from tests.vectors.ride import sealed_authorization

FLEET = "nordic"


def cases() -> dict[str, list[Case]]:
    """The documents, each with the key that signs it."""
    call, answer = envelope.RELAYED_CALL, envelope.RELAYED_ANSWER
    settle, find = settle_call(), find_call()
    return {
        "relayed_call": [
            Case("SettlePayment", call, "terminal", settle),
            Case("GetPayment", call, "terminal", find),
        ],
        "relayed_answer": [
            Case("a response", answer, "switch", _answer(settle, response=_response())),
            Case("an error", answer, "switch", _answer(find, status=_status())),
        ],
    }


def settle_call() -> RelayedCall:
    """The terminal has the purchase settled."""
    signed_request = purchase.cases()["payment_request"][0]
    payload = signed_request.document.SerializeToString(deterministic=True)
    request = SettlePaymentRequest(
        request_id=format_request_id(purchase.request_id()),
        payment_request=sign_payload(signed_request.type, payload, signed_request.key),
        sealed_authorization=sealed_authorization(),
    )
    return _call("settle", relayed.SETTLE_PAYMENT, request.SerializeToString(deterministic=True))


def find_call() -> RelayedCall:
    """The terminal asks what became of it."""
    request = GetPaymentRequest(request_id=format_request_id(purchase.request_id()))
    return _call("find", relayed.GET_PAYMENT, request.SerializeToString(deterministic=True))


def _call(name: str, method: str, request: bytes) -> RelayedCall:
    return RelayedCall(
        call_id=new_request_id(CREATED_MS, lambda count: secret(f"call {name}")[:count]),
        fleet_id=FLEET,
        method=method,
        request=request,
        create_time=time_of(1, 250_000_000),
    )


def _answer(call: RelayedCall, response: bytes = b"", status: bytes = b"") -> RelayedAnswer:
    payload = call.SerializeToString(deterministic=True)
    answer = RelayedAnswer(call_hash=hashlib.sha256(payload).digest())
    if status:
        answer.status = status
    else:
        answer.response = response
    return answer


def _response() -> bytes:
    receipt = purchase.cases()["receipt"][0]
    payload = receipt.document.SerializeToString(deterministic=True)
    signed = sign_payload(receipt.type, payload, receipt.key)
    return SettlePaymentResponse(receipt=signed).SerializeToString(deterministic=True)


def _status() -> bytes:
    status = status_pb2.Status(code=5, message="no such payment")
    info = error_details_pb2.ErrorInfo(reason="RESOURCE_UNKNOWN", domain="kessai")
    status.details.add().Pack(info)
    content: bytes = status.SerializeToString(deterministic=True)
    return content
