"""The air of one room, in a thread: start it, disturb it, end it.

Used by `kessai simulate air`, by demonstrations and by tests. Terminals and phones, in this process
or in others, meet at its socket: `ble:unix:path=...` is the moniker of a terminal's radio and of a
phone's field.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from dbus_fast import Message

from kessai.complaint import Complaint
from simulators.air.bluetoothd import Bluetoothd
from simulators.air.bus import Bus
from simulators.air.peripheral import Peripheral

Result = TypeVar("Result")

_LIMIT_S = 10.0
_MAX_SOCKET_PATH = 100


class Air:
    """A socket that plays D-Bus and bluetoothd."""

    def __init__(self, path: Path) -> None:
        """Listen at a path; Complaint if it cannot be used."""
        if len(str(path)) > _MAX_SOCKET_PATH:
            raise Complaint(f"The path {path} is too long for a socket: at most 100 characters.")
        self.path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="air", daemon=True)
        self._thread.start()
        try:
            self._on_loop(self._open())
        except OSError as error:
            self._end_loop()
            raise Complaint(f"No air can be at {path}: {error.strerror}.") from None

    @property
    def moniker(self) -> str:
        """Name it, for a terminal's radio or a phone's field."""
        return f"ble:unix:path={self.path}"

    def close(self) -> None:
        """End it: everybody's connection is gone."""
        self._on_loop(self._close())
        self._end_loop()

    def shut(self) -> None:
        """Carry nothing any more: links are lost, nobody is heard."""
        self._do(self._bluetoothd.shut)

    def open(self) -> None:
        """Carry again."""
        self._do(lambda: setattr(self._bluetoothd, "is_open", True))

    def listen(self, listener: Callable[[bytes], None]) -> None:
        """Let somebody hear every value that goes over the air; called on the air's thread."""
        self._do(lambda: self._bluetoothd.listen(listener))

    def unplug(self) -> None:
        """Pull the adapter out."""
        self._do(self._bluetoothd.unplug)

    def plug(self, powered: bool = True) -> None:
        """Plug the adapter in, switched on or off."""
        self._do(lambda: self._bluetoothd.plug(powered))

    def hang_up(self) -> None:
        """End every connection to the bus, as when its daemon is restarted."""
        self._do(self._bus.hang_up)

    def phones(self) -> list[Peripheral]:
        """List who is in the air now."""
        return self._do(lambda: list(self._bluetoothd.peripherals.values()))

    def _do(self, work: Callable[[], Result]) -> Result:
        async def run() -> Result:
            return work()

        return self._on_loop(run())

    def _on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        done: Future[Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(_LIMIT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)

    async def _open(self) -> None:
        self._bluetoothd = Bluetoothd(self._announce, self._call)
        self._bus = Bus(self.path, self._bluetoothd)
        await self._bus.open()
        self._bluetoothd.plug()
        self._advertising = asyncio.ensure_future(self._bluetoothd.advertise())

    async def _close(self) -> None:
        await self._bus.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _announce(self, signal: Message) -> None:
        self._bus.announce(signal)

    async def _call(self, client: str, message: Message) -> list[Any]:
        return await self._bus.call(client, message)
