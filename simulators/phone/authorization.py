"""What the phone signs and seals when the customer has agreed (mission rows B1 and B15).

The authorisation names the account, so it leaves the phone only under the switch's sealing key; the
terminal and a listener learn its length. Called by `wallet`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from kessai.envelope import PAYMENT_AUTHORIZATION, sign
from kessai.seal import seal
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import CustomerVerification, PaymentAuthorization
from simulators.phone.purchase import Purchase


def write_authorization(
    purchase: Purchase,
    account_number: str,
    verification: CustomerVerification.ValueType = payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
    holder_public_key: bytes = b"",
) -> PaymentAuthorization:
    """Write what the customer agrees to, verified as told; void when the request is.

    Tickets that are bought with it are bound to `holder_public_key`.
    """
    return PaymentAuthorization(
        request_hash=purchase.request_hash,
        merchant_id=purchase.request.merchant_id,
        terminal_id=purchase.request.terminal_id,
        amount=purchase.request.total,
        account_number=account_number,
        customer_verification=verification,
        expire_time=purchase.settle_until,
        ticket_holder_public_key=holder_public_key if purchase.request.ticket_orders else b"",
    )


def sign_and_seal(
    authorization: PaymentAuthorization,
    signing_key: ec.EllipticCurvePrivateKey,
    sealing_key: X25519PublicKey,
    request_hash: bytes,
) -> bytes:
    """Sign an authorisation and seal it for one request; a serialised `Sealed`."""
    signed = sign(PAYMENT_AUTHORIZATION, authorization, signing_key)
    return seal(signed.SerializeToString(), sealing_key, request_hash).SerializeToString()
