"""The terminal's BLE radio: bleak as central, through bluetoothd.

A phone in reach is not a phone at the counter. So the terminal shows a code, the customer enters it
on the phone, and the phone advertises the service that the code stands for (`kessai.ble_profile`);
of those that do, the near one is connected to. Looking for it goes on in a task of its own, because
a connection may take longer than one wait; the task ends soon after nobody waits any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from bleak import BleakAdapter, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge_agents.links.ble_adapter import NoAdapter, require_adapter
from edge_agents.links.ble_choice import Ambiguous, Sightings
from edge_agents.links.ble_link import BLE_LOST, BleLink
from edge_agents.links.ble_place import BlePlace, parse_place
from edge_agents.links.message_link import LinkLost
from kessai.ble_profile import CODE_DIGITS, is_code, service_uuid
from kessai.complaint import Complaint

OPTIONS = ("code", "rssi")
# A phone on the counter is received with some -40 to -60 dBm, one at the next counter with less.
MIN_RSSI = -70

# Others with the same code get the chance to be heard, too.
_LISTEN_S = 0.2
_LOOK_EVERY_S = 0.1
# A scan that hears nothing may be one that bluetoothd has lost.
_SCAN_ANEW_AFTER_S = 5.0
_BLUETOOTHD_S = 5.0
_PAUSE_BEFORE_REOPENING_S = 0.5
_REST_AFTER_S = 3.0
_GONE_AFTER_S = 1.0

_log = logging.getLogger(__name__)


class BleRadio:
    """An adapter and the phone that it is connected to; see `message_link.Radio`."""

    def __init__(self, place: BlePlace, random_bytes: Callable[[int], bytes]) -> None:
        """Take the adapter; NoAdapter if it is not there, ValueError for a bad option."""
        self._place, self._random_bytes = place, random_bytes
        self._min_rssi = place.number("rssi", MIN_RSSI)
        self._fixed_code = place.options.get("code")
        if self._fixed_code is not None and not is_code(self._fixed_code):
            raise ValueError("a code has four digits")
        place.enter()
        require_adapter(place)
        self._code = self._fixed_code or self._draw()
        self._search: asyncio.Task[BleLink] | None = None
        self._ending: set[asyncio.Task[BleLink]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._link: BleLink | None = None
        self._is_lost = False

    @property
    def code(self) -> str:
        """The four digits by which a phone says that it means this terminal."""
        return self._code

    @property
    def is_ready(self) -> bool:
        """Whether the adapter works, as far as it knows."""
        return not self._is_lost

    def new_code(self) -> None:
        """Draw another code, unless the configuration names one that stays."""
        if self._fixed_code is None:
            self._code = self._draw()
            self._end_search()

    async def wait_for_phone(self, timeout_s: float) -> BleLink | None:
        """Wait for a phone that has the code and is near; None if none came in time."""
        await self._hang_up()
        if self._rest is not None:
            self._rest.cancel()
        search = self._search = self._search or asyncio.create_task(self._find_phone())
        try:
            await asyncio.wait({search}, timeout=timeout_s)
        finally:
            self._rest = asyncio.get_running_loop().call_later(_REST_AFTER_S, self._end_search)
        if search is not self._search or not search.done():
            return None  # nobody came, or another code was drawn meanwhile
        self._search, self._link = None, search.result()
        return self._link

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the phone says goodbye or is out of reach; hang up at the end of that time."""
        link = self._link
        if link is None:
            return True
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await link.ended.wait()
        had_ended = link.ended.is_set()
        await self._hang_up()
        if not had_ended or link.said_goodbye:
            return had_ended
        with contextlib.suppress(*BLE_LOST):
            return await self._is_silent(until_s)
        return True

    async def close(self) -> None:
        """Stop looking, and hang up."""
        if self._rest is not None:
            self._rest.cancel()
        self._end_search()
        await self._hang_up()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _draw(self) -> str:
        number = int.from_bytes(self._random_bytes(8), "big")
        return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}}"

    def _end_search(self) -> None:
        if self._search is not None:
            self._search.cancel()
            self._ending.add(self._search)
            self._search.add_done_callback(self._put_away)
            self._search = None

    def _put_away(self, search: asyncio.Task[BleLink]) -> None:
        self._ending.discard(search)
        if not search.cancelled() and search.exception() is None:
            self._link = search.result()  # nobody came for it: the next wait hangs up

    async def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _find_phone(self) -> BleLink:
        sightings = Sightings(self._min_rssi)
        while True:
            try:
                device = await self._choose(sightings)
            except Ambiguous as error:
                _log.info("%s", error)
                self._code = self._fixed_code or self._draw()
                sightings = Sightings(self._min_rssi)
                continue
            except BLE_LOST as error:
                self._tell_lost(error)
                await asyncio.sleep(_PAUSE_BEFORE_REOPENING_S)
                continue
            if device is not None:
                link = BleLink(device)
                try:
                    await link.connect()
                except LinkLost as error:
                    _log.debug("%s", error)
                    sightings.shun(device, asyncio.get_running_loop().time())
                else:
                    return link

    async def _choose(self, sightings: Sightings) -> BLEDevice | None:
        """Scan for a while; None if nobody came. Ambiguous if nobody can say which it is."""
        loop = asyncio.get_running_loop()
        left_over = await self._connected_before(sightings)
        if left_over is not None:
            return left_over
        async with self._scan(sightings):
            self._tell_back()
            until_s = loop.time() + _SCAN_ANEW_AFTER_S
            pause_s = _LISTEN_S
            while loop.time() < until_s:
                await asyncio.sleep(pause_s)
                pause_s = _LOOK_EVERY_S
                device = sightings.choose(loop.time())
                if device is not None:
                    return device
        return None

    async def _connected_before(self, sightings: Sightings) -> BLEDevice | None:
        """Give a phone that bluetoothd still holds for this terminal, which was killed.

        Such a phone advertises no more, so no scan would find it.
        """
        adapter = await BleakAdapter.get(bluez={"adapter": self._place.adapter})
        devices = await adapter.get_connected_devices([service_uuid(self._code)])
        now_s = asyncio.get_running_loop().time()
        left_over = (one for one in devices if not sightings.is_shunned(one.address, now_s))
        return next(left_over, None)

    async def _is_silent(self, until_s: float) -> bool:
        """Tell whether nobody near has the code any more; gives up at a time of the loop."""
        loop = asyncio.get_running_loop()
        sightings = Sightings(self._min_rssi)
        silent_from_s = loop.time()
        async with self._scan(sightings):
            while loop.time() < until_s:
                await asyncio.sleep(_LOOK_EVERY_S)
                if sightings.last_s is not None:
                    silent_from_s = max(silent_from_s, sightings.last_s)
                if loop.time() - silent_from_s >= _GONE_AFTER_S:
                    return True
        return False

    @contextlib.asynccontextmanager
    async def _scan(self, sightings: Sightings) -> AsyncIterator[None]:
        """Hear the phones that have the code while the block runs."""
        loop = asyncio.get_running_loop()

        def hear(device: BLEDevice, data: AdvertisementData) -> None:
            sightings.hear(device, data.rssi, loop.time())

        scanner = BleakScanner(
            hear, [service_uuid(self._code)], bluez={"adapter": self._place.adapter}
        )
        try:
            async with asyncio.timeout(_BLUETOOTHD_S):
                await scanner.start()
            yield
        finally:
            with contextlib.suppress(*BLE_LOST):
                async with asyncio.timeout(_BLUETOOTHD_S):
                    await scanner.stop()

    def _tell_lost(self, error: BaseException) -> None:
        if not self._is_lost:
            _log.warning("the BLE adapter does not answer, trying again: %r", error)
        self._is_lost = True

    def _tell_back(self) -> None:
        if self._is_lost:
            _log.warning("the BLE adapter is back")
        self._is_lost = False


def open_ble_radio(where: str, random_bytes: Callable[[int], bytes]) -> BleRadio:
    """Open what follows `ble:` in a moniker; Complaint if it is not there or means nothing."""
    try:
        return BleRadio(parse_place(where, OPTIONS), random_bytes)
    except (NoAdapter, ValueError) as error:
        raise Complaint(
            f'The BLE radio "ble:{where}" cannot be opened: {error}. No phone can pay here. '
            "Plug it in and start bluetoothd, or name another one in the configuration."
        ) from error
