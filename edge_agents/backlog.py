"""The backlog: authorised payments that nobody has in hand, brought to the switch, oldest first.

Many go up over one stream. Those that it left unanswered are sent one by one, so that a payment
over which the switch fails keeps no other back. Such a payment is set aside after a few failures:
it is asked about on, once an hour, and no customer is greeted with it. It ends when the switch
answers, or says that it never had it and no longer can take it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from edge_agents.batch_line import LineAway, submit_batch
from edge_agents.events import Events
from edge_agents.journal import Entry, Journal, PaymentState
from edge_agents.payment_request import PendingPayment
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import SettlePaymentRequest

FAILURES = 3
ASIDE_S = 3600.0
MAX_NOTE = 200
# The terminal's clock may be ahead of the switch's by 30 s, and a submission under way for a while.
LATE_US = 45 * 1_000_000

Answer = Signed | NotTaken | Unknown

_NEVER = "its time is over, and the switch never had it"


class Backlog:
    """The backlog of one journal."""

    def __init__(
        self, journal: Journal, uplink: Uplink, events: Events, now_us: Callable[[], int]
    ) -> None:
        self._journal, self._uplink = journal, uplink
        self._events, self._now_us = events, now_us
        self._failures = Counter[bytes]()
        self._aside_until: dict[bytes, float] = {}

    def due(self, in_hand: Collection[bytes]) -> list[Entry]:
        """The payments to bring now, oldest first."""
        now = asyncio.get_running_loop().time()
        return [e for e in self._left(in_hand) if self._next(e) <= now]

    def seconds_until_due(self, in_hand: Collection[bytes]) -> float | None:
        """How long until one is due, 0 if one is; None if none is left."""
        now = asyncio.get_running_loop().time()
        return min((max(0.0, self._next(e) - now) for e in self._left(in_hand)), default=None)

    async def bring(
        self, entries: Sequence[Entry], budget_s: float
    ) -> AsyncIterator[tuple[Entry, Answer]]:
        """Bring payments; each that was answered comes back with the answer, as they come.

        Ends early if the switch is away. `budget_s` is for one payment, or a silence of the stream.
        """
        left = {entry.pending.payment_id: entry for entry in entries}
        try:
            async for entry, answer in self._upload(left if len(left) > 1 else {}, budget_s):
                yield entry, answer
        except LineAway:
            return
        for entry in left.values():
            answer = await self._uplink.settle(self._request(entry), budget_s)
            if isinstance(answer, Unknown) and answer.is_away:
                return
            yield entry, await self._end_if_over(entry, answer, budget_s)

    async def _upload(
        self, left: dict[str, Entry], budget_s: float
    ) -> AsyncIterator[tuple[Entry, Answer]]:
        """Bring many over one stream; what it answers is taken from `left`. LineAway."""
        requests = [self._request(entry) for entry in left.values()]
        if not requests:
            return
        async for payment_id, answer in submit_batch(self._uplink.channel, requests, budget_s):
            entry = left.pop(payment_id, None)
            if entry is None:
                continue
            found = None
            if isinstance(answer, NotTaken):
                found = await self._uplink.find(payment_id, budget_s)
            yield entry, await self._end_if_over(entry, found or answer, budget_s)

    def _request(self, entry: Entry) -> SettlePaymentRequest:
        assert entry.sealed is not None  # noqa: S101  (the journal's own rule)
        request = request_of(entry.pending, entry.sealed)
        if entry.accept_us is not None:
            answer = self._journal.accepted.answer_of(entry.pending.request_id)
            if answer is not None:
                request.accepted_holder_answer.CopyFrom(answer)
        return request

    def note_failure(self, entry: Entry, why: str) -> None:
        """Count that the switch is there and has no outcome for a payment."""
        request_id = entry.pending.request_id
        self._failures[request_id] += 1
        if self._failures[request_id] < FAILURES:
            return
        if request_id not in self._aside_until:
            self._journal.set_aside(request_id, f"set aside: {why}"[:MAX_NOTE])
            self._events.emit("set_aside", entry.pending, why=why)
        self._aside_until[request_id] = asyncio.get_running_loop().time() + ASIDE_S

    async def _end_if_over(self, entry: Entry, answer: Answer, budget_s: float) -> Answer:
        """The answer as it came; what the switch never had and takes no more is given up."""
        is_over = entry.pending.last_us + LATE_US <= self._now_us()
        if not isinstance(answer, Unknown) or answer.is_away or not is_over:
            return answer
        found = await self._uplink.find(entry.pending.payment_id, budget_s)
        return NotTaken(_NEVER) if found is None else found

    def _left(self, in_hand: Collection[bytes]) -> list[Entry]:
        authorized = self._journal.in_state(PaymentState.AUTHORIZED)
        return [entry for entry in authorized if entry.pending.request_id not in in_hand]

    def _next(self, entry: Entry) -> float:
        return self._aside_until.get(entry.pending.request_id, 0.0)


def request_of(pending: PendingPayment, sealed: Sealed) -> SettlePaymentRequest:
    """The call that settles a payment."""
    request = SettlePaymentRequest(
        request_id=pending.payment_id,
        payment_request=pending.signed,
        sealed_authorization=sealed,
    )
    request.DiscardUnknownFields()  # a journal of before may have what a phone sent with it
    return request
