"""The `kessai simulate` command: devices on serial lines, and the air, live in the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import Complaint
from kessai.console import Console
from simulators.devices import vending_front
from simulators.devices.counter import Counter
from simulators.devices.gate_spot import GateSpot
from simulators.devices.live import run_live
from simulators.devices.paper_roll import draw_slip
from simulators.devices.vending_machine import VendingMachine

simulate = typer.Typer(
    name="simulate",
    help="Run simulated devices on serial lines, and the air for BLE.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@simulate.callback()
def _simulate() -> None:
    """Run simulated devices on serial lines, and the air for BLE."""


@simulate.command()
def register(
    folder: Annotated[Path, typer.Option(help="Where the lines appear.")],
) -> None:
    """Simulate a register's scanner, display and printer, and be its cashier.

    The lines are FOLDER/scanner, FOLDER/display and FOLDER/printer. Type a bar code, or a word that
    stands on the screen. Without a terminal, lines are read from stdin until its end.

    Example: kessai simulate register --folder till
    """
    live = sys.stdin.isatty() and sys.stdout.isatty()
    report = _Report(Console())
    try:
        counter = Counter(folder, on_change=(lambda: None) if live else report.tell)
    except OSError as error:
        raise Complaint(f"The folder {folder} cannot be used ({error.strerror}).") from None
    report.counter = counter
    with contextlib.closing(counter):
        if live:
            run_live(counter.draw, counter.obey)
        else:
            for line in sys.stdin:
                report.console.print(counter.obey(line))


@simulate.command()
def barrier(
    folder: Annotated[Path, typer.Option(help="Where the lines appear.")],
) -> None:
    """Simulate a gate's barrier and display, and be the person before it.

    The lines are FOLDER/barrier and FOLDER/display. Type what stands on the screen. Without a
    terminal, lines are read from stdin until its end.

    Example: kessai simulate barrier --folder gate
    """
    try:
        spot = GateSpot(folder)
    except OSError as error:
        raise Complaint(f"The folder {folder} cannot be used ({error.strerror}).") from None
    with contextlib.closing(spot):
        if sys.stdin.isatty() and sys.stdout.isatty():
            run_live(spot.draw, spot.obey)
            return
        console = Console()
        for line in sys.stdin:
            console.print(spot.obey(line))
            console.print(spot.barrier.draw())


@simulate.command()
def air(
    socket: Annotated[Path, typer.Option(help="Where terminals and phones meet: a new socket.")],
) -> None:
    """Simulate a room's air for Bluetooth Low Energy, until Ctrl-C or the end of stdin.

    A terminal's reader is then ble:unix:path=SOCKET, and so is a phone's field, with ,code= and the
    code that the terminal shows. No Bluetooth, no D-Bus daemon and no rights are needed.

    Example: kessai simulate air --socket /tmp/air
    """
    from simulators.air.air import Air
    from simulators.air.picture import watch

    with contextlib.closing(Air(socket)) as opened:
        watch(opened, Console())


@simulate.command()
def vending(
    folder: Annotated[Path, typer.Option(help="Where the line appears.")],
) -> None:
    """Simulate a vending machine behind its MDB adapter, and be its customer.

    The line is FOLDER/machine. Type a selection's number, or a word that stands on the screen.
    Without a terminal, lines are read from stdin until its end.

    Example: kessai simulate vending --folder snacks
    """
    live = sys.stdin.isatty() and sys.stdout.isatty()
    console = Console()
    try:
        machine = VendingMachine(folder / "machine", os.urandom)
    except OSError as error:
        raise Complaint(f"The folder {folder} cannot be used ({error.strerror}).") from None
    with contextlib.closing(machine):
        if live:
            run_live(
                lambda typed, said, rows: vending_front.draw(machine, typed, said),
                lambda typed: vending_front.obey(machine, typed),
            )
        else:
            for line in sys.stdin:
                console.print(vending_front.obey(machine, line))
                console.print(vending_front.draw(machine, "", ""))


@simulate.command()
def entrance(
    folder: Annotated[Path, typer.Option(help="Where the line appears.")],
) -> None:
    """Simulate a door with an OSDP reader, and be the person before it.

    The line is FOLDER/door, the reader's key FOLDER/door.key. Type what stands on the screen.
    Without a terminal, lines are read from stdin until its end.

    Example: kessai simulate entrance --folder door
    """
    from simulators.devices.entrance_spot import EntranceSpot

    try:
        spot = EntranceSpot(folder)
    except OSError as error:
        raise Complaint(f"The folder {folder} cannot be used ({error.strerror}).") from None
    with contextlib.closing(spot):
        if sys.stdin.isatty() and sys.stdout.isatty():
            run_live(spot.draw, spot.obey)
            return
        console = Console()
        for line in sys.stdin:
            console.print(spot.obey(line))
            console.print(spot.door.draw())


class _Report:
    """Tells on a plain output what the display shows and what comes out of the printer."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.counter: Counter | None = None
        self._shown, self._slips = "", 0
        self._lock = threading.Lock()

    def tell(self) -> None:
        """Print what is new; called on the threads of the devices."""
        if self.counter is None:
            return
        with self._lock:
            shown, slips = self.counter.display.text, self.counter.printer.roll.slips
            if shown != self._shown:
                self.console.print(self.counter.display.draw())
            for slip in slips[self._slips :]:
                self.console.print(draw_slip(slip))
            self._shown, self._slips = shown, len(slips)
