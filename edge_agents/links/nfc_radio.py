"""The terminal's NFC radio: nfcpy in one thread a reader, asyncio outside.

nfcpy blocks, so each call of the radio runs in the reader's thread under a deadline; a caller that
is cancelled cuts its deadline and the thread is free again. Torn frames, garbage and foreign cards
end an exchange, never the thread; a reader that was unplugged is opened again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nfc.clf import RemoteTarget
from nfc.tag.tt4 import Type4ATag

from edge_agents.links.apdu_link import exchange_message, select_application
from edge_agents.links.deadline import Deadline
from edge_agents.links.frontend import GARBLED, READER_LOST, Frontend, TimeIsUp
from edge_agents.links.message_link import LinkLost
from kessai.complaint import Complaint

Result = TypeVar("Result")

_PAUSE_BETWEEN_POLLS_S = 0.01
_PAUSE_BETWEEN_PRESENCE_CHECKS_S = 0.05
_PAUSE_BEFORE_REOPENING_S = 0.25
_ISO_DEP = 0x20  # the bit of SEL_RES that says: speaks ISO/IEC 14443-4

_log = logging.getLogger(__name__)


class NfcRadio:
    """A reader and the phone in its field; see `message_link.Radio`."""

    def __init__(self, open_frontend: Callable[[], Frontend]) -> None:
        """Open the reader; Complaint if it is not there."""
        self._open_frontend = open_frontend
        self._frontend = open_frontend()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nfc-reader")
        self._deadline = Deadline(0)
        self._tag: Type4ATag | None = None
        self._is_lost = False

    @property
    def code(self) -> None:
        """Touch is enough."""
        return

    def new_code(self) -> None:
        """Nothing is to be done: there is no code."""

    @property
    def is_ready(self) -> bool:
        """Whether the reader works, as far as it knows."""
        return not self._is_lost

    async def wait_for_phone(self, timeout_s: float) -> NfcLink | None:
        """Wait for a phone that runs our app; None if none came in time."""
        tag = await self._in_thread(self._find_phone, timeout_s)
        return None if tag is None else NfcLink(self, tag)

    async def exchange(self, tag: Type4ATag, message: bytes, timeout_s: float) -> bytes:
        """Exchange a message with a phone that `wait_for_phone` found; LinkLost if it left."""
        return await self._in_thread(lambda limit: self._exchange(tag, message, limit), timeout_s)

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the field is empty; False if something still lies there after that time."""
        return await self._in_thread(self._watch, timeout_s)

    async def close(self) -> None:
        """Switch the field off and let go of the reader."""
        self._deadline.cut()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[Deadline], Result], timeout_s: float) -> Result:
        deadline = self._deadline = Deadline(timeout_s)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, deadline)
        except asyncio.CancelledError:
            deadline.cut()
            raise

    def _find_phone(self, deadline: Deadline) -> Type4ATag | None:
        self._tag = None
        while deadline.left() > 0:
            try:
                self._tag = self._activate(self._sense(deadline))
            except READER_LOST as error:
                self._reopen(error, deadline)
            except (*GARBLED, TimeIsUp) as error:
                _log.debug("what lies in the field is no phone of ours: %r", error)
            if self._tag is not None:
                return self._tag
            deadline.sleep(_PAUSE_BETWEEN_POLLS_S)
        return None

    def _sense(self, deadline: Deadline) -> RemoteTarget | None:
        self._frontend.deadline = deadline
        return self._frontend.sense(RemoteTarget("106A"), iterations=1)

    def _activate(self, target: RemoteTarget | None) -> Type4ATag | None:
        if target is None or not target.sel_res or not target.sel_res[0] & _ISO_DEP:
            return None
        tag = Type4ATag(self._frontend, target)
        return tag if select_application(tag.transceive) else None

    def _exchange(self, tag: Type4ATag, message: bytes, deadline: Deadline) -> bytes:
        if self._tag is None or tag is not self._tag:
            raise LinkLost("the phone left")
        self._frontend.deadline, self._tag = deadline, None
        try:
            answer = exchange_message(tag.transceive, message)
        except (*READER_LOST, *GARBLED, TimeIsUp) as error:
            raise LinkLost(f"the phone left: {error!r}") from error
        self._tag = tag
        return answer

    def _watch(self, deadline: Deadline) -> bool:
        while deadline.left() > 0:
            if not self._somebody_there(deadline):
                return True
            deadline.sleep(_PAUSE_BETWEEN_PRESENCE_CHECKS_S)
        return False

    def _somebody_there(self, deadline: Deadline) -> bool:
        self._frontend.deadline = deadline
        try:
            if self._tag is not None and self._tag.is_present:
                return True
            # One lost check is no proof: the phone is gone if a call stays unanswered.
            self._tag = None
            return self._sense(deadline) is not None
        except TimeIsUp:
            return True
        except READER_LOST:
            return False
        except GARBLED:
            return True

    def _reopen(self, error: Exception, deadline: Deadline) -> None:
        _log.warning("the reader does not answer, opening it again: %s", error)
        self._is_lost = True
        self._let_go()
        while deadline.left() > 0:
            try:
                self._frontend = self._open_frontend()
            except Complaint:
                deadline.sleep(_PAUSE_BEFORE_REOPENING_S)
            else:
                _log.warning("the reader is back")
                self._is_lost = False
                return

    def _let_go(self) -> None:
        try:
            self._frontend.close()
        except (*READER_LOST, *GARBLED) as error:
            _log.debug("the reader was gone when it was closed: %r", error)


class NfcLink:
    """The link to one phone, for as long as it stays in the field; see `message_link`."""

    def __init__(self, radio: NfcRadio, tag: Type4ATag) -> None:
        self._radio = radio
        self._tag = tag

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Send a message and give the answer; LinkLost if there is none."""
        return await self._radio.exchange(self._tag, message, timeout_s)
