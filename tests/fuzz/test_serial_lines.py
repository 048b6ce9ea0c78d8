"""Serial lines: what scanners, MDB adapters, printers, displays, Modbus boards, OSDP readers say.

The drivers are the real ones, on ptys. After the noise the device works as ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.devices import barrier as barrier_driver
from edge_agents.devices import osdp_door, osdp_sign, printer
from edge_agents.devices.barrier import Barrier
from edge_agents.devices.display import Display
from edge_agents.devices.glyphs import glyphs
from edge_agents.devices.mdb_adapter import MdbAdapter, VendRequest, read_word
from edge_agents.devices.modbus_door import ModbusDoor
from edge_agents.devices.osdp_door import OsdpDoor
from edge_agents.devices.osdp_reports import OsdpReports
from edge_agents.devices.printer import NotPrinted, Printer, Text
from edge_agents.devices.printer_status import StatusReader
from edge_agents.devices.scanner import Scanner
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.devices.text_line import TextDevice
from edge_agents.register.bar_code import Scan, read_code
from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.devices.osdp_door import SimulatedDoor
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.pty_line import PtyLine
from tests.fuzz.mangling import bytes_like, examples, mangled, noise

LIMIT_S = 60.0
KEY = bytes(range(16))
CODES = (
    b"%PAY\r\n", b"]C1010950600013435210A1\r", b"01234565\r", b"123456\r",
    b"]e001995060001343553103001250\x1d3922374\r", b"HTTPS://ID.GS1.ORG/01/09506000134352/\r",
)  # fmt: skip
ITEM, REQUEST = b"4006381333931\r", b"c,STATUS,VEND,1.50,7\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers that do not wait long for what does not come."""
    monkeypatch.setattr(printer, "_READ_S", 0.05)
    monkeypatch.setattr(barrier_driver, "ANSWER_S", 0.3)


async def heard(device: TextDevice, line: PtyLine, said: bytes, last: str) -> list[str]:
    """What a driver makes of bytes, up to a line that is good."""
    device.open()
    try:
        line.wait_for_driver(LIMIT_S)
        await asyncio.to_thread(line.write, said + b"\r" + last.encode() + b"\r")
        lines = device.lines()
        found: list[str] = []
        async with asyncio.timeout(LIMIT_S):
            while last not in found:
                found.append(await anext(lines))
        return found
    finally:
        device.close()


@examples(0.5)
@given(said=bytes_like(ITEM, *CODES))
def test_a_scanner(tmp_path: Path, said: bytes) -> None:
    """What it types is a bar code or none; the next one is read."""
    line = PtyLine(tmp_path / "scanner", lambda _: None)
    line.plug()
    try:
        typed = asyncio.run(heard(Scanner(str(line.path)), line, said, "96385074"))
    finally:
        line.unplug()
    assert [read_code(text) for text in typed][-1] == Scan(("00000096385074",))


@examples(0.5)
@given(said=bytes_like(REQUEST, b"c,VEND,SUCCESS\r\n", b"c,STATUS,IDLE\r\n"))
def test_a_vending_machines_adapter(tmp_path: Path, said: bytes) -> None:
    """Its lines are words or none; the next request is understood."""
    line, last = PtyLine(tmp_path / "machine", lambda _: None), REQUEST.decode().strip()
    line.plug()
    try:
        words = asyncio.run(heard(MdbAdapter(str(line.path)), line, said, last))
    finally:
        line.unplug()
    assert [read_word(text) for text in words][-1] == VendRequest("1.50", 7)


class Mangled:
    """A device whose next answers are others than it gave."""

    def __init__(self, device: Any) -> None:  # noqa: ANN401  # any simulated device on a line
        self.answers: deque[bytes] = deque()
        self._write = device.line.write
        device.line.write = self.write

    def write(self, data: bytes) -> None:
        """Say what was drawn; once that is used up, what the device says."""
        self._write(self.answers.popleft() if self.answers else data)


# In order, off line, out of paper, open; paper end and drawer unasked; cleared; printed.
STATUS = (
    b"\x12",
    b"\x1a",
    b"\x72",
    b"\x16",
    b"\x18\0\x0f\x0f",
    b"\x14\0\0\x0f",
    b"\x37\x25\0",
    b"\0",
)


@examples(4)
@given(said=bytes_like(*STATUS))
def test_a_printers_status(said: bytes) -> None:
    """Whatever came before: four unasked bytes are no answer, one of DLE EOT is."""
    status = StatusReader()
    for byte in said:
        status.take(byte)
    status.take(0)  # the end of whatever block
    for byte in b"\x18\0\x0f\x0f":
        if byte == 0x18:
            status.is_done = False
        status.take(byte)
    assert not status.is_done
    status.take(0x16)
    assert status.answer == 0x16


@examples(0.4)
@given(answers=st.lists(noise | mangled(*STATUS), min_size=1, max_size=6))
def test_a_printer(tmp_path: Path, quick: None, answers: list[bytes]) -> None:
    """Whatever it says of its paper: a slip is printed, or it is told that it is not."""
    with closing(SimulatedPrinter(tmp_path / "printer")) as simulated:
        wire, driver = Mangled(simulated), Printer(str(simulated.line.path))
        driver.open()
        wire.answers.extend(answers)
        with suppress(NotPrinted, DeviceLost):
            asyncio.run(driver.print([Text("a receipt")]))
        wire.answers.clear()
        driver.close()
        driver.open()
        assert asyncio.run(driver.trouble()) is None
        asyncio.run(driver.print([Text("the next one")]))
        driver.close()


@examples(0.4)
@given(said=noise, upper=st.text(max_size=40), lower=st.text(max_size=40))
def test_a_display(tmp_path: Path, said: bytes, upper: str, lower: str) -> None:
    """It may say what it likes, and shows what it is told, whoever chose the words."""
    with closing(SimulatedDisplay(tmp_path / "display")) as simulated:
        driver = Display(str(simulated.line.path))
        driver.open()
        simulated.line.write(said)
        asyncio.run(driver.show(upper, lower))
        assert glyphs(upper, "ascii").isascii()
        asyncio.run(driver.show("Total", "EUR 3.49"))
        simulated.wait_for("3.49")
        assert simulated.lines == ("Total".ljust(20), "EUR 3.49".ljust(20))
        driver.close()


FRAMES = (bytes.fromhex("0102010000000000"), bytes.fromhex("010402000000ff"), b"\x01\x05\0\0\xff\0")


@examples(0.25)
@given(answers=st.lists(bytes_like(*FRAMES), min_size=1, max_size=3))
def test_a_barrier(tmp_path: Path, quick: None, answers: list[bytes]) -> None:
    """A board that answers anything is lost, or understood; it opens when it answers again."""
    with closing(SimulatedBarrier(tmp_path / "barrier")) as board:
        wire, driver = Mangled(board), Barrier(str(board.line.path))
        driver.open()
        wire.answers.extend(answers)

        async def use() -> None:
            with suppress(DeviceLost):
                await driver.read()
                await driver.shut()
            wire.answers.clear()
            driver.close()
            driver.open()
            await driver.release()
            assert (await driver.read()).is_open

        asyncio.run(use())
        driver.close()


@examples(0.15)
@given(
    answers=st.lists(bytes_like(*FRAMES), min_size=1, max_size=4),
    passages=st.integers(0, 65_535),
)
def test_a_turnstile(tmp_path: Path, quick: None, answers: list[bytes], passages: int) -> None:
    """A door's Modbus board: it is not ready, or lost; then it is ready."""
    with closing(SimulatedBarrier(tmp_path / "door")) as board:
        wire, driver = Mangled(board), ModbusDoor(str(board.line.path))

        async def use() -> None:
            driver.open()
            board.restart(passages)
            wire.answers.extend(answers)
            with suppress(DeviceLost):
                await driver.check()
                await driver.unlock(0.1, 1)
            wire.answers.clear()
            driver.close()
            driver.open()
            await driver.check()
            assert driver.is_ready
            driver.close()

        asyncio.run(use())


@pytest.fixture
def simulated_door(tmp_path: Path) -> Iterator[SimulatedDoor]:
    """An OSDP reader on a line."""
    with closing(SimulatedDoor(tmp_path / "door", KEY)) as simulated:
        yield simulated


@examples()
@given(st.lists(st.tuples(st.integers(-1, 300), st.binary(max_size=40)), max_size=20))
def test_a_doors_reports(reports: list[tuple[int, bytes]]) -> None:
    """Whatever a reader reports: the contact's next word counts."""
    door = OsdpReports()
    for kind, report in reports:
        door.take(kind, report)
    door.take(0, b"\x00")
    before = door.openings
    door.take(0, b"\x01")
    assert (door.stands_open, door.openings, door.has_contact) == (True, before + 1, True)


@examples()
@given(st.text(max_size=120))
def test_a_doors_text(said: str) -> None:
    """Whoever chose the words: lines that the reader has room and glyphs for."""
    for page in osdp_sign.pages(said):
        assert len(page) <= osdp_sign.TEXT_COLUMNS
        assert page.isascii()
        assert page.isprintable()


# An answer to a poll, in the clear and in the secure channel.
POLLS = (bytes.fromhex("53810800054060b5"), bytes.fromhex("5301140e000215" + "00" * 12))


@examples(0.15)
@given(said=st.lists(bytes_like(*POLLS), min_size=1, max_size=6))
def test_a_doors_reader(simulated_door: SimulatedDoor, said: list[bytes]) -> None:
    """Noise on an OSDP line between good answers; the door opens afterwards."""
    driver = OsdpDoor(str(simulated_door.line.path), KEY, ready_s=osdp_door.READY_S)

    async def ready() -> None:
        async with asyncio.timeout(LIMIT_S):
            while not driver.is_ready:
                try:
                    await driver.check()
                except DeviceLost:  # then the entrance opens it anew
                    driver.close()
                    driver.open()
                await asyncio.sleep(0.02)

    async def use() -> None:
        driver.open()
        for data in said:
            simulated_door.line.write(data)
            await asyncio.sleep(0.02)
        await ready()
        for data in said:
            simulated_door.line.write(data)
        driver.close()
        driver.open()
        await ready()
        await driver.unlock(0.1)

    try:
        asyncio.run(use())
    finally:
        driver.close()
