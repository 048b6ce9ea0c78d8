"""The `kessai phone` command: pair a simulated phone, tap with it, look at its money.

Mounted by `cli/main.py`. With `tap` the phone is a process of its own in a reader's field.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.prompt import Prompt

from kessai.console import Console, styled
from kessai.device_identity import load_identity
from kessai.json_lines import print_json
from kessai.log_marks import LogMarks
from kessai.v1.account_pb2 import Account, ListEntriesResponse
from simulators.phone.answers import Answer, person
from simulators.phone.bill_cli import bill, bills
from simulators.phone.cue import OnCue
from simulators.phone.field import open_field
from simulators.phone.misbehaviour import Misbehaviour
from simulators.phone.pairing_cli import (
    NoPin,
    PinFile,
    fetch_credential,
    money,
    pair,
    without_pin,
)
from simulators.phone.papers import (
    draw_balances,
    draw_purchases,
    draw_statement,
    plain_purchase,
)
from simulators.phone.phone import Phone, choose_account
from simulators.phone.screen import Screen
from simulators.phone.store import Store
from simulators.phone.tap_words import tell_the_end, told_until_a_reader_came
from simulators.phone.ticket_pocket import Wants

phone = typer.Typer(
    name="phone",
    help="Pair and run a simulated phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

phone.command()(pair)
phone.command("without-pin")(without_pin)
phone.command()(bill)
phone.command()(bills)

Folder = Annotated[Path, typer.Option("--folder", help="The phone's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_BETWEEN_TAPS_S = 0.5


@phone.command()
def tap(
    folder: Folder,
    field: Annotated[str, typer.Option(help="udp:HOST:PORT, pn532:PATH or ble:BUS.")],
    answer: Annotated[Answer, typer.Option(help="What the customer does.")] = Answer.ASK,
    pin_file: PinFile = None,
    pin: NoPin = "",
    think: Annotated[float, typer.Option(min=0, help="Seconds before the answer.")] = 0.0,
    account: Annotated[str, typer.Option(help="Pay from this account.")] = "",
    taps: Annotated[int, typer.Option(min=1, help="How many purchases.")] = 1,
    stay: Annotated[float, typer.Option(min=0, help="Leave after so many seconds.")] = 120.0,
    persons: Annotated[int, typer.Option(min=1, help="Go in with so many.")] = 1,
    spend: Annotated[str, typer.Option(help="Let a gift certificate pay up to so much.")] = "",
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
    leave_after_frames: Annotated[int, typer.Option(min=0, help="Leave half way.")] = 0,
    leave_after_exchanges: Annotated[int, typer.Option(min=0, help="Leave unanswered.")] = 0,
    lose_every: Annotated[int, typer.Option(min=0, help="Lose every n-th frame.")] = 0,
    late: Annotated[float, typer.Option(min=0, help="Seconds before each message.")] = 0.0,
    alter: Annotated[bool, typer.Option("--alter", help="Spoil the authorisation.")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="Send the oldest one.")] = False,
    submit_late: Annotated[float, typer.Option(min=0, help="Seconds before it submits.")] = 0.0,
    authorize_minor: Annotated[int, typer.Option(help="Agree to another amount.")] = 0,
    authorize_merchant: Annotated[str, typer.Option(help="Agree to another shop.")] = "",
    authorize_terminal: Annotated[str, typer.Option(help="Agree to another terminal.")] = "",
    unverified: Annotated[bool, typer.Option("--unverified", help="Claim no PIN.")] = False,
    on_cue: OnCue = False,
) -> None:
    """Hold the phone to a reader until that is over; exit code 3 without payment or entry.

    Example: kessai phone tap --folder ann --field udp:127.0.0.1:54321
    """
    does = Misbehaviour(
        leave_after_frames=leave_after_frames, leave_after_exchanges=leave_after_exchanges,
        lose_every=lose_every, answer_late_s=late, alter_sealed=alter, replay=replay,
        submit_late_s=submit_late, amount_minor=authorize_minor, merchant_id=authorize_merchant,
        terminal_id=authorize_terminal, claim_unverified=unverified,
    )  # fmt: skip
    customer, show = person(answer, pin_file, pin, think, events, on_cue)
    with told_until_a_reader_came(field, stay, show) as shown:
        held = Phone(folder, customer, shown, does, account, wants=_wants(persons, spend))
        _end_of(_tap_often(held, field, taps, stay))


def _wants(persons: int, spend: str) -> Wants:
    return Wants(persons, money(spend) if spend else None)


@phone.command()
def certify(
    folder: Folder,
    account: Annotated[str, typer.Option(help="For this account; the first by default.")] = "",
) -> None:
    """Fetch a new credential from the bank, with which gates and doors know the phone off line.

    Example: kessai phone certify --folder ann
    """
    asyncio.run(fetch_credential(folder, account))
    certified = "[green]Certified[/]: gates, doors and terminals that are cut off know it."
    Console().print(styled(certified))


@phone.command()
def tickets(
    folder: Folder,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask the bank for missing ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the tickets on the phone; needs no line, but to fetch those that never arrived.

    Example: kessai phone tickets --folder ann --fetch
    """
    from simulators.phone.ticket_papers import draw_tickets, fetch_tickets, kept_tickets

    if fetch:
        asyncio.run(fetch_tickets(folder, _now_us))
    if as_json:
        print_json(kept.ticket for kept in kept_tickets(folder))
    else:
        Console().print(draw_tickets(folder))


@phone.command()
def balance(folder: Folder, as_json: AsJson = False) -> None:
    """Ask the bank for the balance of each of the wallet's accounts.

    Example: kessai phone balance --folder ann
    """
    accounts = asyncio.run(_balances(folder))
    if as_json:
        print_json(accounts)
    else:
        Console().print(draw_balances(accounts))
    _warn(folder)


@phone.command()
def history(
    folder: Folder,
    account: Annotated[str, typer.Option(help="Which account; the first by default.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Ask the bank for the statement of an account.

    Example: kessai phone history --folder ann --limit 50
    """
    statement = asyncio.run(_statement(folder, account, limit))
    if as_json:
        print_json(statement.entries)
    else:
        Console().print(draw_statement(statement))
    _warn(folder)


@phone.command()
def purchases(
    folder: Folder,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what the phone itself remembers: what was agreed to, and the receipts; needs no line.

    Example: kessai phone purchases --folder ann
    """
    load_identity(folder)
    store = Store(folder)
    decisions = store.history(limit)
    store.close()
    if as_json:
        print_json(map(plain_purchase, decisions))
    else:
        Console().print(draw_purchases(decisions))
    _warn(folder)


def _warn(folder: Path) -> None:
    """Tell if the bank could not show what this phone's receipts prove."""
    marks = LogMarks(folder)
    if notice := marks.take_notice():
        says = (
            "[bold yellow]The bank lost data:[/] {}. Keep your receipts: they prove what was "
            "booked. This is told once."
        )
        Console(stderr=True, soft_wrap=True).print(styled(says, notice))
    if alarm := marks.alarm:
        says = (
            "[bold red]ALARM:[/] the bank's ledger lost or changed what your receipts prove ({}): "
            "it was rewritten, or restored from an old copy. Keep this phone, and call the bank."
        )
        Console(stderr=True, soft_wrap=True).print(styled(says, alarm))


def _end_of(pages: list[Screen]) -> None:
    """Exit code 3, and a last word, if not every tap came to payment or entry."""
    if bad := [page for page in pages if not page.view.is_good]:
        tell_the_end(bad[-1])
        raise typer.Exit(3)


def _enter_code(moniker: str) -> str:
    """Let whoever sits there enter the code that a terminal shows, where a field needs one."""
    if not moniker.startswith("ble:") or ",code=" in moniker or not sys.stdin.isatty():
        return moniker
    code = Prompt.ask("The code on the display", console=Console(stderr=True))
    return f"{moniker},code={code}"


def _tap_often(device: Phone, moniker: str, taps: int, stay_s: float) -> list[Screen]:
    field = open_field(_enter_code(moniker))
    try:
        pages = []
        for number in range(taps):
            if number:
                time.sleep(_BETWEEN_TAPS_S)
            pages.append(device.tap(field, stay_s))
        return pages
    finally:
        field.close()
        device.close()


async def _balances(folder: Path) -> list[Account]:
    from simulators.phone.bank_line import open_bank_line

    async with open_bank_line(folder, _now_us) as line:
        return await line.accounts()


async def _statement(folder: Path, account: str, limit: int) -> ListEntriesResponse:
    from simulators.phone.bank_line import open_bank_line

    number = choose_account(load_identity(folder), account)
    async with open_bank_line(folder, _now_us) as line:
        return await line.statement(number, limit)


def _now_us() -> int:
    return time.time_ns() // 1_000
