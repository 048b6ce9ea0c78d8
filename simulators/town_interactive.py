"""`kessai demo --interactive`: a person plays the cashier, then the customer.

Used by `town_demo.py`.
"""

from __future__ import annotations

import subprocess

from rich.prompt import Prompt
from rich.text import Text

from kessai.console import Console, Table, styled
from kessai.money import Money
from simulators.town import CURRENCY, PIN, Town
from simulators.town_processes import kessai_command
from simulators.town_shop import CATEGORY, MERCHANT, NAME, NAMES, PRICES, Shop
from simulators.town_stage import draw_movements

# The register tells a step before its display has shown it; a key may leave the display as it is.
_DISPLAY_LIMIT_S = 1.0
_KEYS = {"p": "%PAY", "r": "%REMOVE", "c": "%CANCEL", "x": "%REPRINT"}


def play(town: Town, console: Console) -> None:
    """Open the shop and take the cashier's keys until q; at PAY, hand over to a customer."""
    town.merchant(MERCHANT, NAME, CATEGORY)
    shop = Shop(town, "till-1")
    try:
        shop.open()
        _serve(shop, town, console)
    finally:
        shop.close()


def _serve(shop: Shop, town: Town, console: Console) -> None:
    goods = dict(enumerate(NAMES, 1))
    _explain(console, goods)
    while True:
        console.print(shop.display.draw())
        word = Prompt.ask("[bold]cashier[/] (1-6, p, r, c, x, q)", console=console).strip().lower()
        before = shop.display.text
        if word == "q":
            return
        if word.isdigit() and int(word) in goods:
            shop.scan(goods[int(word)])
            shop.display.wait_for_change(before, _DISPLAY_LIMIT_S)
        elif word in _KEYS:
            shop.scan(_KEYS[word])
            shop.display.wait_for_change(before, _DISPLAY_LIMIT_S)
            if word == "p" and shop.is_waiting_for_phone:
                _hand_over(shop, town, console)
        else:
            console.print(styled('[yellow]"{}" is not on the command sheet.[/]', word))


def _explain(console: Console, goods: dict[int, str]) -> None:
    console.print(styled("[italic]You are the cashier, and then the customer.[/]"))
    table = Table.grid(padding=(0, 2))
    for number, gtin in goods.items():
        table.add_row(Text(str(number), "bold"), NAMES[gtin], str(Money(PRICES[gtin], CURRENCY)))
    console.print(table)
    keys = (
        "[bold]p[/] pay  [bold]r[/] remove the last  [bold]c[/] cancel  [bold]x[/] reprint  "
        "[bold]q[/] quit\nBoth customers' PIN is [bold]{}[/].\n"
    )
    console.print(styled(keys, PIN))


def _hand_over(shop: Shop, town: Town, console: Console) -> None:
    names = {name[0].lower(): name for name in town.residents}
    choice = Prompt.ask(
        f"[bold]whose phone[/] ({', '.join(names.values())})",
        choices=[*names, *names.values()],
        default=next(iter(names)),
        show_choices=False,
        console=console,
    )
    resident = town.residents[names.get(choice[0].lower(), choice)]
    printed = len(shop.printer.roll.slips)
    words = ["phone", "tap", "--folder", str(resident.folder), "--field", shop.field]
    subprocess.run([*kessai_command(), *words, "--answer", "ask"], check=False)
    if shop.display.text.startswith("Paid"):
        shop.next_slip(printed)
        console.print(shop.draw())
    console.print(draw_movements(town.movements[-6:]))
