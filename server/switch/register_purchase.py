"""A purchase at a register, relayed by it (mission row B1).

verify both documents -> payee's terms -> settle -> signed receipt. Called by
`server/rpc/payment_servicer.py`, and for many at once by `submit_batch.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf.message import DecodeError

from kessai.currency import BY_CODE
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest, SettlePaymentRequest
from server.domain.command import ACCEPTED, CommandKind
from server.domain.history import expire_us_of, payment_input_hash
from server.domain.payment import SettlePayment
from server.identity.refusals import Refusal, RequestIdReused, Unknown
from server.shards.directory import Directory
from server.shards.lane import Lane
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.documents import Declined, Purchase, Submission, open_purchase
from server.switch.payees import Payees
from server.switch.receipts import Receipts
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle


class Approved(NamedTuple):
    """A payment whose documents hold, to be settled; whether it was deferred."""

    command: SettlePayment
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
    ) -> None:
        self._shards = shards
        self._settle = settle
        self._receipts = receipts
        self._directory = directory
        self._sealing_key = sealing_key
        self._payees = Payees(shards)
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
            with refusing_store_trouble():
                purchase = await self._verifying.submit(submission)
        except Declined as declined:
            return await self._declined(submission, declined)
        approved = await self._approved(submission, purchase)
        shard, row = await self._settle(*approved)
        return self._receipts.for_row(shard, row, message.payment_request.payload)

    async def prepare(self, submissions: Sequence[Submission]) -> list[Prepared]:
        """Verify submissions with one hand-over: each approved, or answered already.

        An answer is the receipt of a decline, or the Refusal that `settle` would have raised.
        """
        try:
            with refusing_store_trouble():
                purchases = await self._verifying.submit_all(submissions)
        except Refusal as refusal:
            return [refusal] * len(submissions)
        pairs = zip(submissions, purchases, strict=True)
        return await asyncio.gather(*(self._prepared(*pair) for pair in pairs))

    def receipt(self, submission: Submission, shard: int, row: LogRow) -> Signed:
        """Write the receipt of a command that `prepare` gave and a shard decided."""
        return self._receipts.for_row(shard, row, submission.message.payment_request.payload)

    async def find(self, request_id: bytes, merchant_id: str, terminal_id: str) -> Signed:
        """Give the receipt of one of a terminal's own payments, or raise what `settle` does."""
        found = await self._find(request_id, merchant_id, terminal_id)
        if found is None:
            raise Unknown("this terminal has no payment under that request_id")
        return self._receipts.for_row(*found)

    async def _prepared(self, submission: Submission, purchase: Purchase | Exception) -> Prepared:
        try:
            if isinstance(purchase, Declined):
                return await self._declined(submission, purchase)
            if isinstance(purchase, Exception):
                raise purchase
            return await self._approved(submission, purchase)
        except Refusal as refusal:
            return refusal

    async def _approved(self, submission: Submission, purchase: Purchase) -> Approved:
        signed_request, payee = submission.message.payment_request, submission.merchant.account
        command = await self._command(purchase, signed_request, payee)
        return Approved(command, deferred=purchase.request.HasField("deferred_expire_time"))

    async def _declined(self, submission: Submission, declined: Declined) -> Signed:
        # What was decided stays so, even if its documents would not hold today: the terminal may
        # have been paired anew since, or sends other documents after the good ones.
        payload, request_id = submission.message.payment_request.payload, submission.request_id
        found = await self._find(
            request_id, submission.merchant.merchant_id, submission.terminal_id
        )
        if found is None:
            amount = _claimed_amount(payload)
            return self._receipts.for_declined(request_id, payload, amount, declined)
        if found[-1] != payload:
            raise RequestIdReused
        return self._receipts.for_row(*found)

    async def _find(
        self, request_id: bytes, merchant_id: str, terminal_id: str
    ) -> tuple[int, LogRow, bytes] | None:
        with refusing_store_trouble():
            found = await self._shards.find(request_id)
        if found is None or found[1].kind != CommandKind.SETTLE_PAYMENT:
            return None
        payload = PaymentEvidence.FromString(found[1].body).payment_request.payload
        request = PaymentRequest.FromString(payload)
        if (request.merchant_id, request.terminal_id) != (merchant_id, terminal_id):
            return None
        return *found, payload

    def close(self) -> None:
        """Verify what has queued up, then stop."""
        self._verifying.close()

    async def _command(
        self, purchase: Purchase, signed_request: Signed, payee: int
    ) -> SettlePayment:
        request, authorization = purchase.request, purchase.authorization
        ledger = BY_CODE[request.total.currency_code].number
        refusal = purchase.refusal
        if refusal == ACCEPTED:
            refusal = await self._payees.refusal(payee, ledger)
        evidence = PaymentEvidence(
            payment_request=signed_request,
            authorization=purchase.signed_authorization,
            wallet_id=purchase.wallet_id,
            refusal=refusal,
        )
        return SettlePayment(
            request_id=request.request_id,
            input_hash=payment_input_hash(
                signed_request.payload, purchase.signed_authorization.payload
            ),
            payer=purchase.payer,
            payee=payee,
            amount=request.total.amount_minor,
            ledger=ledger,
            body=evidence.SerializeToString(),
            wallet=purchase.wallet_id,
            create_us=request.create_time.ToMicroseconds(),
            expire_us=expire_us_of(request, authorization),
            refusal=refusal,
        )

    def _verify(self, group: list[Submission]) -> list[Purchase | Exception]:
        answers: list[Purchase | Exception] = []
        for submission in group:
            try:
                answers.append(open_purchase(submission, self._directory, self._sealing_key))
            except Exception as error:
                answers.append(error)
        return answers


def _claimed_amount(payload: bytes) -> Money:
    # What a forged request says is told back as it came, or nothing if it says nothing.
    try:
        return PaymentRequest.FromString(payload).total
    except DecodeError:
        return Money()
