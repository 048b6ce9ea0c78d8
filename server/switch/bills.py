"""A bill from one person to another, submitted by either side (mission row B5).

verify both documents -> is the account the payee's own -> settle -> signed receipt. Called by
`server/rpc/bill_servicer.py`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.account_number import format_account
from kessai.currency import BY_CODE
from kessai.envelope import DocumentMalformed, read_unverified
from kessai.v1 import decline_pb2 as d
from kessai.v1.bill_pb2 import Bill, BillEvidence, SettleBillRequest
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from server.domain.bill import SettleBill
from server.domain.command import ACCEPTED
from server.domain.payment_history import payment_input_hash
from server.identity.refusals import RequestIdReused
from server.shards.directory import Directory
from server.shards.lane import Lane
from server.shards.router import Shards
from server.switch.bill_documents import AgreedBill, BillSubmission, open_bill
from server.switch.documents import Declined
from server.switch.faults import unless_foreseen
from server.switch.outcomes import Outcomes, wallet
from server.switch.receipts import Receipts
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle
from server.switch.turns import Turns

VERIFIED_AT_ONCE = 32


class Bills:
    """Settles what one person asked and another agreed to."""

    def __init__(
        self,
        shards: Shards,
        settle: Settle,
        receipts: Receipts,
        directory: Directory,
        sealing_key: X25519PrivateKey,
    ) -> None:
        self._shards, self._settle, self._receipts = shards, settle, receipts
        self._outcomes = Outcomes(shards, receipts)
        self._directory, self._sealing_key = directory, sealing_key
        self._turns = Turns(VERIFIED_AT_ONCE)
        self._verifying = Lane[BillSubmission, AgreedBill]("bills", self._verify, group_limit=32)

    async def settle(self, message: SettleBillRequest, request_id: bytes, wallet_id: str) -> Signed:
        """Settle a bill that a phone of a wallet submits, or decline it; the signed receipt.

        Raises RequestIdReused, RequestIdStale, Unavailable, Overloaded.
        """
        submission = BillSubmission(message, request_id, wallet_id)
        try:
            with refusing_store_trouble():
                async with self._turns.turn(wallet_id):
                    agreed = await self._verifying.submit(submission)
        except Declined as declined:
            return await self._declined(submission, declined)
        shard, row = await self._settle(await self._command(agreed, message.bill))
        return self._receipts.for_row(shard, row, message.bill.payload)

    def close(self) -> None:
        """Verify what has queued up, then stop."""
        self._verifying.close()

    async def _declined(self, submission: BillSubmission, declined: Declined) -> Signed:
        # What was decided stays so, for both sides, even if the documents would not hold today.
        payload, request_id = submission.message.bill.payload, submission.request_id
        claimed = _claimed(submission.message.bill)
        owner = wallet(claimed.wallet_id)
        found = None if declined.forged else await self._outcomes.find(request_id, owner)
        parties = (claimed.wallet_id, found.asked.payer_wallet) if found else ()
        if found is None or submission.wallet_id not in parties:
            return self._receipts.for_declined(request_id, payload, declined)
        if found.asked.payload != payload:
            raise RequestIdReused
        return self._outcomes.write(found)

    async def _command(self, agreed: AgreedBill, signed_bill: Signed) -> SettleBill:
        bill, authorization = agreed.bill, agreed.authorization
        ledger = BY_CODE[bill.amount.currency_code].number
        refusal = agreed.refusal
        if refusal == ACCEPTED:
            refusal = await self._payee_refusal(agreed.payee, agreed.payee_wallet, ledger)
        evidence = BillEvidence(
            bill=signed_bill,
            authorization=agreed.signed_authorization,
            payee_account=format_account(agreed.payee),
            payee_wallet_id=agreed.payee_wallet,
            payer_wallet_id=agreed.payer_wallet,
            refusal=refusal,
        )
        return SettleBill(
            request_id=bill.request_id,
            input_hash=payment_input_hash(signed_bill.payload, agreed.signed_authorization.payload),
            payer=agreed.payer,
            payee=agreed.payee,
            amount=bill.amount.amount_minor,
            ledger=ledger,
            body=evidence.SerializeToString(),
            wallet=agreed.payer_wallet,
            create_us=bill.create_time.ToMicroseconds(),
            expire_us=authorization.expire_time.ToMicroseconds(),
            refusal=refusal,
        )

    async def _payee_refusal(
        self, payee: int, wallet_id: str, ledger: int
    ) -> DeclineReason.ValueType:
        with refusing_store_trouble():
            account = await self._shards.account(payee)
        if account is None or account.owner != f"wallet/{wallet_id}":
            return d.DECLINE_REASON_PAYEE_ACCOUNT_NOT_OWN
        if account.is_closed:  # the payer's shard may be another, which does not know that
            return d.DECLINE_REASON_ACCOUNT_CLOSED
        return ACCEPTED if account.ledger == ledger else d.DECLINE_REASON_CURRENCY_MISMATCH

    def _verify(self, group: list[BillSubmission]) -> list[AgreedBill | Exception]:
        answers: list[AgreedBill | Exception] = []
        for submission in group:
            try:
                answers.append(open_bill(submission, self._directory, self._sealing_key))
            except Exception as error:
                answers.append(unless_foreseen(error, submission.request_id))
        return answers


def _claimed(signed: Signed) -> Bill:
    # What a bill says before it is verified: nothing, if it cannot be read.
    try:
        return read_unverified(signed, Bill)
    except DocumentMalformed:
        return Bill()
