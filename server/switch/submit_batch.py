"""Many payments at once, as terminals upload them that stored them: each is answered singly.

All are verified with one hand-over, and each shard decides its own with one more, in a group. What
is settled, and how, is `register_purchase.py`. Called by `server/rpc/payment_servicer.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import SettlePaymentRequest
from server.identity.refusals import Refusal, Unknown
from server.shards.directory import Directory
from server.switch.documents import Submission
from server.switch.faults import refusal_of
from server.switch.offline_losses import OfflineLosses
from server.switch.register_purchase import Approved, RegisterPurchase
from server.switch.settle import Outcome, Settle

# Receipts that are signed before others have the event loop.
SIGNED_IN_A_TURN = 16


class Submitted(NamedTuple):
    """A payment of a batch, and the merchant and terminal whose payment request it must hold.

    The caller's own if he is a terminal. One who may submit for others would bring theirs; then
    `server/rpc/payment_servicer.py` must know for which merchants he may.
    """

    message: SettlePaymentRequest
    request_id: bytes
    merchant_id: str
    terminal_id: str


class Result(NamedTuple):
    """What became of a payment by its position: the signed receipt, or why it was not decided."""

    position: int
    answer: Signed | Refusal


class SubmitBatch:
    """Settles batches; any number side by side."""

    def __init__(
        self,
        purchases: RegisterPurchase,
        settle: Settle,
        directory: Directory,
        losses: OfflineLosses,
    ) -> None:
        self._purchases, self._settle = purchases, settle
        self._directory, self._losses = directory, losses

    async def __call__(self, batch: Sequence[Submitted]) -> AsyncIterator[list[Result]]:
        """Settle a batch; results come as they are there, in any order.

        A Refusal is what `RegisterPurchase.settle` would have raised for that payment.
        """
        found, unknown = self._find_merchants(batch)
        prepared = await self._purchases.prepare([submission for _, submission in found])
        approved: list[Approved] = []
        origins: list[tuple[int, Submission]] = []
        early = unknown
        for (position, submission), outcome in zip(found, prepared, strict=True):
            if isinstance(outcome, Approved):
                approved.append(outcome)
                origins.append((position, submission))
            else:
                early.append(await self._judged(position, submission, outcome))
        if early:
            yield early
        async for group in self._settle.in_groups(approved):
            results: list[Result] = []
            for index, decided in group:
                results.append(await self._result(*origins[index], decided))
                if len(results) % SIGNED_IN_A_TURN == 0:
                    await asyncio.sleep(0)
            yield results

    def _find_merchants(
        self, batch: Sequence[Submitted]
    ) -> tuple[list[tuple[int, Submission]], list[Result]]:
        found: list[tuple[int, Submission]] = []
        unknown: list[Result] = []
        merchants = {m: self._directory.merchant(m) for m in {each.merchant_id for each in batch}}
        for position, (message, request_id, merchant_id, terminal_id) in enumerate(batch):
            merchant = merchants[merchant_id]
            if merchant is None:
                refusal = Unknown(f'there is no merchant "{merchant_id}"')
                unknown.append(Result(position, refusal))
            else:
                submission = Submission(message, request_id, merchant, terminal_id)
                found.append((position, submission))
        return found, unknown

    async def _result(self, position: int, submission: Submission, outcome: Outcome) -> Result:
        answer: Signed | Refusal
        try:
            answer = (
                outcome
                if isinstance(outcome, Refusal)
                else self._purchases.receipt(submission, *outcome)
            )
        except Exception as error:
            answer = refusal_of(error, submission.request_id)
        return await self._judged(position, submission, answer)

    async def _judged(
        self, position: int, submission: Submission, answer: Signed | Refusal
    ) -> Result:
        try:
            await self._losses.judge(submission, answer)
        except Exception as error:
            return Result(position, refusal_of(error, submission.request_id))
        return Result(position, answer)
