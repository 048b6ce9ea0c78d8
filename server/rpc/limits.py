"""The concern of limits: no device takes so much of the switch that others wait for it.

Counted is the device of the certificate, however many certificates or lines it has. A call over its
limit is refused at once, before anything of it is read: OVERLOADED, with the time after which to
try again. Who goes on all the same gets his refusals late, so that refusing costs little. Streams
are not refused what they send, but read no faster than their device may.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc.aio
import structlog
from prometheus_client import CollectorRegistry, Counter

from kessai.v1 import error_pb2
from server.identity.callers import Caller, CallerKind, current_caller
from server.rpc.allowance import Allowance, Rates
from server.rpc.call import Call
from server.rpc.errors import RpcError

CALLS_AT_ONCE = 32
STREAMS_AT_ONCE = 8
# Operators are few, and enter many things by script.
OPERATOR_FACTOR = 10
# A fleet's server calls for many machines, each of which has limits of its own besides.
RELAY_FACTOR = 10
_FACTORS = {CallerKind.OPERATOR: OPERATOR_FACTOR, CallerKind.RELAY: RELAY_FACTOR}
# How long the refusal of one who does not heed refusals is held back: less than our own callers'
# deadline, and long enough that a line's hundred calls come back 25 times a second at most.
LATE_S = 4.0
# How many calls a request counts as that gRPC ended unread, at most those of a second: it had more
# bytes than the port takes, which were received all the same, or its line was lost.
UNREAD_CALLS = 50

_TELL_EVERY_S = 60.0
_FORGET_ABOVE = 1024

_log = structlog.get_logger("kessai.rpc")


class Limits:
    """What each device has left."""

    def __init__(
        self, rates: Rates, now_s: Callable[[], float], registry: CollectorRegistry
    ) -> None:
        self._rates, self._now_s = rates, now_s
        self._allowances: dict[str, Allowance] = {}
        self._forget_above = _FORGET_ABOVE
        self._refused = Counter(
            "kessai_limited",
            "Calls refused because their device is over a limit.",
            ("caller_kind", "limit"),
            registry=registry,
        )

    @asynccontextmanager
    async def around(
        self, call: Call, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        """Serve the call, or raise OVERLOADED."""
        caller, is_stream = current_caller(), call.request_streaming or call.response_streaming
        allowance = self._allowance(caller)
        limit = self._exceeded(caller, allowance, is_stream=is_stream)
        if limit:
            await self._refuse(caller, allowance, limit)
        if is_stream:
            allowance.streams_now += 1
        else:
            allowance.calls_now += 1
        try:
            yield
        finally:
            if is_stream:
                allowance.streams_now -= 1
            else:
                allowance.calls_now -= 1

    async def pace(self, payments: int) -> None:
        """Count what a stream of the caller brought, and wait until more of it may be read."""
        bucket = self._allowance(current_caller()).payments
        bucket.owe(payments)
        while (wait_s := bucket.seconds_until_one(self._now_s())) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)

    async def read(self, receive: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """Receive a request of the caller's when few others of his are received; None if unread.

        OVERLOADED if what he sent meanwhile was too large to be read, too often.
        """
        caller = current_caller()
        allowance = self._allowance(caller)
        async with allowance.reading:
            if allowance.calls.left(self._now_s()) >= 0:
                request = await receive()
                if request is None:
                    allowance.calls.owe(min(UNREAD_CALLS, int(self._rates.calls)))
                return request
        return await self._refuse(caller, allowance, "unread")

    def _exceeded(self, caller: Caller, allowance: Allowance, *, is_stream: bool) -> str:
        at_once = CALLS_AT_ONCE * (RELAY_FACTOR if caller.kind is CallerKind.RELAY else 1)
        if is_stream and allowance.streams_now >= STREAMS_AT_ONCE:
            return "streams"
        if not is_stream and allowance.calls_now >= at_once:
            return "calls_at_once"
        return "" if allowance.calls.take(self._now_s()) else "calls"

    async def _refuse(self, caller: Caller, allowance: Allowance, limit: str) -> NoReturn:
        now_s = self._now_s()
        self._refused.labels(caller.kind.value, limit).inc()
        allowance.refused += 1
        if now_s - allowance.told_s >= _TELL_EVERY_S:
            _log.warning(
                "over its limit", caller=caller.device, limit=limit, refused=allowance.refused
            )
            allowance.told_s, allowance.refused = now_s, 0
        if not allowance.refusals.take(now_s):
            await asyncio.sleep(LATE_S)
        wait_s = max(0.1, allowance.calls.seconds_until_one(now_s))
        raise RpcError(
            error_pb2.ERROR_REASON_OVERLOADED,
            "this device asks more than it may; nothing was done: try again later",
            retry_s=wait_s,
        )

    def _allowance(self, caller: Caller) -> Allowance:
        allowance = self._allowances.get(caller.device)
        if allowance is None:
            now_s = self._now_s()
            if len(self._allowances) >= self._forget_above:
                self._forget_idle(now_s)
            factor = _FACTORS.get(caller.kind, 1)
            rates = Rates(self._rates.calls * factor, self._rates.payments * factor)
            allowance = self._allowances[caller.device] = Allowance.of(rates, now_s)
        return allowance

    def _forget_idle(self, now_s: float) -> None:
        kept = {d: a for d, a in self._allowances.items() if not a.is_idle(now_s)}
        self._allowances, self._forget_above = kept, max(_FORGET_ABOVE, 2 * len(kept))
