"""Bills: every rung of the ladder, by a good bill altered in one way; retries; whose account it is.

Bob asks, Ann pays; their accounts are on different shards.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.account_number import format_account
from kessai.bill import payee_info
from kessai.envelope import BILL, PAYMENT_AUTHORIZATION, PrivateKey, sign
from kessai.money import Money
from kessai.request_id import format_request_id, parse_request_id
from kessai.seal import seal
from kessai.v1 import bill_pb2, payment_pb2
from kessai.v1.bill_pb2 import Bill, SettleBillRequest
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import PaymentAuthorization
from server.domain.command import CommandKind
from server.identity.refusals import RequestIdReused, Unknown
from server.shards.router import Shards
from server.switch.bills import Bills
from server.switch.outcomes import Outcomes, wallet
from server.switch.receipts import Receipts
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    JPY,
    MINUTE_US,
    NOW_US,
    close,
    deposit,
    fresh_id,
    open_account,
)
from tests.unit.server.shards.parts import shards_in, verify_shards
from tests.unit.server.switch.counter import ANN, PHONE, PIN, SHOP, Counter, nothing

SHARDS = 2
BOB, BOBS_YEN = SHOP, 1_0000_0011
BOBS_PHONE = "phone/bob/nokia"
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
BY_PAYER = bill_pb2.BILL_SUBMITTER_PAYER
STRANGER = ec.generate_private_key(ec.SECP256R1())
_LATER = Timestamp()
_LATER.FromMicroseconds(NOW_US + MINUTE_US + 1)


@dataclass
class Altered:
    """What is done to a good bill on its way, and with which keys it is signed."""

    bill: Callable[[Bill], object] = nothing
    signed_bill: Callable[[Signed], object] = nothing
    authorization: Callable[[PaymentAuthorization], object] = nothing
    signed_authorization: Callable[[Signed], object] = nothing
    sealed: Callable[[Sealed], object] = nothing
    payee: bytes = format_account(BOB).encode()
    payee_info: bytes = b""
    info: bytes = b""
    payee_key: PrivateKey | None = None
    payer_key: PrivateKey | None = None


@dataclass
class Friends:
    """Ann and Bob with their phones, and the use case."""

    counter: Counter
    shards: Shards
    bobs_key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.counter.enroll(BOBS_PHONE, self.bobs_key)
        self.receipts = Receipts(self.counter.switch_key)
        self.bills = Bills(
            self.shards,
            Settle(self.shards, self.counter.clock),
            self.receipts,
            self.counter.directory,
            self.counter.sealing_key,
        )

    def agree(
        self, minor: int = 300, request_id: bytes = b"", altered: Altered | None = None
    ) -> SettleBillRequest:
        """Go through a bill up to what is submitted, altered on the way."""
        alter, request_id = altered or Altered(), request_id or fresh_id()
        key, now_us = self.counter.sealing_key.public_key(), self.counter.clock()
        info = alter.payee_info or payee_info(request_id)
        bill = Bill(
            request_id=request_id,
            wallet_id="bob",
            description="Half a pizza",
            amount=Money(minor, "EUR").to_proto(),
            sealed_payee_account=seal(alter.payee, key, info),
        )
        bill.create_time.FromMicroseconds(now_us)
        bill.expire_time.FromMicroseconds(now_us + MINUTE_US)
        alter.bill(bill)
        signed = sign(BILL, bill, alter.payee_key or self.bobs_key)
        alter.signed_bill(signed)
        bill_hash = hashlib.sha256(signed.payload).digest()
        authorization = PaymentAuthorization(
            request_hash=bill_hash,
            amount=bill.amount,
            account_number=format_account(ANN),
            customer_verification=PIN,
            expire_time=bill.expire_time,
        )
        alter.authorization(authorization)
        agreed = sign(
            PAYMENT_AUTHORIZATION, authorization, alter.payer_key or self.counter.phone_key
        )
        alter.signed_authorization(agreed)
        sealed = seal(agreed.SerializeToString(deterministic=True), key, alter.info or bill_hash)
        alter.sealed(sealed)
        return SettleBillRequest(
            request_id=format_request_id(request_id), bill=signed, sealed_authorization=sealed
        )

    async def settle(self, message: SettleBillRequest, who: str = "bob") -> Signed:
        """Submit, as a wallet's phone."""
        return await self.bills.settle(message, parse_request_id(message.request_id), who)

    async def reason(self, message: SettleBillRequest, who: str = "bob") -> str:
        """Tell why it is declined; "" if it is paid."""
        receipt = self.counter.read(await self.settle(message, who))
        assert (receipt.outcome == SETTLED) == (not receipt.decline_reason)
        name = DeclineReason.Name(receipt.decline_reason).removeprefix("DECLINE_REASON_")
        return "" if not receipt.decline_reason else name

    async def balances(self) -> tuple[int, int]:
        """Tell what Ann has, and what Bob has or is owed."""
        ann = await self.shards.account(ANN)
        assert ann is not None
        debts = [await self.shards.outbox(shard, 99) for shard in range(SHARDS)]
        owed = sum(row.amount for rows in debts for row in rows)
        bob = await self.shards.account(BOB)
        assert bob is not None
        return ann.balance, bob.balance + owed


@asynccontextmanager
async def friends(folder: Path) -> AsyncIterator[Friends]:
    """Ann has 10.00, Bob nothing."""
    counter = Counter(folder)
    with shards_in(folder, SHARDS, counter.clock) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(BOB, "wallet/bob"))
        await shards.submit(open_account(BOBS_YEN, "wallet/bob", JPY))
        await shards.submit(deposit(ANN, 1000))
        both = Friends(counter, shards)
        yield both
        both.bills.close()
    counter.directory.close()


def put(part: str, **values: object) -> Altered:
    """Alter fields of one document before it is signed, sealed or sent."""

    def alter(document: object) -> None:
        for name, value in values.items():
            setattr(document, name, value)

    changes: dict[str, Any] = {part: alter}
    return Altered(**changes)


def amount(part: str, name: str, value: object) -> Altered:
    """Alter the amount of a document."""
    changes: dict[str, Any] = {part: lambda document: setattr(document.amount, name, value)}
    return Altered(**changes)


def unknown_field(part: str) -> Altered:
    """Append an unknown field."""
    changes: dict[str, Any] = {part: lambda document: document.MergeFromString(b"\xf8\x07\x01")}
    return Altered(**changes)


# Reason -> what was altered -> how.
CASES: dict[str, dict[str, Altered]] = {
    "PAYEE_WALLET_UNKNOWN": {"a phone that nobody knows": Altered(payee_key=STRANGER)},
    "BILL_SIGNATURE_INVALID": {
        "altered": put("signed_bill", payload=b"\0"),
        "not signed": put("signed_bill", signature=b""),
        "of another type": put("signed_bill", type="payment-request"),
    },
    "BILL_MALFORMED": {
        "an unknown field": unknown_field("bill"),
        "another id within": put("bill", request_id=fresh_id()),
        "another wallet's name": put("bill", wallet_id="ann"),
        "no words": put("bill", description=""),
        "too many words": put("bill", description="x" * 61),
        "no such currency": amount("bill", "currency_code", "XXY"),
        "a submitter that nobody knows": put("bill", submitter=99),
        "lives too long": Altered(
            bill=lambda b: b.expire_time.FromMicroseconds(NOW_US + 2 * MINUTE_US + 1)
        ),
        "ends before it begins": Altered(bill=lambda b: b.expire_time.FromMicroseconds(NOW_US)),
    },
    "AMOUNT_NOT_POSITIVE": {
        "nothing": amount("bill", "amount_minor", 0),
        "less than nothing": amount("bill", "amount_minor", -5),
    },
    "BILL_PAYEE_UNREADABLE": {
        "of another bill": Altered(payee_info=payee_info(fresh_id())),
        "no account number": Altered(payee=b"00010000004299"),
        "not text": Altered(payee=b"\xff" * 14),
        "not sealed": Altered(bill=lambda b: b.ClearField("sealed_payee_account")),
    },
    "AUTHORIZATION_UNREADABLE": {
        "for another bill": Altered(info=bytes(32)),
        "damaged": put("sealed", ciphertext=bytes(100)),
    },
    "WALLET_UNKNOWN": {"a phone that nobody knows": Altered(payer_key=STRANGER)},
    "AUTHORIZATION_SIGNATURE_INVALID": {
        "altered": put("signed_authorization", payload=b"\0"),
        "of another type": put("signed_authorization", type="bill"),
    },
    "AUTHORIZATION_MALFORMED": {"an unknown field": unknown_field("authorization")},
    "AUTHORIZATION_MISMATCH": {
        "another bill": put("authorization", request_hash=bytes(32)),
        "to a shop": put("authorization", merchant_id="shop"),
        "at a till": put("authorization", terminal_id="till-1"),
        "less": amount("authorization", "amount_minor", 299),
        "more": amount("authorization", "amount_minor", 301),
        "other money": amount("authorization", "currency_code", "JPY"),
        "for longer": Altered(authorization=lambda a: a.expire_time.CopyFrom(_LATER)),
    },
    "SUBMITTER_MISMATCH": {"the payer is to submit": put("bill", submitter=BY_PAYER)},
    "CUSTOMER_NOT_VERIFIED": {
        "no PIN": put("authorization", customer_verification=1),
        "nothing said": put("authorization", customer_verification=0),
    },
    "PAYER_ACCOUNT_UNKNOWN": {
        "wrong check digits": put("authorization", account_number="00010000004299"),
        "the payee's own": put("authorization", account_number=format_account(BOB)),
    },
    "PAYEE_ACCOUNT_NOT_OWN": {
        "somebody else's": Altered(payee=format_account(ANN).encode()),
        "nobody's": Altered(payee=format_account(1_0000_0777).encode()),
    },
    "CURRENCY_MISMATCH": {"kept in yen": Altered(payee=format_account(BOBS_YEN).encode())},
}


@pytest.mark.parametrize(
    ("reason", "what"), [(reason, what) for reason, cases in CASES.items() for what in cases]
)
async def test_an_altered_bill_is_declined(tmp_path: Path, reason: str, what: str) -> None:
    """With that reason, and no money moves; the good one is paid afterwards."""
    async with friends(tmp_path) as both:
        assert await both.reason(both.agree(altered=CASES[reason][what])) == reason
        assert await both.balances() == (1000, 0)
        assert await both.reason(both.agree()) == ""
        assert await both.balances() == (700, 300)


async def test_a_malformed_bill_says_which_rule_it_breaks(tmp_path: Path) -> None:
    """In the receipt's decline_detail; also an authorisation that cannot be read."""
    rules = {
        "an unknown field": "encoding", "another id within": "request_id",
        "another wallet's name": "wallet_id", "no words": "description",
        "too many words": "description", "no such currency": "amount.currency_code",
        "a submitter that nobody knows": "submitter", "lives too long": "expire_time",
        "ends before it begins": "expire_time",
    }  # fmt: skip
    async with friends(tmp_path) as both:
        for what, altered in CASES["BILL_MALFORMED"].items():
            receipt = both.counter.read(await both.settle(both.agree(altered=altered)))
            assert (what, receipt.decline_detail) == (what, rules[what])
        unread = both.agree(altered=CASES["AUTHORIZATION_MALFORMED"]["an unknown field"])
        assert both.counter.read(await both.settle(unread)).decline_detail == "encoding"


async def test_a_bill_is_paid_once_however_often_it_is_submitted(tmp_path: Path) -> None:
    """The same receipt each time; the log can be decided again, and the payee finds it by id."""
    async with friends(tmp_path) as both:
        message = both.agree()
        receipts = await asyncio.gather(*(both.settle(message) for _ in range(10)))
        both.counter.clock.us += 10 * MINUTE_US
        receipts.append(await both.settle(message))
        assert len({receipt.payload for receipt in receipts}) == 1
        receipt = both.counter.read(receipts[0])
        assert receipt.request_hash == hashlib.sha256(message.bill.payload).digest()
        found = await both.shards.find(receipt.request_id)
        assert found is not None
        assert (found[1].kind, found[1].command().payee) == (CommandKind.SETTLE_BILL, BOB)
        outcomes = Outcomes(both.shards, both.receipts)
        own = await outcomes.receipt(receipt.request_id, wallet("bob"))
        assert own.payload == receipts[0].payload
        payers = await outcomes.receipt(receipt.request_id, wallet("ann"))
        assert payers.payload == receipts[0].payload
        with pytest.raises(Unknown):
            await outcomes.receipt(receipt.request_id, wallet("carol"))
        assert await both.balances() == (700, 300)
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_more_than_was_signed_is_not_paid(tmp_path: Path) -> None:
    """Bob puts a larger bill before Ann's answer; or the same id with another bill."""
    async with friends(tmp_path) as both:
        small, large = both.agree(300), both.agree(900)
        greedy = SettleBillRequest(
            request_id=large.request_id,
            bill=large.bill,
            sealed_authorization=small.sealed_authorization,
        )
        assert await both.reason(greedy) == "AUTHORIZATION_UNREADABLE"
        request_id = parse_request_id(small.request_id)
        await both.settle(small)
        with pytest.raises(RequestIdReused):
            await both.settle(both.agree(900, request_id))
        broken = put("sealed", ciphertext=bytes(100))
        with pytest.raises(RequestIdReused):
            await both.settle(both.agree(900, request_id, broken))
        assert await both.balances() == (700, 300)


async def test_the_payer_submits_what_says_so(tmp_path: Path) -> None:
    """And nobody else; not even the payee."""
    async with friends(tmp_path) as both:
        message = both.agree(altered=put("bill", submitter=BY_PAYER))
        assert await both.reason(message, "carol") == "WALLET_NOT_CALLER"
        assert await both.reason(message, "bob") == "SUBMITTER_MISMATCH"
        assert await both.reason(both.agree(), "ann") == "SUBMITTER_MISMATCH"
        assert await both.reason(message, "ann") == ""
        assert await both.balances() == (700, 300)


async def test_what_was_paid_is_not_declined_afterwards(tmp_path: Path) -> None:
    """For either side, with broken documents; and a third hears nothing of it."""
    async with friends(tmp_path) as both:
        message = both.agree()
        first = await both.settle(message)
        broken = SettleBillRequest()
        broken.CopyFrom(message)
        broken.sealed_authorization.ciphertext = bytes(100)
        assert await both.settle(broken) == first
        assert await both.settle(broken, "ann") == first
        assert await both.settle(broken, "carol") != first


@pytest.mark.parametrize(
    ("device", "reason"), [(BOBS_PHONE, "PAYEE_WALLET_REVOKED"), (PHONE, "WALLET_REVOKED")]
)
async def test_a_revoked_phone_is_refused_for_good(
    tmp_path: Path, device: str, reason: str
) -> None:
    """It is kept in the log that it tried."""
    async with friends(tmp_path) as both:
        both.counter.directory.revoke(device, NOW_US)
        message = both.agree()
        assert await both.reason(message) == reason
        assert await both.shards.find(parse_request_id(message.request_id)) is not None
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_too_little_money_and_too_late(tmp_path: Path) -> None:
    async with friends(tmp_path) as both:
        assert await both.reason(both.agree(1001)) == "INSUFFICIENT_FUNDS"
        early = Altered(bill=lambda b: b.create_time.FromMicroseconds(NOW_US + MINUTE_US - 1))
        assert await both.reason(both.agree(300, altered=early)) == "CLOCK_AHEAD"
        late = both.agree(300)
        both.counter.clock.us += MINUTE_US
        assert await both.reason(late) == "EXPIRED"
        assert await both.balances() == (1000, 0)


async def test_a_bill_on_a_closed_account_costs_nobody_anything(tmp_path: Path) -> None:
    """Its phone may be good, and the payer's shard is another: what arrived would be nobody's."""
    async with friends(tmp_path) as both:
        await both.shards.submit(close(BOB))
        assert await both.reason(both.agree()) == "ACCOUNT_CLOSED"
        assert await both.balances() == (1000, 0)
    assert verify_shards(tmp_path, SHARDS).faults == []
