"""The port where Prometheus reads the switch's metrics, in plain HTTP.

Bounded, because anyone in the operator's network reaches it: a few lines at once, each with a few
seconds, the oldest making room for a new one, all on the switch's event loop.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from kessai.complaint import Complaint

LINES = 16
REQUEST_LIMIT_S = 5.0
REQUEST_BYTES = 8 * 1024

# The pause after an answer was made, in times of what making it took: a tenth of a core at most.
_REST, _LONGEST_REST_S = 9, 1.0

_OTHER_VERSION = re.compile(r"version=(?!(?:0\.0\.1|0\.0\.4|1\.0\.0)\s*(?:[;,]|$))")
_NO_REQUEST = (
    OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, asyncio.CancelledError,
)  # fmt: skip
_PATHS = (b"/metrics", b"/")

Encode = Callable[[CollectorRegistry], bytes]


class MetricsPort:
    """A registry, and the port that shows it once it serves."""

    def __init__(self, limit_s: float = REQUEST_LIMIT_S) -> None:
        """`limit_s`: how long a line may take, from its first byte to its last."""
        self.registry = CollectorRegistry()
        self._limit_s = limit_s
        self._lines: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._making, self._rest_until = asyncio.Lock(), 0.0
        self._next: dict[str, asyncio.Future[bytes]] = {}
        self._server: asyncio.Server | None = None

    async def serve(self, listen: str) -> str:
        """Serve at host:port, "" for not at all; Complaint if it is in use. Where comes back."""
        if not listen:
            return ""
        for collector in (PROCESS_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        host, _, port = listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), limit=REQUEST_BYTES, backlog=LINES
            )
        except OSError as error:
            raise Complaint(
                f"the metrics port {listen} cannot be listened on ({error.strerror}). "
                "Change metrics_listen in kessai.toml."
            ) from None
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop serving, and hang up."""
        if self._server is not None:
            self._server.close()
        serving = [task for task in self._lines.values() if task is not None]
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving, timeout=self._limit_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines[writer] = asyncio.current_task()
        if len(self._lines) > LINES:
            oldest = self._lines.pop(next(iter(self._lines)))
            if oldest is not None:
                oldest.cancel()
        # What is too slow, too long, gone or had to make room does not ask for metrics.
        try:
            with suppress(*_NO_REQUEST):
                async with asyncio.timeout(self._limit_s):
                    await self._answer(reader, writer)
        finally:
            self._lines.pop(writer, None)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            status, kind, body = HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b""
        elif path not in _PATHS:
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", b""
        else:
            encode, kind = choose_encoder(_accepted(lines))
            status, body = HTTPStatus.OK, await self._made(kind, encode)
        if writer.is_closing():
            return
        writer.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        writer.close()
        await writer.wait_closed()

    async def _made(self, kind: str, encode: Encode) -> bytes:
        """The metrics as they are from now on; made once for all who wait."""
        made = self._next.get(kind)
        if made is None:
            made = self._next[kind] = asyncio.ensure_future(self._make(kind, encode))
        return await asyncio.shield(made)

    async def _make(self, kind: str, encode: Encode) -> bytes:
        async with self._making:
            await asyncio.sleep(self._rest_until - time.monotonic())
            del self._next[kind]  # who asks meanwhile gets the one after it
            begin = time.monotonic()
            body = await asyncio.to_thread(encode, self.registry)
            end = time.monotonic()
            self._rest_until = end + min(_REST * (end - begin), _LONGEST_REST_S)
            return body


def _accepted(lines: list[bytes]) -> str:
    """What the caller accepts, as its header says; "" for anything, or a form of no known version.

    The library compares versions as numbers, and fails at those that are none.
    """
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"accept":
            accepted = value.strip().decode("latin-1")
            return "" if _OTHER_VERSION.search(accepted) else accepted
    return ""
