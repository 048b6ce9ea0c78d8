"""A purchase at a terminal, relayed by it (mission row B1) or submitted by the phone (row B2).

verify both documents -> payee's terms -> settle -> signed receipt. Called by
`server/rpc/payment_servicer.py`, and for many at once by `submit_batch.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.currency import BY_CODE
from kessai.envelope import DocumentMalformed, read_unverified
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest, SettlePaymentRequest
from server.domain.command import ACCEPTED
from server.domain.directory import Merchant
from server.domain.fare import SettleFare
from server.domain.hold import PlaceHold
from server.domain.payment import SettlePayment
from server.domain.payment_history import (
    expire_us_of,
    kind_of,
    own_fields,
    payment_input_hash,
)
from server.identity.directory_call import in_thread
from server.identity.refusals import Refusal, RequestIdReused, Unknown
from server.shards.directory import Directory
from server.shards.lane import Lane
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.documents import Declined, Purchase, Submission, open_purchase
from server.switch.fares import Fares
from server.switch.faults import refusal_of, unless_foreseen
from server.switch.offline_losses import OfflineLosses
from server.switch.outcomes import Outcomes, terminal
from server.switch.payees import Payees
from server.switch.receipts import Receipts
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle
from server.switch.test_amounts import Rehearsal
from server.switch.ticket_sales import Order, TicketSales
from server.switch.turns import Turns

# How many documents are with the verifying thread at most, and how many of them in one turn.
VERIFIED_AT_ONCE, VERIFIED_IN_A_TURN = 32, 16


class Approved(NamedTuple):
    """A payment whose documents hold, to be settled; whether it was deferred."""

    command: SettlePayment | SettleFare | PlaceHold
    deferred: bool


Prepared = Approved | Signed | Refusal


class RegisterPurchase:
    """Settles what customers authorised at terminals, and tells what became of it."""

    def __init__(
        self,
        shards: Shards,
        settle: Settle,
        receipts: Receipts,
        directory: Directory,
        sealing_key: X25519PrivateKey,
        tickets: TicketSales,
        losses: OfflineLosses,
        fares: Fares,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        """Only a switch that was made for tests has a `rehearsal`."""
        self._settle, self._rehearsal = settle, rehearsal
        self._losses, self._fares = losses, fares
        self._receipts = receipts
        self._outcomes = Outcomes(shards, receipts)
        self._directory = directory
        self._sealing_key = sealing_key
        self._payees, self._tickets = Payees(shards, time.monotonic), tickets
        self._turns = Turns(VERIFIED_AT_ONCE)
        self._verifying = Lane[Submission, Purchase]("documents", self._verify, group_limit=32)

    async def settle(
        self, message: SettlePaymentRequest, request_id: bytes, merchant_id: str, terminal_id: str
    ) -> Signed:
        """Settle a payment, or decline it with a reason; the signed receipt comes back.

        Merchant and terminal are those of the caller's certificate. Raises Unknown (no such
        merchant), RequestIdReused, RequestIdStale, Unavailable, Overloaded.
        """
        merchant = self._directory.merchant(merchant_id)
        if merchant is None:
            raise Unknown(f'there is no merchant "{merchant_id}"')
        submission = Submission(message, request_id, merchant, terminal_id)
        try:
            receipt = await self._work(submission)
        except Refusal as refusal:
            await self._losses.judge(submission, refusal)
            raise
        await self._losses.judge(submission, receipt)
        return receipt

    async def settle_direct(
        self, message: SettlePaymentRequest, request_id: bytes, wallet_id: str
    ) -> Signed:
        """Settle, or decline, what a phone of a wallet submits itself (row B2).

        Whose request it is stands in the request; the directory knows that terminal's key. Raises
        RequestIdReused, RequestIdStale, Unavailable, Overloaded.
        """
        payload = message.payment_request.payload
        claimed = _claimed(message.payment_request)
        merchant = self._directory.merchant(claimed.merchant_id)
        if merchant is None:
            forged = Declined(d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID)
            return self._receipts.for_declined(request_id, payload, forged)
        submission = Submission(message, request_id, merchant, claimed.terminal_id, wallet_id)
        return await self._work(submission)

    async def _work(self, submission: Submission) -> Signed:
        signed_request = submission.message.payment_request
        try:
            with refusing_store_trouble():
                async with self._turns.turn(submission.owner):
                    purchase = await self._verifying.submit(submission)
        except Declined as declined:
            return await self._declined(submission, declined)
        approved = await self._approved(submission, purchase)
        shard, row = await self._settle(*approved)
        if self._rehearsal is not None:
            await self._rehearsal.hold_back(purchase.request, row)
        return self._receipts.for_row(shard, row, signed_request.payload)

    async def prepare(self, submissions: Sequence[Submission]) -> list[Prepared]:
        """Verify an owner's submissions, a few a turn: each approved, or answered already.

        An answer is the receipt of a decline, or the Refusal that `settle` would have raised.
        """
        prepared: list[Prepared] = []
        for first in range(0, len(submissions), VERIFIED_IN_A_TURN):
            prepared += await self._prepare(submissions[first : first + VERIFIED_IN_A_TURN])
        return prepared

    async def _prepare(self, submissions: Sequence[Submission]) -> list[Prepared]:
        try:
            with refusing_store_trouble():
                async with self._turns.turn(submissions[0].owner, len(submissions)):
                    purchases = await self._verifying.submit_all(submissions)
        except Refusal as refusal:
            return [refusal] * len(submissions)
        pairs = list(zip(submissions, purchases, strict=True))
        # Each decline is looked for in the logs; the others rarely wait for anything.
        refused = (self._prepared(*pair) for pair in pairs if isinstance(pair[1], Exception))
        answered = iter(await asyncio.gather(*refused))
        return [
            next(answered) if isinstance(pair[1], Exception) else await self._prepared(*pair)
            for pair in pairs
        ]

    def receipt(self, submission: Submission, shard: int, row: LogRow) -> Signed:
        """Write the receipt of a command that `prepare` gave and a shard decided."""
        return self._receipts.for_row(shard, row, submission.message.payment_request.payload)

    async def _prepared(self, submission: Submission, purchase: Purchase | Exception) -> Prepared:
        try:
            if isinstance(purchase, Declined):
                return await self._declined(submission, purchase)
            if isinstance(purchase, Exception):
                raise purchase
            return await self._approved(submission, purchase)
        except Exception as error:
            return refusal_of(error, submission.request_id)

    async def _approved(self, submission: Submission, purchase: Purchase) -> Approved:
        signed_request = submission.message.payment_request
        command = await self._command(purchase, signed_request, submission.merchant)
        return Approved(command, deferred=purchase.request.HasField("deferred_expire_time"))

    async def _declined(self, submission: Submission, declined: Declined) -> Signed:
        # What was decided stays so, even if its documents would not hold today: the terminal may
        # have been paired anew since, or sends other documents after the good ones.
        payload, request_id = submission.message.payment_request.payload, submission.request_id
        owner = terminal(submission.merchant.merchant_id, submission.terminal_id)
        found = None if declined.forged else await self._outcomes.find(request_id, owner)
        if found is None or submission.wallet_id not in ("", found.asked.payer_wallet):
            return self._receipts.for_declined(request_id, payload, declined)
        if found.asked.payload != payload:
            raise RequestIdReused
        return self._outcomes.write(found)

    def close(self) -> None:
        """Verify what has queued up, then stop."""
        self._verifying.close()

    async def _command(
        self, purchase: Purchase, signed_request: Signed, merchant: Merchant
    ) -> SettlePayment | SettleFare | PlaceHold:
        request, authorization = purchase.request, purchase.authorization
        ledger = BY_CODE[request.total.currency_code].number
        refusal = await self._refusal(purchase, merchant, ledger)
        ordered = Order()
        if refusal == ACCEPTED and request.ticket_orders:
            ordered = await in_thread(self._tickets.order, request, authorization)
            refusal = ordered.refusal
        evidence = PaymentEvidence(
            payment_request=signed_request,
            authorization=purchase.signed_authorization,
            wallet_id=purchase.wallet_id,
            refusal=refusal,
            ticket_offers=ordered.offers,
            venue_name=merchant.display_name if ordered.offers else "",
        )
        signed = purchase.signed_authorization
        said = (
            request.request_id,
            payment_input_hash(signed_request.payload, signed.payload),
            purchase.payer,
            merchant.account,
            request.total.amount_minor,
            ledger,
            evidence.SerializeToString(),
        )
        agreed = (
            purchase.wallet_id,
            request.create_time.ToMicroseconds(),
            expire_us_of(request, authorization),
            refusal,
            request.admission_id,
        )
        make = kind_of(request)
        return make(*said, *agreed, *own_fields(make, request))

    async def _refusal(
        self, purchase: Purchase, merchant: Merchant, ledger: int
    ) -> DeclineReason.ValueType:
        refusal = purchase.refusal
        if refusal == ACCEPTED:
            refusal = await self._fares.refusal(purchase, merchant)
        if refusal == ACCEPTED and self._rehearsal is not None:
            refusal = self._rehearsal.refusal(purchase.request)
        if refusal != ACCEPTED:
            return refusal
        return await self._payees.refusal(merchant.account, ledger)

    def _verify(self, group: list[Submission]) -> list[Purchase | Exception]:
        answers: list[Purchase | Exception] = []
        for submission in group:
            try:
                answers.append(open_purchase(submission, self._directory, self._sealing_key))
            except Exception as error:
                answers.append(unless_foreseen(error, submission.request_id))
        return answers


def _claimed(signed: Signed) -> PaymentRequest:
    # What a request says before it is verified: nothing, if it cannot be read.
    try:
        return read_unverified(signed, PaymentRequest)
    except DocumentMalformed:
        return PaymentRequest()
