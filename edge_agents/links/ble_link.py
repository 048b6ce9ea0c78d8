"""The link to one phone over BLE: messages as fragments in GATT characteristics.

bleak is the central. Whatever goes wrong ends the link: it has no way to say where a torn message
goes on. Made by `ble_radio`; framing and characteristics are those of `kessai.ble_profile`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from dbus_fast.errors import AuthError, DBusError

from edge_agents.links.message_link import MAX_MESSAGE_BYTES, LinkLost
from kessai.ble_profile import (
    CLIENT_TO_SERVER,
    END,
    SERVER_TO_CLIENT,
    START,
    STATE,
    FragmentError,
    Reassembler,
    fragments,
)

CONNECT_S = 6.0
CLOSE_S = 2.0

# What bleak and dbus-fast let through when a phone, bluetoothd or the bus goes away in the middle
# of something; the last three are not documented.
BLE_LOST = (
    *(BleakError, DBusError, AuthError, OSError, EOFError, TimeoutError),
    *(AssertionError, AttributeError, LookupError),
)

_log = logging.getLogger(__name__)


class BleLink:
    """One phone, for as long as it stays in reach; see `message_link.MessageLink`."""

    def __init__(self, device: BLEDevice) -> None:
        self.ended = asyncio.Event()
        self.said_goodbye = False
        self._why = "the phone is not connected"
        self._client = BleakClient(device, self._on_disconnected, timeout=CONNECT_S)
        self._incoming = Reassembler()
        self._answer: asyncio.Future[bytes] | None = None

    async def connect(self) -> None:
        """Connect and begin the session; LinkLost if that does not come about."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.connect()
                await self._client.start_notify(SERVER_TO_CLIENT, self._on_value)
                await self._client.start_notify(STATE, self._on_state)
                await self._client.write_gatt_char(STATE, START, response=False)
        except BLE_LOST as error:
            await self.close()
            raise LinkLost(f"no link to the phone came about: {error!r}") from error
        except BaseException:
            await self.close()
            raise

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Send a message and give the answer; LinkLost if there is none."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise ValueError("the message is longer than 64 KiB")
        if self.ended.is_set():
            raise LinkLost(self._why)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(message)
                return await self._answer
        except TimeoutError as error:
            self._end("the phone did not answer in time")
            raise LinkLost(self._why) from error
        except BLE_LOST as error:
            self._end(f"the phone left: {error!r}")
            raise LinkLost(self._why) from error
        except asyncio.CancelledError:
            self._end("the exchange was given up")
            raise
        finally:
            self._answer.cancel()
            self._answer = None

    async def close(self) -> None:
        """Say goodbye if the phone is still there, and hang up."""
        self._end("the terminal hung up")
        with contextlib.suppress(*BLE_LOST):
            async with asyncio.timeout(CLOSE_S):
                if self._client.is_connected:
                    await self._client.write_gatt_char(STATE, END, response=False)
        with contextlib.suppress(*BLE_LOST):
            async with asyncio.timeout(CLOSE_S):
                await self._client.disconnect()

    async def _send(self, message: bytes) -> None:
        characteristic = self._client.services.get_characteristic(CLIENT_TO_SERVER)
        if characteristic is None:
            raise BleakError("the phone has another profile")
        for fragment in fragments(message, characteristic.max_write_without_response_size):
            await self._client.write_gatt_char(characteristic, fragment, response=False)

    def _on_value(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        try:
            message = self._incoming.feed(bytes(value))
        except FragmentError as error:
            self._end(f"what came was no message: {error}")
            return
        if message is None:
            return
        if self._answer is None or self._answer.done():
            self._end("the phone spoke without being asked")
        else:
            self._answer.set_result(message)

    def _on_state(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        if bytes(value) == END:
            self.said_goodbye = True
            self._end("the phone said goodbye")

    def _on_disconnected(self, _: BleakClient) -> None:
        self._end("the phone left")

    def _end(self, why: str) -> None:
        """End the link, once; an exchange that waits is told why."""
        if not self.ended.is_set():
            self._why = why
            self.ended.set()
            _log.debug("the link ended: %s", why)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkLost(self._why))
