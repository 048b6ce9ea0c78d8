"""Flow control of a stream in both directions: a few requests are worked at once, and no more read.

While so many are under way nothing is read, so gRPC's window fills and the caller waits. The same
happens when he does not read his answers. Used by `payment_servicer.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


async def side_by_side(
    requests: AsyncIterator[Request],
    work: Callable[[Request], AsyncIterator[Response]],
    at_once: int,
) -> AsyncGenerator[Response, None]:
    """Work requests, at most so many at once; give their responses as they come.

    If `work` raises at the call, which is to check the request, nothing further is read, what was
    read before is answered, and then the exception is raised. When the caller leaves, or is cut
    off, all work that is under way is cancelled.
    """
    responses: asyncio.Queue[Response | None] = asyncio.Queue(at_once)
    reading = asyncio.create_task(_read(requests, work, at_once, responses))
    try:
        while (response := await responses.get()) is not None:
            yield response
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reading


async def _read(
    requests: AsyncIterator[Request],
    work: Callable[[Request], AsyncIterator[Response]],
    at_once: int,
    responses: asyncio.Queue[Response | None],
) -> None:
    room = asyncio.Semaphore(at_once)

    async def respond(answers: AsyncIterator[Response]) -> None:
        async for answer in answers:
            await responses.put(answer)
        room.release()

    async def read() -> None:
        await room.acquire()
        async for request in requests:
            group.create_task(respond(work(request)))
            await room.acquire()

    ended: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            try:
                await read()
            except Exception as error:
                ended = error
    except Exception as error:
        ended = error
    await responses.put(None)
    if ended is not None:
        raise ended
