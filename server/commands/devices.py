"""`kessai device`: pairing, listing, configuring and revoking devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import grpc.aio
import segno
import typer
from rich.text import Text

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.identity_path import PHONE
from kessai.json_lines import as_json as as_dict
from kessai.json_lines import print_json
from kessai.v1 import device_pb2 as pb
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.holder_pb2 import SetRiderCategoryRequest
from kessai.v1.holder_pb2_grpc import HolderServiceStub
from server.commands import fleet
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, ProposalId, RequestId
from server.commands.outcome import say_already, show_request

device = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Pair, list and revoke devices.",
)

_out = Console()

# The blank edge of a QR code, in modules; a phone reads it with less than the standard's four.
_QUIET = 2
# What stands below the code on the screen, and the prompt.
_LINES_BELOW = 7

ToPair = Annotated[
    str,
    typer.Argument(
        help='"agent/<merchant>/<terminal>", "phone/<wallet>/<phone>" or "relay/<fleet>".'
    ),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", help="An account of the phone's wallet; may be repeated."),
]
Merchants = Annotated[
    list[str] | None,
    typer.Option("--merchant", help="Whose machines a fleet's server serves; may be repeated."),
]


device.command("show")(fleet.show_device)
device.command("config")(fleet.configure_device)
device.command("settings")(fleet.list_settings)


@device.command("pair")
def pair_device(
    path: ToPair,
    accounts: Accounts = None,
    name: Annotated[
        str, typer.Option(help="The name that people see on the bills of the phone's wallet.")
    ] = "",
    merchants: Merchants = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Make a one-time pairing code, as text and as a QR code.

    Example: kessai device pair phone/ann/pixel --account 0001-00000042-20 --name "Ann"
    """
    request = _pairing(path, accounts or [], name, merchants or [])
    request.request_id, request.proposal_id = request_id_of(request_id), proposal
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: DeviceServiceStub(ch).CreatePairingCode(request, timeout=DEADLINE_S),
    )
    if as_json:
        print_json([{"request_id": request.request_id, **as_dict(response)}])
        return
    _show(path, response)
    if path.startswith(f"{PHONE}/") and not accounts:
        says = "[yellow]without an account it cannot pay:[/] pair it with --account for that"
        _out.print(styled(says), soft_wrap=True)
    show_request(request.request_id)


@device.command("list")
def list_devices(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """List all devices.

    Example: kessai device list --json
    """
    devices = fetch_devices(data, identity)
    if as_json:
        print_json(devices)
        return
    table = Table("device", box=None)
    table.empty = "there is no device yet"
    for column in ("line", "waiting", "lost", "reader", "software", "certificate"):
        table.add_column(column)
    for entry in devices:
        table.add_row(
            entry.device,
            fleet.touch(entry.state),
            fleet.queue(entry.state),
            fleet.lost(entry.state),
            fleet.reader(entry.state),
            entry.state.report.software_version or entry.software_version,
            certificate_of(entry),
        )
    _out.print(table)


@device.command("revoke")
def revoke_device(
    path: Annotated[str, typer.Argument(help="The device, as kessai device list shows it.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Revoke a device; it bites on its next call.

    Example: kessai device revoke phone/ann/pixel
    """
    if not request_id and is_revoked(path, data, identity):
        say_already(path, "revoked")
        return
    request = pb.RevokeDeviceRequest(request_id=request_id_of(request_id), device=path)
    change(
        data,
        identity,
        request.request_id,
        lambda ch: DeviceServiceStub(ch).RevokeDevice(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} is revoked[/]", path))
    show_request(request.request_id)


@device.command("rider")
def set_rider_category(
    wallet: Annotated[str, typer.Argument(help="Whose phones, as in phone/<wallet>/<phone>.")],
    category: Annotated[str, typer.Argument(help='Which fares it pays, such as "child".')],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Say which fares a wallet's phones pay; it bites once a phone renews its credential.

    Example: kessai device rider ann child
    """
    request = SetRiderCategoryRequest(
        request_id=request_id_of(request_id), wallet_id=wallet, rider_category=category
    )
    change(
        data,
        identity,
        request.request_id,
        lambda ch: HolderServiceStub(ch).SetRiderCategory(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} rides as {}[/]", wallet, category))
    show_request(request.request_id)


def fetch_devices(data: Path | None, identity: Path | None, prefix: str = "") -> list[pb.Device]:
    """All devices of a running switch whose paths begin so."""

    async def all_devices(channel: grpc.aio.Channel) -> list[pb.Device]:
        devices: list[pb.Device] = []
        stub, token = DeviceServiceStub(channel), prefix
        while True:
            request = pb.ListDevicesRequest(page_size=500, page_token=token)
            page = await stub.ListDevices(request, timeout=DEADLINE_S)
            devices += [device for device in page.devices if device.device.startswith(prefix)]
            token = page.next_page_token
            if not token.startswith(prefix) or not token:
                return devices

    return call(data, identity, all_devices)


def is_revoked(path: str, data: Path | None, identity: Path | None) -> bool:
    """Whether a device of a running switch was revoked by now."""
    devices = fetch_devices(data, identity, f"{path.rpartition('/')[0]}/")
    return any(one.device == path and one.HasField("revoke_time") for one in devices)


def _pairing(
    path: str, accounts: list[str], name: str, merchants: list[str]
) -> pb.CreatePairingCodeRequest:
    request = pb.CreatePairingCodeRequest()
    match path.split("/"):
        case ["agent", merchant, terminal]:
            request.terminal.CopyFrom(
                pb.TerminalPairing(merchant_id=merchant, terminal_id=terminal)
            )
        case ["phone", wallet, phone]:
            numbers = [number.replace("-", "") for number in accounts]
            request.phone.CopyFrom(
                pb.PhonePairing(
                    wallet_id=wallet, device_id=phone, account_numbers=numbers, display_name=name
                )
            )
        case ["relay", fleet]:
            request.relay.CopyFrom(pb.RelayPairing(fleet_id=fleet, merchant_ids=merchants))
        case _:
            raise Complaint(
                f'"{path}" is no device: say agent/<merchant>/<terminal>, phone/<wallet>/<phone> '
                "or relay/<fleet>"
            )
    return request


def _show(path: str, response: pb.CreatePairingCodeResponse) -> None:
    _show_code(response.pairing_uri)
    _out.print(styled("Code for {}: [bold]{}[/]", path, response.pairing_code))
    _out.print(response.pairing_uri, soft_wrap=True)
    until = fleet.moment(response.expire_time)
    _out.print(styled("[dim]good for one device until {}, five tries[/]", until))


def _show_code(uri: str) -> None:
    """Draw the QR code, or say how to see it if the window is too small for it."""
    code = segno.make(uri, error="l")
    columns = code.symbol_size(border=_QUIET)[0]
    lines = (columns + 1) // 2
    room = columns <= _out.width and lines + _LINES_BELOW <= _out.height
    if room or not _out.is_terminal:
        code.terminal(compact=True, border=_QUIET)
        return
    says = "The QR code needs a window of {} lines and {} columns: enlarge it, and run this again."
    _out.print(styled(says, lines + _LINES_BELOW, columns), soft_wrap=True)


def certificate_of(entry: pb.Device) -> Text:
    """How a device's certificate stands."""
    if entry.HasField("revoke_time"):
        return styled("[red]revoked {}[/]", fleet.moment(entry.revoke_time))
    return styled("[green]until {}[/]", fleet.moment(entry.certificate_expire_time))
