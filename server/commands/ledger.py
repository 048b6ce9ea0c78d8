"""`kessai ledger`: are the books right, and what is in them."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.money import format_minor
from kessai.v1.account_pb2 import GetTrialBalanceRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server import data_folder
from server.commands.audit import fetch, require_whole
from server.commands.operator_line import DEADLINE_S, call
from server.commands.options import Data, DataFolder, Identity
from server.config import load_config
from server.domain.directory import AuditFilter
from server.shards.directory_schema import list_directory_faults
from server.shards.store import Reader, StoreUnavailable
from server.shards.verify import Report, verify

FAULTS_SHOWN = 20

ledger = typer.Typer(
    pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True, help="The books."
)

_out = Console(soft_wrap=True)


@ledger.command("trial-balance")
def show_trial_balance(data: Data = None, identity: Identity = None) -> None:
    """Add up all accounts of a running switch; exits with 1 if they do not balance."""
    trial = call(
        data,
        identity,
        lambda ch: AccountServiceStub(ch).GetTrialBalance(
            GetTrialBalanceRequest(), timeout=DEADLINE_S
        ),
    )
    table = Table(box=None)
    for column in ("kind", "currency", "accounts", "debits", "credits", "balance"):
        table.add_column(column, justify="left" if column in ("kind", "currency") else "right")
    for line in trial.lines:
        amounts = (line.debits_minor, line.credits_minor, line.credits_minor - line.debits_minor)
        table.add_row(
            line.account_kind.replace("_", " "),
            line.currency_code,
            f"{line.account_count:,}",
            *(format_minor(amount, line.currency_code) for amount in amounts),
        )
    _out.print(table)
    if not trial.balanced:
        raise Complaint("debits and credits differ: run kessai ledger verify")
    _out.print(styled("[bold green]Debits equal credits.[/]"))


@ledger.command("verify")
def verify_folder(data: DataFolder) -> None:
    """Decide the whole log again and compare: chain, balances, entries, in-transit, outboxes.

    And the chain of the audit log. Works beside a running switch. Exits with 1 if anything is
    wrong. Warns of files of a stopped switch that are no whole copy without their WALs.
    """
    load_config(data)
    books = data_folder.read_books(data)
    addresses = books.addresses(data)
    stopped = not data_folder.is_locked(data)
    warnings = [at.copy_warning() for at in addresses] if stopped else []
    faults = list_directory_faults(data / "directory.db") if stopped else []

    def open_readers() -> list[Reader]:
        return [address.open_reader() for address in addresses]

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verifying")
        try:
            report = verify(
                open_readers,
                books.slots,
                lambda rows: progress.update(task, description=f"verified {rows:,} log rows"),
            )
        except StoreUnavailable as error:
            raise Complaint(
                f"the books could not be read to their end ({error}), so nothing is known about "
                "them. Try again when the server is back."
            ) from None
    report.faults += faults
    for warning in filter(None, warnings):
        _out.print(styled("[yellow]warning:[/] {}", warning))
    _show(report, books.shards)
    _verify_audit(data)


def _verify_audit(data: Path) -> None:
    try:
        records = fetch(data, None, AuditFilter())
    except Complaint as complaint:
        _out.print(styled("[yellow]The audit log was not looked at:[/] {}", complaint))
        return
    require_whole(records)
    _out.print(styled("[bold green]The audit log verifies:[/] {} records.", f"{len(records):,}"))


def _show(report: Report, shards: int) -> None:
    for fault in report.faults[:FAULTS_SHOWN]:
        _out.print(styled("[red]fault:[/] {}", fault), soft_wrap=True)
    if len(report.faults) > FAULTS_SHOWN:
        _out.print(styled("[red]and {} more[/]", len(report.faults) - FAULTS_SHOWN))
    looked_at = (
        f"{report.rows:,} log rows, {report.accounts:,} accounts, {report.entries:,} entries "
        f"in {shards} shards, {report.in_transit:,} payments in transit"
    )
    if report.faults:
        raise Complaint(
            f"the books do NOT verify: {len(report.faults)} faults in {looked_at}. "
            "Stop the switch, keep the data folder as it is, and compare it with a backup."
        )
    _out.print(styled("[bold green]The books verify:[/] {}.", looked_at))
    if report.failed:
        what = "{} of these requests were declined because the switch failed at them (SWITCH_FAULT)"
        _out.print(styled(f"[yellow]warning:[/] {what}: see its log.", f"{report.failed:,}"))
