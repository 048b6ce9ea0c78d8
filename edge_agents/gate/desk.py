"""The gate's desk: serves one phone after another, and opens for whom may pass.

Money is never taken before a barrier that cannot open. While a person walks the phone gets its
receipt; the next phone is served when the barrier is shut again. Used by `main`.
"""

from __future__ import annotations

import asyncio
import contextlib

from edge_agents.devices.serial_line import DeviceLost
from edge_agents.display_board import DisplayBoard, Page
from edge_agents.gate import screens
from edge_agents.gate.admission import Refused
from edge_agents.gate.lane import Allowed, GateParts, Lane, Undecided
from edge_agents.gate.turnstile import Turnstile
from edge_agents.links.message_link import LinkLost, MessageLink, Radio
from edge_agents.tap import SESSION_ID_BYTES, TapSession
from kessai.decline import name_of
from kessai.v1 import decline_pb2 as d
from kessai.v1.tap_pb2 import TapRequest, TellRefusal

POLL_S = 0.5
LEAVE_S = 2.0
MESSAGE_S = 3.0


class GateDesk:
    """Serves the phones at one gate."""

    def __init__(
        self,
        radio: Radio,
        lane: Lane,
        turnstile: Turnstile,
        board: DisplayBoard,
        parts: GateParts,
        welcome: list[Page],
    ) -> None:
        self._radio, self._lane, self._turnstile = radio, lane, turnstile
        self._board, self._parts = board, parts
        # Over BLE the phone is told which gate is meant; over NFC there is no code.
        self._welcome = [*welcome, *([screens.code(radio.code)] if radio.code else [])]
        self._idle: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve phones, for ever."""
        self._board.show(self._welcome)
        while True:
            link = await self._radio.wait_for_phone(POLL_S)
            if link is not None:
                await self._serve(link)

    async def _serve(self, link: MessageLink) -> None:
        session = TapSession(link, self._parts.random_bytes(SESSION_ID_BYTES))
        self._parts.events.emit("phone_seen")
        try:
            if not await self._turnstile.can_open():
                raise Refused(d.DECLINE_REASON_GATE_BLOCKED)
            await self._let_through(session, await self._lane.serve(session))
        except Refused as refused:
            await self._refuse(session, refused)
        except Undecided as undecided:
            self._show(undecided.pages)
        except LinkLost as error:
            self._parts.events.emit("phone_left", why=str(error))
            self._show(screens.tap_again())
        await self._radio.wait_until_gone(LEAVE_S)

    async def _let_through(self, session: TapSession, allowed: Allowed) -> None:
        try:
            await self._turnstile.release()
        except DeviceLost as lost:
            self._fail(lost)
            return
        self._show(allowed.pages)
        walking = asyncio.create_task(self._turnstile.wait_for_person())
        if allowed.farewell is not None:
            # Whoever walks on takes the phone along: the gate tells it at its next tap.
            with contextlib.suppress(LinkLost):
                await allowed.farewell(session)
        try:
            self._note(await walking, allowed)
        except DeviceLost as lost:
            self._fail(lost)

    def _note(self, persons: int, allowed: Allowed) -> None:
        if not persons:
            self._parts.events.emit("nobody_passed")
            self._show(self._welcome)
            return
        allowed.passed()
        self._parts.events.emit("passed", persons=persons)
        if persons > 1:
            self._parts.events.emit("tailgating", persons=persons)
            self._show(screens.one_at_a_time())
        else:
            self._show(self._welcome)

    async def _refuse(self, session: TapSession, refused: Refused) -> None:
        self._parts.events.emit("refused", reason=name_of(refused.reason))
        self._show(screens.refused(refused.reason))
        with contextlib.suppress(LinkLost):
            tell = TellRefusal(decline_reason=refused.reason)
            await session.exchange(TapRequest(tell_refusal=tell))

    def _fail(self, lost: DeviceLost) -> None:
        self._parts.events.emit("barrier_failed", why=str(lost))
        self._show(screens.failed())

    def _show(self, pages: list[Page]) -> None:
        """Show pages; what is not the welcome goes after a while."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._board.show(pages)
        if pages is not self._welcome:
            loop = asyncio.get_running_loop()
            shown_s = MESSAGE_S * len(pages)
            self._idle = loop.call_later(shown_s, self._board.show, self._welcome)
