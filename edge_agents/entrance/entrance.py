"""The entrance: asks a phone for its ticket, counts, and opens the door (mission row B10).

One phone at a time. The order is what makes it safe: verified, noted, counted, noted again, then
opened. A kill at any point lets nobody in twice; one between the last note and the door may cost an
entry, and is told at the next start. A door that did not open gives the entry back. Put together by
`main`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.devices.door import Door, NotUnlocked, Sign
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.entrance.book import EntranceBook, Entry, EntryState
from edge_agents.entrance.counting import Counter, DoorCounter, HubAway, HubFailed, admits_of
from edge_agents.entrance.door_watch import DoorWatch
from edge_agents.entrance.upload import Upload
from edge_agents.entrance.verdict import COME_IN, Doorkeeper, judge_state
from edge_agents.events import Events
from edge_agents.links.message_link import LinkLost, Radio
from edge_agents.payment_request import Terminal
from edge_agents.tap import SESSION_ID_BYTES, TapSession
from edge_agents.ticket_line import SwitchAway, SwitchRefused, TicketLine
from kessai.decline import meaning_of, name_of
from kessai.request_id import new_request_id
from kessai.ticket import (
    NONCE_BYTES,
    TicketRefused,
    claimed_ticket_id,
    format_ticket_id,
    open_ticket_answer,
)
from kessai.ticket import Entrance as AskingEntrance
from kessai.v1 import decline_pb2 as d
from kessai.v1 import tap_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.tap_pb2 import AskForTicket, TapRequest, TellEntry
from kessai.v1.ticket_pb2 import Ticket

POLL_S = 0.5
LEAVE_S = 2.0
SIGN_S = 3.0

_OUT_OF_SERVICE = d.DECLINE_REASON_ENTRANCE_OUT_OF_SERVICE
_INVALID = d.DECLINE_REASON_TICKET_INVALID
_USED = d.DECLINE_REASON_TICKET_USED


@dataclass(frozen=True, slots=True)
class EntranceParts:
    """What an entrance works with. `alone`: count by itself while the hub is away."""

    terminal: Terminal
    keeper: Doorkeeper
    book: EntranceBook
    counter: Counter
    alone: bool
    line: TicketLine
    upload: Upload
    door: Door
    watch: DoorWatch
    radio: Radio
    events: Events
    unlock_s: float
    held_open_s: float
    now_us: Callable[[], int]
    random_bytes: Callable[[int], bytes]


class Entrance:
    """One door, and who comes to it."""

    def __init__(self, parts: EntranceParts) -> None:
        self._parts, self._events, self._book = parts, parts.events, parts.book
        self._certificate = parts.terminal.merchant_certificate

    def use_certificate(self, terminal: Terminal) -> None:
        """Present a renewed merchant certificate from now on."""
        self._certificate = terminal.merchant_certificate

    async def take_up(self) -> None:
        """Settle what was under way when the agent was killed; before the first phone."""
        for entry in self._book.in_state(EntryState.ADMITTED):
            self._tell("entry_uncertain", entry)
            self._book.move(entry.request_id, EntryState.PASSED)
        for entry in self._book.in_state(EntryState.ASKED):
            await self._give_back(entry)

    async def run(self) -> None:
        """Serve phones, for ever."""
        radio = self._parts.radio
        while True:
            link = await radio.wait_for_phone(POLL_S)
            if link is None:
                continue
            self._events.emit("phone_seen")
            try:
                await self._serve(TapSession(link, self._parts.random_bytes(SESSION_ID_BYTES)))
            except LinkLost as error:
                self._events.emit("phone_left", why=str(error))
            await radio.wait_until_gone(LEAVE_S)

    async def _serve(self, session: TapSession) -> None:
        parts = self._parts
        asked = AskingEntrance(
            parts.random_bytes(NONCE_BYTES), parts.terminal.merchant_id, parts.terminal.terminal_id
        )
        body = AskForTicket(
            nonce=asked.nonce,
            merchant_certificate=self._certificate,
            event_ids=parts.keeper.event_ids,
        )
        answer = await session.exchange(TapRequest(ask_for_ticket=body))
        if answer.status != tap_pb2.TAP_STATUS_TICKET_SHOWN:
            self._events.emit("no_ticket", status=answer.status)
            await self._show(Sign(False, "No ticket"))
            return
        shown = answer.ticket_answer
        try:
            ticket = open_ticket_answer(shown, parts.terminal.switch_key, asked)
        except TicketRefused as refused:
            await self._turn_away(session, claimed_ticket_id(shown.ticket), refused.reason)
            return
        reason = await self._judge(ticket, shown.persons)
        if reason != COME_IN:
            await self._turn_away(session, ticket.ticket_id, reason)
            return
        now_us = parts.now_us()
        request_id = new_request_id(now_us // 1000, parts.random_bytes)
        entry = Entry(request_id, ticket.ticket_id, shown.persons, shown.ticket, now_us)
        async with parts.watch.in_use:
            await self._let_in(session, ticket, entry)

    async def _judge(self, ticket: Ticket, persons: int) -> DeclineReason.ValueType:
        parts = self._parts
        reason = parts.keeper.judge(ticket, persons)
        if reason != COME_IN:
            return reason
        if not await parts.watch.is_ready() or parts.door.stands_open:
            return _OUT_OF_SERVICE
        try:
            return judge_state(await parts.line.look(ticket.ticket_id), ticket, persons)
        except SwitchAway:
            return _OUT_OF_SERVICE if parts.keeper.is_deny_list_too_old() else COME_IN
        except SwitchRefused as refused:
            self._events.emit("not_confirmed", why=str(refused))
            return _INVALID if refused.reason == "RESOURCE_UNKNOWN" else _OUT_OF_SERVICE

    async def _let_in(self, session: TapSession, ticket: Ticket, entry: Entry) -> None:
        self._book.ask(entry)
        try:
            left = await self._count(entry)
        except (HubAway, TicketRefused) as error:
            self._tell("hub_away", entry, why=str(error))
            await self._give_back(entry)
            await self._turn_away(session, ticket.ticket_id, _OUT_OF_SERVICE)
            return
        if left is None:
            self._book.move(entry.request_id, EntryState.GIVEN_BACK)
            await self._turn_away(session, ticket.ticket_id, _USED)
            return
        self._book.move(entry.request_id, EntryState.ADMITTED)
        self._tell("admitted", entry, persons=entry.persons)
        openings = self._parts.door.openings
        try:
            await self._parts.watch.unlock(self._parts.unlock_s, entry.persons)
        except NotUnlocked as lost:
            self._tell("door_not_opened", entry, why=str(lost))
            await self._give_back(entry)
            await self._turn_away(session, ticket.ticket_id, _OUT_OF_SERVICE)
            return
        except DeviceLost as lost:
            # Nobody knows whether it opened: the entry stays counted.
            self._book.move(entry.request_id, EntryState.PASSED)
            self._tell("entry_uncertain", entry, why=str(lost))
            self._parts.upload.wake.set()
            return
        told = TellEntry(ticket_id=ticket.ticket_id, persons_left=left)
        await self._tell_phone(session, told)
        await self._watch(entry, openings)

    async def _count(self, entry: Entry) -> int | None:
        admits = admits_of(entry)
        try:
            return await self._parts.counter.count_in(entry, admits)
        except HubAway as away:
            if isinstance(away, HubFailed) or not self._parts.alone:
                raise
        self._tell("decided_alone", entry)
        self._book.move(entry.request_id, EntryState.ASKED, alone=True)
        return await DoorCounter(self._book).count_in(entry, admits)

    async def _watch(self, entry: Entry, openings: int) -> None:
        """See whether somebody goes in; a door that stays shut gives the entry back.

        `openings` were there before it was unlocked: who was quick may be inside already.
        """
        parts = self._parts
        await self._show(Sign(True, "Welcome"))
        try:
            opened = await parts.door.wait_for_opening(openings, parts.unlock_s + 1)
        except DeviceLost as lost:
            self._tell("entry_uncertain", entry, why=str(lost))
            opened = True
        if not opened:
            self._tell("door_not_opened", entry)
            await self._give_back(entry)
            await self._show(Sign(False, "Door stuck? Tap again"))
            return
        self._book.move(entry.request_id, EntryState.PASSED)
        self._tell("passed", entry, persons=entry.persons)
        parts.upload.wake.set()
        await self._wait_until_shut()

    async def _wait_until_shut(self) -> None:
        door = self._parts.door
        try:
            if await door.wait_until_shut(self._parts.held_open_s):
                return
            self._events.emit("door_held_open")
            while not await door.wait_until_shut(SIGN_S):
                await door.show(Sign(False, "Shut the door"), SIGN_S)
            self._events.emit("door_shut")
        except DeviceLost:
            return  # `door_watch` tells, and brings it back

    async def _give_back(self, entry: Entry) -> None:
        self._book.move(entry.request_id, EntryState.GIVING_BACK)
        self._book.take_back(entry.request_id)
        self._parts.upload.wake.set()
        try:
            await self._parts.counter.take_back(entry.request_id)
        except HubAway as away:
            self._tell("hub_not_told", entry, why=str(away))
            return  # `upload` tells it when it is back
        self._book.move(entry.request_id, EntryState.GIVEN_BACK)
        self._tell("given_back", entry)

    async def _turn_away(
        self, session: TapSession, ticket_id: bytes, reason: DeclineReason.ValueType
    ) -> None:
        said = format_ticket_id(ticket_id) if ticket_id else "?"
        self._events.emit("turned_away", ticket=said, reason=name_of(reason))
        told = TellEntry(ticket_id=ticket_id, decline_reason=reason)
        await self._show(Sign(False, meaning_of(reason).customer))
        await self._tell_phone(session, told)

    async def _tell_phone(self, session: TapSession, told: TellEntry) -> None:
        try:
            await session.exchange(TapRequest(tell_entry=told))
        except LinkLost:
            self._events.emit("phone_left", why="before it was told")

    async def _show(self, sign: Sign) -> None:
        try:
            await self._parts.door.show(sign, SIGN_S)
        except DeviceLost:
            return  # `door_watch` tells, and brings it back

    def _tell(self, event: str, entry: Entry, **fields: str | int) -> None:
        self._events.emit(event, None, ticket=format_ticket_id(entry.ticket_id), **fields)
