"""The `kessai agent certificate` command. Mounted by `edge_agents/cli.py`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import Complaint
from kessai.money import Money, MoneyError

NOT_PAID = 3


def certificate(
    amount: Annotated[str, typer.Argument(help='What it is to pay, such as "12.50 EUR".')],
    folder: Annotated[Path, typer.Option(help="The terminal's folder.")],
    reader: Annotated[str, typer.Option(help="Phone reader: usb, ble:hci0, ...")] = "usb",
    wait: Annotated[float, typer.Option(min=1, max=600, help="Seconds to wait.")] = 60.0,
) -> None:
    """Let a gift certificate on a phone pay; exit code 3 if it does not.

    If it is not known what became of the last one, that is asked first, and nothing new is paid.

    Example: kessai agent certificate "12.50 EUR" --folder till
    """
    from edge_agents.certificate.main import spend_certificate
    from kessai.console import Console, styled
    from kessai.decline import meaning_of, name_of
    from kessai.ticket import format_ticket_id
    from kessai.v1.decline_pb2 import DECLINE_REASON_TICKET_USED

    try:
        due = Money.read(amount)
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was paid.") from None
    if due.minor <= 0:
        raise Complaint("An amount is more than zero. Nothing was paid.")
    console = Console()
    tell_code = lambda code: console.print(styled("Code for phone: [bold]{}[/]", code))  # noqa: E731
    spent = asyncio.run(spend_certificate(folder, reader, due, wait, tell_code))
    left = f" {spent.left} are left." if spent.left is not None else ""
    if not spent.is_paid:
        is_short = spent.refusal == DECLINE_REASON_TICKET_USED
        why = "It has less left." if is_short else meaning_of(spent.refusal).cashier
        refused = "[red]NOT PAID[/] {}: {}{} ({})"
        console.print(styled(refused, spent.amount, why, left, name_of(spent.refusal)))
        raise typer.Exit(NOT_PAID)
    console.print(styled("[green]PAID[/] {} by certificate.{}", spent.amount, left))
    console.print(styled("[dim]{}[/]", format_ticket_id(spent.ticket_id)))
