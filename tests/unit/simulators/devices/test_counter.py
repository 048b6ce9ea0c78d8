"""The counter: what a cashier types at `kessai simulate register`, with a terminal and without."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from rich.console import Console

from edge_agents.devices.printer import QrCode, Text, encode
from simulators.devices.counter import Counter

KESSAI = [str(Path(sys.executable).with_name("kessai")), "simulate", "register", "--folder"]
WAIT_S = 60.0


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    counter = Counter(tmp_path)
    yield counter
    counter.close()


def drawn(counter: Counter, rows: int = 80) -> str:
    console = Console(width=140, file=io.StringIO(), record=True)
    console.print(counter.draw("400", "said", rows))
    return console.export_text()


def test_codes_and_keys_are_scanned(counter: Counter, tmp_path: Path) -> None:
    with serial.Serial(str(tmp_path / "scanner"), timeout=WAIT_S) as line:
        assert counter.obey(" 4006381333931 ") == "Scanned 4006381333931"
        assert line.read_until(b"\r") == b"4006381333931\r"
        assert counter.obey("pay") == "Scanned %PAY"
        assert line.read_until(b"\r") == b"%PAY\r"
    assert counter.obey("") == ""


def test_without_a_register_it_says_so(counter: Counter) -> None:
    assert counter.obey("4006381333931") == "No register has opened the scanner."


def test_paper_and_plugs(counter: Counter, tmp_path: Path) -> None:
    assert counter.obey("paper") == "The printer has no paper."
    assert not counter.printer.has_paper
    assert "paper: OUT" in drawn(counter)
    assert counter.obey("paper") == "The printer has paper."
    assert counter.printer.has_paper
    assert counter.obey("unplug display") == "The display is unplugged."
    assert not (tmp_path / "display").exists()
    assert counter.obey("plug display") == "The display is plugged in."
    assert (tmp_path / "display").exists()
    assert counter.obey("unplug fridge").startswith("There is no fridge")


def test_the_whole_counter_is_drawn(counter: Counter, tmp_path: Path) -> None:
    with serial.Serial(str(tmp_path / "display")) as display:
        display.write(b"\x0cTo pay EUR      4.34")
        counter.display.wait_for("To pay")
    with serial.Serial(str(tmp_path / "printer")) as printer:
        printer.write(encode([Text("Corner Shop"), QrCode("kessai:receipt:abc")]))
        counter.printer.wait_for_slips(1)
    text = drawn(counter)
    for expected in ("To pay EUR      4.34", "> 400", "said", "Corner Shop", "█"):
        assert expected in text
    text = drawn(counter, rows=10)
    assert "make the window higher" in text
    assert "█" not in text


def test_lines_are_read_where_there_is_no_terminal(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*KESSAI, str(tmp_path)],
        input="paper\nunplug printer\n",
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert ended.stdout == "The printer has no paper.\nThe printer is unplugged.\n"
    assert not (tmp_path / "scanner").exists()


def test_keys_are_read_on_a_terminal(tmp_path: Path) -> None:
    """Also a pasted line, a correction, and the end by a word; the terminal is left as it was."""
    master, slave = pty.openpty()
    with subprocess.Popen([*KESSAI, str(tmp_path)], stdin=slave, stdout=slave) as process:
        os.close(slave)
        read_until(master, b"cashier")
        os.write(master, b"papex\x7fr\r")
        read_until(master, b"no paper.")
        os.write(master, b"quit\r")
        read_until(master, None)
        assert process.wait(WAIT_S) == 0
    os.close(master)


def test_a_folder_that_cannot_be_made_is_one_complaint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [*KESSAI, str(tmp_path / "file" / "x")],
        input="",
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def read_until(master: int, wanted: bytes | None) -> None:
    """Read a terminal until some bytes appear, or until its end."""
    seen, deadline = b"", time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            data = os.read(master, 4096)
        except OSError:
            data = b""
        seen += data
        if (not data and wanted is None) or (wanted is not None and wanted in seen):
            return
        assert data, f"the terminal ended with {seen!r}"
    raise TimeoutError(f"{wanted!r} did not appear in {seen!r}")
