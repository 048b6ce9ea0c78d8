"""Settling payments: what was authorised goes to the switch until a receipt says what became of it.

Joins journal, uplink and receipts, for every agent that takes money. A payment that is authorised
in the journal is either in the hands of `settle` or taken up by `take_up`, which also runs after a
restart; so none is forgotten, and none is believed before its receipt is verified and on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge_agents.events import Events
from edge_agents.journal import Entry, Journal, PaymentState
from edge_agents.loops import wait_at_most
from edge_agents.payment_request import PendingPayment
from edge_agents.receipts import ReceiptRefused, is_settled, verify_receipt
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.decline import name_of
from kessai.envelope import PublicKey
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import Receipt, SettlePaymentRequest

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


class Verdict(Enum):
    """What became of a payment, as far as this terminal can prove; the values name events."""

    SETTLED = "settled"
    DECLINED = "declined"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict; with the verified receipt if there is one, else with the reason for people."""

    verdict: Verdict
    receipt: Receipt | None = None
    signed: Signed | None = None
    why: str = ""


class Settlements:
    """Brings the payments of one journal to their outcome."""

    def __init__(
        self, journal: Journal, uplink: Uplink, switch_key: PublicKey, events: Events
    ) -> None:
        self._journal, self._uplink, self._switch_key = journal, uplink, switch_key
        self._events = events
        self._in_hand: set[bytes] = set()
        self._left = asyncio.Event()

    async def settle(self, pending: PendingPayment, sealed: Sealed, budget_s: float) -> Outcome:
        """Settle an authorised payment, within `budget_s` seconds.

        With UNKNOWN it is left to `take_up`, which goes on asking.
        """
        self._in_hand.add(pending.request_id)
        try:
            return await self._send(pending, sealed, budget_s)
        finally:
            self._in_hand.discard(pending.request_id)
            self._left.set()

    async def take_up(
        self, on_outcome: Callable[[PendingPayment, Outcome], None], budget_s: float
    ) -> None:
        """Go on with every authorised payment that nobody has in hand, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._left.clear()
            for entry in self._left_over():
                assert entry.sealed is not None  # noqa: S101  (the journal's own rule)
                outcome = await self._send(entry.pending, entry.sealed, budget_s)
                if outcome.verdict is not Verdict.UNKNOWN:
                    on_outcome(entry.pending, outcome)
            unfinished = bool(self._left_over())
            await wait_at_most(self._left, pause_s if unfinished else None)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2) if unfinished else FIRST_PAUSE_S

    def _left_over(self) -> list[Entry]:
        authorized = self._journal.in_state(PaymentState.AUTHORIZED)
        return [entry for entry in authorized if entry.pending.request_id not in self._in_hand]

    async def _send(self, pending: PendingPayment, sealed: Sealed, budget_s: float) -> Outcome:
        request = SettlePaymentRequest(
            request_id=pending.payment_id,
            payment_request=pending.signed,
            sealed_authorization=sealed,
        )
        return self.conclude(pending, await self._uplink.settle(request, budget_s))

    def conclude(self, pending: PendingPayment, answer: Signed | NotTaken | Unknown) -> Outcome:
        """Make an outcome of what the switch answered, and tell it as an event."""
        outcome = self._conclude(pending, answer)
        fields = {"why": outcome.why} if outcome.why else {}
        if outcome.verdict is Verdict.DECLINED and outcome.receipt is not None:
            fields["reason"] = name_of(outcome.receipt.decline_reason)
        self._events.emit(outcome.verdict.value, pending, **fields)
        return outcome

    def _conclude(self, pending: PendingPayment, answer: Signed | NotTaken | Unknown) -> Outcome:
        """Believe a receipt that verifies, put it on disk, and only then tell of it."""
        if isinstance(answer, Unknown):
            return Outcome(Verdict.UNKNOWN, why=answer.why)
        if isinstance(answer, NotTaken):
            self._journal.abandon(pending.request_id, answer.why)
            return Outcome(Verdict.NOT_TAKEN, why=answer.why)
        try:
            receipt = verify_receipt(answer, pending, self._switch_key)
        except ReceiptRefused as error:
            return Outcome(Verdict.UNKNOWN, why=f"the answer cannot be trusted: {error}")
        settled = is_settled(receipt)
        self._journal.conclude(pending.request_id, answer, settled)
        return Outcome(Verdict.SETTLED if settled else Verdict.DECLINED, receipt, answer)
