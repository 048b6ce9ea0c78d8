"""`kessai device show` and `config`: how one device is, and how it is configured from afar.

Mounted into `kessai device` by `server/commands/devices.py`, whose list shows the same in short.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.device_settings import SETTINGS
from kessai.identity_path import RELAY
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import fleet_pb2 as pb
from kessai.v1.fleet_pb2_grpc import FleetServiceStub
from kessai.v1.money_pb2 import Money as Amount
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, RequestId
from server.commands.outcome import show_request

_out = Console()

Device = Annotated[str, typer.Argument(help="The device, as kessai device list shows it.")]


def show_device(
    device: Device, as_json: AsJson = False, data: Data = None, identity: Identity = None
) -> None:
    """Show how a device is: in touch or not, its queue, its reader, its deny list and settings.

    Of a fleet's server: the merchants whose machines it serves.

    Example: kessai device show agent/shop/till-1
    """
    request = pb.GetDeviceStateRequest(device=device)
    answer = call(
        data,
        identity,
        lambda ch: FleetServiceStub(ch).GetDeviceState(request, timeout=DEADLINE_S),
    )
    if as_json:
        print_json([answer.state])
    else:
        _out.print(_sheet(device, answer.state))


def configure_device(
    device: Device,
    settings: Annotated[list[str], typer.Argument(help="KEY=NUMBER, one or more.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Change settings of a terminal; it hears of them at once, or when it is in touch again.

    Example: kessai device config agent/shop/till-1 offline_days=3
    """
    request = pb.ConfigureDeviceRequest(request_id=request_id_of(request_id), device=device)
    for text in settings:
        key, _, value = text.partition("=")
        if not value.removeprefix("-").isdecimal():
            raise Complaint(f'"{text}" is no setting: write KEY=NUMBER. Keys: {_keys()}')
        request.settings.add(key=key, value=int(value))
    answer = change(
        data,
        identity,
        request.request_id,
        lambda ch: FleetServiceStub(ch).ConfigureDevice(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} is configured[/] (version {})", device, answer.config.version))
    show_request(request.request_id)


def list_settings(as_json: AsJson = False) -> None:
    """List the settings that a terminal can be given, and what they mean.

    Example: kessai device settings
    """
    if as_json:
        print_json({"key": key, **asdict(setting)} for key, setting in SETTINGS.items())
        return
    table = Table("setting", "meaning", "from", "to", box=None)
    for key, setting in SETTINGS.items():
        table.add_row(key, setting.meaning, f"{setting.least:,}", f"{setting.most:,}")
    _out.print(table)


def touch(state: pb.DeviceState) -> Text:
    """Say in short whether a device is in touch, or what it has seen and the switch has not."""
    if state.alarms:
        return Text("ALARM", style="bold red")
    if state.attached:
        return Text("in touch", style="green")
    if not state.HasField("last_seen_time"):
        return Text("never seen", style="dim")
    return Text(f"away since {moment(state.last_seen_time)}", style="yellow")


def _alarm(alarm: pb.RollbackAlarm) -> Text:
    says = f"has deny list {alarm.place}, newer than the switch's"
    if alarm.kind == pb.ROLLBACK_KIND_LOG:
        says = f"has seen row {alarm.place} of shard {alarm.shard}, which is gone or changed"
    if alarm.kind == pb.ROLLBACK_KIND_JOURNAL:
        says = f"its journal went back: it had {alarm.place} payments, and is an older copy"
    return Text(says, style="bold red")


def queue(state: pb.DeviceState) -> str:
    """Say in short what waits at a device for the switch; for the list."""
    report = state.report
    if not report.waiting_payments:
        return ""
    total = _amount(report.waiting_total) if report.HasField("waiting_total") else ""
    return f"{report.waiting_payments}{total}"


def lost(state: pb.DeviceState) -> Text:
    """What a device handed over and was never paid, in 30 days; for the list.

    Payments that it accepted off line, and items that a machine gave out unpaid.
    """
    report = state.report
    losses = []
    if report.lost_payments:
        total = _amount(report.lost_total) if report.HasField("lost_total") else ""
        losses.append(f"{report.lost_payments}{total}")
    if report.unpaid_payments:
        total = _amount(report.unpaid_total) if report.HasField("unpaid_total") else ""
        losses.append(f"{report.unpaid_payments} given out unpaid{total}")
    return Text("; ".join(losses), style="red")


def _amount(total: Amount) -> str:
    return f", {Money.from_proto(total)}"


def reader(state: pb.DeviceState) -> Text:
    """Say in short how a device's reader is; for the list."""
    match state.report.reader_state:
        case pb.READER_STATE_READY:
            return Text("ready", style="green")
        case pb.READER_STATE_LOST:
            return Text("lost", style="red")
        case _:
            return Text("")


def moment(time: Timestamp) -> str:
    """Write a time, in UTC."""
    seconds = time.ToMicroseconds() / 1_000_000
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _sheet(device: str, state: pb.DeviceState) -> Table:
    report, sheet = state.report, Table(box=None, show_header=False, title=device)
    if device.startswith(f"{RELAY}/"):
        sheet.add_row("serves", ", ".join(state.served_merchants))
        return sheet
    sheet.add_row("line", touch(state))
    for alarm in state.alarms:
        sheet.add_row("ALARM", _alarm(alarm))
    sheet.add_row("state", report.state)
    sheet.add_row("reader", reader(state))
    sheet.add_row("waiting", queue(state) or "nothing")
    sheet.add_row("lost, 30 days", lost(state) or "nothing")
    sheet.add_row("software", report.software_version)
    sheet.add_row("deny list", f"version {report.deny_list_version}")
    sheet.add_row("settings", f"version {report.config_version} of {state.config.version}")
    for setting in state.config.settings:
        sheet.add_row("", f"{setting.key} = {setting.value}")
    return sheet


def _keys() -> str:
    return ", ".join(SETTINGS)
