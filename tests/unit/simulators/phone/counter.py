"""A shop counter for the tests: a switch's keys, a terminal that signs, a phone's folder."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.message import Message

from kessai.account_number import parse_account
from kessai.device_identity import DeviceIdentity, write_identity
from kessai.envelope import MERCHANT_CERTIFICATE, PAYMENT_REQUEST, RECEIPT, PrivateKey, sign
from kessai.request_id import new_request_id
from kessai.v1 import payment_pb2, tap_pb2
from kessai.v1.device_pb2 import TrustBundle
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import LineItem, MerchantCertificate, PaymentRequest, Receipt
from kessai.v1.tap_pb2 import (
    DeliverReceipt,
    InquirePayment,
    PresentPayment,
    TapRequest,
    TapResponse,
)
from simulators.phone.vault import Vault

PIN = "1234"
ACCOUNT = "00010000004220"
NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000

Change = Callable[..., None]


def unchanged(document: object) -> None:
    """Leave a document as it is."""


class Counter:
    """A switch's keys and one of its terminals, with a clock that stands still."""

    def __init__(self, seed: int = 0) -> None:
        self.random_bytes = random.Random(seed).randbytes
        self.now_us = NOW_US
        self.switch_key = Ed25519PrivateKey.from_private_bytes(self.random_bytes(32))
        self.sealing_key = X25519PrivateKey.from_private_bytes(self.random_bytes(32))
        self.terminal_key = Ed25519PrivateKey.from_private_bytes(self.random_bytes(32))
        self._sequences = itertools.count(1)
        self.session_id = self.random_bytes(16)

    def clock(self) -> int:
        """Tell the time, in microseconds since 1970."""
        return self.now_us

    def pair(self, folder: Path, pin: str = PIN) -> Path:
        """Make the folder of a phone that trusts this switch."""
        key_pem, chain_pem = _certificate()
        bundle = TrustBundle(
            root_certificate=b"not looked at here",
            switch_public_key=self.switch_key.public_key().public_bytes_raw(),
            sealing_public_key=self.sealing_key.public_key().public_bytes_raw(),
        )
        identity = DeviceIdentity(
            identity="spiffe://kessai.test/phone/ada-lovelace/pocket",
            server_address="127.0.0.1:1",
            root_fingerprint=bytes(32),
            key_pem=key_pem,
            chain_pem=chain_pem,
            root_pem=chain_pem,
            trust_bundle=bundle,
            accounts=(parse_account(ACCOUNT),),
        )
        write_identity(folder, identity)
        Vault.create(folder, pin, self.random_bytes)
        return folder

    def certificate(self, change: Change = unchanged, key: PrivateKey | None = None) -> Signed:
        """Certify the terminal."""
        certificate = MerchantCertificate(
            merchant_id="bakery",
            terminal_id="till-1",
            display_name="Corner Bakery",
            category_code="5462",
            terminal_public_key=self.terminal_key.public_key().public_bytes_raw(),
        )
        certificate.issue_time.FromMicroseconds(self.now_us - 3_600 * SECOND_US)
        certificate.expire_time.FromMicroseconds(self.now_us + 3_600 * SECOND_US)
        change(certificate)
        return sign(MERCHANT_CERTIFICATE, certificate, key or self.switch_key)

    def request(self, change: Change = unchanged, key: PrivateKey | None = None) -> Signed:
        """Ask for 5.00 EUR for three rolls and a loaf, with a discount."""
        request = PaymentRequest(
            request_id=new_request_id(self.now_us // 1_000, self.random_bytes),
            merchant_id="bakery",
            terminal_id="till-1",
            order_id="2026-0042",
            items=[
                LineItem(
                    gtin="04012345678901", description="Roll", quantity=3, unit_price_minor=60
                ),
                LineItem(description="Rye loaf", quantity=1, unit_price_minor=340),
                LineItem(description="Discount", quantity=1, unit_price_minor=-20),
            ],
            total=Money(amount_minor=500, currency_code="EUR"),
        )
        request.create_time.FromMicroseconds(self.now_us)
        request.expire_time.FromMicroseconds(self.now_us + 120 * SECOND_US)
        change(request)
        return sign(PAYMENT_REQUEST, request, key or self.terminal_key)

    def present(self, request: Signed, certificate: Signed | None = None) -> bytes:
        """Write the message that presents a request."""
        body = PresentPayment(
            payment_request=request, merchant_certificate=certificate or self.certificate()
        )
        return self.message(present_payment=body)

    def inquire(self, request: Signed) -> bytes:
        """Write the message that asks for the decision on a request."""
        return self.message(inquire_payment=InquirePayment(request_hash=hash_of(request)))

    def deliver(self, receipt: Signed) -> bytes:
        """Write the message that delivers a receipt."""
        return self.message(deliver_receipt=DeliverReceipt(receipt=receipt))

    def receipt(
        self, request: Signed, change: Change = unchanged, key: PrivateKey | None = None
    ) -> Signed:
        """Settle a request and write its receipt."""
        asked = PaymentRequest.FromString(request.payload)
        receipt = Receipt(
            request_id=asked.request_id,
            request_hash=hash_of(request),
            outcome=payment_pb2.PAYMENT_OUTCOME_SETTLED,
            amount=asked.total,
        )
        receipt.log_position.shard, receipt.log_position.sequence = 2, 127
        change(receipt)
        return sign(RECEIPT, receipt, key or self.switch_key)

    def message(self, **body: Message) -> bytes:
        """Write the session's next message."""
        request = TapRequest(session_id=self.session_id, sequence=next(self._sequences))
        for name, content in body.items():
            getattr(request, name).CopyFrom(content)
        return request.SerializeToString()


def hash_of(request: Signed) -> bytes:
    """Give the request_hash."""
    return hashlib.sha256(request.payload).digest()


def read(answer: bytes) -> TapResponse:
    """Read what the phone answered."""
    return TapResponse.FromString(answer)


def status_of(answer: bytes) -> str:
    """Name the status of an answer: "AUTHORIZED"."""
    return tap_pb2.TapStatus.Name(read(answer).status).removeprefix("TAP_STATUS_")


def _certificate() -> tuple[bytes, bytes]:
    """Make a key and a certificate, both PEM, that no line is opened with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pocket")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, certificate.public_bytes(Encoding.PEM)
