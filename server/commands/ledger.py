"""`kessai ledger`: are the books right, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from kessai.complaint import Complaint, told_if_stopped
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.money import format_minor
from kessai.v1.account_pb2 import GetTrialBalanceRequest, GetTrialBalanceResponse
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server import data_folder
from server.commands.audit import fetch, require_chain, require_whole
from server.commands.operator_line import DEADLINE_S, call
from server.commands.options import AsJson, Data, DataFolder, Identity
from server.config import load_config
from server.domain.directory import AuditFilter
from server.examine import Findings, examine_books, examine_stopped

FAULTS_SHOWN = 20

ledger = typer.Typer(
    pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True, help="The books."
)

_out = Console(soft_wrap=True)


@ledger.command("trial-balance")
def show_trial_balance(
    as_json: AsJson = False, data: Data = None, identity: Identity = None
) -> None:
    """Add up all accounts of a running switch; exits with 1 if they do not balance.

    Example: kessai ledger trial-balance --json
    """
    trial = call(
        data,
        identity,
        lambda ch: AccountServiceStub(ch).GetTrialBalance(
            GetTrialBalanceRequest(), timeout=DEADLINE_S
        ),
    )
    if as_json:
        print_json(trial.lines)
    else:
        _show_trial(trial)
    if not trial.balanced:
        raise Complaint("debits and credits differ: run kessai ledger verify")
    if not as_json:
        _out.print(styled("[bold green]Debits equal credits.[/]"))


def _show_trial(trial: GetTrialBalanceResponse) -> None:
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


@ledger.command("verify")
def verify_folder(data: DataFolder, identity: Identity = None) -> None:
    """Decide the whole log again and compare: chain, balances, entries, in-transit, outboxes.

    And the chain of the audit log, which a running switch is asked for. Exits with 1 if anything
    is wrong or could not be looked at, or if the stores of a stopped switch are not of one moment.
    Warns of files that are no whole copy without their WALs.

    Example: kessai ledger verify --data /var/lib/kessai
    """
    load_config(data)
    with told_if_stopped(lambda: "nothing is known about the books, and nothing was changed."):
        if data_folder.is_locked(data):
            _verify_running(data, identity)
        else:
            _verify_stopped(data)


def _verify_running(data: Path, identity: Path | None) -> None:
    with progress_of("verifying") as on_rows:
        report = examine_books(data, on_rows)
    show(Findings(report, data_folder.read_books(data).shards))
    try:
        records = fetch(data, identity, AuditFilter())
    except Complaint as complaint:
        raise Complaint(
            f"the audit log could not be looked at, so nothing is known about it: {complaint}"
        ) from None
    require_whole(records)
    _show_audit(len(records))


def _verify_stopped(data: Path) -> None:
    warnings = [at.copy_warning() for at in data_folder.read_books(data).addresses(data)]
    with progress_of("verifying") as on_rows:
        found = examine_stopped(data, on_rows)
    for warning in filter(None, warnings):
        _out.print(styled("[yellow]warning:[/] {}", warning))
    show(found)
    if found.audit_records is None:
        _out.print("These books are of a release that kept no audit log.")
        return
    require_chain(found.audit_faults, found.audit_records)
    _show_audit(found.audit_records)


@contextmanager
def progress_of(work: str) -> Iterator[Callable[[int], None]]:
    """Show how many log rows were verified meanwhile, on a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    errors = Console(stderr=True)
    quiet = not errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=quiet) as progress:
        task = progress.add_task(work)
        yield lambda rows: progress.update(task, description=f"verified {rows:,} log rows")


def _show_audit(records: int) -> None:
    _out.print(styled("[bold green]The audit log verifies:[/] {} records.", f"{records:,}"))


def show(found: Findings) -> None:
    """Say what was looked at; Complaint if anything is wrong with the books."""
    report, faults, shards = found.report, found.faults, found.shards
    for fault in faults[:FAULTS_SHOWN]:
        _out.print(styled("[red]fault:[/] {}", fault), soft_wrap=True)
    if len(faults) > FAULTS_SHOWN:
        _out.print(styled("[red]and {} more[/]", len(faults) - FAULTS_SHOWN))
    looked_at = (
        f"{report.rows:,} log rows, {report.accounts:,} accounts, {report.entries:,} entries "
        f"in {shards} shards, {report.in_transit:,} payments in transit"
    )
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
        raise Complaint(
            f"the books do NOT verify: {count} in {looked_at}. "
            "Stop the switch, keep the data folder as it is, and compare it with a backup."
        )
    _out.print(styled("[bold green]The books verify:[/] {}.", looked_at))
    if report.failed:
        what = "{} of these requests were declined because the switch failed at them (SWITCH_FAULT)"
        _out.print(styled(f"[yellow]warning:[/] {what}: see its log.", f"{report.failed:,}"))
