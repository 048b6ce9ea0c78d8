"""`kessai init`, `kessai serve` and `kessai ledger`: commands that work on a data folder."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from kessai.complaint import Complaint
from server import data_folder, main
from server.commands.options import DataFolder
from server.config import ServerConfig, load_config
from server.shards.directory import Directory
from server.shards.router import shard_path
from server.shards.sqlite_reader import SqliteReader
from server.shards.verify import Report, verify

FAULTS_SHOWN = 20

init = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
serve = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
ledger = typer.Typer(
    pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True, help="The books."
)

_out = Console(highlight=False)


@init.command()
def make_folder(
    data: DataFolder,
    domain: Annotated[
        str, typer.Option(help="Name of the switch in all identities, such as pay.example.")
    ] = "kessai.example",
    shards: Annotated[int, typer.Option(help="How many account stores, 1 to 1000.")] = 4,
    listen: Annotated[str, typer.Option(help="host:port for terminals and phones.")] = (
        "127.0.0.1:7443"
    ),
    pairing_listen: Annotated[str, typer.Option(help="host:port for pairing.")] = "127.0.0.1:7444",
    metrics_listen: Annotated[str, typer.Option(help='host:port for /metrics, or "".')] = (
        "127.0.0.1:7445"
    ),
    public_host: Annotated[str, typer.Option(help="How devices reach this machine.")] = (
        "127.0.0.1"
    ),
) -> None:
    """Make a data folder: certificates, keys, shards and a commented config."""
    try:
        config = ServerConfig(
            listen=listen,
            pairing_listen=pairing_listen,
            metrics_listen=metrics_listen,
            public_host=public_host,
        )
    except ValueError as error:
        raise Complaint(f"these settings cannot be: {error}. Nothing was made.") from None
    data_folder.create(data, domain, shards, config, main.now_us, os.urandom)
    _out.print(
        f"[bold green]{data}[/] is ready: {shards} shards, keys and certificates of {domain}.\n"
        f"  1. Move [bold]{data / 'offline-root'}[/] to a safe place, off this machine.\n"
        f"  2. Look at [bold]{data / 'kessai.toml'}[/].\n"
        f"  3. kessai serve --data {data}"
    )


@serve.command()
def serve_folder(data: DataFolder) -> None:
    """Run the switch on a data folder until SIGTERM or Ctrl-C."""
    main.run(data, load_config(data))


@ledger.command("verify")
def verify_folder(data: DataFolder) -> None:
    """Decide the whole log again and compare: chain, balances, entries, in-transit, outboxes.

    Works beside a running switch. Exits with 1 if anything is wrong.
    """
    load_config(data)
    directory = Directory(data / "directory.db", main.now_us)
    books, count, slots = data_folder.read_books(directory)
    directory.close()

    def open_readers() -> list[SqliteReader]:
        return [SqliteReader(shard_path(data, shard), shard, books) for shard in range(count)]

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verifying")
        report = verify(
            open_readers,
            slots,
            lambda rows: progress.update(task, description=f"verified {rows:,} log rows"),
        )
    _show(report, count)


def _show(report: Report, shards: int) -> None:
    for fault in report.faults[:FAULTS_SHOWN]:
        _out.print(f"[red]fault:[/] {fault}", soft_wrap=True)
    if len(report.faults) > FAULTS_SHOWN:
        _out.print(f"[red]and {len(report.faults) - FAULTS_SHOWN} more[/]")
    looked_at = (
        f"{report.rows:,} log rows, {report.accounts:,} accounts, {report.entries:,} entries "
        f"in {shards} shards, {report.in_transit:,} payments in transit"
    )
    if report.faults:
        raise Complaint(
            f"the books do NOT verify: {len(report.faults)} faults in {looked_at}. "
            "Stop the switch, keep the data folder as it is, and compare it with a backup."
        )
    _out.print(f"[bold green]The books verify:[/] {looked_at}.")
