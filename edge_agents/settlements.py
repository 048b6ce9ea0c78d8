"""Settling payments: what was authorised goes to the switch until a receipt says what became of it.

Joins journal, uplink and receipts, for every agent that takes money. A payment that is authorised
in the journal is either in the hands of `settle` or taken up by `take_up`, which also runs after a
restart; so none is forgotten, and none is believed before its receipt is verified and on disk. The
terminal decides for itself only while the switch is away; an error that it answered is an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge_agents.backlog import Answer, Backlog, request_of
from edge_agents.events import Events
from edge_agents.journal import Journal
from edge_agents.loops import wait_at_most
from edge_agents.offline_decision import ACCEPTED, OfflineDecision
from edge_agents.payment_request import PendingPayment
from edge_agents.receipts import ReceiptRefused, is_held, is_settled, verify_receipt
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.decline import name_of
from kessai.envelope import PublicKey
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.payment_pb2 import Receipt

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
# How long a customer waits for the switch where the terminal may decide without it.
PATIENCE_S = 2.0


class Verdict(Enum):
    """What became of a payment, as far as this terminal can prove; the values name events.

    ACCEPTED: the switch has not answered, and the terminal takes it upon itself to hand over.
    """

    SETTLED = "settled"
    HELD = "held"
    DECLINED = "declined"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict; with the verified receipt if there is one, else with the reason for people.

    `is_away`: unknown, because the switch is away.
    """

    verdict: Verdict
    receipt: Receipt | None = None
    signed: Signed | None = None
    why: str = ""
    is_away: bool = False

    @property
    def reason(self) -> str:
        """Why nothing was paid, for the log."""
        if self.receipt is not None and self.receipt.decline_reason:
            return name_of(self.receipt.decline_reason)
        return self.why


class Settlements:
    """Brings the payments of one journal to their outcome."""

    def __init__(
        self,
        journal: Journal,
        uplink: Uplink,
        switch_key: PublicKey,
        events: Events,
        now_us: Callable[[], int],
        offline: OfflineDecision | None = None,
    ) -> None:
        """Without `offline` nothing is ever accepted before the switch has answered."""
        self._journal, self._uplink, self._switch_key = journal, uplink, switch_key
        self._events, self._offline = events, offline
        self._backlog = Backlog(journal, uplink, events, now_us)
        self._in_hand: set[bytes] = set()
        self._left = asyncio.Event()

    async def settle(
        self,
        pending: PendingPayment,
        sealed: Sealed,
        budget_s: float,
        holder: HolderAnswer | None = None,
    ) -> Outcome:
        """Settle an authorised payment, within `budget_s` seconds.

        With UNKNOWN and ACCEPTED it is left to `take_up`, which goes on asking. It is accepted if
        the switch is away, and the holder's answer, given by the phone beside the authorisation,
        and the rules permit.
        """
        self._in_hand.add(pending.request_id)
        if self._offline is not None and holder is not None:
            budget_s = min(budget_s, PATIENCE_S)
        try:
            answer = await self._uplink.settle(request_of(pending, sealed), budget_s)
            outcome = self.conclude(pending, answer)
            if outcome.is_away and self._offline is not None:
                return self._decide(self._offline, pending, sealed, holder) or outcome
            return outcome
        finally:
            self._in_hand.discard(pending.request_id)
            self._left.set()

    async def take_up(
        self, on_outcome: Callable[[PendingPayment, Outcome], None], budget_s: float
    ) -> None:
        """Go on with every authorised payment that nobody has in hand, for ever."""
        backlog, pause_s = self._backlog, FIRST_PAUSE_S
        while True:
            self._left.clear()
            async for entry, answer in backlog.bring(backlog.due(self._in_hand), budget_s):
                outcome = self.conclude(entry.pending, answer)
                if outcome.verdict is Verdict.UNKNOWN:
                    if not outcome.is_away:
                        backlog.note_failure(entry, outcome.why)
                    continue
                if entry.accept_us is not None and outcome.verdict is not Verdict.SETTLED:
                    self._events.emit("lost_after_acceptance", entry.pending, why=outcome.reason)
                on_outcome(entry.pending, outcome)
            due_s = backlog.seconds_until_due(self._in_hand)
            await wait_at_most(self._left, None if due_s is None else max(due_s, pause_s))
            pause_s = FIRST_PAUSE_S if due_s is None else min(LONGEST_PAUSE_S, pause_s * 2)

    def _decide(
        self,
        offline: OfflineDecision,
        pending: PendingPayment,
        sealed: Sealed,
        holder: HolderAnswer | None,
    ) -> Outcome | None:
        reason = offline.accept(pending, sealed, holder)
        if reason != ACCEPTED:
            self._events.emit("not_accepted", pending, reason=name_of(reason))
            return None
        return self._tell(pending, Outcome(Verdict.ACCEPTED))

    def conclude(self, pending: PendingPayment, answer: Answer) -> Outcome:
        """Make an outcome of what the switch answered, and tell it as an event."""
        return self._tell(pending, self._conclude(pending, answer))

    def _tell(self, pending: PendingPayment, outcome: Outcome) -> Outcome:
        fields = {"why": outcome.why} if outcome.why else {}
        if outcome.verdict is Verdict.DECLINED and outcome.receipt is not None:
            fields["reason"] = name_of(outcome.receipt.decline_reason)
        self._events.emit(outcome.verdict.value, pending, **fields)
        return outcome

    def _conclude(self, pending: PendingPayment, answer: Answer) -> Outcome:
        """Believe a receipt that verifies, put it on disk, and only then tell of it."""
        if isinstance(answer, Unknown):
            return Outcome(Verdict.UNKNOWN, why=answer.why, is_away=answer.is_away)
        if isinstance(answer, NotTaken):
            self._journal.abandon(pending.request_id, answer.why)
            return Outcome(Verdict.NOT_TAKEN, why=answer.why)
        try:
            receipt = verify_receipt(answer, pending, self._switch_key)
        except ReceiptRefused as error:
            return Outcome(Verdict.UNKNOWN, why=f"the answer cannot be trusted: {error}")
        if is_held(receipt):
            self._journal.hold(pending.request_id, answer)
            return Outcome(Verdict.HELD, receipt, answer)
        settled = is_settled(receipt)
        self._journal.conclude(pending.request_id, answer, settled)
        return Outcome(Verdict.SETTLED if settled else Verdict.DECLINED, receipt, answer)
