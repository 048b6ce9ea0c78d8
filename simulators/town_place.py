"""A place of the town: an agent's process, followed by what it tells, and the devices around it.

`town_shop.py`, `town_snacks.py` and the others say which agent and which devices.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rich.console import RenderableType

from kessai.complaint import Complaint
from simulators.town import Town, free_udp_port
from simulators.town_processes import Process

EVENT_LIMIT_S = 60.0

_UNTOLD = ("item_scanned", "started", "stopped", "in_touch", "out_of_touch", "configured")

Event = dict[str, Any]


class Closable(Protocol):
    """A device."""

    def close(self) -> None:
        """Take it away."""
        ...


class Place:
    """Runs from `start` to `close`. `field` is where phones are held."""

    def __init__(self, town: Town, name: str, folder: Path) -> None:
        """Name the place for people; its agent is paired in `folder`."""
        self.town, self.name, self.folder = town, name, folder
        self.lines = folder / "lines"
        self.field = f"udp:127.0.0.1:{free_udp_port()}"
        self.devices: list[Closable] = []
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._agent: Process | None = None

    def draw(self) -> RenderableType:
        """Draw what a person sees there."""
        raise NotImplementedError

    def command(self, kind: str, *words: str) -> list[str]:
        """The words by which an agent of a kind is run here."""
        folder, reader = ("--folder", str(self.folder)), ("--reader", self.field)
        return ["agent", kind, "--events", *folder, *reader, *words]

    def start(self, kind: str, *words: str) -> Event:
        """Run an agent of a kind until it tells that it runs; Complaint if it does not start."""
        command = self.command(kind, *words)
        log = self.town.folder / f"{self.folder.name}.log"

        def begin() -> None:
            self._agent = Process(command, log, self._on_line)

        try:
            return self.expect("started", after=begin)
        except Complaint:
            log_says = self.town.log_of(self.folder.name)
            raise Complaint(f"{self.name} did not open: {log_says}") from None

    def close(self) -> None:
        """Stop the agent, and take the devices away."""
        if self._agent is not None:
            self._agent.stop()
        for device in self.devices:
            with contextlib.suppress(OSError):
                device.close()

    @property
    def told(self) -> list[str]:
        """Name all that the agent told so far."""
        with self._changed:
            return [str(event["event"]) for event in self._events]

    @property
    def events(self) -> list[Event]:
        """All that the agent told so far."""
        with self._changed:
            return list(self._events)

    @property
    def latest(self) -> str:
        """Name what the agent told last."""
        return str(self._events[-1]["event"]) if self._events else ""

    def expect(self, *names: str, after: Callable[[], object] = lambda: None) -> Event:
        """Do something, then wait until the agent tells of one of these events."""
        with self._changed:
            seen = len(self._events)
        after()
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(names, seen), EVENT_LIMIT_S)
        if found is None:
            told = ", ".join(event["event"] for event in self._events[seen:]) or "nothing"
            raise Complaint(f"{self.name} did not say {' or '.join(names)}, but {told}")
        return found

    def _find(self, names: tuple[str, ...], seen: int) -> Event | None:
        return next((event for event in self._events[seen:] if event["event"] in names), None)

    def _on_line(self, line: str) -> None:
        event: Event = json.loads(line)
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
        if event["event"] not in _UNTOLD:
            step = str(event["event"]).replace("_", " ")
            self.town.stage.hear(self.draw, f"{self.name}: {step}")
            self.town.on_step(f"{self.name}: {step}")
