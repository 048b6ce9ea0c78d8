"""The front of a vending machine to look at, and the words by which a person works it.

Used by `kessai simulate vending`: what is typed is a selection, or something that is done to the
machine.
"""

from __future__ import annotations

from rich import box
from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from simulators.devices.live import Picture
from simulators.devices.vending_machine import VendingMachine

_WIDTH = 42
_HELP = {
    "7": "press a selection's key",
    "cancel, take": "the machine's cancel key; empty the tray",
    "jam, fill": "motors get stuck, or turn again; fill up",
    "slow": "motors take ten seconds, or as before",
    "reset": "cut the machine's power for a moment",
    "enable": "enable the reader once more, in the middle",
    "noise": "garble the bus, or not",
    "silent, garbage": "the adapter says nothing, or rubbish too",
    "forgetful": "the adapter keeps nothing for later",
    "unplug, plug": "the line to the agent",
    "quit": "",
}


def obey(machine: VendingMachine, typed: str) -> str:
    """Do what a person typed; what comes back says what happened."""
    word = typed.strip().lower()
    if not word:
        return ""
    if word.isdecimal():
        machine.select(int(word))
        return f"Pressed {int(word)}."
    if word in ("jam", "noise"):
        name = "jammed" if word == "jam" else "noisy"
        return _toggle(machine, name, word)
    if word in ("silent", "garbage", "forgetful"):
        return _toggle(machine.adapter, word, word)
    if word == "slow":
        machine.motor_s = 0.3 if machine.motor_s > 1 else 10.0
        return f"A motor turns for {machine.motor_s:g} s."
    return _work(machine, word)


def draw(machine: VendingMachine, typed: str, said: str) -> Picture:
    """Draw the machine, and who stands before it."""
    person = Text.assemble(("> ", "bold cyan"), typed, ("▏", "blink"), "\n", (said, "dim"))
    keys = Table.grid(padding=(0, 2))
    for word, does in _HELP.items():
        keys.add_row(Text(word, style="cyan"), Text(does, style="dim"))
    you = Panel(person, title="you", box=box.ROUNDED, width=_WIDTH)
    return Picture(Group(draw_front(machine), you), keys)


def draw_front(machine: VendingMachine) -> RenderableType:
    """Draw the machine: selections behind glass, display, tray."""
    glass = Table(box=None, padding=(0, 1), expand=True, show_header=False)
    for number, shelf in sorted(machine.shelves.items()):
        left = Text("▮" * shelf.stock or "sold out", style="green" if shelf.stock else "red")
        price = f"{shelf.price_minor // 100}.{shelf.price_minor % 100:02}"
        glass.add_row(Text(str(number), style="bold yellow"), shelf.name, price, left)
    shown = Text(machine.text.ljust(32)[:32], style="bold #5fffd7 on #001a14", no_wrap=True)
    tray = Text(", ".join(machine.tray) or " ", style="bold")
    front = Group(
        glass,
        Panel(Align.center(shown), box=box.HEAVY, border_style="#3a3a3a", style="on #001a14"),
        Panel(tray, title="tray", box=box.ROUNDED, border_style="bright_black"),
    )
    return Panel(
        front, title="Kessai Snacks", subtitle=Text(machine.state), box=box.DOUBLE, width=_WIDTH
    )


def _toggle(thing: object, name: str, word: str) -> str:
    setattr(thing, name, not getattr(thing, name))
    return f"{word}: {'on' if getattr(thing, name) else 'off'}"


def _work(machine: VendingMachine, word: str) -> str:
    if word == "cancel":
        machine.cancel()
    elif word == "reset":
        machine.reset()
    elif word == "enable":
        machine.enable_again()
    elif word == "take":
        taken = ", ".join(machine.tray) or "nothing"
        machine.tray.clear()
        return f"You take {taken}."
    elif word == "fill":
        for shelf in machine.shelves.values():
            shelf.stock = max(shelf.stock, 8)
    elif word == "plug":
        machine.adapter.line.plug()
    elif word == "unplug":
        machine.adapter.line.unplug()
    else:
        return "What is that? See below."
    return f"{word}: done"
