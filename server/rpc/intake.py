"""A request before it is one: how long its bytes may take, their number, their form, their pace.

gRPC knows one size for a whole port, so the port takes what the largest method may, and here each
method has its own. Nothing is parsed before the caller is known and within his limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from kessai.channel import MAX_BATCH_BYTES, MAX_REQUEST_BYTES
from kessai.v1 import error_pb2
from kessai.v1.payment_pb2 import SubmitBatchRequest
from kessai.wire_form import odd_field
from server.rpc import fields
from server.rpc.call import Call
from server.rpc.cutting import Context, Cutter, Stream
from server.rpc.errors import RpcError, field_invalid, status_of

# How long a caller may take to send a request of one message, and to read an answer of a stream.
RECEIVE_LIMIT_S = 10.0
READ_LIMIT_S = 30.0

_BATCHES = "/kessai.v1.PaymentService/SubmitBatch"

Parse = Callable[[bytes], Any]
Receive = Callable[[], Awaitable[bytes | None]]

_UNREAD = status_of(
    RpcError(error_pb2.ERROR_REASON_OVERLOADED, "the answers of this stream are not read")
)


class Pace(Protocol):
    """How fast the caller may send: `limits.Limits`."""

    async def read(self, receive: Receive) -> bytes | None:
        """Receive a single request in its turn; RpcError if its caller sends too much."""

    async def pace(self, payments: int) -> None:
        """Wait as long as a stream must before its next message."""


class Intake:
    """Reads requests, at the pace of their caller if there is one."""

    def __init__(
        self,
        pace: Pace | None = None,
        receive_limit_s: float = RECEIVE_LIMIT_S,
        read_limit_s: float = READ_LIMIT_S,
    ) -> None:
        self._pace, self._cutter = pace, Cutter()
        self._receive_limit_s, self._read_limit_s = receive_limit_s, read_limit_s

    async def read_one(
        self, call: Call, requests: AsyncIterator[bytes], parse: Parse | None
    ) -> Any:  # noqa: ANN401
        """The message of a call that has one; FIELD_INVALID if it does not come in time."""
        return read_request(call, await self._in_time(requests), parse)

    async def _in_time(self, requests: AsyncIterator[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._receive_limit_s):
                request = await self._receive(requests)
        except TimeoutError:
            request = None
        if request is None:
            raise _invalid("the request did not come")
        return request

    @contextmanager
    def answering(self, context: Context) -> Iterator[None]:
        """Give the caller so long to read the answer that is given; else end his stream."""
        task = asyncio.current_task()
        if task is None:
            yield
            return
        stream = Stream(task, context)
        timer = task.get_loop().call_later(self._read_limit_s, self._cutter.cut, stream, _UNREAD)
        try:
            yield
        finally:
            timer.cancel()

    async def read_all(
        self, call: Call, requests: AsyncIterator[bytes], parse: Parse | None
    ) -> AsyncIterator[Any]:
        """The messages of a stream, no faster than its caller may send them."""
        async for request in requests:
            message = read_request(call, request, parse)
            if self._pace is not None:
                await self._pace.pace(_payments_in(message))
            yield message

    async def _receive(self, requests: AsyncIterator[bytes]) -> bytes | None:
        async def receive() -> bytes | None:
            return await anext(aiter(requests), None)

        return await (receive() if self._pace is None else self._pace.read(receive))


def read_request(call: Call, request: bytes, parse: Parse | None) -> Any:  # noqa: ANN401
    """The message that a request's bytes are; FIELD_INVALID if they are none of this method."""
    most = MAX_BATCH_BYTES if call.method == _BATCHES else MAX_REQUEST_BYTES
    size = len(request)
    if size > most:
        del request  # an error lives on, with its frames, until Python looks for circles
        raise _invalid(f"the request has {size:,} bytes, at most are {most:,}")
    if parse is None:
        return request
    try:
        message = parse(request)
    except DecodeError:
        raise _invalid("the request is not the message of this method") from None
    odd = odd_field(message, request)
    if odd:
        raise field_invalid(odd, "is not known here, or comes twice")
    return fields.times(message)


def _payments_in(message: object) -> int:
    return len(message.payments) if isinstance(message, SubmitBatchRequest) else 1


def _invalid(message: str) -> RpcError:
    return RpcError(error_pb2.ERROR_REASON_FIELD_INVALID, message)
