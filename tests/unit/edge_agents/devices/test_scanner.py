"""The scanner's driver, against a simulated scanner on a pty."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agents.devices.scanner import Scanner
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.devices.text_line import MAX_LINE_BYTES, UNREADABLE, LineAssembler
from kessai.complaint import Complaint
from simulators.devices.scanner import SimulatedScanner

WAIT_S = 60.0


async def next_line(lines: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(lines), WAIT_S)


async def test_lines_arrive(tmp_path: Path) -> None:
    simulated = SimulatedScanner(tmp_path / "scanner")
    scanner = Scanner(str(simulated.line.path))
    scanner.open()
    lines = scanner.lines()
    await asyncio.to_thread(simulated.scan, "4006381333931")
    await asyncio.to_thread(simulated.type, b"%PAY\r\n\n960")
    assert await next_line(lines) == "4006381333931"
    assert await next_line(lines) == "%PAY"
    await asyncio.to_thread(simulated.type, b"38\x1d5074\n")
    assert await next_line(lines) == "96038\x1d5074"
    scanner.close()
    simulated.close()


async def test_an_unplugged_scanner_is_lost_and_comes_back(tmp_path: Path) -> None:
    simulated = SimulatedScanner(tmp_path / "scanner")
    scanner = Scanner(str(simulated.line.path))
    scanner.open()
    lines = scanner.lines()
    reading = asyncio.create_task(next_line(lines))
    await asyncio.to_thread(simulated.line.unplug)
    with pytest.raises(DeviceLost):
        await reading
    scanner.close()
    with pytest.raises(Complaint, match="cannot be opened"):
        scanner.open()
    simulated.line.plug()
    scanner.open()
    await asyncio.to_thread(simulated.scan, "96385074")
    assert await next_line(scanner.lines()) == "96385074"
    scanner.close()
    simulated.close()


def test_a_missing_device_is_one_complaint(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("/dev/null")):
        with pytest.raises(Complaint, match=f"scanner at {path}"):
            Scanner(str(path)).open()


def test_a_device_in_use_is_one_complaint(tmp_path: Path) -> None:
    simulated = SimulatedScanner(tmp_path / "scanner")
    first = Scanner(str(simulated.line.path))
    first.open()
    with pytest.raises(Complaint, match="cannot be opened"):
        Scanner(str(simulated.line.path)).open()
    first.close()
    simulated.close()


async def test_a_closed_scanner_has_no_lines(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost):
        await anext(Scanner(str(tmp_path)).lines())


def test_an_overlong_line_is_unreadable_as_a_whole() -> None:
    """Its beginning could be a good code, and its end too."""
    assembler = LineAssembler()
    assert assembler.feed(b"9" * MAX_LINE_BYTES + b"\r") == ["9" * MAX_LINE_BYTES]
    assert assembler.feed(b"96385074" + b" " * MAX_LINE_BYTES) == []
    assert assembler.feed(b"96385074\r96385074\r") == [UNREADABLE, "96385074"]


def test_random_bytes_give_lines_of_limited_length(random_seed: int) -> None:
    source, assembler = random.Random(random_seed), LineAssembler()
    for _ in range(200):
        for line in assembler.feed(source.randbytes(source.randrange(3000))):
            assert 0 < len(line) <= MAX_LINE_BYTES
    assert len(assembler._line) <= MAX_LINE_BYTES


def test_a_stream_gives_the_same_lines_however_it_is_torn(random_seed: int) -> None:
    source = random.Random(random_seed)
    stream = b"".join(source.randbytes(source.randrange(20)) + b"\r" for _ in range(100))
    torn, lines = LineAssembler(), []
    position = 0
    while position < len(stream):
        step = source.randrange(1, 9)
        lines += torn.feed(stream[position : position + step])
        position += step
    assert lines == LineAssembler().feed(stream)
