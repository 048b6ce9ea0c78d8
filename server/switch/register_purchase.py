"""A purchase at a register, relayed by it (mission row B1).

verify both documents -> payee's terms -> settle -> signed receipt. Called by
`server/rpc/payment_servicer.py`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.currency import BY_CODE
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest, SettlePaymentRequest
from server.domain.command import ACCEPTED, CommandKind
from server.domain.history import expire_us_of, payment_input_hash
from server.domain.payment import SettlePayment
from server.identity.refusals import Unknown
from server.shards.directory import Directory
from server.shards.lane import Lane, LaneClosed, LaneFull
from server.shards.router import Shards
from server.shards.store import StoreUnavailable
from server.switch.documents import Declined, Purchase, Submission, open_purchase
from server.switch.payees import Payees
from server.switch.receipts import Receipts
from server.switch.refused import Overloaded, Unavailable
from server.switch.settle import Settle


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
        signed_request = message.payment_request
        try:
            purchase = await self._verifying.submit(
                Submission(message, request_id, merchant, terminal_id)
            )
        except Declined as declined:
            return self._receipts.for_declined(
                request_id, signed_request.payload, _claimed_amount(signed_request), declined
            )
        except (LaneFull, LaneClosed):
            raise Overloaded from None
        command = await self._command(purchase, signed_request, merchant.account)
        shard, row = await self._settle(command)
        return self._receipts.for_row(shard, row, signed_request.payload)

    async def find(self, request_id: bytes, merchant_id: str, terminal_id: str) -> Signed:
        """Give the receipt of one of a terminal's own payments; Unknown, Unavailable."""
        try:
            found = await self._shards.find(request_id)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from None
        if found is not None and found[1].kind == CommandKind.SETTLE_PAYMENT:
            shard, row = found
            payload = PaymentEvidence.FromString(row.body).payment_request.payload
            request = PaymentRequest.FromString(payload)
            if (request.merchant_id, request.terminal_id) == (merchant_id, terminal_id):
                return self._receipts.for_row(shard, row, payload)
        raise Unknown("this terminal has no payment under that request_id")

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


def _claimed_amount(signed_request: Signed) -> Money:
    # What a forged request says is told back as it came, or nothing if it says nothing.
    try:
        return PaymentRequest.FromString(signed_request.payload).total
    except ValueError:
        return Money()
