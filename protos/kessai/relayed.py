"""Calls through a fleet's server: which methods go that way, and how old a signed call may be.

The terminal signs `RelayedCall`, the switch signs `RelayedAnswer` (`kessai/v1/relay.proto`).
"""

from __future__ import annotations

import hashlib

from kessai.v1.envelope_pb2 import Signed

RELAY_SERVICE = "kessai.v1.RelayService"
RELAY_METHOD = f"/{RELAY_SERVICE}/PassCall"
PACKAGE = "/kessai.v1."

SETTLE_PAYMENT = "PaymentService/SettlePayment"
GET_PAYMENT = "PaymentService/GetPayment"
CAPTURE_PAYMENT = "PaymentService/CapturePayment"
VOID_PAYMENT = "PaymentService/VoidPayment"
RENEW_CERTIFICATE = "DeviceService/RenewCertificate"

# One request and one answer each, and asking again has one effect: a repeat by the relay has none.
RELAYED_METHODS = frozenset(
    {SETTLE_PAYMENT, GET_PAYMENT, CAPTURE_PAYMENT, VOID_PAYMENT, RENEW_CERTIFICATE}
)

# How far a call's time may be from the switch's clock, both inclusive.
MAX_AGE_US = 120_000_000


def call_hash(call: Signed) -> bytes:
    """The name by which its answer calls a call: SHA-256 over the payload, 32 bytes."""
    return hashlib.sha256(call.payload).digest()
