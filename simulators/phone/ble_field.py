"""Where a phone is reached over BLE: it advertises the code that the customer was shown.

    ble:unix:path=/tmp/air,code=0417                a simulated air (`kessai simulate air`)
    ble:hci0,code=0417                              the Bluetooth of this machine
    ble:unix:path=/tmp/air,code=0417,rssi=-85,mtu=23,air_ms=15,drop=500,fault=garbage

The phone listens in a thread with an event loop of its own; its card thinks in another one, so a
lost link is seen at once. See `field.Field`; the faults are in `ble_faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from edge_agents.links.ble_place import BlePlace, parse_place
from kessai.ble_profile import (
    CLIENT_TO_SERVER,
    END,
    SERVER_TO_CLIENT,
    STATE,
    FragmentError,
    Reassembler,
    is_code,
    service_uuid,
)
from kessai.complaint import Complaint
from simulators.air.peripheral import MIN_MTU, Conditions
from simulators.phone.ble_faults import AIR_FAULTS, FAULTS, speak
from simulators.phone.gatt_server import BluetoothRefused, GattServer
from simulators.phone.iso_dep import Card, LeftTheField

OPTIONS = ("code", "rssi", "mtu", "air_ms", "drop", "fault")

_LIMIT_S = 10.0
_NO_BLUETOOTH = (
    OSError, EOFError, AuthError, DBusError, InvalidAddressError, BluetoothRefused, TimeoutError
)  # fmt: skip


class GattCard:
    """A phone's app behind GATT, as a card: fragments in, whole answers out; see `iso_dep.Card`."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer, self._incoming = answer, Reassembler()

    def feed(self, frame: bytes) -> bytes | None:
        """Take a fragment; the answer, if it was the last one. LeftTheField if it is none."""
        try:
            message = self._incoming.feed(frame)
        except FragmentError as error:
            raise LeftTheField from error
        return None if message is None else self._answer(message)

    def deactivate(self) -> None:
        """Forget what was begun."""
        self._incoming = Reassembler()

    def close(self) -> None:
        """Nothing runs on."""


class BleField:
    """The reach of every terminal on one air; see `field.Field`."""

    def __init__(self, place: BlePlace) -> None:
        """Take a place with its options; ValueError if one is wrong."""
        options = place.options
        self._place, self._code = place, options.get("code", "")
        self._fault = options.get("fault", "")
        if not is_code(self._code):
            raise ValueError("add the four digits that the terminal shows, such as ,code=0417")
        if self._fault not in {"", *FAULTS}:
            raise ValueError(f"the faults are {', '.join(FAULTS)}")
        normal = Conditions()
        self._conditions = Conditions(
            rssi=place.number("rssi", normal.rssi),
            mtu=max(MIN_MTU, place.number("mtu", normal.mtu)),
            air_ms=place.number("air_ms", normal.air_ms),
            drop=place.number("drop", normal.drop),
            **{fault: True for fault in AIR_FAULTS if fault == self._fault},
        )
        self._thread: threading.Thread | None = None

    def make_card(self, answer: Callable[[bytes], bytes]) -> GattCard:
        """Make the card for an app."""
        return GattCard(answer)

    def bring(self, card: Card) -> None:
        """Begin to advertise; Complaint if there is no Bluetooth."""
        self.take_away()
        begun: Future[None] = Future()
        self._place.enter()
        self._loop, self._leave = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(card, begun), name="ble-field", daemon=True
        )
        self._thread.start()
        try:
            begun.result(_LIMIT_S)
        except _NO_BLUETOOTH as error:
            self.take_away()
            raise Complaint(
                f"No phone can be reached over {self._place.bus or self._place.adapter}: {error}. "
                "Start `kessai simulate air` there, or bluetoothd."
            ) from error

    def take_away(self) -> None:
        """Say goodbye and advertise no more; nothing if nobody is there."""
        if self._thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()
        self._thread = None

    def close(self) -> None:
        """Take the phone away."""
        self.take_away()

    def _run(self, card: Card, begun: Future[None]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(_Presence(card, self._fault, self._leave).serve(
                self._place.adapter, service_uuid(self._code), self._conditions, begun
            ))  # fmt: skip
        except _NO_BLUETOOTH as error:
            if not begun.done():
                begun.set_exception(error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            card.deactivate()


class _Presence:
    """One phone in the air, from its first advertisement to its last."""

    def __init__(self, card: Card, fault: str, leave: asyncio.Event) -> None:
        self._card, self._fault, self._leave = card, fault, leave
        # What a central writes, in order; None when the link was lost.
        self._written: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def serve(
        self, adapter: str, uuid: str, conditions: Conditions, begun: Future[None]
    ) -> None:
        server = GattServer(uuid, self._on_value, lambda: self._written.put_nowait(None))
        works: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(_LIMIT_S):
                await server.open(adapter, conditions.to_options())
            begun.set_result(None)
            for work in (self._leave.wait(), self._answer(server), server.wait_until_closed()):
                works.append(asyncio.ensure_future(work))
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            if self._leave.is_set():
                await _say_goodbye(server)
        finally:
            for each in works:
                each.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            server.close()

    def _on_value(self, uuid: str, value: bytes) -> None:
        if uuid == CLIENT_TO_SERVER:
            self._written.put_nowait(value)
        elif uuid == STATE:  # another session begins, or this one ends
            self._written.put_nowait(None)

    async def _answer(self, server: GattServer) -> None:
        """Answer what is written until the phone leaves the field by itself."""
        while True:
            value = await self._written.get()
            if value is None:
                self._card.deactivate()
                continue
            try:
                answer = await asyncio.to_thread(self._card.feed, value)
            except LeftTheField:
                return
            if answer is not None and self._written.empty():
                async for fragment in speak(answer, server.value_bytes, self._fault):
                    await server.notify(SERVER_TO_CLIENT, fragment)


async def _say_goodbye(server: GattServer) -> None:
    with contextlib.suppress(*_NO_BLUETOOTH):
        async with asyncio.timeout(_LIMIT_S):
            await server.notify(STATE, END)
            await server.stop_advertising()


def open_ble_field(where: str) -> BleField:
    """Open what follows `ble:` in a moniker; Complaint if it means nothing."""
    try:
        return BleField(parse_place(where, OPTIONS))
    except ValueError as error:
        raise Complaint(f'"ble:{where}" is no field: {error}.') from None
