"""The payment request: what a terminal asks a customer to pay, signed once and kept as it is.

Every agent that takes money makes it here, keeps it in its journal, and compares the receipt with
it. Source: mission row B1, `kessai/v1/payment.proto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.envelope import PAYMENT_REQUEST, PublicKey, read_verified, sign
from kessai.money import Money
from kessai.plain_text import clean
from kessai.request_form import DESCRIPTION_CHARACTERS, ORDER_ID_CHARACTERS
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.payment_pb2 import LineItem, PaymentRequest, PaymentSubmitter
from kessai.v1.ticket_pb2 import TicketOrder

MAX_LIFETIME_S = 120
DAY_S = 24 * 3600
MAX_DEFERRED_S = 7 * DAY_S

# Who submits what the customer agreed to, as configurations name it: the terminal, or the phone.
Submission = Literal["relayed", "direct"]
SUBMITTERS: dict[Submission, PaymentSubmitter.ValueType] = {
    "relayed": payment_pb2.PAYMENT_SUBMITTER_UNSPECIFIED,
    "direct": payment_pb2.PAYMENT_SUBMITTER_PHONE,
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """Who asks: the ids and the name in its merchant certificate, its keys and the switch's key."""

    merchant_id: str
    terminal_id: str
    display_name: str
    signing_key: Ed25519PrivateKey
    merchant_certificate: Signed
    switch_key: PublicKey


@dataclass(frozen=True, slots=True)
class PendingPayment:
    """A payment request of our own: the signed bytes, and what is read from them."""

    signed: Signed
    request: PaymentRequest

    @classmethod
    def from_bytes(cls, signed: bytes) -> PendingPayment:
        """Take it from the journal, where only our own requests are kept."""
        envelope = Signed.FromString(signed)
        return cls(envelope, read_verified(envelope, PaymentRequest))

    @property
    def request_id(self) -> bytes:
        """The request_id, 16 bytes."""
        return self.request.request_id

    @property
    def payment_id(self) -> str:
        """The request_id as people and the wire write it, 36 characters."""
        return format_request_id(self.request.request_id)

    @property
    def request_hash(self) -> bytes:
        """SHA-256 over the payload, 32 bytes: the name by which receipts call the request."""
        return hashlib.sha256(self.signed.payload).digest()

    @property
    def total(self) -> Money:
        """What is to be paid."""
        return Money.from_proto(self.request.total)

    @property
    def is_direct(self) -> bool:
        """Tell whether the phone submits it by its own line (row B2)."""
        return self.request.submitter == payment_pb2.PAYMENT_SUBMITTER_PHONE

    @property
    def expire_us(self) -> int:
        """When it expires, microseconds since 1970 by the terminal's clock."""
        return self.request.expire_time.ToMicroseconds()

    @property
    def last_us(self) -> int:
        """Until when the switch may settle it, deferred if that was agreed; as `expire_us`."""
        if self.request.HasField("deferred_expire_time"):
            return self.request.deferred_expire_time.ToMicroseconds()
        return self.expire_us


class RequestMaker:
    """Makes payment requests for a terminal, each with a new id."""

    def __init__(
        self,
        terminal: Terminal,
        lifetime_s: int,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        submitter: PaymentSubmitter.ValueType = payment_pb2.PAYMENT_SUBMITTER_UNSPECIFIED,
        deferred_s: int = 0,
    ) -> None:
        """Requests last `lifetime_s` seconds, at most 120.

        With `deferred_s`, at most seven days, they may be accepted without the switch and settled
        for so long.
        """
        self._terminal, self._lifetime_s = terminal, min(lifetime_s, MAX_LIFETIME_S)
        self._submitter = submitter
        self._now_us, self._random_bytes = now_us, random_bytes
        self._deferred_s = min(deferred_s, MAX_DEFERRED_S)

    def make(
        self,
        order_id: str,
        items: Sequence[LineItem],
        total: Money,
        ride: Admission | None = None,
        hold_s: int = 0,
        ticket_orders: Sequence[TicketOrder] = (),
    ) -> PendingPayment:
        """Make and sign a request; the caller stores it before it shows it to any phone.

        `ride` is the admission whose fare it is; None for any other purchase.
        With `hold_s` the money is held first, for at most so many seconds. `ticket_orders` are the
        tickets that it buys.
        """
        now_us = self._now_us()
        request = PaymentRequest(
            request_id=new_request_id(now_us // 1000, self._random_bytes),
            merchant_id=self._terminal.merchant_id,
            terminal_id=self._terminal.terminal_id,
            order_id=clean(order_id, ORDER_ID_CHARACTERS, "-"),
            items=[_readable(item) for item in items],
            total=total.to_proto(),
            submitter=self._submitter,
            ticket_orders=ticket_orders,
        )
        if ride is not None:
            request.admission_id = ride.admission_id
            request.admission_credential_id = ride.credential_id
        if hold_s:
            request.terms, request.hold_seconds = payment_pb2.SETTLEMENT_TERMS_HOLD, hold_s
        request.create_time.FromMicroseconds(now_us)
        request.expire_time.FromMicroseconds(now_us + self._lifetime_s * 1_000_000)
        if self._deferred_s > self._lifetime_s:
            deferred_us = now_us + self._deferred_s * 1_000_000
            request.deferred_expire_time.FromMicroseconds(deferred_us)
        return PendingPayment(sign(PAYMENT_REQUEST, request, self._terminal.signing_key), request)


def _readable(item: LineItem) -> LineItem:
    # A feed or a price list may say anything; phone and switch take plain text only.
    line = LineItem()
    line.CopyFrom(item)
    line.description = clean(item.description, DESCRIPTION_CHARACTERS, "-")
    return line
