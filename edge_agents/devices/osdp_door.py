"""A door behind an OSDP reader (IEC 60839-11-5): lock relay, door contact, LED, buzzer, text.

The agent is the control panel, the reader the peripheral device, on RS-485 through a serial line,
with OSDP's secure channel (AES-128, a key of their own). libosdp speaks the protocol, on one thread
that nothing else touches it from. What the driver expects of the reader:

    output 0    the lock: on for some tenths of a second, then off by itself
    input 0     the door contact: 1 while the door stands open (reported when it changes)
    LED 0       green or red; buzzer; text of one line

All its status reports are looked at (`osdp_reports`).

A reader that is unplugged, silent, or talks garbage is DeviceLost. libosdp waits long before it
tries again, so the driver makes a new control panel then. Used by `entrance`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import termios
import threading
from collections.abc import Callable
from typing import Any

import osdp
import osdp_sys
import serial

from edge_agents.devices import osdp_sign
from edge_agents.devices.door import NotUnlocked, Sign
from edge_agents.devices.osdp_reports import CONTACT_FAULT, OsdpReports
from edge_agents.devices.serial_line import DeviceLost, open_line

KEY_BYTES = 16
BAUDRATE = 9_600
READY_S = 5.0
ANSWER_S = 3.0
REFRESH_S = 0.02

_OUTPUT_ON_FOR_A_WHILE = 5


class _Line(osdp.Channel):  # type: ignore[misc]
    """The serial line as libosdp wants it; it must not raise into the library."""

    def __init__(self, line: serial.Serial) -> None:
        super().__init__()
        self._line = line
        self.failure: OSError | None = None

    def read(self, max_bytes: int) -> bytes:
        """Give what has come."""
        try:
            return bytes(self._line.read(max_bytes))
        except OSError as error:
            self.failure = error
            return b""

    def write(self, buf: bytes) -> int:
        """Send bytes."""
        try:
            return self._line.write(bytes(buf)) or 0
        except OSError as error:
            self.failure = error
            return len(buf)

    def flush(self) -> None:
        """Forget what has come."""
        with contextlib.suppress(OSError, termios.error):
            self._line.reset_input_buffer()


class OsdpDoor:
    """A door on a serial line; see `door.Door`."""

    name = "door"

    def __init__(
        self,
        path: str,
        key: bytes,
        baudrate: int = BAUDRATE,
        address: int = 1,
        ready_s: float = READY_S,
    ) -> None:
        """Drive the reader at an OSDP `address`, 0 to 126, with its key of 16 bytes.

        It has `ready_s` to answer after the line was opened.
        """
        self._path, self._key, self._baudrate, self._address = path, key, baudrate, address
        self._serial: serial.Serial | None = None
        self._line: _Line | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._is_secure = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._answers: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
        self._ready_s, self._ready_by = ready_s, 0.0
        self._was_ready = False
        self._reports = OsdpReports()
        self._asking = asyncio.Lock()
        self._pages: list[str] = []
        self._page_s = self._turn_at = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the reader answers over its secure channel, and its contact can be believed."""
        return self._answers_now and self._reports.has_contact

    @property
    def stands_open(self) -> bool:
        """Whether it stands open, as the contact reported last."""
        return self._reports.stands_open

    @property
    def openings(self) -> int:
        """How often the contact reported that it was opened."""
        return self._reports.openings

    @property
    def faults(self) -> list[str]:
        """The faults that its reader reports: tamper, power, a broken contact."""
        return self._reports.faults

    def open(self) -> None:
        """Open the line and call the reader; Complaint if the device is missing."""
        self._serial = open_line(self.name, self._path, self._baudrate, timeout_s=0)
        self._line = line = _Line(self._serial)
        flags = [osdp.LibFlag.EnforceSecure, osdp.LibFlag.EnableNotification]
        reader = osdp.PDInfo(self._address, line, scbk=self._key, flags=flags)
        osdp_sys.set_loglevel(osdp.LogLevel.Emergency)
        panel = osdp_sys.ControlPanel([reader.get()])
        panel.set_event_callback(self._on_event)
        panel.set_command_completion_callback(self._on_completion)
        self._loop = asyncio.get_running_loop()
        self._ready_by = self._loop.time() + self._ready_s
        self._was_ready = self._is_secure = False
        self._reports.restart()
        self._stop, self._commands = threading.Event(), queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._talk, args=(panel, self._stop, self._commands), name="osdp", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Hang up, and close the line if it is open; the door stays as it is."""
        self._pages = []
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    async def check(self) -> None:
        """Turn the sign's page in time; DeviceLost if the reader has gone, or never answered."""
        if self._thread is None or self._line is None:
            raise DeviceLost(self.name, "it is not open")
        if self._line.failure is not None:
            raise DeviceLost(self.name, self._line.failure)
        if self._answers_now:
            self._was_ready = True
        elif self._was_ready or asyncio.get_running_loop().time() > self._ready_by:
            raise DeviceLost(self.name, "its reader is silent")
        await self._turn_page()

    async def unlock(self, seconds: float, persons: int = 1) -> None:
        """Unlock for some seconds, for whoever goes in: the contact does not count persons.

        NotUnlocked if the reader had gone, or nobody could see whether somebody goes in;
        DeviceLost if nobody knows whether it did.
        """
        if not self._answers_now:
            raise NotUnlocked(self.name, "its reader is silent")
        if not self._reports.has_contact:
            raise NotUnlocked(self.name, CONTACT_FAULT)
        tenths = math.ceil(seconds * 10)
        command = {"output_no": 0, "control_code": _OUTPUT_ON_FOR_A_WHILE, "timer_count": tenths}
        await self._do(osdp.Command.Output, command)

    async def show(self, sign: Sign, seconds: float) -> None:
        """Show yes or no, with sound and text; DeviceLost as `unlock`.

        Each page of a longer text for so many seconds: `check` turns it.
        """
        first, *rest = osdp_sign.pages(sign.text)
        self._pages, lit_s = [], seconds * (1 + len(rest))
        await self._do(osdp.Command.LED, osdp_sign.lamp(sign.is_good, lit_s))
        await self._do(osdp.Command.Buzzer, osdp_sign.buzzer(sign.is_good))
        await self._do(osdp.Command.Text, osdp_sign.text(first, seconds))
        self._pages, self._page_s = rest, seconds
        self._turn_at = asyncio.get_running_loop().time() + seconds

    async def _turn_page(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._pages and self._answers_now and now >= self._turn_at:
            page, self._turn_at = self._pages.pop(0), now + self._page_s
            await self._do(osdp.Command.Text, osdp_sign.text(page, self._page_s))

    async def wait_for_opening(self, openings: int, timeout_s: float) -> bool:
        """Wait until there are more openings than so many, counted before; False: not in time.

        DeviceLost if the reader goes meanwhile, or its contact fails.
        """
        return await self._wait_until(lambda: self.openings > openings, timeout_s)

    async def wait_until_shut(self, timeout_s: float) -> bool:
        """Wait until the contact says that the door is shut; False: not in time.

        DeviceLost if the reader goes meanwhile, or its contact fails.
        """
        return await self._wait_until(lambda: not self.stands_open, timeout_s)

    async def _wait_until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not holds():
            await self.check()
            if not self._reports.has_contact:
                raise DeviceLost(self.name, CONTACT_FAULT)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.2)):
                    await self._changed.wait()
        return True

    @property
    def _answers_now(self) -> bool:
        return self._line is not None and self._line.failure is None and self._is_secure

    async def _do(self, kind: int, command: dict[str, Any]) -> None:
        if not self._answers_now:
            raise DeviceLost(self.name, "its reader is silent")
        async with self._asking:
            while not self._answers.empty():
                self._answers.get_nowait()
            self._commands.put({"command": kind, **command})
            try:
                async with asyncio.timeout(ANSWER_S):
                    answered, is_done = await self._answers.get()
                    while answered != kind:
                        answered, is_done = await self._answers.get()
            except TimeoutError:
                raise DeviceLost(self.name, "its reader does not answer") from None
        if not is_done:
            raise DeviceLost(self.name, "its reader refuses the command")

    # On libosdp's thread.

    def _talk(
        self,
        panel: osdp_sys.ControlPanel,
        stop: threading.Event,
        commands: queue.SimpleQueue[dict[str, Any]],
    ) -> None:
        while not stop.wait(REFRESH_S):
            with contextlib.suppress(queue.Empty):
                panel.submit_command(0, commands.get_nowait())
            panel.refresh()
            self._is_secure = bool(panel.sc_status() & 1)

    def _on_completion(self, address: int, command: dict[str, Any], status: int) -> None:
        answer = (int(command["command"]), status == osdp.CompletionStatus.Ok)
        self._tell(lambda: self._answers.put_nowait(answer))

    def _on_event(self, reader: int, event: dict[str, Any]) -> int:
        if event["event"] == osdp.Event.Status:
            kind, report = int(event["type"]), bytes(event.get("report") or b"")
            self._tell(lambda: self._note_report(kind, report))
        return 0

    def _tell(self, what: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _note_report(self, kind: int, report: bytes) -> None:
        self._reports.take(kind, report)
        self._changed.set()
