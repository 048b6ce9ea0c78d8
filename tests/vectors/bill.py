"""One bill, whole: what one phone asks of another, who asks, and what the other one answers."""

from __future__ import annotations

import hashlib

from kessai import envelope
from kessai.account_number import format_account, make_account
from kessai.bill import payee_info
from kessai.envelope import raw_public_key
from kessai.request_id import new_request_id
from kessai.seal import sealing_key_id
from kessai.v1 import bill_pb2, payment_pb2
from kessai.v1.envelope_pb2 import Sealed
from tests.vectors.hpke import seal_with
from tests.vectors.keys import EPHEMERAL_KEY, KEYS, SEALING_KEY, secret
from tests.vectors.purchase import CREATED_MS, Case, euro, time_of

PAYEE_ACCOUNT = format_account(make_account(1, 43))


def request_id() -> bytes:
    """Give the bill's request id."""
    return new_request_id(CREATED_MS, lambda count: secret("bill")[:count])


def bill(
    submitter: bill_pb2.BillSubmitter.ValueType = bill_pb2.BILL_SUBMITTER_UNSPECIFIED,
) -> bill_pb2.Bill:
    """What Ann asks of Bo: his half of a pizza, 12.50 EUR."""
    public = SEALING_KEY.public_key()
    made = seal_with(EPHEMERAL_KEY, public, payee_info(request_id()), PAYEE_ACCOUNT.encode())
    return bill_pb2.Bill(
        request_id=request_id(),
        wallet_id="ann",
        description="Half a pizza 🍕",
        amount=euro(1_250),
        sealed_payee_account=Sealed(
            key_id=sealing_key_id(public), ciphertext=made.encapsulated_key + made.ciphertext
        ),
        create_time=time_of(0),
        expire_time=time_of(120),
        submitter=submitter,
    )


def authorization() -> payment_pb2.PaymentAuthorization:
    """What Bo agrees to; a bill has no merchant and no terminal."""
    payload = bill().SerializeToString(deterministic=True)
    return payment_pb2.PaymentAuthorization(
        request_hash=hashlib.sha256(payload).digest(),
        amount=euro(1_250),
        account_number=format_account(make_account(1, 42)),
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=time_of(120),
    )


def certificate() -> bill_pb2.WalletCertificate:
    """Who asks."""
    return bill_pb2.WalletCertificate(
        wallet_id="ann",
        display_name="Ann Ångström",
        wallet_public_key=raw_public_key(KEYS["payee phone"].public_key()),
        issue_time=time_of(-86_400),
        expire_time=time_of(29 * 86_400),
    )


def cases() -> dict[str, list[Case]]:
    """Give the documents by the vector file that they stand in; the first is the one damaged."""
    by_payer = bill(bill_pb2.BILL_SUBMITTER_PAYER)
    return {
        "bill": [
            Case("the payee submits it", envelope.BILL, "payee phone", bill()),
            Case("the payer submits it", envelope.BILL, "payee phone", by_payer),
        ],
        "bill_authorization": [
            Case("by PIN", envelope.PAYMENT_AUTHORIZATION, "phone", authorization())
        ],
        "wallet_certificate": [
            Case("thirty days", envelope.WALLET_CERTIFICATE, "switch", certificate())
        ],
    }
