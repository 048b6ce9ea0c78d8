"""What a person sees of the air: who is in it, how strongly, and who is connected.

Used by `kessai simulate air`: a live picture on a terminal, a line for each change otherwise.
"""

from __future__ import annotations

import select
import sys

from rich import box
from rich.live import Live
from rich.text import Text

from kessai.console import Console, Table
from simulators.air.air import Air
from simulators.air.peripheral import Conditions, Peripheral

LOOK_EVERY_S = 0.2

_WEAKEST, _STRONGEST, _BARS = -90, -40, 10


def watch(air: Air, console: Console) -> None:
    """Show the air until the end of stdin."""
    if not console.is_terminal:
        console.print(f"The air is at {air.moniker}", soft_wrap=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        told: list[str] = []
        while not _has_ended():
            phones = air.phones()
            if console.is_terminal:
                live.update(draw(air.moniker, phones), refresh=True)
                continue
            lines = [_line(phone) for phone in phones]
            for line in lines:
                if line not in told:
                    console.print(line, soft_wrap=True)
            told = lines


def draw(moniker: str, phones: list[Peripheral]) -> Table:
    """Draw who is in the air now."""
    table = Table(title=f"The air at {moniker}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("phone", style="bold")
    table.add_column("signal", no_wrap=True)
    table.add_column("dBm", justify="right")
    table.add_column("MTU", justify="right")
    table.add_column("carried", justify="right")
    table.add_column("now")
    for phone in phones:
        conditions = phone.conditions
        table.add_row(
            phone.address,
            _bars(conditions.rssi),
            str(conditions.rssi),
            str(conditions.mtu),
            f"{phone.carried_bytes} B",
            _state(phone),
        )
    if not phones:
        table.caption = "Nobody is there. `kessai phone tap --field` brings a phone."
    return table


def _state(phone: Peripheral) -> Text:
    if phone.is_connected:
        return Text("connected", style="green")
    return Text("advertising", style="cyan")


def _bars(rssi: int) -> Text:
    share = (rssi - _WEAKEST) / (_STRONGEST - _WEAKEST)
    count = max(0, min(_BARS, round(share * _BARS)))
    return Text("▮" * count, style="green") + Text("▯" * (_BARS - count), style="bright_black")


def _line(phone: Peripheral) -> str:
    conditions: Conditions = phone.conditions
    return f"{phone.address} {_state(phone).plain} {conditions.rssi} dBm MTU {conditions.mtu}"


def _has_ended() -> bool:
    """Tell whether stdin came to its end; waits until it is time to look again."""
    ready = select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]
    return bool(ready) and not sys.stdin.readline()
