"""A counter for tests: a shop's till, Ann and her phone, with real keys in a real directory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import CollectorRegistry

from kessai.account_number import format_account
from kessai.envelope import (
    PAYMENT_AUTHORIZATION,
    PAYMENT_REQUEST,
    RECEIPT,
    PrivateKey,
    key_id_of,
    open_signed,
    raw_public_key,
    sign,
)
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.seal import seal
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import (
    LineItem,
    PaymentAuthorization,
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
)
from server.domain.directory import DeviceEntry, HolderEntry, IssuedCertificate, Merchant
from server.identity.deny_list import DenyList
from server.identity.holders import Holders
from server.identity.keyring import Keyring
from server.identity.losses import Losses
from server.shards.deny_book import DenyBook
from server.shards.directory import Directory
from server.shards.holder_book import HolderBook
from server.shards.loss_book import LossBook
from server.shards.router import Shards
from server.shards.ticket_offers import TicketOffers
from server.switch.fares import Fares
from server.switch.offline_losses import OfflineLosses
from server.switch.outcomes import Outcomes, terminal
from server.switch.receipts import Receipts
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from server.switch.test_amounts import Rehearsal
from server.switch.ticket_sales import TicketSales
from tests.unit.server.domain.commands import MINUTE_US, NOW_US, fresh_id
from tests.unit.server.shards.parts import Clock

TILL, PHONE = "agent/shop/till-1", "phone/ann/pixel"
ANN, SHOP = 1_0000_0042, 1_0000_0010  # on different shards
LIMIT = Money(500, "EUR")
PIN = payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN


def nothing(_: object) -> None:
    """Leave it as it is."""


@dataclass
class Alterations:
    """What is done to good documents on their way; and with which keys they are signed."""

    request: Callable[[PaymentRequest], object] = nothing
    signed_request: Callable[[Signed], object] = nothing
    authorization: Callable[[PaymentAuthorization], object] = nothing
    signed_authorization: Callable[[Signed], object] = nothing
    sealed: Callable[[Sealed], object] = nothing
    message: Callable[[SettlePaymentRequest], object] = nothing
    terminal_key: PrivateKey | None = None
    phone_key: PrivateKey | None = None
    info: bytes = b""
    opened: bytes = b""


@dataclass
class Counter:
    """The parties, known to a directory in a folder; `known` if they were entered before."""

    folder: Path
    terminal_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    phone_key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    switch_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    sealing_key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    known: bool = False
    category: str = "5411"

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.directory = Directory(self.folder / "directory.db")
        keyring = Keyring(self.switch_key, self.sealing_key, b"")
        file = self.directory.file
        self.deny_list = DenyList(DenyBook(file), self.clock)
        self.holders = Holders(HolderBook(file), self.deny_list, keyring, self.clock, os.urandom)
        self.losses = Losses(LossBook(file), self.clock)
        self.merchant = Merchant("shop", "Corner Shop", self.category, SHOP, LIMIT)
        if self.known:
            return
        self.directory.merchants.add(self.merchant)
        self.enroll(TILL, self.terminal_key)
        self.enroll(PHONE, self.phone_key)

    def enroll(self, device: str, key: PrivateKey) -> None:
        """Enter a device with its signing key; one it had before is revoked."""
        serial = int.from_bytes(os.urandom(8), "big")
        certificate = IssuedCertificate(serial, device, fresh_id(), b"", b"", b"", NOW_US * 2)
        public = key.public_key()
        raw = raw_public_key(public)
        self.directory.enroll(DeviceEntry(certificate, key_id_of(public), raw, "1.0", NOW_US))

    def certify(self, device: str = PHONE, account: int = ANN, credential_id: bytes = b"") -> bytes:
        """Certify a phone as a holder for one of its wallet's accounts; the credential's id."""
        named = credential_id or os.urandom(16)
        book = HolderBook(self.directory.file)
        book.add(HolderEntry(named, fresh_id(), device, account, b"", b"", NOW_US * 2))
        return named

    def purchases(self, shards: Shards, rehearsal: Rehearsal | None = None) -> RegisterPurchase:
        """The use case on these shards."""
        settle = Settle(shards, self.clock)
        receipts = Receipts(self.switch_key)
        return RegisterPurchase(
            shards,
            settle,
            receipts,
            self.directory,
            self.sealing_key,
            self.tickets(shards),
            self.judging(shards),
            Fares(self.holders),
            rehearsal,
        )

    def judging(self, shards: Shards) -> OfflineLosses:
        """What judges the payments that a till accepted off line."""
        self.registry = CollectorRegistry()
        own = (self.losses, self.holders, shards, self.switch_key.public_key())
        return OfflineLosses(*own, self.clock, self.registry)

    def tickets(self, shards: Shards) -> TicketSales:
        """The tickets that are sold on these shards."""
        offers = TicketOffers(self.directory.file)
        return TicketSales(offers, shards, self.switch_key, self.clock)

    async def find(
        self, shards: Shards, request_id: bytes, merchant: str = "shop", till: str = "till-1"
    ) -> Signed:
        """Ask for the receipt of a till's payment."""
        outcomes = Outcomes(shards, Receipts(self.switch_key))
        return await outcomes.receipt(request_id, terminal(merchant, till))

    def pay(
        self, minor: int = 300, request_id: bytes = b"", altered: Alterations | None = None
    ) -> SettlePaymentRequest:
        """Go through a purchase up to what the till sends, altered on the way."""
        alter = altered or Alterations()
        request_id = request_id or fresh_id()
        request = PaymentRequest(
            request_id=request_id,
            merchant_id="shop",
            terminal_id="till-1",
            order_id="till-1-000001",
            items=[LineItem(description="Bread", quantity=1, unit_price_minor=minor)],
            total=Money(minor, "EUR").to_proto(),
        )
        request.create_time.FromMicroseconds(self.clock())
        request.expire_time.FromMicroseconds(self.clock() + MINUTE_US)
        alter.request(request)
        signed_request = sign(PAYMENT_REQUEST, request, alter.terminal_key or self.terminal_key)
        alter.signed_request(signed_request)
        message = SettlePaymentRequest(
            request_id=format_request_id(request_id),
            payment_request=signed_request,
            sealed_authorization=self._authorize(signed_request, request, alter),
        )
        alter.message(message)
        return message

    def _authorize(
        self, signed_request: Signed, request: PaymentRequest, alter: Alterations
    ) -> Sealed:
        request_hash = hashlib.sha256(signed_request.payload).digest()
        authorization = PaymentAuthorization(
            request_hash=request_hash,
            merchant_id=request.merchant_id,
            terminal_id=request.terminal_id,
            amount=request.total,
            account_number=format_account(ANN),
            customer_verification=PIN,
            expire_time=request.expire_time,
        )
        alter.authorization(authorization)
        signed = sign(PAYMENT_AUTHORIZATION, authorization, alter.phone_key or self.phone_key)
        alter.signed_authorization(signed)
        opened = alter.opened or signed.SerializeToString(deterministic=True)
        sealed = seal(opened, self.sealing_key.public_key(), alter.info or request_hash)
        alter.sealed(sealed)
        return sealed

    def read(self, receipt: Signed) -> Receipt:
        """Open a receipt as a till does."""
        return open_signed(receipt, RECEIPT, self.switch_key.public_key(), Receipt.FromString)
