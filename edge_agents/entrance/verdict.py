"""Whether a ticket opens the door: the checks that need nobody else, one after another (row B10).

What was verified before is the signature and the holder (`kessai.ticket.open_ticket_answer`); what
comes after is the count. Called by `entrance`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.deny_list import TICKET, DenyList
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.ticket_pb2 import Ticket, TicketState

COME_IN = d.DECLINE_REASON_UNSPECIFIED
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """What a door knows by itself."""

    merchant_id: str
    event_ids: tuple[str, ...]
    deny_list: DenyList
    deny_list_hours: int
    now_us: Callable[[], int]

    def judge(self, ticket: Ticket, persons: int) -> DeclineReason.ValueType:
        """Tell why a ticket opens nothing here and now; COME_IN if only the count is left."""
        terms, now_us = ticket.offer, self.now_us()
        if terms.merchant_id != self.merchant_id or terms.event_id not in self.event_ids:
            return d.DECLINE_REASON_TICKET_INVALID
        begins, ends = terms.valid_from_time, terms.valid_until_time
        if not begins.ToMicroseconds() <= now_us < ends.ToMicroseconds():
            return d.DECLINE_REASON_TICKET_NOT_IN_TIME
        if self.deny_list.is_denied(TICKET, ticket.ticket_id):
            return d.DECLINE_REASON_TICKET_REVOKED
        if persons > terms.admits:
            return d.DECLINE_REASON_TICKET_USED
        return COME_IN

    def is_deny_list_too_old(self) -> bool:
        """Whether nobody may be let in: too much may have been revoked since, or this door was."""
        if self.deny_list.is_refused:
            return True
        age_us = self.deny_list_hours * _HOUR_US
        return bool(self.deny_list_hours) and self.deny_list.is_stale(age_us, self.now_us())


def judge_state(state: TicketState, ticket: Ticket, persons: int) -> DeclineReason.ValueType:
    """Tell what the switch's word means for a ticket that was shown."""
    if state.refunded:
        return d.DECLINE_REASON_TICKET_REFUNDED
    if state.revoked:
        return d.DECLINE_REASON_TICKET_REVOKED
    if state.persons_in + persons > ticket.offer.admits:
        return d.DECLINE_REASON_TICKET_USED
    return COME_IN
