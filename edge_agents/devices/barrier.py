"""The barrier of a gate: a Modbus RTU board with a motor and a passage sensor.

Modbus over a serial line (8N1). There is no open standard for barriers, so this is the register map
that a gate's board is configured to; it fits any relay board with inputs and a counter:

    coil 0              write 1: let one person through; write 0: shut
    discrete input 0    1: it stands open
    discrete input 1    1: it is jammed
    input register 0    persons who passed since power-on, modulo 65,536

A count that goes up by more than can pass between two looks is a board that began again at 0
(`passed_between`): how many passed meanwhile is not known.
Used by the gate's turnstile, and by `modbus_door`. A board that is silent, unplugged or talks
garbage is DeviceLost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from edge_agents.devices.serial_line import DeviceLost, open_line

# A board answers within milliseconds; one that takes so long is gone, or this machine is that busy.
ANSWER_S = 1.0
COUNTER_SPAN = 65_536
# Between two looks lie half a second at most, or some seconds on a machine that is very busy.
MOST_PASSED = 20

_COIL_RELEASE = 0
_INPUT_OPEN, _INPUTS = 0, 2
_REGISTER_PASSAGES = 0

# It tells as errors, with its last twenty frames, what is told here as DeviceLost.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

Answer = TypeVar("Answer", bound=ModbusPDU)


@dataclass(frozen=True, slots=True)
class BarrierState:
    """How a barrier stands; `passages` counts persons, modulo COUNTER_SPAN."""

    is_open: bool
    is_jammed: bool
    passages: int


class CounterRestarted(DeviceLost):
    """The board was switched off and on: it forgot who passed, and stands shut."""

    def __init__(self, device: str, before: int, now: int) -> None:
        super().__init__(device, f"its board restarted: {before} had passed, now it says {now}")


def passed_between(before: int, now: int) -> int | None:
    """How many persons passed between two counts; None if the board restarted between them."""
    persons = (now - before) % COUNTER_SPAN
    return persons if persons <= MOST_PASSED else None


class Barrier:
    """A barrier on a serial line. `open` and `close` are those of the line, as of every device."""

    def __init__(
        self, path: str, baudrate: int = 19_200, unit: int = 1, name: str = "barrier"
    ) -> None:
        """Drive the board with Modbus address `unit`, 1 to 247; people read its `name`."""
        self.name = name
        self._path, self._baudrate, self._unit = path, baudrate, unit
        self._client: AsyncModbusSerialClient | None = None
        self._is_there = False
        self._connecting = asyncio.Lock()

    def open(self) -> None:
        """Find the line; Complaint if the device is missing or another program has it."""
        open_line(self.name, self._path, self._baudrate, timeout_s=0).close()
        self._is_there = True

    def close(self) -> None:
        """Let go of the line, if it is open; the barrier stays as it is."""
        self._is_there = False
        if self._client is not None:
            self._client.close()
            self._client = None

    async def release(self) -> None:
        """Let one person through; DeviceLost if the board does not confirm it."""
        client = await self._connected()
        await self._ask(client.write_coil(_COIL_RELEASE, True, device_id=self._unit))

    async def shut(self) -> None:
        """Shut; DeviceLost if the board does not confirm it."""
        client = await self._connected()
        await self._ask(client.write_coil(_COIL_RELEASE, False, device_id=self._unit))

    async def read(self) -> BarrierState:
        """Ask how it stands; DeviceLost if the board does not say."""
        client = await self._connected()
        inputs = await self._ask(
            client.read_discrete_inputs(_INPUT_OPEN, count=_INPUTS, device_id=self._unit)
        )
        counter = await self._ask(
            client.read_input_registers(_REGISTER_PASSAGES, count=1, device_id=self._unit)
        )
        if len(inputs.bits) < _INPUTS or len(counter.registers) != 1:
            raise DeviceLost(self.name, "it answers something else")
        return BarrierState(inputs.bits[0], inputs.bits[1], counter.registers[0])

    async def _connected(self) -> AsyncModbusSerialClient:
        # The line is one program's, and one client's: a second one would find it taken for ever.
        async with self._connecting:
            return self._client_now() or await self._connect()

    def _client_now(self) -> AsyncModbusSerialClient | None:
        if not self._is_there:
            raise DeviceLost(self.name, "it is not open")
        return self._client if self._client is not None and self._client.connected else None

    async def _connect(self) -> AsyncModbusSerialClient:
        client = AsyncModbusSerialClient(
            self._path,
            baudrate=self._baudrate,
            timeout=ANSWER_S,
            retries=0,
            reconnect_delay=0,
        )
        self._client = client
        if not await client.connect() or self._client is not client:
            client.close()
            raise DeviceLost(self.name, "the line cannot be opened")
        return client

    async def _ask(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await _keep_cancellation(call)
        except (ModbusException, OSError) as error:
            raise DeviceLost(self.name, error) from None
        if answer.isError():
            raise DeviceLost(self.name, answer)
        return answer


async def _keep_cancellation(call: Awaitable[Answer]) -> Answer:
    """Raise a cancellation that got lost, as asyncio.wait_for in pymodbus does (until Python 3.12).

    If the answer comes at the same moment; else the task that was to end would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    answer = await call
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer
