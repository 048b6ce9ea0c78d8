"""`kessai backup` and `kessai restore`: all stores of one moment, written and brought back."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer

from kessai.complaint import Complaint, told_if_stopped
from kessai.console import Console, styled
from kessai.v1.backup_pb2 import CopyDirectoryRequest, CopyDirectoryResponse
from kessai.v1.backup_pb2_grpc import BackupServiceStub
from server import data_folder, main
from server import restore as restoring
from server.backup import Backup
from server.backup_manifest import Manifest
from server.commands.ledger import progress_of
from server.commands.operator_line import call, request_id_of
from server.commands.options import DataFolder, Identity
from server.config import load_config
from server.examine import Findings
from server.shards.address import sqlite_urls
from server.shards.still import HOLD_LIMIT_S

backup = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
restore = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

AcceptLoss = Annotated[
    bool,
    typer.Option(
        "--accept-loss",
        help="What came after the backup is lost for good: devices are told once, and begin anew.",
    ),
]
WithFaults = Annotated[
    bool, typer.Option("--with-faults", help="In place only: although the books do not verify.")
]

_out = Console(soft_wrap=True)


@backup.command()
def write_backup(
    target: Annotated[Path, typer.Argument(help="The folder to write; it must not exist.")],
    data: DataFolder,
    identity: Identity = None,
) -> None:
    """Write a backup of all stores of one moment, and verify it. It holds keys: keep it safe.

    Payments go on; they wait for a fraction of a second.

    Example: kessai backup /backup/monday --data /var/lib/kessai
    """
    load_config(data)
    taking = Backup(data, target, main.now_us)
    with told_if_stopped(lambda: _written(target)), ExitStack() as held:
        if data_folder.is_locked(data):
            manifest, found = _of_running(taking, data, identity)
        else:
            lock = data_folder.Lock(data)
            held.callback(lock.release)
            with progress_of("copying") as on_rows:
                manifest, found = taking.take(None, on_rows)
    says = "[bold green]{} is a whole backup[/] of {}: {}. It verifies."
    _out.print(styled(says, target, _moment(manifest), _sizes(found)))
    _out.print("It holds the switch's keys: encrypt it, and keep it off this machine.")


@restore.command()
def make_folder(
    data: DataFolder,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="BACKUP", help="What kessai backup wrote; without: in place."),
    ] = None,
    accept_loss: AcceptLoss = False,
    with_faults: WithFaults = False,
) -> None:
    """Make a data folder of a backup; it is verified before anything is in its place.

    Example: kessai restore /backup/monday --data /var/lib/kessai
    """
    if source is None:
        _accept_in_place(data, accept_loss, with_faults)
        return
    if with_faults:
        raise Complaint("a backup that does not verify is not restored; nothing was changed.")
    with told_if_stopped(lambda: _written(data)), progress_of("copying") as on_rows:
        manifest, found = restoring.restore(source, data, accept_loss, main.now_us, on_rows)
    _out.print(
        styled(
            "[bold green]{} is restored[/] as of {}: {}. It verifies.",
            data,
            _moment(manifest),
            _sizes(found),
        )
    )
    if accept_loss:
        _out.print("Devices that have seen more are told once, and begin anew.")
    else:
        _out.print(
            "Devices that have seen more will raise an alarm. If nothing newer is left: "
            f"kessai restore --accept-loss --data {data}"
        )
    if list(manifest.urls) != sqlite_urls(len(manifest.urls)):
        _out.print(f"All shards are in {data}/shards now; their addresses stand in books.json.")
    _out.print(f"Next: kessai serve --data {data}")


def _accept_in_place(data: Path, accept_loss: bool, with_faults: bool) -> None:
    if not accept_loss:
        raise Complaint(
            "name the backup: kessai restore BACKUP --data FOLDER. Nothing was changed. To go on "
            "with a folder as it is, although something newer is lost: --accept-loss"
        )
    load_config(data)
    lock = data_folder.Lock(data)
    try:
        with progress_of("verifying") as on_rows:
            found = restoring.accept_in_place(data, with_faults, main.now_us, on_rows)
    finally:
        lock.release()
    for fault in found.faults:
        _out.print(styled("[yellow]accepted:[/] {}", fault))
    _out.print(
        styled(
            "[bold green]{} goes on as it is:[/] {}. Devices that have seen more are told once.",
            data,
            _sizes(found),
        )
    )


def _of_running(taking: Backup, data: Path, identity: Path | None) -> tuple[Manifest, Findings]:
    async def take(channel: grpc.aio.Channel) -> tuple[Manifest, Findings]:
        loop = asyncio.get_running_loop()

        async def ask() -> CopyDirectoryResponse:
            request = CopyDirectoryRequest(request_id=request_id_of(""))
            return await BackupServiceStub(channel).CopyDirectory(request, timeout=HOLD_LIMIT_S)

        def copy_directory() -> tuple[Path, int]:
            answer = asyncio.run_coroutine_threadsafe(ask(), loop).result()
            return data / Path(answer.file_name).name, answer.shard_count

        with progress_of("copying") as on_rows:
            return await asyncio.to_thread(taking.take, copy_directory, on_rows)

    return call(data, identity, take)


def _written(target: Path) -> str:
    if target.exists() and any(target.iterdir()):
        return f"{target} was whole by then, and stays."
    return f"{target} was not made; nothing was left behind."


def _moment(manifest: Manifest) -> str:
    moment = datetime.fromtimestamp(manifest.moment_us / 1e6, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _sizes(found: Findings) -> str:
    report = found.report
    return (
        f"{report.rows:,} log rows, {report.accounts:,} accounts in {found.shards} shards, "
        f"{report.in_transit:,} payments in transit"
    )
