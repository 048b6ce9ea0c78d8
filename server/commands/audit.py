"""`kessai audit`: what operators did, and whether that log is whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
from rich.text import Text

from kessai.audit_chain import faults_of
from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.enum_name import enum_name
from kessai.v1 import audit_pb2 as pb
from kessai.v1.audit_pb2_grpc import AuditServiceStub
from server import data_folder
from server.commands.fleet import moment
from server.commands.operator_line import DEADLINE_S, call
from server.commands.options import AsJson, Data, Identity
from server.domain.directory import AuditFilter
from server.shards.audit_book import AuditBook
from server.shards.directory_file import DirectoryToRead

PAGE = 500
FAULTS_SHOWN = 20
_HEAD = re.compile("[0-9]+:[0-9a-f]{8,64}")

audit = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    help="What operators did: list it, verify it.",
)

_out = Console(soft_wrap=True)

Head = Annotated[
    str, typer.Option(help="SEQUENCE:HASH that was noted before; it must still stand there.")
]


@audit.callback(invoke_without_command=True)
def list_records(
    context: typer.Context,
    operator: Annotated[str, typer.Option(help='Only his acts: "operator/<name>".')] = "",
    method: Annotated[str, typer.Option(help='Such as "AccountService/WithdrawCash".')] = "",
    of: Annotated[
        str, typer.Option("--object", help="Account number, device, merchant, offer or ticket.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List operators' acts, oldest first: the numbers of an act's records, its begin and its end.

    Example: kessai audit --operator operator/ann --json
    """
    if context.invoked_subcommand is not None:
        return
    records = fetch(data, identity, AuditFilter(operator, method, of))
    if as_json:
        for record in records:
            print(json.dumps(_plain(record)))  # noqa: T201
        return
    ended = {record.begun_sequence for record in records}
    for record in records:
        if record.sequence not in ended:
            when = moment(record.record_time)
            head = styled("[bold]{}[/]  {}  {}  ", _numbers(record), when, record.operator)
            _out.print(head + _outcome(record))
            request = f"request {record.request_id}" if record.request_id else ""
            what = (record.method, record.object, request)
            _out.print(styled("    {}  {}  [dim]{}[/]", *what))


@audit.command("verify")
def verify_records(head: Head = "", data: Data = None, identity: Identity = None) -> None:
    """Compute the chain again; exits with 1 if a record was changed, removed or put in.

    Example: kessai audit verify --head 812:5b0e27c4
    """
    if head and not _HEAD.fullmatch(head):
        raise Complaint(
            f'--head "{head[:40]}" is no place of the log: it is SEQUENCE:HASH, as kessai audit '
            "verify printed it, with eight digits of the hash or more. Nothing was looked at."
        )
    records = fetch(data, identity, AuditFilter())
    require_whole(records, head)
    last = records[-1] if records else pb.AuditRecord(hash=bytes(32))
    _out.print(
        styled(
            "[bold green]The audit log verifies:[/] {} records, head {}:{}",
            f"{len(records):,}",
            last.sequence,
            last.hash.hex(),
        )
    )


def fetch(data: Path | None, identity: Path | None, wanted: AuditFilter) -> list[pb.AuditRecord]:
    """All records that fit a filter: of a running switch, or of a data folder; Complaint."""
    if data is None or data_folder.is_locked(data):
        try:
            return _ask(data, identity, wanted)
        except Complaint:
            # A switch that was killed may have a process that still ended its last commit.
            if data is None or data_folder.is_locked(data):
                raise
    with closing(DirectoryToRead(data / "directory.db")) as file:
        return list(_pages(AuditBook(file), wanted))


def _ask(data: Path | None, identity: Path | None, wanted: AuditFilter) -> list[pb.AuditRecord]:

    async def all_records(channel: grpc.aio.Channel) -> list[pb.AuditRecord]:
        stub, records = AuditServiceStub(channel), list[pb.AuditRecord]()
        while True:
            request = pb.ListAuditRecordsRequest(
                page_size=PAGE,
                after_sequence=records[-1].sequence if records else 0,
                operator=wanted.operator,
                method=wanted.method,
                object=wanted.object,
            )
            page = (await stub.ListAuditRecords(request, timeout=DEADLINE_S)).records
            records += page
            if len(page) < PAGE:
                return records

    return call(data, identity, all_records)


def require_whole(records: list[pb.AuditRecord], head: str = "") -> None:
    """Complaint unless the chain holds, and the place that was noted is as it was."""
    faults = list(faults_of(records))
    if head and not any(f"{one.sequence}:{one.hash.hex()}".startswith(head) for one in records):
        faults.append(f"{head[:20]} is not in it: what was noted before was removed or changed")
    require_chain(faults, len(records))


def require_chain(faults: list[str], records: int) -> None:
    """Show the faults that were found in the audit log; Complaint if there are any."""
    for fault in faults[:FAULTS_SHOWN]:
        _out.print(styled("[red]fault:[/] {}", fault))
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
        raise Complaint(
            f"the audit log does NOT verify: {count} in {records:,} records. No "
            "money follows from it. Keep the data folder as it is, and compare it with a backup."
        )


def _pages(book: AuditBook, wanted: AuditFilter) -> Iterator[pb.AuditRecord]:
    after = 0
    while page := book.page(wanted, after, PAGE):
        yield from page
        after = page[-1].sequence


def _numbers(record: pb.AuditRecord) -> str:
    """The number of an act's record, after that of the one that began it."""
    begun = f"{record.begun_sequence}, " if record.begun_sequence else ""
    return f"{begun}{record.sequence}"


def _outcome(record: pb.AuditRecord) -> Text:
    match record.outcome:
        case pb.AUDIT_OUTCOME_ACCEPTED:
            return styled("[green]accepted[/]")
        case pb.AUDIT_OUTCOME_REFUSED:
            return styled("[yellow]refused: {}[/]", record.reason)
        case _:
            if record.open:
                return styled("[red]no outcome: it may have been done[/]")
            return Text("begun")


def _plain(record: pb.AuditRecord) -> dict[str, object]:
    return {
        "sequence": record.sequence,
        "time_us": record.record_time.ToMicroseconds(),
        "operator": record.operator,
        "method": record.method,
        "request_id": record.request_id,
        "object": record.object,
        "outcome": enum_name(pb.AuditOutcome.DESCRIPTOR, record.outcome, "AUDIT_OUTCOME_").lower(),
        "reason": record.reason,
        "begun_sequence": record.begun_sequence,
        "open": record.open,
        "hash": record.hash.hex(),
    }
