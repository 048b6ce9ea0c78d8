"""The ends of holds: what was given out is captured, what was not is voided, sooner or later.

For every agent that holds money first. What is owed stands in the journal (`delivered`, `failed`)
before anything is sent, so it is done after a restart, too; and a hold ends once, whoever asks how
often, so asking again is safe. A receipt says how it ended, and only that is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agents.events import Events
from edge_agents.journal import Entry, Journal, PaymentState
from edge_agents.loops import wait_at_most
from edge_agents.payment_request import PendingPayment
from edge_agents.receipts import ReceiptRefused, is_held, is_settled, verify_receipt
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.enum_name import enum_name
from kessai.envelope import PublicKey
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.payment_pb2 import CapturePaymentRequest, PaymentOutcome, VoidPaymentRequest

BUDGET_S = 8.0
RETRY_S = 1.0


class HoldEnds:
    """Captures and voids what one journal says is owed."""

    def __init__(
        self,
        journal: Journal,
        uplink: Uplink,
        switch_key: PublicKey,
        events: Events,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._journal, self._uplink, self._switch_key = journal, uplink, switch_key
        self._events, self._now_us, self._random_bytes = events, now_us, random_bytes
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look into the journal now: something is owed."""
        self._wake.set()

    async def run(self, on_end: Callable[[PendingPayment], None]) -> None:
        """Capture and void, for ever; looks again after a while if something is left."""
        while True:
            self._wake.clear()
            for entry in self._owed():
                if await self._end(entry):
                    on_end(entry.pending)
            await wait_at_most(self._wake, RETRY_S if self._owed() else None)

    def _owed(self) -> list[Entry]:
        owed = (PaymentState.DELIVERED, PaymentState.FAILED)
        return [entry for state in owed for entry in self._journal.in_state(state)]

    async def _end(self, entry: Entry) -> bool:
        """End one hold; False if that is not known to be done yet."""
        pending = entry.pending
        answer = await self._uplink.end_hold(self._request(entry), BUDGET_S)
        if isinstance(answer, NotTaken | Unknown):
            self._events.emit("unknown", pending, why=answer.why)
            return False
        try:
            receipt = verify_receipt(answer, pending, self._switch_key)
        except ReceiptRefused as error:
            self._events.emit("unknown", pending, why=f"the answer cannot be trusted: {error}")
            return False
        if is_held(receipt):  # its time is over, and the switch has not let it go yet
            return False
        is_unpaid = entry.state is PaymentState.DELIVERED and not is_settled(receipt)
        if is_unpaid:
            self._journal.note_unpaid(self._now_us(), pending)
        self._journal.end_hold(pending.request_id, answer, is_settled(receipt))
        outcome = enum_name(PaymentOutcome.DESCRIPTOR, receipt.outcome, "PAYMENT_OUTCOME_")
        if is_settled(receipt):
            self._events.emit("settled", pending)
        else:
            event = "not_captured" if is_unpaid else "voided"
            self._events.emit(event, pending, outcome=outcome)
        return True

    def _request(self, entry: Entry) -> CapturePaymentRequest | VoidPaymentRequest:
        request_id = format_request_id(new_request_id(self._now_us() // 1000, self._random_bytes))
        payment_id = entry.pending.payment_id
        if entry.state is PaymentState.FAILED:
            return VoidPaymentRequest(request_id=request_id, payment_id=payment_id)
        amount = entry.pending.request.total
        return CapturePaymentRequest(request_id=request_id, payment_id=payment_id, amount=amount)
