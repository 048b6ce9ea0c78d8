"""Direct payments: the phone submits by its own line, the terminal learns the outcome (row B2).

For every agent that takes money. The terminal follows its own payments by a stream, and asks by
request id where the stream has nothing to say. What a phone claims opens nothing: only a receipt
that fits the pending request does, whichever way it comes, however late or often. A request that a
phone has seen stays open in the journal until there is one, or until it has expired and the switch
has none. Wired by the agent's `main` or `till`; used by the tap desk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.loops import run_until_one_ends, wait_at_most
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Settlements, Verdict
from edge_agents.uplink import FollowEnded, Unknown, Uplink
from kessai.envelope import DocumentMalformed, read_unverified
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import Receipt

# A stream that is silent for so long is dead: the switch says something every ten seconds.
SILENCE_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
ASK_BUDGET_S = 8.0
# The terminal's clock may be ahead of the switch's by 30 s, and a submission under way for a while.
LATE_US = 45 * 1_000_000

OnOutcome = Callable[[PendingPayment, Outcome], None]

_NOTHING_YET = Outcome(Verdict.UNKNOWN, why="the phone has not submitted it, or not yet")
_NEVER = "it expired, and the switch never had it"


class DirectPayments:
    """The payments of one journal that phones submit."""

    def __init__(
        self,
        journal: Journal,
        uplink: Uplink,
        settlements: Settlements,
        events: Events,
        now_us: Callable[[], int],
    ) -> None:
        self._journal, self._uplink, self._settlements = journal, uplink, settlements
        self._events, self._now_us = events, now_us
        self._awaited: dict[bytes, asyncio.Future[Outcome]] = {}
        self._needed = asyncio.Event()
        self._ask_now = asyncio.Event()
        if journal.in_state(PaymentState.PRESENTED):
            self._needed.set()

    def present(self, pending: PendingPayment) -> None:
        """Keep, before a phone sees the request, that it may be submitted from now on."""
        if not self._journal.is_presented(pending.request_id):
            self._journal.present(pending.request_id)
        self._needed.set()
        self._ask_now.set()

    async def outcome_of(self, pending: PendingPayment, budget_s: float) -> Outcome:
        """Wait for the outcome of a request that a phone says it submits, within `budget_s`.

        With UNKNOWN it is left to `run`, which goes on asking.
        """
        told = asyncio.get_running_loop().create_future()
        self._awaited[pending.request_id] = told
        asking = asyncio.ensure_future(self._keep_asking(pending))
        try:
            done, _ = await asyncio.wait(
                {told, asking}, timeout=budget_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            asking.cancel()
            del self._awaited[pending.request_id]
            self._ask_now.set()
        if not done:
            self._events.emit(Verdict.UNKNOWN.value, pending, why=_NOTHING_YET.why)
            return _NOTHING_YET
        return told.result() if told in done else asking.result()

    async def run(self, on_outcome: OnOutcome) -> None:
        """Learn the outcomes that nobody waits for, for ever; at rest until one was presented."""
        await self._needed.wait()
        await run_until_one_ends(self._follow(on_outcome), self._take_up(on_outcome))

    async def _follow(self, on_outcome: OnOutcome) -> None:
        token, pause_s = b"", FIRST_PAUSE_S
        while True:
            try:
                async with aclosing(self._uplink.follow(token, SILENCE_S)) as answers:
                    async for answer in answers:
                        if answer.HasField("receipt"):
                            self._take(answer.receipt, on_outcome)
                        elif not token:
                            self._ask_now.set()  # what came before the stream began
                        token, pause_s = answer.resume_token, FIRST_PAUSE_S
            except FollowEnded as ended:
                token = b"" if ended.token_refused else token
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _take_up(self, on_outcome: OnOutcome) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            self._ask_now.clear()
            for pending in self._left_over():
                outcome = await self._ask(pending)
                if outcome.verdict is not Verdict.UNKNOWN:
                    self._tell(pending, outcome, on_outcome)
            unfinished = bool(self._left_over())
            woken = await wait_at_most(self._ask_now, pause_s if unfinished else None)
            pause_s = FIRST_PAUSE_S if woken else min(LONGEST_PAUSE_S, pause_s * 2)

    def _left_over(self) -> list[PendingPayment]:
        presented = self._journal.in_state(PaymentState.PRESENTED)
        return [e.pending for e in presented if e.pending.request_id not in self._awaited]

    async def _keep_asking(self, pending: PendingPayment) -> Outcome:
        pause_s = FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            outcome = await self._ask(pending)
            if outcome.verdict is not Verdict.UNKNOWN:
                return outcome
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _ask(self, pending: PendingPayment) -> Outcome:
        """Ask the switch by request id; what expired and never came is given up here."""
        was_late = pending.expire_us + LATE_US <= self._now_us()
        answer = await self._uplink.find(pending.payment_id, ASK_BUDGET_S)
        if isinstance(answer, Signed) and self._journal.is_presented(pending.request_id):
            return self._settlements.conclude(pending, answer)
        if answer is None and was_late:
            self._journal.abandon_presented(pending.request_id, _NEVER)
            outcome = Outcome(Verdict.NOT_TAKEN, why=_NEVER)
            self._events.emit(outcome.verdict.value, pending, why=_NEVER)
            return outcome
        return (
            Outcome(Verdict.UNKNOWN, why=answer.why)
            if isinstance(answer, Unknown)
            else (_NOTHING_YET)
        )

    def _take(self, signed: Signed, on_outcome: OnOutcome) -> None:
        """Take a receipt from the stream; one that is known already changes nothing."""
        try:
            request_id = read_unverified(signed, Receipt).request_id
        except DocumentMalformed:
            return
        for entry in self._journal.in_state(PaymentState.PRESENTED):
            if entry.pending.request_id == request_id:
                outcome = self._settlements.conclude(entry.pending, signed)
                if outcome.verdict is not Verdict.UNKNOWN:
                    self._tell(entry.pending, outcome, on_outcome)

    def _tell(self, pending: PendingPayment, outcome: Outcome, on_outcome: OnOutcome) -> None:
        told = self._awaited.get(pending.request_id)
        if told is None:
            on_outcome(pending, outcome)
        elif not told.done():
            told.set_result(outcome)
