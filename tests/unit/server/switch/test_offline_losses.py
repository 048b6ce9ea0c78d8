"""What was accepted off line and then declined: who pays for it, reason by reason.

The table is that of docs/features/offline.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import format_account
from kessai.envelope import raw_public_key, sign_bytes
from kessai.holder import Asked, key_proof_input, prove
from kessai.money import Money
from kessai.request_id import parse_request_id
from kessai.seal import sealed_hash
from kessai.v1 import payment_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentRequest, SettlePaymentRequest
from server.domain.directory import OfflineLoss
from server.identity.callers import Caller, CallerKind
from server.identity.holders import KeyToCertify
from server.identity.losses import COUNTS_FOR_US
from server.identity.refusals import Refusal, RequestIdReused
from server.switch.register_purchase import RegisterPurchase
from server.switch.submit_batch import SubmitBatch, Submitted
from tests.unit.server.domain.commands import JPY, MINUTE_US, deposit, fresh_id, open_account
from tests.unit.server.shards.parts import shards_in
from tests.unit.server.switch.counter import ANN, PHONE, SHOP, TILL, Alterations, Counter
from tests.unit.server.switch.test_bills import Friends

HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
ANNS_YEN = ANN + 1
STRANGER = ec.generate_private_key(ec.SECP256R1())
NONE = payment_pb2.CUSTOMER_VERIFICATION_NONE


@dataclass
class Offline:
    """A till that was cut off, Ann's phone with a credential, and the switch."""

    counter: Counter
    friends: Friends
    purchases: RegisterPurchase
    holder_key: ec.EllipticCurvePrivateKey
    credential: Signed

    def accept(
        self, minor: int = 100, altered: Alterations | None = None, request_id: bytes = b""
    ) -> SettlePaymentRequest:
        """Have the till accept a payment, deferred for a day, altered on the way."""
        alter, until_us = altered or Alterations(), self.counter.clock() + DAY_US

        def defer(request: PaymentRequest) -> None:
            request.deferred_expire_time.FromMicroseconds(until_us)
            alter.request(request)

        def agree(authorization: PaymentAuthorization) -> None:
            authorization.expire_time.FromMicroseconds(until_us)
            alter.authorization(authorization)

        made = replace(alter, request=defer, authorization=agree)
        message = self.counter.pay(minor, request_id or fresh_id(self.counter.clock()), made)
        self.prove(message)
        return message

    def prove(self, message: SettlePaymentRequest, terminal: str = "till-1") -> None:
        """Put the phone's answer beside what the till brings."""
        payload = hashlib.sha256(message.payment_request.payload).digest()
        given = sealed_hash(message.sealed_authorization)
        asked = Asked(payload, "shop", terminal, given)
        answer = prove(self.credential, self.holder_key, asked)
        message.accepted_holder_answer.CopyFrom(answer)

    async def bring(self, message: SettlePaymentRequest) -> str:
        """Bring it to the switch; the reason for which it is declined, or ""."""
        request_id = parse_request_id(message.request_id)
        try:
            receipt = await self.purchases.settle(message, request_id, "shop", "till-1")
        except RequestIdReused:
            return "REQUEST_ID_REUSED"
        reason = self.counter.read(receipt).decline_reason
        name = DeclineReason.Name(reason) if reason else ""
        return name.removeprefix("DECLINE_REASON_")

    @property
    def denied(self) -> bool:
        """Whether the phone's credential is on the deny list."""
        return bool(self.counter.deny_list.page_after(0, "shop")[0])


@asynccontextmanager
async def cut_off(folder: Path, balance: int = 1000) -> AsyncIterator[Offline]:
    """Ann has 10.00 and an account in yen; Bob's account is also the shop's."""
    counter = Counter(folder)
    with shards_in(folder, 2, counter.clock) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(ANNS_YEN, ledger=JPY))
        await shards.submit(open_account(SHOP, "wallet/bob"))
        if balance:
            await shards.submit(deposit(ANN, balance))
        both, purchases = Friends(counter, shards), counter.purchases(shards)
        key = ec.generate_private_key(ec.SECP256R1())
        yield Offline(counter, both, purchases, key, certified(counter, key))
        purchases.close()
        both.bills.close()
    counter.directory.close()


def certified(counter: Counter, key: ec.EllipticCurvePrivateKey) -> Signed:
    """A credential for Ann's phone."""
    request_id = fresh_id()
    asked = KeyToCertify(
        request_id,
        raw_public_key(key.public_key()),
        sign_bytes(key_proof_input(request_id), key),
        ANN,
    )
    caller = Caller(CallerKind.PHONE, ("ann", "pixel"), 0)
    return counter.holders.issue(caller, asked, Money(2000, "EUR"))


def put(part: str, **values: object) -> Alterations:
    """Alter fields of one document before it is signed."""

    def alter(document: object) -> None:
        for name, value in values.items():
            setattr(document, name, value)

    changes: dict[str, Any] = {part: alter}
    return Alterations(**changes)


def shortly(authorization: PaymentAuthorization) -> None:
    """Agree for a minute less than the till was told."""
    authorization.expire_time.seconds -= 60


# The phone's fault: how it is brought about, and what the till is told.
BY_PHONE: dict[str, Alterations] = {
    "AUTHORIZATION_UNREADABLE": Alterations(sealed=lambda s: setattr(s, "ciphertext", bytes(99))),
    "AUTHORIZATION_SIGNATURE_INVALID": put("signed_authorization", signature=bytes(64)),
    "AUTHORIZATION_MALFORMED": Alterations(opened=b"\xff\xff"),
    "AUTHORIZATION_MISMATCH": put("authorization", terminal_id="till-2"),
    "CUSTOMER_NOT_VERIFIED": put("authorization", customer_verification=0),
    "WALLET_UNKNOWN": Alterations(phone_key=STRANGER),
    "PAYER_ACCOUNT_UNKNOWN": put("authorization", account_number=format_account(SHOP)),
    "CURRENCY_MISMATCH": put("authorization", account_number=format_account(ANNS_YEN)),
}
# The till's own.
BY_TILL: dict[str, Alterations] = {
    "REQUEST_SIGNATURE_INVALID": put("signed_request", signature=bytes(64)),
    "REQUEST_MALFORMED": put("request", order_id=""),
    "REQUEST_NOT_FROM_CALLER": put("request", terminal_id="till-2"),
    "SUBMITTER_MISMATCH": put("request", submitter=payment_pb2.PAYMENT_SUBMITTER_PHONE),
    "TICKET_OFFER_UNKNOWN": Alterations(
        request=lambda request: request.ticket_orders.add(offer_id="none", count=1)
    ),
}


@pytest.mark.parametrize("reason", BY_PHONE)
async def test_a_phone_that_is_at_fault_loses_its_credential(tmp_path: Path, reason: str) -> None:
    """The loss counts against its wallet, and stands in the operator's list and the metrics."""
    async with cut_off(tmp_path) as at:
        message = at.accept(altered=BY_PHONE[reason])
        assert await at.bring(message) == reason
        assert at.denied
        assert at.counter.losses.is_barred("ann")
        assert await at.bring(message) == reason
        [loss] = at.counter.losses.newest(10)
        assert (loss.terminal, loss.phone, loss.amount_minor) == (TILL, PHONE, 100)
        assert (loss.reason, loss.is_phones) == (reason, True)
        labels = {"reason": reason, "phones": "yes"}
        assert at.counter.registry.get_sample_value("kessai_offline_losses_total", labels) == 1


@pytest.mark.parametrize("reason", BY_TILL)
async def test_a_till_s_own_fault_costs_the_customer_nothing(tmp_path: Path, reason: str) -> None:
    """It is told to the operator all the same."""
    async with cut_off(tmp_path) as at:
        assert await at.bring(at.accept(altered=BY_TILL[reason])) == reason
        assert not at.denied
        assert not at.counter.losses.is_barred("ann")
        [loss] = at.counter.losses.newest(10)
        assert (loss.reason, loss.is_phones) == (reason, False)


async def test_no_money_costs_the_credential(tmp_path: Path) -> None:
    """Also if the switch declined it before the till accepted: an answer that was lost."""
    async with cut_off(tmp_path, balance=0) as at:
        message = at.accept()
        asked_first = SettlePaymentRequest()
        asked_first.CopyFrom(message)
        asked_first.ClearField("accepted_holder_answer")
        assert await at.bring(asked_first) == "INSUFFICIENT_FUNDS"
        assert not at.denied
        assert await at.bring(message) == "INSUFFICIENT_FUNDS"
        assert at.denied


async def test_a_revoked_phone_s_loss_counts(tmp_path: Path) -> None:
    """Pay off line, have the phone revoked, pair another: the wallet is known."""
    async with cut_off(tmp_path) as at:
        message = at.accept()
        at.counter.directory.revoke(PHONE, at.counter.clock())
        assert await at.bring(message) == "WALLET_REVOKED"
        assert at.counter.losses.is_barred("ann")


@pytest.mark.parametrize(
    ("alter", "late_us", "is_phones"),
    [(shortly, DAY_US - MINUTE_US, True), (shortly, DAY_US, False), (None, DAY_US, False)],
    ids=["an early end", "an early end, and the till too late", "the till too late"],
)
async def test_who_let_it_expire(
    tmp_path: Path,
    alter: Callable[[PaymentAuthorization], None] | None,
    late_us: int,
    is_phones: bool,
) -> None:
    async with cut_off(tmp_path) as at:
        altered = Alterations(authorization=alter) if alter else Alterations()
        message = at.accept(altered=altered)
        at.counter.clock.us += late_us
        assert await at.bring(message) == "EXPIRED"
        assert at.denied == is_phones


async def test_an_id_that_the_phone_used_up(tmp_path: Path) -> None:
    """By a bill of its own under the id of the till's request, which it saw."""
    async with cut_off(tmp_path) as at:
        request_id = fresh_id(at.counter.clock())
        assert await at.friends.reason(at.friends.agree(1, request_id)) == ""
        assert await at.bring(at.accept(request_id=request_id)) == "REQUEST_ID_REUSED"
        assert at.denied


async def test_an_id_that_the_till_used_up(tmp_path: Path) -> None:
    async with cut_off(tmp_path) as at:
        request_id = fresh_id(at.counter.clock())
        assert await at.bring(at.accept(100, request_id=request_id)) == ""
        assert await at.bring(at.accept(200, request_id=request_id)) == "REQUEST_ID_REUSED"
        assert not at.denied


async def test_a_lying_till_denies_nobody(tmp_path: Path) -> None:
    """With bytes that the phone did not seal, a proof for another till, or another's credential."""
    async with cut_off(tmp_path) as at:
        spoilt = at.accept()
        spoilt.sealed_authorization.ciphertext = bytes(99)
        elsewhere = at.accept(altered=BY_PHONE["AUTHORIZATION_UNREADABLE"])
        at.prove(elsewhere, "till-2")
        copied = at.accept(altered=BY_PHONE["AUTHORIZATION_UNREADABLE"])
        other = replace(at, holder_key=STRANGER)
        other.prove(copied)
        for message in (spoilt, elsewhere, copied):
            assert await at.bring(message) == "AUTHORIZATION_UNREADABLE"
        assert not at.denied
        assert at.counter.losses.newest(10) == []


async def test_what_is_settled_costs_nothing(tmp_path: Path) -> None:
    async with cut_off(tmp_path) as at:
        assert await at.bring(at.accept()) == ""
        assert not at.denied
        assert at.counter.losses.newest(10) == []


async def test_a_loss_that_is_brought_again_costs_no_later_credential(tmp_path: Path) -> None:
    """A till repeats an old loss to deny a phone whatever it is issued: also one forgiven."""
    async with cut_off(tmp_path, balance=0) as at:
        message = at.accept()
        assert await at.bring(message) == "INSUFFICIENT_FUNDS"
        assert len(at.counter.deny_list.page_after(0, "shop")[0]) == 1
        at.counter.losses.forgive("ann")
        at.counter.clock.us += MINUTE_US
        certified(at.counter, at.holder_key)
        assert await at.bring(message) == "INSUFFICIENT_FUNDS"
        assert len(at.counter.deny_list.page_after(0, "shop")[0]) == 1


async def test_a_crash_after_the_note_forgets_no_credential(tmp_path: Path) -> None:
    """The till asks again, and what the phone had when the loss was noted is taken back then."""
    async with cut_off(tmp_path, balance=0) as at:
        message = at.accept()
        now_us = at.counter.clock.us
        request_id = parse_request_id(message.request_id)
        at.counter.losses.note(
            OfflineLoss(
                request_id, TILL, PHONE, 100, "EUR", "INSUFFICIENT_FUNDS", is_phones=True,
                lose_us=now_us,
            )
        )  # fmt: skip
        assert await at.bring(message) == "INSUFFICIENT_FUNDS"
        assert at.denied


async def test_a_batch_is_judged_too(tmp_path: Path) -> None:
    """One without money between two others, in the way in which tills bring them."""
    async with cut_off(tmp_path, balance=200) as at:
        messages = [at.accept(100), at.accept(900), at.accept(100)]
        ids = [parse_request_id(message.request_id) for message in messages]
        batch = [Submitted(m, i, "shop", "till-1") for m, i in zip(messages, ids, strict=True)]
        judging = at.purchases._losses
        settle = at.purchases._settle
        submit = SubmitBatch(at.purchases, settle, at.counter.directory, judging)
        answers: list[Signed | Refusal] = []
        async for results in submit(batch):
            answers += (result.answer for result in results)
        assert len(answers) == 3
        assert at.denied
        [loss] = at.counter.losses.newest(10)
        assert (loss.reason, loss.amount_minor) == ("INSUFFICIENT_FUNDS", 900)


async def test_losses_grow_old_and_are_forgiven(tmp_path: Path) -> None:
    async with cut_off(tmp_path, balance=0) as at:
        assert await at.bring(at.accept()) == "INSUFFICIENT_FUNDS"
        losses, begin_us = at.counter.losses, at.counter.clock.us
        at.counter.clock.us = begin_us + COUNTS_FOR_US
        assert losses.is_barred("ann")
        at.counter.clock.us += 1
        assert not losses.is_barred("ann")
        at.counter.clock.us = begin_us
        assert losses.forgive("ann") == 1
        assert not losses.is_barred("ann")
        assert losses.newest(1)[0].forgive_us == begin_us
        assert losses.forgive("ann") == 0


def test_the_page_says_the_same() -> None:
    """docs/features/offline.md says of each reason whose fault it is."""
    page = Path(__file__).parents[4] / "docs" / "features" / "offline.md"
    told: dict[str, str] = {}
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:3]]
        told |= dict.fromkeys(cells[0].split(", "), cells[1]) if len(cells) == 2 else {}
    for reason in (*BY_PHONE, "WALLET_REVOKED", "INSUFFICIENT_FUNDS", "EXPIRED"):
        assert told[reason].endswith("yes"), reason
    for reason in (*BY_TILL, "ADMISSION_USED", "CLOCK_AHEAD", "SWITCH_FAULT"):
        assert told[reason] == "no", reason
