"""The printer's driver, against a simulated printer on a pty."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import serial

from edge_agents.devices import printer as printer_driver
from edge_agents.devices.printer import Element, NotPrinted, Printer, QrCode, Text, encode
from edge_agents.devices.printer_status import Trouble
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

CLEAR = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"


def test_the_bytes_are_those_of_epsons_reference() -> None:
    """What python-escpos 3.1 makes of the same, less the sizes that it sets again and again.

    Before that the printer is chosen (ESC =), and told to say nothing unasked (GS a).
    """
    elements: list[Element] = [
        Text("a", bold=True, large=True, centred=True),
        Text("Brötchen € ≤ 漢 é"),
        QrCode("abc"),
    ]
    assert encode(elements) == (
        b"\x1b=\x01\x1b@\x1da\x00\x1bt\x13"
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
    assert await printer.trouble() is None
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
    assert await printer.trouble() is Trouble.NO_PAPER
    with pytest.raises(NotPrinted, match="has no paper"):
        await printer.print(SLIP)
    simulated.put_paper()
    assert await printer.trouble() is None
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
    with pytest.raises(NotPrinted):
        await printer.print(SLIP)
    printer.close()
    line.unplug()
    assert heard == CLEAR + b"\x10\x04\x02\x10\x04\x04"


async def test_paper_that_ends_half_way_is_noticed(tmp_path: Path) -> None:
    """Nothing of the torn receipt comes out later; it is printed again as a whole."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    simulated.take_paper(after_lines=5)
    with pytest.raises(NotPrinted):
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


async def test_an_open_cover_is_told_and_its_slip_comes_once(tmp_path: Path) -> None:
    """Paper is there all the while; nothing waits in it that shutting the cover would print."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    simulated.open_cover()
    for _ in range(2):
        with pytest.raises(NotPrinted, match="the printer is open"):
            await printer.print(SLIP)
    simulated.open_cover(False)
    assert not simulated.roll.slips
    await printer.print(SLIP)
    assert [text_of(slip).count("line 19") for slip in simulated.roll.slips] == [1]
    printer.close()
    simulated.close()


async def test_a_cover_that_is_opened_while_it_prints(tmp_path: Path) -> None:
    """What was sent by then is cleared: shutting the cover prints nothing of it."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    simulated.on_text = simulated.open_cover
    with pytest.raises(NotPrinted, match="the printer is open"):
        await printer.print(SLIP)
    simulated.on_text = lambda: None
    simulated.open_cover(False)
    simulated.roll.hanging.clear()
    await printer.print(SLIP)
    assert [text_of(slip).count("line 19") for slip in simulated.roll.slips] == [1]
    printer.close()
    simulated.close()


async def test_what_an_agent_before_left_in_the_printer(tmp_path: Path) -> None:
    """It was killed with the cover open; the slip is printed once all the same."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    simulated.open_cover()
    with serial.Serial(str(simulated.line.path)) as line:
        line.write(encode(SLIP) + b"\x10\x04\x01")
        assert line.read(1) == b"\x1a"
    printer = Printer(str(simulated.line.path))
    printer.open()
    with pytest.raises(NotPrinted):
        await printer.print(SLIP)
    simulated.open_cover(False)
    await printer.print(SLIP)
    assert len(simulated.roll.slips) == 1
    printer.close()
    simulated.close()


async def test_a_cutter_that_jams(tmp_path: Path) -> None:
    """A fault is told until its cause is removed; then the printer is told to go on."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    simulated.jam_cutter()
    with pytest.raises(NotPrinted, match="has a fault"):
        await printer.print(SLIP)
    assert await printer.trouble() is Trouble.FAULT
    simulated.jam_cutter(False)
    with pytest.raises(NotPrinted, match="has a fault"):
        await printer.print(SLIP)
    await printer.print(SLIP)
    assert len(simulated.roll.slips) == 1
    printer.close()
    simulated.close()


@pytest.mark.parametrize("unasked", ["18 00 0f 0f", "14 00 00 0f"])
async def test_status_that_nobody_asked_for_is_no_answer(
    tmp_path: Path, unasked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paper end, or a drawer that opens, while a slip waits: it counts as printed by GS r alone."""
    monkeypatch.setattr(printer_driver, "_READ_S", 0.1)
    monkeypatch.setattr(printer_driver, "_PRINT_TRIES", 3)
    status = bytes.fromhex(unasked)

    def hear(data: bytes) -> None:
        for question in data.split(b"\x10\x04")[1:]:
            line.write(b"\x12" if question[:1] in b"\x02\x04" else b"")
        if b"\x1dr\x01" in data:
            line.write(status)

    line = PtyLine(tmp_path / "printer", hear)
    line.plug()
    printer = Printer(str(line.path))
    printer.open()
    with pytest.raises(DeviceLost, match="never finished"):
        await printer.print([Text("a receipt")])
    printer.close()
    line.unplug()


async def test_an_answer_in_its_turn_while_the_state_is_asked(tmp_path: Path) -> None:
    """GS r may be answered between a question and its answer; the slip is printed."""

    asked = False

    def hear(data: bytes) -> None:
        nonlocal asked
        asked = asked or b"\x1dr\x01" in data
        for _ in data.split(b"\x10\x04")[1:]:
            line.write(b"\x00\x12" if asked else b"\x12")

    line = PtyLine(tmp_path / "printer", hear)
    line.plug()
    printer = Printer(str(line.path))
    printer.open()
    await printer.print([Text("a receipt")])
    printer.close()
    line.unplug()


async def test_a_printer_that_tells_all_unasked(tmp_path: Path) -> None:
    """Drawer and paper change while it prints; each slip is printed once."""
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    printer.open()
    for is_open in (True, False, True):
        simulated.open_drawer(is_open)
        await printer.print(SLIP)
    assert len(simulated.roll.slips) == 3
    printer.close()
    simulated.close()


def test_letters_are_printed_as_they_are_composed() -> None:
    """An e and its accent are one letter; one that the code page lacks is shown without."""
    assert b"Caf\x82 Gyor ?\n" in encode([Text("Cafe\u0301 Győr 漢")])


async def test_an_unplugged_printer_is_lost_and_comes_back(tmp_path: Path) -> None:
    simulated = SimulatedPrinter(tmp_path / "printer")
    printer = Printer(str(simulated.line.path))
    with pytest.raises(DeviceLost):
        await printer.trouble()
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
    with pytest.raises(DeviceLost, match="nothing about its state"):
        await printer.print(SLIP)
    printer.close()
    line.unplug()


def test_a_missing_printer_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="printer at"):
        Printer(str(tmp_path / "none")).open()
