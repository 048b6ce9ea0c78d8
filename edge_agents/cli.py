"""The `kessai agent` command: pair a terminal, run it, look at its payments, check a receipt.

What only one command needs is imported when it is called: an agent runs for months on a small
machine, and keeps in memory what was loaded.
"""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_agents.certificate.cli import certificate
from edge_agents.config import AgentConfig, load_config, sample_config
from edge_agents.entrance.cli import entrance
from edge_agents.entrance.config import EntranceConfig
from edge_agents.gate.cli import unpriced
from edge_agents.gate.config import GateConfig
from edge_agents.journal import FILE_NAME, read_journal
from edge_agents.receipts import (
    ReceiptRefused,
    decode_qr,
    open_receipt,
    verify_receipt,
)
from edge_agents.register.config import SAMPLE_PRICES, RegisterConfig
from edge_agents.relay.cli import relay
from edge_agents.terminal import load_or_make_signing_key
from edge_agents.ticket_machine.cli import ticket_machine
from edge_agents.ticket_machine.config import TicketMachineConfig
from edge_agents.vending.config import VendingConfig
from kessai.complaint import Complaint
from kessai.device_identity import load_identity

agent = typer.Typer(
    name="agent",
    help="Pair and run the agent of a terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Option("--folder", help="The terminal's folder.")]


class AgentKind(StrEnum):
    """Which agents have a configuration."""

    REGISTER = "register"
    GATE = "gate"
    VENDING = "vending"
    ENTRANCE = "entrance"
    TICKET_MACHINE = "ticket-machine"


_CONFIGS: dict[AgentKind, type[AgentConfig]] = {
    AgentKind.REGISTER: RegisterConfig,
    AgentKind.GATE: GateConfig,
    AgentKind.VENDING: VendingConfig,
    AgentKind.ENTRANCE: EntranceConfig,
    AgentKind.TICKET_MACHINE: TicketMachineConfig,
}


@agent.command()
def pair(
    folder: Folder,
    pairing_uri: Annotated[str, typer.Argument(hidden=True)] = "",
    uri_file: Annotated[
        Path | None, typer.Option("--uri-file", help="Holds kessai://pair?...; else it is asked.")
    ] = None,
) -> None:
    """Make this machine a terminal, with the one-time code that the operator gave.

    The code is asked for, or comes in by a pipe: kessai agent pair --folder till < code

    Example: kessai agent pair --folder till
    """
    from kessai.secret_input import read_secret

    pair_terminal(folder, read_secret("pairing code", uri_file, "--uri-file", pairing_uri))


def pair_terminal(folder: Path, pairing_uri: str) -> None:
    """Pair a terminal, and say as what; Complaint if that fails."""
    from importlib.metadata import version

    from kessai.console import Console, styled
    from kessai.enrollment import cleared_if_refused, parse_pairing_uri
    from kessai.enrollment import pair as enroll

    pairing = parse_pairing_uri(pairing_uri)
    with cleared_if_refused(folder):
        key = load_or_make_signing_key(folder)
        enroll(pairing, folder, key, f"kessai {version('kessai')}")
    identity = load_identity(folder)
    Console().print(
        styled("[green]Paired[/] as {}, at {}.", identity.device, identity.server_address)
    )


@agent.command()
def register(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The terminal's folder.")] = None,
    reader: Annotated[str | None, typer.Option(help="Radio: usb, ble:hci0, ...")] = None,
    scanner: Annotated[Path | None, typer.Option(help="Scanner's serial line.")] = None,
    display: Annotated[Path | None, typer.Option(help="Display's serial line.")] = None,
    printer: Annotated[Path | None, typer.Option(help="Printer's serial line.")] = None,
    price_list: Annotated[Path | None, typer.Option(help="CSV file of the goods.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code.")] = None,
    request_seconds: Annotated[int | None, typer.Option(help="Time to pay, 10 to 120.")] = None,
    submission: Annotated[str | None, typer.Option(help="relayed, or direct.")] = None,
    offline_days: Annotated[
        int | None, typer.Option(help="Accept payments without the switch, 1 to 7.")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run a shop's register until it is stopped with Ctrl-C or SIGTERM.

    Example: kessai agent register --folder till --reader usb --price-list goods.csv
    """
    flags = {
        "folder": folder,
        "reader": reader,
        "scanner": scanner,
        "display": display,
        "printer": printer,
        "price_list": price_list,
        "currency": currency,
        "request_seconds": request_seconds,
        "offline_days": offline_days,
        "submission": submission,
    }
    settings = load_config(RegisterConfig, config, flags)
    from edge_agents.events import set_up_log
    from edge_agents.register.main import run_register

    set_up_log()
    asyncio.run(run_register(settings, sys.stdout if events else None))


@agent.command()
def gate(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The terminal's folder.")] = None,
    direction: Annotated[str | None, typer.Option(help="entry or exit.")] = None,
    station: Annotated[str | None, typer.Option(help="The stop_id where it stands.")] = None,
    feed: Annotated[Path | None, typer.Option(help="GTFS feed, folder or zip file.")] = None,
    reader: Annotated[str | None, typer.Option(help="Phone reader, such as usb.")] = None,
    barrier: Annotated[Path | None, typer.Option(help="Barrier's serial line.")] = None,
    display: Annotated[Path | None, typer.Option(help="Display's serial line.")] = None,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run a gate of a line until it is stopped with Ctrl-C or SIGTERM.

    Example: kessai agent gate --folder gate --direction entry --station mitte --feed feed.zip
    """
    flags = {
        "folder": folder,
        "direction": direction,
        "station": station,
        "feed": feed,
        "reader": reader,
        "barrier": barrier,
        "display": display,
    }
    settings = load_config(GateConfig, config, flags)
    from edge_agents.events import set_up_log
    from edge_agents.gate.main import run_gate

    set_up_log()
    asyncio.run(run_gate(settings, sys.stdout if events else None))


@agent.command()
def vending(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The terminal's folder.")] = None,
    reader: Annotated[str | None, typer.Option(help="Phone reader, such as usb.")] = None,
    machine: Annotated[Path | None, typer.Option(help="Serial line of the MDB adapter.")] = None,
    submission: Annotated[str | None, typer.Option(help="relayed or direct.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code.")] = None,
    relay: Annotated[str | None, typer.Option(help="Fleet's server: FLEET@HOST:PORT.")] = None,
    request_seconds: Annotated[int | None, typer.Option(help="Time to pay, 10 to 120.")] = None,
    vend_seconds: Annotated[int | None, typer.Option(help="Time to give out, 5 to 600.")] = None,
    ask_seconds: Annotated[int | None, typer.Option(help="Time to tell after a gap.")] = None,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run a vending machine's reader until it is stopped with Ctrl-C or SIGTERM.

    Example: kessai agent vending --folder snacks --machine /dev/ttyUSB0
    """
    flags = {
        "folder": folder,
        "reader": reader,
        "machine": machine,
        "submission": submission,
        "currency": currency,
        "relay": relay,
        "request_seconds": request_seconds,
        "vend_seconds": vend_seconds,
        "ask_seconds": ask_seconds,
    }
    settings = load_config(VendingConfig, config, flags)
    from edge_agents.events import set_up_log
    from edge_agents.vending.main import run_vending

    set_up_log()
    asyncio.run(run_vending(settings, sys.stdout if events else None))


agent.command()(entrance)
agent.command()(certificate)
agent.command()(relay)
agent.command("ticket-machine")(ticket_machine)


@agent.command()
def config(
    kind: Annotated[AgentKind, typer.Argument(help="Of which agent.")] = AgentKind.REGISTER,
) -> None:
    """Print a configuration file with every key, its default and what it means.

    Example: kessai agent config gate > gate.toml
    """
    sys.stdout.write(sample_config(_CONFIGS[kind], kind.value))


@agent.command()
def prices() -> None:
    """Print the sample price list: a CSV file that names goods, their prices and the currency.

    Example: kessai agent prices > goods.csv
    """
    sys.stdout.write(SAMPLE_PRICES.read_text(encoding="utf-8"))


@agent.command()
def payments(
    folder: Folder,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the terminal's payments: what is pending, what was settled, what waits for paper.

    Example: kessai agent payments --folder till --json
    """
    from edge_agents.journal_view import print_payments, show_payments

    show = print_payments if as_json else show_payments
    show(read_journal(folder, limit))


agent.command()(unpriced)


@agent.command("check-receipt")
def check_receipt(
    folder: Folder,
    text: Annotated[
        str | None, typer.Argument(help="Text of the QR code; without it, read from stdin.")
    ] = None,
) -> None:
    """Verify a receipt offline: that the switch signed it, and whether it is of this terminal.

    Example: kessai agent check-receipt --folder till < receipt.txt
    """
    from edge_agents.journal_view import show_receipt

    identity = load_identity(folder)
    try:
        signed = decode_qr(text if text is not None else sys.stdin.read())
        receipt = open_receipt(signed, identity.switch_key)
        entries = read_journal(folder) if (folder / FILE_NAME).exists() else []
        own = next((e for e in entries if e.pending.request_id == receipt.request_id), None)
        if own is not None:
            verify_receipt(signed, own.pending, identity.switch_key)
    except ReceiptRefused as error:
        raise Complaint(f"Do not accept this receipt: {error}.") from None
    show_receipt(receipt, own)
