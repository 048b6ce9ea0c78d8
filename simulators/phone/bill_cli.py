"""`kessai phone bill` and `bills`: ask another phone for money, and see what came of it.

Added to the phone's commands by `cli`. The phone that pays is held to the same field with
`kessai phone tap`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from edge_agents.links.radio import open_radio
from kessai.complaint import Complaint
from kessai.console import Console, Table
from kessai.decline import meaning_of
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.json_lines import as_json as as_dict
from kessai.json_lines import print_json
from kessai.money import Money, MoneyError
from kessai.secret_input import read_secret
from kessai.v1 import bill_pb2, payment_pb2
from kessai.v1.envelope_pb2 import Signed
from simulators.phone.bill_collector import BillCollector
from simulators.phone.bill_maker import BillMaker
from simulators.phone.bill_store import BillStore, OwnBill
from simulators.phone.cue import OnCue, wait_for_cue
from simulators.phone.own_line import NotTaken, OwnLine
from simulators.phone.pairing_cli import NoPin, PinFile
from simulators.phone.phone import choose_account
from simulators.phone.screen import Screen, View
from simulators.phone.screen_view import shower
from simulators.phone.vault import Vault, VaultLocked, WrongPin

NOT_PAID_CODE = 3

Folder = Annotated[Path, typer.Option("--folder", help="The phone's folder.")]


class Submitter(StrEnum):
    """Whose phone submits a bill to the bank."""

    PAYEE = "payee"
    PAYER = "payer"


_SUBMITTERS = {
    Submitter.PAYEE: bill_pb2.BILL_SUBMITTER_UNSPECIFIED,
    Submitter.PAYER: bill_pb2.BILL_SUBMITTER_PAYER,
}


def bill(
    folder: Folder,
    amount: Annotated[str, typer.Argument(help='How much, such as "12.50 EUR".')],
    field: Annotated[str, typer.Option(help="The radio to ask over: udp:HOST:PORT, ble:...")],
    what_for: Annotated[str, typer.Option("--for", help="What for, 1 to 60 characters.")],
    pin_file: PinFile = None,
    pin: NoPin = "",
    account: Annotated[str, typer.Option(help="To this account; the first by default.")] = "",
    submitter: Annotated[
        Submitter, typer.Option(help="Whose phone submits it: payee (this one), or payer.")
    ] = Submitter.PAYEE,
    stay: Annotated[float, typer.Option(min=1, max=120, help="Give up after seconds.")] = 120.0,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
    on_cue: OnCue = False,
) -> None:
    """Ask the phone in the field for money; exit code 3 if it was not paid.

    Example: kessai phone bill "12.50 EUR" --for Lunch --folder ann --field udp:127.0.0.1:54321
    """
    identity = load_identity(folder)
    identity.require_in_date(_now_us())
    number = choose_account(identity, account)
    try:
        key = Vault(folder).unlock(read_secret("PIN", pin_file, "--pin-file", pin))
        money = Money.read(amount)
    except (WrongPin, VaultLocked) as error:
        raise Complaint(f"The PIN does not fit ({error}). Nobody was asked for money.") from None
    except MoneyError as error:
        raise Complaint(f"{error}. Nobody was asked for money.") from None
    if on_cue:
        wait_for_cue()
    maker = BillMaker(identity, key, number, _now_us, os.urandom)
    signed = maker.make(what_for, money, _SUBMITTERS[submitter])
    page = asyncio.run(_collect(folder, identity, signed, field, stay, shower(Console(), events)))
    if page.view is not View.RECEIVED:
        raise typer.Exit(NOT_PAID_CODE)


def bills(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the bills of this phone, newest first; asks the bank about what is open.

    Example: kessai phone bills --folder ann --json
    """
    listed = asyncio.run(_take_up(folder, load_identity(folder)))
    if as_json:
        print_json({"bill": as_dict(own.bill), "outcome": _outcome(own).plain} for own in listed)
        return
    console = Console()
    table = Table("For", "Amount", "Outcome", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for own in listed:
        amount = str(Money.from_proto(own.bill.amount))
        table.add_row(Text(own.bill.description), amount, _outcome(own))
    console.print(table)


async def _collect(
    folder: Path,
    identity: DeviceIdentity,
    signed: Signed,
    field: str,
    stay_s: float,
    show: Callable[[Screen], None],
) -> Screen:
    store, line, radio = BillStore(folder), OwnLine(identity), open_radio(field)
    try:
        certificate = await asyncio.to_thread(line.certify)
        if isinstance(certificate, NotTaken):
            raise Complaint(f"The bank does not answer ({certificate.why}). Nobody was asked.")
        collector = BillCollector(certificate, identity.switch_key, store, line, show, os.urandom)
        return await collector.collect(signed, radio, stay_s)
    finally:
        await radio.close()
        line.close()
        store.close()


async def _take_up(folder: Path, identity: DeviceIdentity) -> list[OwnBill]:
    store, line = BillStore(folder), OwnLine(identity)
    try:
        collector = BillCollector(
            Signed(), identity.switch_key, store, line, lambda page: None, os.urandom
        )
        return await collector.take_up()
    finally:
        line.close()
        store.close()


def _outcome(own: OwnBill) -> Text:
    receipt = own.receipt
    if receipt is None:
        expired = own.bill.expire_time.ToMicroseconds() <= _now_us()
        return Text("Not paid", style="bright_black") if expired else Text("Open", style="yellow")
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED:
        return Text("Received", style="green")
    return Text(meaning_of(receipt.decline_reason).customer, style="red")


def _now_us() -> int:
    return time.time_ns() // 1_000
