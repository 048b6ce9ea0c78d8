"""What one hostile terminal does to a switch, from a process of its own: the attacks of `flood.py`.

Each has a good certificate and all that goes with it, and heeds no refusal. `arm` prepares what is
sent, before any clock starts; `attack` sends it until the time is over.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle
from typing import Any

import grpc
import grpc.aio
import uvloop

from kessai.channel import CHANNEL_OPTIONS
from kessai.device_identity import DeviceIdentity
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.payment_pb2 import GetPaymentRequest, SettlePaymentRequest, SubmitBatchRequest
from simulators.load import payments
from simulators.load.books import Population
from simulators.load.parties import Parties

LINES = 4
FORGED_STREAMS = 16
FORGED_IN_A_MESSAGE = 200
UNKNOWN_PER_SECOND = 400
LARGE_BYTES, LARGE_AT_ONCE = 1_000_000, 64
IDLE_LINES, IDLE_FROM = 1_000, "127.0.0.2"

_SERVICE = "/kessai.v1.PaymentService"
_CALL_LIMIT_S = 5.0
_GIVES_WAY = 19
# Without the limit that a device sets itself.
_OPTIONS = [pair for pair in CHANNEL_OPTIONS if pair[0] != "grpc.max_send_message_length"]


class Attack(StrEnum):
    """The attacks, in the order in which they are made."""

    FORGED_BATCHES = "forged_batches"
    UNKNOWN_PAYMENTS = "unknown_payments"
    LARGE_MESSAGES = "large_messages"
    TEN_TIMES = "ten_times"
    IDLE_LINES = "idle_lines"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the switch listens, and as whom it is attacked; `per_second` is ten times its share."""

    address: str
    pairing_address: str
    identity: DeviceIdentity
    per_second: float


@dataclass(slots=True)
class Struck:
    """How many messages or lines were sent, and how many of them were refused, or not answered."""

    sent: int = 0
    refused: int = 0


_loaded: list[bytes] = []


def start_with(parties: Parties, population: Population) -> None:
    """Load the hostile terminal's keys, in its process.

    It gives way to everybody: an attacker does his own work on a machine of his own, and what is
    measured is what he costs the switch.
    """
    os.nice(_GIVES_WAY)
    payments.start_with(parties, population)


def arm(attack: Attack, per_second: float, seconds: float) -> None:
    """Sign what this attack sends."""
    good = 0
    if attack is Attack.TEN_TIMES:
        good = int(per_second * seconds)
    elif attack is Attack.FORGED_BATCHES:
        good = FORGED_IN_A_MESSAGE
    _loaded[:] = [payment.message for payment in payments.prepare(good, seed=os.getpid())]


def strike(attack: Attack, target: Target, seconds: float) -> Struck:
    """Attack for some seconds; what came of it."""
    return uvloop.run(_strike(attack, target, seconds))


async def _strike(attack: Attack, target: Target, seconds: float) -> Struck:
    struck = Struck()
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(_open(target)) for _ in range(LINES)]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _ATTACKS[attack](lines, target, struck)
    return struck


def _open(target: Target) -> grpc.aio.Channel:
    who = target.identity
    credentials = grpc.ssl_channel_credentials(who.root_pem, who.key_pem, who.chain_pem)
    # Or all would share one line.
    own = ("grpc.use_local_subchannel_pool", 1)
    return grpc.aio.secure_channel(target.address, credentials, [*_OPTIONS, own])


async def _forged_batches(lines: list[grpc.aio.Channel], _: Target, struck: Struck) -> None:
    """Batches of payments with a broken signature, whose answers are never read."""
    batch = SubmitBatchRequest()
    for message in _loaded:
        forged = batch.payments.add()
        forged.MergeFromString(message)
        forged.payment_request.signature = bytes(64)
    message = batch.SerializeToString()

    async def submit(line: grpc.aio.Channel) -> None:
        while True:
            call: Any = line.stream_stream(f"{_SERVICE}/SubmitBatch")()
            try:
                while True:
                    await call.write(message)
                    struck.sent += 1
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                struck.refused += 1
                await asyncio.sleep(0.01)

    await asyncio.gather(*(submit(lines[i % LINES]) for i in range(FORGED_STREAMS)))


async def _unknown_payments(lines: list[grpc.aio.Channel], _: Target, struck: Struck) -> None:
    """Questions for payments that never were."""

    def messages() -> AsyncIterator[bytes]:
        return _endless(lambda: GetPaymentRequest(request_id=_new_id()).SerializeToString())

    await _fire(lines, "GetPayment", messages(), UNKNOWN_PER_SECOND, struck)


async def _ten_times(lines: list[grpc.aio.Channel], target: Target, struck: Struck) -> None:
    """Good payments, ten times its share of them."""
    left = iter(_loaded)
    messages = _endless(lambda: next(left, _loaded[0]))
    await _fire(lines, "SettlePayment", messages, target.per_second, struck)


async def _large_messages(lines: list[grpc.aio.Channel], _: Target, struck: Struck) -> None:
    """Payments of a megabyte, as many at once as their lines take."""
    large = SettlePaymentRequest(request_id=_new_id())
    large.sealed_authorization.ciphertext = bytes(LARGE_BYTES)
    message = large.SerializeToString()

    async def send(line: grpc.aio.Channel) -> None:
        while True:
            await _call(line, "SettlePayment", message, struck)

    await asyncio.gather(*(send(lines[i % LINES]) for i in range(LARGE_AT_ONCE)))


async def _idle_lines(lines: list[grpc.aio.Channel], target: Target, struck: Struck) -> None:
    """Lines to both ports, from another address, that say nothing."""
    with ExitStack() as held:
        for number in range(2 * IDLE_LINES):
            address = (target.address, target.pairing_address)[number % 2]
            host, _, port = address.rpartition(":")
            with suppress(OSError):
                line = await asyncio.to_thread(
                    socket.create_connection, (host, int(port)), _CALL_LIMIT_S, (IDLE_FROM, 0)
                )
                held.enter_context(line)
                struck.sent += 1
        await asyncio.sleep(3600)


async def _fire(
    lines: list[grpc.aio.Channel],
    method: str,
    messages: AsyncIterator[bytes],
    per_second: float,
    struck: Struck,
) -> None:
    dice, due = random.Random(0), time.monotonic()  # noqa: S311
    turns = cycle(lines)
    async with asyncio.TaskGroup() as calls:
        async for message in messages:
            due += dice.expovariate(per_second)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            calls.create_task(_call(next(turns), method, message, struck))


async def _call(line: grpc.aio.Channel, method: str, message: bytes, struck: Struck) -> None:
    call: Any = line.unary_unary(f"{_SERVICE}/{method}")
    struck.sent += 1
    try:
        await call(message, timeout=_CALL_LIMIT_S)
    except grpc.aio.AioRpcError as error:
        struck.refused += error.code() is not grpc.StatusCode.NOT_FOUND


async def _endless(make: Callable[[], bytes]) -> AsyncIterator[bytes]:
    while True:
        yield make()


def _new_id() -> str:
    return format_request_id(new_request_id(time.time_ns() // 1_000_000, os.urandom))


_ATTACKS: dict[Attack, Callable[[list[grpc.aio.Channel], Target, Struck], Awaitable[None]]] = {
    Attack.FORGED_BATCHES: _forged_batches,
    Attack.UNKNOWN_PAYMENTS: _unknown_payments,
    Attack.LARGE_MESSAGES: _large_messages,
    Attack.TEN_TIMES: _ten_times,
    Attack.IDLE_LINES: _idle_lines,
}


def hostile(parties: Parties, index: int) -> tuple[Parties, Parties]:
    """Divide terminals into the honest and the hostile one."""
    others = tuple(t for i, t in enumerate(parties.terminals) if i != index)
    return replace(parties, terminals=others), replace(
        parties, terminals=(parties.terminals[index],)
    )
