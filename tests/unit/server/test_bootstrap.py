"""A whole switch: its ports, what it tells of itself, garbage, taken ports, start and stop."""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from kessai.complaint import Complaint
from kessai.v1 import account_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.bootstrap import Switch
from server.main_services import MAIN_SERVICES
from tests.running import shard_path
from tests.unit.server.switch.in_process import (
    CONFIG,
    LIMIT_S,
    Served,
    elapsed_us,
    fresh_text,
    make_folder,
    now_us,
    served,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
GARBAGE = [
    b"",
    b"\x00" * 1000,
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 2000,
    b"\x16\x03\x01\x02\x00\x01" + os.urandom(500),
]


async def send(address: str, data: bytes, tls: ssl.SSLContext | None = None) -> None:
    """Send bytes and wait until the other side has had enough, or a moment."""
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    except OSError:
        return
    try:
        writer.write(data)
        await asyncio.wait_for(reader.read(), 1.0)
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()


async def is_well(switch: Served) -> bool:
    """Ask a switch for its health, as the operator."""
    async with switch.line() as line:
        stub = health_pb2_grpc.HealthStub(line)
        request = health_pb2.HealthCheckRequest()
        return bool((await stub.Check(request, timeout=LIMIT_S)).status == SERVING)


async def read_out(watch: AsyncIterator[object]) -> None:
    """Read a stream to its end, or error."""
    async for _ in watch:
        pass


async def test_garbage_on_either_port_hurts_nobody(tmp_path: Path) -> None:
    """Bare bytes, HTTP, half a handshake, and garbage within TLS."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    anyone.set_alpn_protocols(["h2"])
    async with served(tmp_path / "data") as switch:
        addresses = (switch.running.address, switch.running.pairing_address)
        bare = [send(address, data) for address in addresses for data in GARBAGE]
        within = [send(address, data, anyone) for address in addresses for data in GARBAGE]
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*bare, *within)
        assert await is_well(switch)


async def test_it_tells_its_services_and_its_health(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as switch, switch.line("agent/shop/till") as line:
        health = health_pb2_grpc.HealthStub(line)
        for service in ("", *MAIN_SERVICES):
            answer = await health.Check(
                health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S
            )
            assert answer.status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await health.Check(health_pb2.HealthCheckRequest(service="none"), timeout=LIMIT_S)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        reflection = reflection_pb2_grpc.ServerReflectionStub(line)
        asking = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection.ServerReflectionInfo(iter([asking]), timeout=LIMIT_S)
        async for answer in call:
            names = {service.name for service in answer.list_services_response.service}
            break
        assert set(MAIN_SERVICES) <= names
        assert not any("Enrollment" in name for name in names)


async def test_a_stop_is_told_before_the_line_ends(tmp_path: Path) -> None:
    """Watchers hear NOT_SERVING; a stop waits no longer than it may."""
    make_folder(tmp_path / "data")
    switch = Switch(tmp_path / "data", CONFIG, now_us, os.urandom, elapsed_us)
    at = Served(tmp_path / "data", switch, await switch.start())
    async with at.line() as line:
        watch = health_pb2_grpc.HealthStub(line).Watch(
            health_pb2.HealthCheckRequest(), timeout=LIMIT_S
        )
        assert (await watch.read()).status == SERVING
        async with asyncio.timeout(LIMIT_S):
            stopping = asyncio.create_task(switch.stop())
            assert (await watch.read()).status == NOT_SERVING
            await stopping
    assert not (tmp_path / "data" / "running.json").exists()


async def test_a_stop_does_not_wait_for_streams(tmp_path: Path) -> None:
    """They are cut, and say why; what drains is only what has an end of its own."""
    make_folder(tmp_path / "data")
    patient = CONFIG.model_copy(update={"drain_s": 600})
    switch = Switch(tmp_path / "data", patient, now_us, os.urandom, elapsed_us)
    at = Served(tmp_path / "data", switch, await switch.start())
    async with at.line() as line:
        watch = health_pb2_grpc.HealthStub(line).Watch(health_pb2.HealthCheckRequest())
        answers = aiter(watch)
        assert (await anext(answers)).status == SERVING
        async with asyncio.timeout(LIMIT_S):
            await switch.stop()
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await read_out(answers)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "the switch stops" in (error.value.details() or "")


async def test_a_stop_takes_every_step_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is raised at the end; shards are closed cleanly, and the folder is free."""
    make_folder(tmp_path / "data")
    switch = Switch(tmp_path / "data", CONFIG, now_us, os.urandom, elapsed_us)
    await switch.start()

    def fails() -> None:
        raise RuntimeError("a step fails")

    for part in (switch._guard, switch._purchases, switch._shards.shard(1)):
        name = "end_streams" if part is switch._guard else "close"
        monkeypatch.setattr(part, name, fails)
    closed = switch._shards.shard(1)
    with pytest.raises(RuntimeError, match="a step fails"):
        await switch.stop()
    assert not list((tmp_path / "data").glob("**/0000.db-wal"))
    assert not list((tmp_path / "data").glob("directory.db-wal"))
    monkeypatch.undo()
    closed.close()
    async with served(tmp_path / "data") as again:
        assert await is_well(again)


async def test_metrics_have_their_usual_names(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as switch:
        assert await is_well(switch)
        url = f"http://{switch.running.metrics_address}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=60).read())
    text = page.decode()
    labels = 'grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"'
    assert f"grpc_server_started_total{{{labels}}} 1.0" in text
    assert 'grpc_server_handled_total{grpc_code="OK",' in text
    assert "grpc_server_handling_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text


async def test_without_metrics_there_is_no_port(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"metrics_listen": ""})
    async with served(tmp_path / "data", config) as switch:
        assert switch.running.metrics_address == ""
        assert await is_well(switch)


@pytest.mark.parametrize("port", ["listen", "pairing_listen", "metrics_listen"])
async def test_a_taken_port_is_one_clear_line(tmp_path: Path, port: str) -> None:
    """And once it is free, or another was chosen, the same folder starts."""
    make_folder(tmp_path / "data")
    taken = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    number = taken.sockets[0].getsockname()[1]
    config = CONFIG.model_copy(update={port: f"127.0.0.1:{number}"})
    with pytest.raises(Complaint) as complaint:
        async with served(tmp_path / "data", config):
            pass
    assert f"127.0.0.1:{number}" in str(complaint.value)
    assert "\n" not in str(complaint.value)
    taken.close()
    await taken.wait_closed()
    async with served(tmp_path / "data") as switch:
        assert await is_well(switch)


async def test_what_was_done_is_there_after_a_restart(tmp_path: Path) -> None:
    request = account_pb2.OpenAccountRequest(
        request_id=fresh_text(), owner="wallet/ann", currency_code="EUR", branch=1, number=42
    )
    answers = []
    for _ in range(2):
        async with served(tmp_path / "data") as switch, switch.line() as line:
            stub = AccountServiceStub(line)
            answers.append(await stub.OpenAccount(request, timeout=LIMIT_S))
    assert answers[0] == answers[1]


async def test_a_second_switch_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as switch:
        with pytest.raises(Complaint, match="already running"):
            Switch(tmp_path / "data", CONFIG, now_us, os.urandom, elapsed_us)
        assert await is_well(switch)


@pytest.mark.parametrize("missing", ["shards/0001.db", "books.json", "identity/signing.key"])
def test_a_missing_file_is_one_clear_line(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "data"
    make_folder(folder)
    assert shard_path(folder, 1).name == "0001.db"
    (folder / missing).unlink()
    with pytest.raises(Complaint) as complaint:
        Switch(folder, CONFIG, now_us, os.urandom, elapsed_us)
    assert Path(missing).name in str(complaint.value)
    assert "\n" not in str(complaint.value)
