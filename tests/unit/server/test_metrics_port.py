"""The metrics port: what Prometheus reads, and that nobody can hold it up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import uvloop
from prometheus_client import Metric
from prometheus_client.registry import Collector

from kessai.complaint import Complaint
from server.metrics_port import LINES, MetricsPort

LIMIT_S = 10.0


@asynccontextmanager
async def metrics(limit_s: float = LIMIT_S) -> AsyncIterator[tuple[MetricsPort, str, int]]:
    """A port that serves, and its host and number."""
    port = MetricsPort(limit_s)
    host, _, number = (await port.serve("127.0.0.1:0")).rpartition(":")
    try:
        yield port, host, int(number)
    finally:
        await port.close()


async def ask(host: str, number: int, request: bytes) -> bytes:
    """Send a request, and read to the end."""
    reader, writer = await asyncio.open_connection(host, number)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), LIMIT_S)
    finally:
        writer.transport.abort()


class SlowCollector(Collector):
    """Lets who reads it wait."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def collect(self) -> Iterator[Metric]:
        """Nothing, when it may end."""
        self.may_end.wait(LIMIT_S)
        yield from ()


async def test_metrics_are_read() -> None:
    async with metrics() as (_, host, number):
        answer = await ask(host, number, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain" in head
    assert b"process_resident_memory_bytes" in body


async def test_openmetrics_is_given_to_who_accepts_it() -> None:
    request = (
        b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n"
    )
    async with metrics() as (_, host, number):
        answer = await ask(host, number, request)
    assert b"application/openmetrics-text" in answer.partition(b"\r\n\r\n")[0]
    assert answer.endswith(b"# EOF\n")


@pytest.mark.parametrize("version", [": 1", "2.x", "1.0.0.x", "x", "", "999999999999.0.0"])
async def test_a_version_that_is_none_gets_plain_text(version: str) -> None:
    """The library would fail at it, and the caller be left without an answer."""
    accept = f"application/openmetrics-text; version={version}; q=1, text/plain; version={version}"
    request = f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode()
    async with metrics() as (_, host, number):
        answer = await ask(host, number, request)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"POST /metrics HTTP/1.1", b"405"), (b"GET /secret HTTP/1.1", b"404"), (b"\xff\xff", b"405")],
)
async def test_anything_else_is_refused(request_line: bytes, status: bytes) -> None:
    async with metrics() as (_, host, number):
        answer = await ask(host, number, request_line + b"\r\n\r\n")
    assert answer.split(b" ")[1] == status


async def test_half_sent_requests_hold_no_threads_and_keep_nobody_out() -> None:
    """300 of them held 300 threads once."""
    threads = threading.active_count()
    async with metrics() as (_, host, number), AsyncExitStack() as held:
        for _ in range(300):
            half = await asyncio.to_thread(socket.create_connection, (host, number), LIMIT_S)
            held.enter_context(half).sendall(b"GET /metrics HTTP/1.1\r\nHos")
        answer = await ask(host, number, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert threading.active_count() <= threads + 5
        assert len([task for task in asyncio.all_tasks() if "_serve" in repr(task)]) <= LINES + 1


def test_a_crowd_that_asks_at_once_does_not_end_the_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that had made room while its answer was made was a traceback, and room for ever."""
    uvloop.run(ask_at_once_and_crowd())  # the switch's own event loop
    assert not caplog.records


async def ask_at_once_and_crowd() -> None:
    """Ask from more lines than there are places; then send half requests, and ask."""
    slow = SlowCollector()
    async with metrics() as (port, host, number), AsyncExitStack() as held:
        port.registry.register(slow)
        for half in (False,) * 2 * LINES + (True,) * 3 * LINES:
            _, writer = await asyncio.open_connection(host, number)
            held.callback(writer.close)
            writer.write(b"GET /metrics HTTP/1.1\r\n" + (b"" if half else b"\r\n"))
            if half:
                slow.may_end.set()
        answer = await ask(host, number, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert len([task for task in asyncio.all_tasks() if "_serve" in repr(task)]) <= LINES + 1


async def test_who_does_not_ask_is_hung_up_on() -> None:
    async with metrics(limit_s=0.1) as (_, host, number):
        begin = time.monotonic()
        assert await ask(host, number, b"GET /metrics HTTP/1.1\r\n") == b""
        assert time.monotonic() - begin < LIMIT_S / 2


async def test_a_head_that_is_too_long_is_not_kept() -> None:
    async with metrics() as (_, host, number):
        with suppress(ConnectionError):  # hung up on with some of it unread
            assert await ask(host, number, b"GET /" + b"a" * 100_000) == b""


async def test_a_port_in_use_is_a_complaint() -> None:
    async with metrics() as (_, host, number):
        with pytest.raises(Complaint, match="cannot be listened on"):
            await MetricsPort().serve(f"{host}:{number}")
