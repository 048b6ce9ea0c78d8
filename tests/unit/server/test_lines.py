"""Lines that do nothing: they take descriptors from nobody but their own address."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.rpc.lines import MAIN_LINES, PAIRING_LINES, raise_descriptor_limit
from server.rpc.peer import network_of_host
from tests.running import RunningSwitch

LIMIT_S = 10.0
HANDSHAKE_S = 10.0
ATTACKER = "127.0.0.2"


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Let the test itself hold as many sockets as the machine allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 4096:
        pytest.skip("the machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def crowd(held: ExitStack, address: str, count: int) -> list[socket.socket]:
    """Open lines from the attacker's address that say nothing."""
    host, _, port = address.rpartition(":")
    lines = []
    for _ in range(count):
        line = socket.create_connection((host, int(port)), LIMIT_S, (ATTACKER, 0))
        lines.append(held.enter_context(line))
    return lines


def opened(switch: RunningSwitch) -> int:
    """How many descriptors the switch has open."""
    return len(list(Path(f"/proc/{switch.process.pid}/fd").iterdir()))


def settled(switch: RunningSwitch) -> int:
    """How many it has open when that has not changed for a second: its start's lines are closed."""
    deadline, seen = time.monotonic() + LIMIT_S, [opened(switch)]
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
        seen.append(opened(switch))
    return seen[-1]


def call(switch: RunningSwitch, limit_s: float = LIMIT_S) -> float:
    """Open a new line to the main port and call once; seconds."""
    begin = time.monotonic()
    with switch.channel() as channel:
        request = health_pb2.HealthCheckRequest()
        health_pb2_grpc.HealthStub(channel).Check(request, timeout=limit_s)
    return time.monotonic() - begin


def log_of(switch: RunningSwitch) -> str:
    """What the switch has logged."""
    return (switch.folder / "serve.log").read_text()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_idle_lines_to_the_pairing_port_do_not_close_the_main_port(tmp_path: Path) -> None:
    """1,100 of them closed it for 120 s where the limit was 1,024 descriptors."""
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        resource.prlimit(switch.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        with ExitStack() as held:
            crowd(held, switch.pairing_address, 1100)
            assert call(switch) < LIMIT_S / 2
            assert opened(switch) <= PAIRING_LINES + 100
    finally:
        switch.kill()


def test_one_address_does_not_crowd_out_others_on_the_main_port(tmp_path: Path) -> None:
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        before = opened(switch)
        with ExitStack() as held:
            begin = time.monotonic()
            lines = crowd(held, switch.address, 1000)
            assert call(switch) < LIMIT_S / 2
            until(lambda: opened(switch) <= before + 300)
            # Who came first stays; the newest are hung up on.
            lines[-1].settimeout(LIMIT_S)
            assert lines[-1].recv(1) == b""
            if time.monotonic() - begin < HANDSHAKE_S - 1:  # gRPC hangs up on all of them then
                assert opened(switch) > before + 200
                lines[0].setblocking(False)
                with pytest.raises(BlockingIOError):
                    lines[0].recv(1)
        assert "too many lines from one address" in log_of(switch)
    finally:
        switch.kill()


def test_a_crowd_is_hung_up_on_after_descriptors_ran_out(tmp_path: Path) -> None:
    """The watch could not look then, and never looked again."""
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        before, pid = opened(switch), switch.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + 200, hard))
        with ExitStack() as held:
            crowd(held, switch.address, 600)
            until(lambda: "Too many open files" in log_of(switch))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
            until(lambda: "too many lines from one address" in log_of(switch))
            assert call(switch) < LIMIT_S / 2
    finally:
        switch.kill()


def test_a_line_that_does_not_shake_hands_is_hung_up_on(tmp_path: Path) -> None:
    """After ten seconds, not two minutes."""
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        with ExitStack() as held:
            ends = [*crowd(held, switch.address, 1), *crowd(held, switch.pairing_address, 1)]
            begin = time.monotonic()
            for line in ends:
                line.settimeout(20.0)
                assert line.recv(1) == b""
            assert time.monotonic() - begin < 15.0
    finally:
        switch.kill()


def test_a_switch_that_had_no_descriptor_left_watches_on(tmp_path: Path) -> None:
    """The watch ended at the first look without one, and with it the limit of an address."""
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        limits = resource.prlimit(switch.process.pid, resource.RLIMIT_NOFILE)
        before = settled(switch)
        with ExitStack() as held:
            crowd(held, switch.address, 1)
            until(lambda: opened(switch) > before)
            resource.prlimit(switch.process.pid, resource.RLIMIT_NOFILE, (before + 2, limits[1]))
            crowd(held, switch.address, 20)
            until(lambda: opened(switch) == before + 2)
            time.sleep(0.3)  # so that it looks without one; nothing tells that it has
            resource.prlimit(switch.process.pid, resource.RLIMIT_NOFILE, limits)
            lines = crowd(held, switch.address, 600)
            lines[-1].settimeout(LIMIT_S - 1)  # gRPC itself hangs up on it after ten seconds
            assert lines[-1].recv(1) == b""
    finally:
        switch.kill()


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001:db8::ffff:0:0:5", "2001:db8::/64"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
    ],
)
def test_addresses_that_one_host_has_for_itself_count_as_one(host: str, network: str) -> None:
    """One host with IPv6 took all lines of both ports, each from an address of its own."""
    assert network_of_host(host) == network


def test_ports_share_what_the_process_may_open() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = raise_descriptor_limit(shards=4)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    assert limits.main <= MAIN_LINES
    assert limits.pairing <= PAIRING_LINES
    assert limits.main + limits.pairing < before[1]
