"""Calls have one reading: what is unknown or comes twice is found, at any depth; order is free."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.v1.device_pb2 import CreatePairingCodeRequest
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import PaymentRequest, SettlePaymentRequest, SubmitBatchRequest
from kessai.wire_form import odd_field

GOOD = SettlePaymentRequest(
    request_id="019d",
    payment_request=Signed(type="payment-request", payload=b"p", signature=b"s" * 64),
    sealed_authorization=Sealed(key_id=b"k" * 16, ciphertext=b"c"),
)
UNKNOWN = b"\xba\x06\x01x"  # field 103, one byte


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, as it is on the wire."""
    return bytes([number << 3 | 2, len(value)]) + value


@pytest.mark.parametrize(
    ("raw", "odd"),
    [
        (GOOD.SerializeToString(), ""),
        (b"", ""),
        (GOOD.SerializeToString() + UNKNOWN, "103"),
        (GOOD.SerializeToString() + field(1, b"other"), "request_id"),
        (GOOD.SerializeToString() + field(2, Signed().SerializeToString()), "payment_request"),
        (field(2, UNKNOWN), "payment_request.103"),
        (field(2, field(5, b"a") + field(5, b"b")), "payment_request.signature"),
        (field(2, b"\x18\x01\x18\x02"), "payment_request.algorithm"),
        (field(2, b"\x28\x01"), "payment_request.signature"),  # bytes written as a number
        (field(2, b"\x2b\x2c"), "payment_request.signature"),  # as a group
        (field(3, field(2, b"c")) + field(1, b"019d"), ""),  # another order
        (field(1, b""), ""),  # a default, said all the same
    ],
)
def test_what_is_odd_is_named(raw: bytes, odd: str) -> None:
    assert odd_field(SettlePaymentRequest.FromString(raw), raw) == odd


def test_what_may_be_repeated_may() -> None:
    batch = SubmitBatchRequest(payments=[GOOD, GOOD]).SerializeToString()
    assert odd_field(SubmitBatchRequest.FromString(batch), batch) == ""
    twice = SubmitBatchRequest(payments=[GOOD]).SerializeToString() * 2 + field(1, UNKNOWN)
    assert odd_field(SubmitBatchRequest.FromString(twice), twice) == "payments.103"


def test_one_of_several_is_said_once() -> None:
    both = field(2, b"") + field(3, b"")
    assert odd_field(CreatePairingCodeRequest.FromString(both), both) == "phone"


@given(st.binary(max_size=200))
def test_no_bytes_end_it(noise: bytes) -> None:
    """Whatever protobuf can read has an answer."""
    for kind in (PaymentRequest, SettlePaymentRequest, SubmitBatchRequest):
        try:
            message = kind.FromString(noise)
        except Exception:
            continue
        odd_field(message, noise)
