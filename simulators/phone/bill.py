"""A bill as the customer of the phone that is to pay it sees it: a purchase of one line (row B5).

Verifies what another phone presented, by the same ladder as a shop's request. Called by `wallet`;
`read_asked` by `store`, for what was kept.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kessai.envelope import (
    BILL,
    WALLET_CERTIFICATE,
    DocumentMalformed,
    SignatureInvalid,
    load_public_key,
    open_signed,
    read_verified,
)
from kessai.identity_path import is_name
from kessai.plain_text import is_plain
from kessai.v1 import bill_pb2, decline_pb2, payment_pb2
from kessai.v1.bill_pb2 import Bill, WalletCertificate
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import LineItem, MerchantCertificate, PaymentRequest
from kessai.v1.tap_pb2 import PresentBill
from simulators.phone.purchase import Purchase, Refused, terms_refusal

_FORGED = decline_pb2.DECLINE_REASON_BILL_SIGNATURE_INVALID
_MALFORMED = decline_pb2.DECLINE_REASON_BILL_MALFORMED


def open_bill(present: PresentBill, switch_key: Ed25519PublicKey) -> Purchase:
    """Verify a bill and whose it is; Refused if it is forged, or makes no sense."""
    signed = present.bill
    try:
        certificate = open_signed(
            present.wallet_certificate, WALLET_CERTIFICATE, switch_key, WalletCertificate.FromString
        )
        bill = open_signed(
            signed, BILL, load_public_key(certificate.wallet_public_key), Bill.FromString
        )
    except SignatureInvalid:
        raise Refused(_FORGED) from None
    except DocumentMalformed:
        raise Refused(_MALFORMED) from None
    request = as_request(bill)
    if not _makes_sense(bill, certificate):
        raise Refused(_MALFORMED)
    reason = terms_refusal(request)
    if reason:
        raise Refused(reason)
    request_hash = hashlib.sha256(signed.payload).digest()
    shown = MerchantCertificate(
        display_name=shown_name(certificate),
        issue_time=certificate.issue_time,
        expire_time=certificate.expire_time,
    )
    return Purchase(request_hash, signed.SerializeToString(), request, shown)


def shown_name(certificate: WalletCertificate) -> str:
    """Name who asks: the name that the operator entered, and the wallet that no other has."""
    name, wallet = certificate.display_name, certificate.wallet_id
    return name if name == wallet else f"{name} ({wallet})"


def as_request(bill: Bill) -> PaymentRequest:
    """Give a bill the shape of a request: one line, and no merchant."""
    by_payer = bill.submitter == bill_pb2.BILL_SUBMITTER_PAYER
    line = LineItem(
        description=bill.description, quantity=1, unit_price_minor=bill.amount.amount_minor
    )
    return PaymentRequest(
        request_id=bill.request_id,
        order_id=bill.description,
        items=[line],
        total=bill.amount,
        create_time=bill.create_time,
        expire_time=bill.expire_time,
        submitter=(
            payment_pb2.PAYMENT_SUBMITTER_PHONE
            if by_payer
            else payment_pb2.PAYMENT_SUBMITTER_UNSPECIFIED
        ),
    )


def read_asked(signed: Signed) -> PaymentRequest:
    """Read what was presented, request or bill, as it was when it was checked."""
    if signed.type == BILL:
        return as_request(read_verified(signed, Bill))
    return read_verified(signed, PaymentRequest)


def _makes_sense(bill: Bill, certificate: WalletCertificate) -> bool:
    return (
        is_name(certificate.wallet_id)
        and bill.wallet_id == certificate.wallet_id
        and is_plain(certificate.display_name, 40)
        and is_plain(bill.description, 60)
        and bill.submitter in bill_pb2.BillSubmitter.values()
    )
