"""Draws a `Screen` as a phone, to be looked at. Used by `cli` and by demonstrations."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich import box
from rich.align import Align
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from kessai.console import Console, Table
from simulators.phone.screen import Item, Screen, View
from simulators.phone.vault import MAX_TRIES

WIDTH, HEIGHT = 36, 19
MAX_ITEM_LINES = 7
# Within the border, and a blank column on each side of it.
_INNER_WIDTH = WIDTH - 6

_COLOURS = {
    View.IDLE: "blue",
    View.PURCHASE: "cyan",
    View.ENTER_PIN: "cyan",
    View.AUTHORIZED: "yellow",
    View.HELD: "yellow",
    View.PAID: "green",
    View.NOT_PAID: "red",
    View.REFUSED: "red",
    View.CANCELLED: "bright_black",
    View.LOCKED: "red",
    View.TICKET: "cyan",
    View.WELCOME: "green",
    View.TURNED_AWAY: "red",
    View.ADMITTED: "green",
    View.RIDE_OVER: "green",
    View.BILL: "magenta",
    View.RECEIVED: "green",
    View.UNKNOWN: "yellow",
}
_SYMBOLS = {
    View.IDLE: ")))",
    View.AUTHORIZED: ")))",
    View.HELD: "…",
    View.PAID: "✔",
    View.NOT_PAID: "✘",
    View.REFUSED: "✘",
    View.CANCELLED: "–",
    View.LOCKED: "▣",
    View.TICKET: ")))",
    View.WELCOME: "✔",
    View.TURNED_AWAY: "✘",
    View.ADMITTED: "→",
    View.RIDE_OVER: "✔",
    View.BILL: ")))",
    View.RECEIVED: "✔",
    View.UNKNOWN: "?",
}
_HEADLINES = {
    View.IDLE: "Ready",
    View.AUTHORIZED: "Waiting for the bank",
    View.HELD: "Reserved",
    View.PAID: "Paid",
    View.NOT_PAID: "Not paid",
    View.REFUSED: "Refused",
    View.CANCELLED: "Cancelled",
    View.LOCKED: "Locked",
    View.TICKET: "Ticket",
    View.WELCOME: "Come in",
    View.TURNED_AWAY: "No entry",
    View.ADMITTED: "Come in",
    View.RIDE_OVER: "Ride over",
    View.BILL: "You ask for",
    View.RECEIVED: "Received",
    View.UNKNOWN: "Not known yet",
}


_TICKETS = (View.TICKET, View.WELCOME, View.TURNED_AWAY)


def shower(console: Console, events: bool) -> Callable[[Screen], None]:
    """Give what shows pages: drawn on a console, or as lines of JSON on stdout."""

    def tell(page: Screen) -> None:
        sys.stdout.write(page.to_json() + "\n")
        sys.stdout.flush()

    def show(page: Screen) -> None:
        console.clear()
        console.print(draw(page))

    return tell if events else show


def draw(screen: Screen) -> Panel:
    """Draw the phone with what it shows, 36 columns wide and 19 lines high."""
    colour = _COLOURS[screen.view]
    if screen.view in (View.PURCHASE, View.ENTER_PIN):
        body = _ask(screen)
    elif screen.view in _TICKETS and screen.items:
        body = _ticket(screen)
    else:
        body = _tell(screen)
    return Panel(
        Group(Align.center(Text("━━━━━━", style="bright_black")), Padding(body, (1, 1, 0, 1))),
        title=Text("Kessai", style="bold"),
        box=box.ROUNDED,
        border_style=colour,
        width=WIDTH,
        height=HEIGHT,
    )


def _ask(screen: Screen) -> RenderableType:
    colour = _COLOURS[screen.view]
    below: RenderableType = Text(f"▐ {screen.message} ▌", style=f"bold {colour}")
    if screen.view is View.ENTER_PIN:
        below = _pin_pad(screen)
    return Group(
        Align.center(Text(screen.shop, style="bold")),
        Rule(style="bright_black"),
        _items(screen.items),
        Rule(style="bright_black"),
        _total(screen.total),
        Text(),
        Align.center(below),
    )


def _items(items: tuple[Item, ...]) -> Table:
    """Draw as many items as the screen has lines for, each whole; the others are counted."""
    shown = min(len(items), MAX_ITEM_LINES)
    ruler = Console(width=_INNER_WIDTH)
    while shown > 1 and len(ruler.render_lines(_item_table(items, shown))) > MAX_ITEM_LINES:
        shown -= 1
    return _item_table(items, shown)


def _item_table(items: tuple[Item, ...], shown: int) -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(justify="right", style="bright_black", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for item in items[:shown]:
        count = f"{item.quantity}×" if item.quantity > 1 else ""
        table.add_row(count, Text(item.description), item.amount)
    if shown < len(items):
        table.add_row("", f"and {len(items) - shown} more", "")
    return table


def _total(total: str) -> Table:
    table = Table.grid(expand=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_row("Total", Text(total, style="bold"))
    return table


def _pin_pad(screen: Screen) -> RenderableType:
    is_wrong = screen.tries_left < MAX_TRIES
    lines = [Text(screen.message, style="bold red" if is_wrong else "bold cyan"), Text("○ ○ ○ ○")]
    if is_wrong:
        left = "1 try left" if screen.tries_left == 1 else f"{screen.tries_left} tries left"
        lines.append(Text(left, style="red"))
    return Group(*map(Align.center, lines))


def _ticket(screen: Screen) -> RenderableType:
    """Draw a ticket: the venue, the event, a tear-off line, and what the door says."""
    colour = _COLOURS[screen.view]
    event, title, begins = (item.description for item in screen.items)
    lines: list[RenderableType] = [
        Align.center(Text(screen.shop.upper(), style="bright_black")),
        Text(),
        Align.center(Text(event, style="bold", justify="center")),
        Align.center(Text(title, style="bold cyan", justify="center")),
        Align.center(Text(begins)),
        Text("╌" * (WIDTH - 6), style="bright_black"),
        Align.center(Text(f" {_SYMBOLS[screen.view]} ", style=f"bold white on {colour}")),
        Align.center(Text(_HEADLINES[screen.view], style=f"bold {colour}")),
        Align.center(Text(screen.message, justify="center")),
    ]
    number = Text(screen.receipt_number, style="bright_black", justify="center")
    return Group(*lines, Text(), Align.center(number))


def _tell(screen: Screen) -> RenderableType:
    colour = _COLOURS[screen.view]
    lines = [
        Text(),
        Text(f"  {_SYMBOLS[screen.view]}  ", style=f"bold white on {colour}"),
        Text(f"\n{_HEADLINES[screen.view]}\n", style=f"bold {colour}"),
    ]
    if screen.total:
        lines.append(Text(screen.total, style="bold"))
    if screen.shop:
        lines.append(Text(screen.shop))
    if screen.message not in ("Paid", "Received"):
        lines.append(Text("\n" + screen.message, justify="center"))
    if screen.receipt_number:
        lines.append(Text(f"\nReceipt {screen.receipt_number}", style="bright_black"))
    return Group(*map(Align.center, lines))
