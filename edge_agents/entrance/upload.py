"""Telling the switch who was let in: in order, until it has answered, each entry once (row B10).

And telling the hub what this door decided alone while the hub was away. Both go on for ever, also
after a restart, from what the book says. Run by `main`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edge_agents.entrance.book import EntranceBook, Entry, EntryState
from edge_agents.entrance.counting import HubAway, admits_of
from edge_agents.entrance.hub_line import HubLine
from edge_agents.events import Events
from edge_agents.loops import wait_at_most
from edge_agents.ticket_line import CallFailed, SwitchRefused, TicketLine
from kessai.decline import name_of
from kessai.request_id import format_request_id
from kessai.ticket import format_ticket_id
from kessai.v1.decline_pb2 import (
    DECLINE_REASON_CLOCK_AHEAD,
    DECLINE_REASON_REQUEST_MALFORMED,
    DECLINE_REASON_UNSPECIFIED,
    DeclineReason,
)
from kessai.v1.ticket_pb2 import Redemption

BATCH = 50
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0


class Upload:
    """Uploads the entries of one book."""

    def __init__(
        self, book: EntranceBook, line: TicketLine, hub: HubLine | None, events: Events
    ) -> None:
        self._book, self._line, self._hub, self._events = book, line, hub, events
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Upload whenever there is something, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            self.wake.clear()
            told = await self._tell_hub() and await self._tell_switch()
            pause_s = FIRST_PAUSE_S if told else min(LONGEST_PAUSE_S, pause_s * 2)
            await wait_at_most(self.wake, None if told else pause_s)

    async def _tell_switch(self) -> bool:
        while waiting := self._book.waiting(BATCH):
            try:
                if not await self._redeem(waiting):
                    return False
            except SwitchRefused as refused:
                if not await self._tell_singly(waiting, refused):
                    return False
            except CallFailed as failed:
                self._events.emit("entries_wait", count=len(waiting), why=str(failed))
                return False
        return True

    async def _redeem(self, entries: Sequence[Entry]) -> bool:
        """Entries told to the switch; False if they must wait for a clock that is ahead."""
        results = await self._line.redeem([_redemption(entry) for entry in entries])
        told = [
            (entry, result.decline_reason)
            for entry, result in zip(entries, results, strict=True)
            if result.decline_reason != DECLINE_REASON_CLOCK_AHEAD
        ]
        for entry, reason in told:
            self._note(entry, reason)
        if told:
            self._events.emit("entries_uploaded", count=len(told))
        late = len(entries) - len(told)
        if late:
            self._events.emit("entries_wait", count=late, why="this door's clock is ahead: set it")
        return not late

    async def _tell_singly(self, entries: Sequence[Entry], refused: SwitchRefused) -> bool:
        """Entries told one by one, so that one which the switch refuses keeps no other back.

        False if some are left.
        """
        left = 0
        for entry in entries:
            try:
                if len(entries) > 1:
                    left += not await self._redeem([entry])
                    continue
            except SwitchRefused as error:
                refused = error
            except CallFailed:
                return False
            if refused.is_final:  # the switch did nothing, and never will
                self._note(entry, DECLINE_REASON_REQUEST_MALFORMED)
                continue
            left += 1
            self._tell("entry_waits", entry, why=str(refused))
        return not left

    def _note(self, entry: Entry, reason: DeclineReason.ValueType) -> None:
        self._book.mark_uploaded(entry.request_id, reason)
        if reason != DECLINE_REASON_UNSPECIFIED:
            self._tell("entry_refused", entry, reason=name_of(reason))

    async def _tell_hub(self) -> bool:
        if self._hub is None:
            return True
        try:
            for entry in self._book.in_state(EntryState.GIVING_BACK):
                await self._hub.take_back(entry.request_id)
                self._book.move(entry.request_id, EntryState.GIVEN_BACK)
                self._tell("given_back", entry)
            for entry in self._book.decided_alone():
                left = await self._hub.count_in(entry, admits_of(entry), happened=True)
                if left is not None and left < 0:
                    self._tell("entry_counted_twice", entry)
                self._book.hub_heard(entry.request_id)
        except HubAway:
            return False
        return True

    def _tell(self, event: str, entry: Entry, **fields: str) -> None:
        self._events.emit(event, None, ticket=format_ticket_id(entry.ticket_id), **fields)


def _redemption(entry: Entry) -> Redemption:
    use = Redemption(
        request_id=format_request_id(entry.request_id), ticket=entry.ticket, persons=entry.persons
    )
    use.redeem_time.FromMicroseconds(entry.enter_us)
    return use
