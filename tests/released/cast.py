"""Who plays in the released books: keys from seeds, accounts on three shards, and the use cases.

The keys are for tests and for nothing else: everybody can compute them.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.account_number import format_account
from kessai.bill import payee_info
from kessai.envelope import BILL, PAYMENT_AUTHORIZATION, raw_public_key, sign
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id, parse_request_id
from kessai.seal import seal
from kessai.v1.account_pb2 import DistributeAccountRequest
from kessai.v1.bill_pb2 import Bill, SettleBillRequest
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    CustomerVerification,
    PaymentAuthorization,
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
)
from kessai.v1.ticket_pb2 import Redemption, TicketOrder
from server.domain.arrival import arrival
from server.domain.directory import Merchant
from server.identity.deny_list import DenyList
from server.shards.jobs import Delivered
from server.shards.placement import SlotMap
from server.shards.router import Shards
from server.shards.ticket_offers import TicketOffers
from server.switch.bills import Bills
from server.switch.busy_payees import BusyPayees
from server.switch.fares import Fares
from server.switch.held_payments import HeldPayments
from server.switch.hold_expiry import HoldExpiry
from server.switch.outcomes import Outcomes
from server.switch.receipts import Receipts
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from server.switch.slot_move import SlotMover
from server.switch.ticket_uses import Requester, TicketUses
from tests.unit.server.domain.commands import MINUTE_US, accounts_on
from tests.unit.server.switch.counter import ANN, PIN, SHOP, Alterations, Counter

SHARDS = 3
SLOTS = SlotMap.even(SHARDS)
CLERK, DOOR = "operator/operator", Requester("agent/shop/door-1", "shop")


def accounts_of(shard: int, first: int) -> list[int]:
    """Five accounts of branch 1 on a shard, from a number on."""
    found = accounts_on(shard, SHARDS, first)
    return [account for account, _ in zip(found, range(5), strict=False)]


# Ann and the shop are on shard 1, by their numbers.
BOB, KIOSK, CARL, BUSY, NOBODY = accounts_of(0, 1000)
DORA, YEN, BROKE, STALL, MISSING = accounts_of(2, 2000)
EVE, LODGER, OTHER, _, _ = accounts_of(1, 3000)
MERCHANTS = {"shop": SHOP, "kiosk": KIOSK, "busy": BUSY, "stall": STALL, "nowhere": MISSING}


def secret(name: str) -> bytes:
    """32 fixed bytes of a name."""
    return hashlib.sha256(b"kessai released books: " + name.encode()).digest()


def phone_key(name: str) -> ec.EllipticCurvePrivateKey:
    """The key of a phone."""
    return ec.derive_private_key(int.from_bytes(secret(name), "big"), ec.SECP256R1())


def till_key(merchant: str) -> Ed25519PrivateKey:
    """The key of a merchant's till."""
    return Ed25519PrivateKey.from_private_bytes(secret(f"till of {merchant}"))


HOLDER_KEY = raw_public_key(phone_key("tickets").public_key())


def counter_in(folder: Path, *, known: bool) -> Counter:
    """The shop's till and Ann's phone, in the directory of a data folder."""
    return Counter(
        folder,
        terminal_key=till_key("shop"),
        phone_key=phone_key("ann"),
        switch_key=Ed25519PrivateKey.from_private_bytes(secret("signing")),
        sealing_key=X25519PrivateKey.from_private_bytes(secret("sealing")),
        known=known,
    )


@dataclass
class Cast:
    """A switch's use cases on open shards, driven step by step."""

    folder: Path
    counter: Counter
    shards: Shards

    def __post_init__(self) -> None:
        self.dice = random.Random("kessai released books")
        clock, directory = self.counter.clock, self.counter.directory
        self.settle = Settle(self.shards, clock)
        self.receipts = Receipts(self.counter.switch_key)
        self.purchases = RegisterPurchase(
            self.shards, self.settle, self.receipts, directory, self.counter.sealing_key,
            self.counter.tickets(self.shards), self.counter.judging(self.shards),
            Fares(self.counter.holders),
        )  # fmt: skip
        self.bills = Bills(
            self.shards, self.settle, self.receipts, directory, self.counter.sealing_key
        )
        self.outcomes = Outcomes(self.shards, self.receipts)
        self.holds = HeldPayments(self.settle, self.outcomes)
        self.expiry = HoldExpiry(self.shards, clock)
        self.busy = BusyPayees(self.shards, self.settle)
        self.mover = SlotMover(self.shards, self.new_id)
        self.sales = self.counter.tickets(self.shards)
        self.tickets = TicketUses(
            self.sales, self.shards, self.settle, directory,
            DenyList(directory.denied, clock),
            self.counter.switch_key.public_key(), clock,
        )  # fmt: skip
        self.offers = TicketOffers(directory.file)

    def close(self) -> None:
        """End the threads that verify."""
        self.purchases.close()
        self.bills.close()

    def new_id(self) -> bytes:
        """A request id of now."""
        return new_request_id(self.counter.clock() // 1000, self.dice.randbytes)

    def enter(self) -> None:
        """Enter merchants and phones in the directory, beside the shop, its till and Ann."""
        for name, account in MERCHANTS.items():
            if name != "shop":
                trade = "4111" if name == "stall" else "5411"
                self.counter.directory.merchants.add(
                    Merchant(name, name.title(), trade, account, Money(500, "EUR"))
                )
                self.counter.enroll(f"agent/{name}/till-1", till_key(name))
        for wallet in ("bob", "dora", "broke"):
            self.counter.enroll(f"phone/{wallet}/pixel", phone_key(wallet))

    async def pay(
        self,
        minor: int,
        merchant: str = "shop",
        payer: int = ANN,
        wallet: str = "ann",
        **terms: Any,  # noqa: ANN401
    ) -> Receipt:
        """A purchase at a merchant's till; the receipt. `terms` are those of `purchase`."""
        request_id = self.new_id()
        paid = purchase(self.counter, request_id, minor, merchant, payer, wallet, **terms)
        return self.read(await self.purchases.settle(paid, request_id, merchant, "till-1"))

    def ride(self, name: str, account: int) -> dict[str, object]:
        """What a request says of a ride that Ann entered with the credential of an account."""
        ride, credential = (secret(f"{what} of {name}")[:16] for what in ("ride", "credential"))
        self.counter.certify(account=account, credential_id=credential)
        return {"admission_id": ride, "admission_credential_id": credential}

    async def bill(self, minor: int, payee: int, payee_wallet: str) -> Receipt:
        """Ann pays a bill of another wallet's."""
        request_id, key = self.new_id(), self.counter.sealing_key.public_key()
        bill = Bill(
            request_id=request_id, wallet_id=payee_wallet, description="Half a pizza",
            amount=Money(minor, "EUR").to_proto(),
            sealed_payee_account=seal(format_account(payee).encode(), key, payee_info(request_id)),
        )  # fmt: skip
        bill.create_time.FromMicroseconds(self.counter.clock())
        bill.expire_time.FromMicroseconds(self.counter.clock() + MINUTE_US)
        signed = sign(BILL, bill, phone_key(payee_wallet))
        bill_hash = hashlib.sha256(signed.payload).digest()
        authorization = PaymentAuthorization(
            request_hash=bill_hash, amount=bill.amount, account_number=format_account(ANN),
            customer_verification=PIN, expire_time=bill.expire_time,
        )  # fmt: skip
        agreed = sign(PAYMENT_AUTHORIZATION, authorization, self.counter.phone_key)
        message = SettleBillRequest(
            request_id=format_request_id(request_id), bill=signed,
            sealed_authorization=seal(agreed.SerializeToString(), key, bill_hash),
        )  # fmt: skip
        return self.read(await self.bills.settle(message, request_id, payee_wallet))

    async def distribute(self, account: int) -> None:
        """Make an account a busy payee's."""
        request_id = self.new_id()
        request = DistributeAccountRequest(
            request_id=format_request_id(request_id), account_number=format_account(account)
        )
        await self.busy.distribute(request, request_id, account, CLERK)

    async def redeem(
        self, ticket: Signed, persons: int = 0, spent: int = 0, after_us: int = 0
    ) -> int:
        """One use of a ticket at the shop's door; the decline, or 0."""
        use = Redemption(
            request_id=format_request_id(self.new_id()), ticket=ticket, persons=persons,
            amount_minor=spent,
        )  # fmt: skip
        use.redeem_time.FromMicroseconds(self.counter.clock() + after_us)
        [decline] = await self.tickets.redeem([(parse_request_id(use.request_id), use)], DOOR)
        return int(decline)

    async def deliver(self, shard: int) -> None:
        """Bring all that a shard owes to where it belongs, and tick it off."""
        owed = await self.shards.outbox(shard, 1000)
        for row in owed:
            await self.shards.submit(arrival(shard, *row))
        if owed:
            await self.shards.shard(shard).submit(Delivered(owed[-1].log_sequence))

    def read(self, receipt: Signed) -> Receipt:
        """Open a receipt."""
        return self.counter.read(receipt)


def purchase(
    counter: Counter,
    request_id: bytes,
    minor: int,
    merchant: str = "shop",
    payer: int = ANN,
    wallet: str = "ann",
    *,
    request: dict[str, object] | None = None,
    until_us: int = 0,
    deferred_us: int = 0,
    orders: dict[str, int] | None = None,
    verification: CustomerVerification.ValueType = PIN,
) -> SettlePaymentRequest:
    """What a till sends of a purchase, with both documents signed."""

    def ask(message: PaymentRequest) -> None:
        message.merchant_id = merchant
        for name, value in (request or {}).items():
            setattr(message, name, value)
        for offer, count in (orders or {}).items():
            message.ticket_orders.append(TicketOrder(offer_id=offer, count=count))
        if until_us:
            message.create_time.FromMicroseconds(until_us - MINUTE_US)
            message.expire_time.FromMicroseconds(until_us)
        if deferred_us:
            message.deferred_expire_time.FromMicroseconds(deferred_us)

    def agree(message: PaymentAuthorization) -> None:
        message.account_number = format_account(payer)
        message.customer_verification = verification
        if orders:
            message.ticket_holder_public_key = HOLDER_KEY
        if deferred_us:
            message.expire_time.FromMicroseconds(deferred_us)

    keys = till_key(merchant), phone_key(wallet)
    altered = Alterations(ask, authorization=agree, terminal_key=keys[0], phone_key=keys[1])
    return counter.pay(minor, request_id, altered)
