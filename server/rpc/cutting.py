"""Ending a stream from outside of what serves it, so that its caller is told why."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import grpc.aio
from google.rpc import status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

# How long what serves a stream may take to end; then its caller is cut off all the same.
_END_LIMIT_S = 5.0

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Stream(NamedTuple):
    """A stream that is open: the task that serves it, and where its status goes."""

    task: asyncio.Task[Any]
    context: Context


class Cutter:
    """Ends streams."""

    def __init__(self) -> None:
        self._cutting: set[asyncio.Task[None]] = set()

    def cut(self, stream: Stream, why: status_pb2.Status) -> None:
        """End a stream with a status; from its event loop."""
        cutting = asyncio.ensure_future(_end(stream, why))
        self._cutting.add(cutting)
        cutting.add_done_callback(self._cutting.discard)


async def _end(stream: Stream, why: status_pb2.Status) -> None:
    # What serves it may be sending just then, where nothing of ours runs that could say it; and
    # gRPC gives a call that was cancelled from here no status, so its caller would wait for ever.
    stream.task.cancel()
    await asyncio.wait({stream.task}, timeout=_END_LIMIT_S)
    if not stream.context.done():
        with suppress(grpc.aio.AbortError):
            await stream.context.abort_with_status(rpc_status.to_status(why))
