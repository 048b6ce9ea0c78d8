"""The `kessai phone` command: pair a simulated phone, tap with it, look at its money.

Mounted by `cli/main.py`. With `tap` the phone is a process of its own in a reader's field.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.prompt import Prompt

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.device_identity import load_identity
from kessai.money import Money, MoneyError
from kessai.secret_input import read_secret
from kessai.v1.account_pb2 import Account, ListEntriesResponse
from simulators.phone.bill_cli import bill, bills
from simulators.phone.customer import (
    Approving,
    AtTheKeyboard,
    Customer,
    Declining,
    GivingUp,
    Thinking,
)
from simulators.phone.field import open_field
from simulators.phone.misbehaviour import Misbehaviour
from simulators.phone.papers import draw_balances, draw_purchases, draw_statement
from simulators.phone.phone import Phone, choose_account
from simulators.phone.screen import Screen
from simulators.phone.screen_view import shower
from simulators.phone.store import Store
from simulators.phone.ticket_pocket import Wants
from simulators.phone.vault import Vault, VaultLocked, WrongPin

phone = typer.Typer(
    name="phone",
    help="Pair and run a simulated phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

phone.command()(bill)
phone.command()(bills)

Folder = Annotated[Path, typer.Option("--folder", help="The phone's folder.")]
PinFile = Annotated[
    Path | None, typer.Option("--pin-file", help="Holds the PIN; else it is asked, or piped in.")
]
NoPin = Annotated[str, typer.Option("--pin", hidden=True)]
WRONG_PIN = "0000"
_BETWEEN_TAPS_S = 0.5


class Answer(StrEnum):
    """What the customer does; with `agree` nobody enters a PIN."""

    APPROVE = "approve"
    AGREE = "agree"
    DECLINE = "decline"
    WRONG_PIN = "wrong-pin"
    ASK = "ask"


@phone.command()
def pair(
    folder: Folder,
    pairing_uri: Annotated[str, typer.Argument(hidden=True)] = "",
    uri_file: Annotated[
        Path | None, typer.Option("--uri-file", help="Holds kessai://pair?...; else it is asked.")
    ] = None,
    pin_file: PinFile = None,
    pin: NoPin = "",
) -> None:
    """Make this a phone of a wallet, with the one-time code that the bank gave.

    Code and PIN (4 to 12 digits) are asked for, or come in by a pipe, a line each.
    """
    code = read_secret("pairing code", uri_file, "--uri-file", pairing_uri)
    pair_phone(folder, code, read_secret("PIN", pin_file, "--pin-file", pin))


def pair_phone(folder: Path, pairing_uri: str, pin: str) -> None:
    """Pair a phone, and say as what; Complaint if that fails."""
    from kessai.durable_file import make_folder
    from kessai.enrollment import pair as enroll
    from kessai.enrollment import parse_pairing_uri

    pairing = parse_pairing_uri(pairing_uri)
    make_folder(folder)
    # The key is in the vault before the switch knows it; a pairing that was cut off finds it there.
    vault = Vault(folder) if Vault.exists(folder) else Vault.create(folder, pin, os.urandom)
    try:
        key = vault.unlock(pin)
    except (WrongPin, VaultLocked) as error:
        raise Complaint(
            f"{folder} holds a phone with another PIN ({error}). Take another folder."
        ) from None
    identity = enroll(pairing, folder, key, f"kessai {importlib.metadata.version('kessai')}")
    console = Console()
    paired = "[green]Paired[/] as {}, at {}."
    console.print(styled(paired, identity.device, identity.server_address))
    if identity.accounts:
        try:
            asyncio.run(_certify(folder, ""))
        except Complaint as complaint:
            console.print(f"No credential for gates and doors yet: {complaint}")


@phone.command("without-pin")
def without_pin(
    folder: Folder,
    limit: Annotated[str, typer.Argument(help='Such as "5.00 EUR", or "never".')],
    pin_file: PinFile = None,
    pin: NoPin = "",
) -> None:
    """Need no PIN up to an amount, where the merchant allows that too; "never" turns it off."""
    pay_without_pin(folder, limit, read_secret("PIN", pin_file, "--pin-file", pin))


def pay_without_pin(folder: Path, limit: str, pin: str) -> None:
    """Set the limit, or take it back; Complaint if the PIN does not fit."""
    vault = Vault(folder)
    try:
        if limit == "never":
            vault.unlock(pin)
            vault.forbid_small()
            Console().print("The PIN is asked for every amount.")
            return
        vault.allow_small(pin, _money(limit), os.urandom)
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was changed.") from None
    except (WrongPin, VaultLocked) as error:
        raise Complaint(f"The PIN does not fit ({error}). Nothing was changed.") from None
    allowed = "No PIN is asked up to [bold]{}[/] where merchants allow it."
    Console().print(styled(allowed, vault.small_limit))


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
) -> None:
    """Hold the phone to a reader until that is over; exit code 3 without payment or entry."""
    does = Misbehaviour(
        leave_after_frames=leave_after_frames, leave_after_exchanges=leave_after_exchanges,
        lose_every=lose_every, answer_late_s=late, alter_sealed=alter, replay=replay,
        submit_late_s=submit_late, amount_minor=authorize_minor, merchant_id=authorize_merchant,
        terminal_id=authorize_terminal, claim_unverified=unverified,
    )  # fmt: skip
    wants = Wants(persons, _money(spend) if spend else None)
    entered = read_secret("PIN", pin_file, "--pin-file", pin) if _enters(answer, pin) else ""
    held = Phone(folder, *_person(answer, entered, think, events), does, account, wants=wants)
    if not all(page.view.is_good for page in _tap_often(held, field, taps, stay)):
        raise typer.Exit(3)


@phone.command()
def certify(
    folder: Folder,
    account: Annotated[str, typer.Option(help="For this account; the first by default.")] = "",
) -> None:
    """Fetch a new credential from the bank, with which gates and doors know the phone off line."""
    asyncio.run(_certify(folder, account))
    certified = "[green]Certified[/]: gates, doors and terminals that are cut off know it."
    Console().print(styled(certified))


@phone.command()
def tickets(
    folder: Folder,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask the bank for missing ones.")] = False,
) -> None:
    """Show the tickets on the phone; needs no line, but to fetch those that never arrived."""
    from simulators.phone.ticket_papers import draw_tickets, fetch_tickets

    if fetch:
        asyncio.run(fetch_tickets(folder, _now_us))
    Console().print(draw_tickets(folder))


@phone.command()
def balance(folder: Folder) -> None:
    """Ask the bank for the balance of each of the wallet's accounts."""
    Console().print(draw_balances(asyncio.run(_balances(folder))))


@phone.command()
def history(
    folder: Folder,
    account: Annotated[str, typer.Option(help="Which account; the first by default.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
) -> None:
    """Ask the bank for the statement of an account."""
    Console().print(draw_statement(asyncio.run(_statement(folder, account, limit))))


@phone.command()
def purchases(
    folder: Folder,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
) -> None:
    """List what the phone itself remembers: what was agreed to, and the receipts; needs no line."""
    load_identity(folder)
    store = Store(folder)
    Console().print(draw_purchases(store.history(limit)))
    store.close()


def _money(text: str) -> Money:
    """Read an amount such as "5.00 EUR"."""
    amount, _, currency = text.partition(" ")
    try:
        return Money.parse(amount, currency)
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was changed.") from None


def _person(
    answer: Answer, pin: str, think: float, events: bool
) -> tuple[Customer, Callable[[Screen], None]]:
    """Give who holds the phone, and what shows him the pages."""
    console = Console(stderr=events)
    return _customer(answer, pin, think, console), shower(console, events)


def _enters(answer: Answer, argument: str) -> bool:
    """Whether a PIN is needed before anything is held to a reader, or given where none may be."""
    return answer is Answer.APPROVE or bool(argument)


def _customer(answer: Answer, pin: str, think: float, console: Console) -> Customer:
    if answer is Answer.APPROVE:
        approving = Approving(pin)
        return Thinking(think, approving) if think else approving
    customers: dict[Answer, Customer] = {
        Answer.AGREE: GivingUp(()),
        Answer.DECLINE: Declining(),
        Answer.WRONG_PIN: Approving(WRONG_PIN),
        Answer.ASK: AtTheKeyboard(console),
    }
    return Thinking(think, customers[answer]) if think else customers[answer]


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


async def _certify(folder: Path, account: str) -> None:
    from kessai.request_id import new_request_id
    from simulators.phone.bank_line import open_bank_line
    from simulators.phone.holder_key import HolderKey

    identity = load_identity(folder)
    key, number = HolderKey(folder, identity.switch_key), choose_account(identity, account)
    async with open_bank_line(folder, _now_us) as line:
        await line.certify(key, number, new_request_id(_now_us() // 1000, os.urandom))


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
