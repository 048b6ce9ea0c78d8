"""Held payments: what a terminal does with money that a customer let it hold (row B3).

Captured once the goods are out, voided if they do not come out; what does neither is released by
`hold_expiry.py`. Called by `server/rpc/payment_servicer.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from kessai.currency import BY_CODE
from kessai.money import Money
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from server.domain.command import ACCEPTED, CommandKind
from server.domain.history import finish_input_hash
from server.domain.hold import CaptureHold, VoidHold
from server.identity.refusals import Unknown
from server.switch.outcomes import Found, Outcomes
from server.switch.settle import Settle


class Finished(NamedTuple):
    """The receipt of the payment as it stands now, and why this call changed nothing, if so."""

    receipt: Signed
    decline: DeclineReason.ValueType


class HeldPayments:
    """Captures and voids the held payments of terminals."""

    def __init__(self, settle: Settle, outcomes: Outcomes) -> None:
        self._settle = settle
        self._outcomes = outcomes

    async def capture(
        self, request_id: bytes, payment_id: bytes, amount: Money, owner: str
    ) -> Finished:
        """Take an amount of what a payment of an owner's holds.

        Raises Unknown, RequestIdReused, RequestIdStale, Unavailable, Overloaded.
        """
        found = await self._own(payment_id, owner)
        if BY_CODE[amount.currency].number != found.row.ledger:
            return await self._answer(found, d.DECLINE_REASON_CURRENCY_MISMATCH)
        return await self._finish(CaptureHold, request_id, found, amount.minor)

    async def void(self, request_id: bytes, payment_id: bytes, owner: str) -> Finished:
        """Give up what a payment of an owner's holds; raises what `capture` does."""
        found = await self._own(payment_id, owner)
        return await self._finish(VoidHold, request_id, found, found.row.amount)

    async def _own(self, payment_id: bytes, owner: str) -> Found:
        found = await self._outcomes.find(payment_id, owner)
        if found is None or (found.row.kind, found.row.decline) != _PLACED:
            raise Unknown("this terminal has no held payment under that payment_id")
        return found

    async def _finish(
        self,
        make: type[CaptureHold] | type[VoidHold],
        request_id: bytes,
        found: Found,
        amount: int,
    ) -> Finished:
        placed = found.row
        content = finish_input_hash(placed.request_id, amount)
        command = make(
            request_id, content, placed.payer, placed.payee, amount, placed.ledger,
            placed.request_id,
        )  # fmt: skip
        _, row = await self._settle(command)
        return await self._answer(found, row.decline)

    async def _answer(self, found: Found, decline: DeclineReason.ValueType) -> Finished:
        return Finished(await self._outcomes.now(found), decline)


_PLACED = (CommandKind.PLACE_HOLD, ACCEPTED)
