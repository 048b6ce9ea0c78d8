"""The printer's driver, against a simulated printer on a pty."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_agents.devices.printer import Element, PaperOut, Printer, QrCode, Text, encode
from edge_agents.devices.serial_line import DeviceLost
from kessai.complaint import Complaint
from simulators.devices.paper_roll import PrintedLine, PrintedQr, qr_codes_of, text_of
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.pty_line import PtyLine

SLIP: list[Element] = [
    Text("Corner Shop", bold=True, large=True, centred=True),
    Text("Brötchen €".ljust(38) + "3.49"),
    QrCode("kessai:receipt:" + "x" * 300),
    *[Text(f"line {number}") for number in range(20)],
]


def test_the_bytes_are_those_of_epsons_reference() -> None:
    """What python-escpos 3.1 makes of the same, less the sizes that it sets again and again."""
    elements: list[Element] = [
        Text("a", bold=True, large=True, centred=True),
        Text("Brötchen € ≤ 漢 é"),
        QrCode("abc"),
    ]
    assert encode(elements) == (
        b"\x1b@\x1bt\x13"
        b"\x1b!0\x1bE\x01\x1ba\x01a\n"
        b"\x1b!\x00\x1bE\x00\x1ba\x00Br\x94tchen \xd5 ? ? \x82\n"
        b"\x1ba\x01\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x04\x1d(k\x03\x001E0"
        b"\x1d(k\x06\x001P0abc\x1d(k\x03\x001Q0"
        b"\x1bd\x06\x1dV\x00"
    )


def test_nobody_s_name_works_the_printer() -> None:
    """ESC p opens the cash drawer, GS V cuts the paper, LF prints a line of one's own."""
    evil = encode([Text("Shop\x1bp\x00\x19\xfa\x1dV\x00\nPAID \x9b1A")])
    assert evil == encode([Text("Shop?p??ú V? PAID ?1A")])


async def test_a_slip_is_printed(tmp_path: Path) -> None:
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    assert await printer.has_paper()
    await printer.print(SLIP)
    slip = simulated.roll.slips[0]
    assert slip[0] == PrintedLine("Corner Shop", bold=True, large=True, centred=True)
    assert slip[1] == PrintedLine("Brötchen €".ljust(38) + "3.49")
    assert slip[2] == PrintedQr("kessai:receipt:" + "x" * 300)
    printer.close()
    simulated.close()


async def test_without_paper_nothing_is_printed(tmp_path: Path) -> None:
    simulated = SimulatedPrinter(tmp_path / "printer")
    simulated.take_paper()
    printer = Printer(str(simulated.line.path))
    printer.open()
    assert not await printer.has_paper()
    with pytest.raises(PaperOut):
        await printer.print(SLIP)
    simulated.put_paper()
    assert await printer.has_paper()
    assert not simulated.roll.slips
    assert not simulated.roll.hanging
    printer.close()
    simulated.close()


async def test_a_printer_without_paper_is_sent_nothing(tmp_path: Path) -> None:
    """It might print half of it when paper is back."""
    heard = bytearray()

    def hear(data: bytes) -> None:
        heard.extend(data)
        line.write(b"\x72")  # online, no paper

    line = PtyLine(tmp_path / "printer", hear)
    line.plug()
    printer = Printer(str(line.path))
    printer.open()
    with pytest.raises(PaperOut):
        await printer.print(SLIP)
    printer.close()
    line.unplug()
    assert heard == b"\x10\x04\x04"


async def test_paper_that_ends_half_way_is_noticed(tmp_path: Path) -> None:
    """Nothing of the torn receipt comes out later; it is printed again as a whole."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    simulated.take_paper(after_lines=5)
    with pytest.raises(PaperOut):
        await printer.print(SLIP)
    assert len(simulated.roll.hanging) == 5
    simulated.roll.hanging.clear()
    simulated.put_paper()
    await printer.print(SLIP)
    assert text_of(simulated.roll.slips[0]).count("line 19") == 1
    assert qr_codes_of(simulated.roll.slips[0])
    assert len(simulated.roll.slips) == 1
    printer.close()
    simulated.close()


async def test_an_unplugged_printer_is_lost_and_comes_back(tmp_path: Path) -> None:
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    with pytest.raises(DeviceLost):
        await printer.has_paper()
    printer.open()
    await asyncio.to_thread(simulated.line.unplug)
    with pytest.raises(DeviceLost, match="printer does not answer"):
        await printer.print(SLIP)
    printer.close()
    simulated.line.plug()
    printer.open()
    await printer.print(SLIP)
    assert len(simulated.roll.slips) == 1
    printer.close()
    simulated.close()


async def test_a_line_without_a_printer_is_lost(tmp_path: Path) -> None:
    """Something takes the bytes and never answers: the receipt does not count as printed."""
    line = PtyLine(tmp_path / "printer", on_bytes=lambda _: None)
    line.plug()
    printer = Printer(str(line.path))
    printer.open()
    with pytest.raises(DeviceLost, match="nothing about its paper"):
        await printer.print(SLIP)
    printer.close()
    line.unplug()


def test_a_missing_printer_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="printer at"):
        Printer(str(tmp_path / "none")).open()
