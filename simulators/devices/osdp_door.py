"""A door with an OSDP reader, on a pty: what a person sees of it, and what can go wrong with it.

libosdp's peripheral device answers on the line, so the agent's driver runs against the protocol
itself. It reports what changes: the contact, the lock's own relay, tamper and power; contact and
device also when it is connected anew. Faults: `unplug`, `jam` (the lock clicks, the door does not
move), `hold_open`, `cut_contact`, `tamper`, `cut_power`, `go_silent`, `talk_garbage`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import osdp
from rich import box
from rich.align import Align
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from simulators.devices.pty_line import PtyLine

ADDRESS = 1
# A person pushes the door as soon as the lock clicks, and it falls shut behind her.
PUSH_S, WALK_S = 0.15, 0.4
_REFRESH_S = 0.01
_SHUT, _OPEN, _BROKEN = 0, 1, 2
_Type = osdp.StatusReportType
_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class DoorView:
    """What a person sees and hears. `light` is "green", "red" or ""; `persons` went through."""

    is_unlocked: bool = False
    stands_open: bool = False
    light: str = ""
    text: str = ""
    beeps: int = 0
    unlocked_times: int = 0
    persons: int = 0


class _Wire(osdp.Channel):  # type: ignore[misc]
    line: PtyLine

    def __init__(self) -> None:
        super().__init__()
        self._come = bytearray()
        self._lock = threading.Lock()
        self.is_silent = False
        self.garbage = False

    def take(self, data: bytes) -> None:
        with self._lock:
            self._come += data
        if self.garbage:
            self.line.write(os.urandom(len(data)))

    def read(self, max_bytes: int) -> bytes:
        with self._lock:
            data = bytes(self._come[:max_bytes])
            del self._come[:max_bytes]
        return b"" if self.is_silent or self.garbage else data

    def write(self, buf: bytes) -> int:
        self.line.write(bytes(buf))
        return len(buf)

    def flush(self) -> None:
        with self._lock:
            self._come.clear()


class SimulatedDoor:
    """The door; `on_change` is called, on a thread of it, when what a person sees has changed."""

    def __init__(
        self, path: Path, key: bytes, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._key, self._on_change = key, on_change
        self._changed = threading.Condition()
        self._view = DoorView()
        self._jammed = self._held_open = False
        self._is_cut = self._is_tampered = self._on_battery = False
        # What is to be reported, in order: no opening is lost, however short.
        self._reports: deque[tuple[int, bytes]] = deque()
        self._relock: threading.Timer | None = None
        self._stop = threading.Event()
        self._wire = _Wire()
        self.line = self._wire.line = PtyLine(path, self._wire.take)
        self._device = self._switch_on()
        self.line.plug()
        self._thread = threading.Thread(target=self._run, name="osdp-reader", daemon=True)
        self._thread.start()

    @property
    def view(self) -> DoorView:
        """What a person sees now."""
        with self._changed:
            return self._view

    def wait_for(self, sees: Callable[[DoorView], bool], timeout_s: float = _LIMIT_S) -> DoorView:
        """Wait until a person sees something; AssertionError if it does not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: sees(self._view), timeout_s):
                raise AssertionError(f"not seen at the door: {self._view}")
            return self._view

    def jam(self, is_jammed: bool = True) -> None:
        """Let the door stick in its frame, or not."""
        self._jammed = is_jammed

    def hold_open(self, is_held: bool = True) -> None:
        """Let the next person hold the door, or let go of it."""
        self._held_open = is_held
        if not is_held and self.view.stands_open:
            self._move(False)

    def cut_contact(self, is_cut: bool = True) -> None:
        """Break the supervised line of the door contact, or mend it."""
        self._is_cut = is_cut
        self._report_contact()

    def tamper(self, is_tampered: bool = True) -> None:
        """Open the reader's housing, or close it."""
        self._is_tampered = is_tampered
        self._report_device()

    def cut_power(self, on_battery: bool = True) -> None:
        """Take its mains power, so that it runs on its battery; or give it back."""
        self._on_battery = on_battery
        self._report_device()

    def report(self, kind: int, report: bytes) -> None:
        """Report what a test wants reported."""
        self._reports.append((kind, report))

    def go_silent(self, is_silent: bool = True) -> None:
        """Answer nothing any more, or again."""
        self._wire.is_silent = is_silent

    def talk_garbage(self, is_garbage: bool = True) -> None:
        """Answer everything with noise, or sense again."""
        self._wire.garbage = is_garbage

    def unplug(self) -> None:
        """Pull the line out."""
        self.line.unplug()

    def plug(self) -> None:
        """Put the line in; the reader starts afresh."""
        self._wire.flush()
        self.line.plug()

    def close(self) -> None:
        """Take it away."""
        self._stop.set()
        self._thread.join()
        if self._relock is not None:
            self._relock.cancel()
        self.line.unplug()

    def draw(self) -> Panel:
        """Draw the door as the person before it sees it."""
        view = self.view
        light = Text("●", style=f"bold {view.light or 'bright_black'}")
        leaf = "╱    " if view.stands_open else "▐████"
        lock = "unlocked" if view.is_unlocked else "locked"
        return Panel(
            Group(
                Align.center(light),
                Align.center(Text(view.text or " ", style="bold")),
                *(Align.center(Text(leaf)) for _ in range(4)),
                Align.center(Text("open" if view.stands_open else lock, style="dim")),
                Align.center(Text(f"{view.persons} went in", style="dim")),
            ),
            title="door",
            box=box.HEAVY,
            width=36,
            border_style=view.light or "bright_black",
        )

    def _switch_on(self) -> osdp.PeripheralDevice:
        capabilities = osdp.PDCapabilities(
            [
                (osdp.Capability.OutputControl, 1, 1),
                (osdp.Capability.LEDControl, 1, 1),
                (osdp.Capability.AudibleControl, 1, 1),
                (osdp.Capability.TextOutput, 1, 1),
                (osdp.Capability.ContactStatusMonitoring, 1, 1),
            ]
        )
        flags = [osdp.LibFlag.EnforceSecure]
        info = osdp.PDInfo(ADDRESS, self._wire, scbk=self._key, flags=flags)
        quiet = osdp.LogLevel.Emergency
        return osdp.PeripheralDevice(info, capabilities, quiet, command_handler=self._obey)

    def _run(self) -> None:
        was_connected = False
        while not self._stop.is_set():
            self._device.ctx.refresh()
            is_connected = bool(self._device.ctx.is_sc_active())
            if is_connected and not was_connected:
                self._report_contact()
                self._report_device()
            was_connected = is_connected
            if self._reports and is_connected:
                kind, report = self._reports.popleft()
                status = {"type": kind, "report": report}
                self._device.ctx.submit_event({"event": osdp.Event.Status, **status})
            self._stop.wait(_REFRESH_S)

    def _report_contact(self) -> None:
        state = _BROKEN if self._is_cut else _OPEN if self.view.stands_open else _SHUT
        self.report(_Type.Input, bytes([state]))

    def _report_device(self) -> None:
        self.report(_Type.Local, bytes([self._is_tampered, self._on_battery]))

    def _obey(self, command: dict[str, Any]) -> tuple[int, None]:
        kind = command["command"]
        if kind == osdp.Command.Output:
            self._unlock(command["timer_count"] / 10)
        elif kind == osdp.Command.LED:
            colours = {osdp.CommandLEDColor.Green: "green", osdp.CommandLEDColor.Red: "red"}
            self._see(light=colours.get(command["on_color"], ""))
        elif kind == osdp.Command.Buzzer:
            self._see(beeps=self.view.beeps + command["rep_count"])
        elif kind == osdp.Command.Text:
            self._see(text=command["data"])
        return 0, None

    def _unlock(self, seconds: float) -> None:
        self._see(is_unlocked=True, unlocked_times=self.view.unlocked_times + 1)
        self.report(_Type.Output, b"\x01")
        if self._relock is not None:
            self._relock.cancel()
        self._relock = threading.Timer(seconds, self._lock)
        self._relock.daemon = True
        self._relock.start()
        if not self._jammed:
            threading.Thread(target=self._walk, name="person", daemon=True).start()

    def _lock(self) -> None:
        self._see(is_unlocked=False)
        self.report(_Type.Output, b"\x00")

    def _walk(self) -> None:
        time.sleep(PUSH_S)
        self._move(True)
        self._see(persons=self.view.persons + 1)
        time.sleep(WALK_S)
        if not self._held_open:
            self._move(False)

    def _move(self, stands_open: bool) -> None:
        self._see(stands_open=stands_open)
        self._report_contact()

    def _see(self, **changes: bool | int | str) -> None:
        with self._changed:
            self._view = replace(self._view, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()
        self._on_change()
