"""`kessai operator` and `kessai approve`: who runs the switch, and what a second one confirms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.device_identity import DEVICE_FILE, DeviceIdentity, write_identity
from kessai.enrollment.tls_key import key_pem, next_key, signing_request
from kessai.identity_path import OPERATOR
from kessai.json_lines import print_json
from kessai.v1 import operator_pb2 as pb
from kessai.v1.device_pb2 import RevokeDeviceRequest
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.operator_pb2_grpc import OperatorServiceStub
from server import data_folder
from server.commands import local_office
from server.commands.devices import certificate_of, fetch_devices, is_revoked
from server.commands.fleet import moment
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, DataFolder, Identity, ProposalId, RequestId
from server.commands.outcome import say_already, show_request
from server.config import load_config

operator = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Add, list and revoke operators; see what waits for a second one.",
)
approve = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

Name = Annotated[str, typer.Argument(help='1 to 40 of a-z, 0-9 and "-".')]

_out = Console(soft_wrap=True)


@operator.command("add")
def add_operator(
    name: Name,
    data: DataFolder,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where his identity goes; without it operator-NAME in the data folder."),
    ] = None,
    identity: Identity = None,
    proposal: ProposalId = "",
    request_id: RequestId = "",
) -> None:
    """Make an operator, on the switch's machine; an identity that he had before is revoked.

    Example: kessai operator add ann --data /var/lib/kessai
    """
    target = folder or data / f"operator-{name}"
    if (target / DEVICE_FILE).exists():
        raise Complaint(f"{target} already holds an identity; nothing was changed.")
    if not data_folder.is_locked(data):
        with local_office.opened(data) as office:
            office.add_operator(name, target)
    else:
        asked = pb.AddOperatorRequest(
            request_id=request_id_of(request_id), name=name, proposal_id=proposal
        )
        _add_by_call(asked, target, data, identity)
        show_request(asked.request_id)
    _out.print(
        styled(
            "[green]operator/{} is made:[/] his identity is in {}. Give it to him alone; he uses "
            "it with --identity.",
            name,
            target,
        )
    )


@operator.command("reissue")
def reissue_operator(
    name: Name,
    data: DataFolder,
    offline_root: Annotated[
        Path, typer.Option(help="The folder with root.key, from where it is locked away.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(help="Where his identity goes; without it operator-NAME in the data folder."),
    ] = None,
) -> None:
    """Make an operator, and both issuing certificates anew, by the offline root.

    On the machine of a stopped switch. For when an issuing certificate ends, or its key is lost:
    then devices that it signed must be paired again.

    Example: kessai operator reissue ann --data /var/lib/kessai --offline-root /mnt/offline-root
    """
    target = folder or data / f"operator-{name}"
    if (target / DEVICE_FILE).exists():
        raise Complaint(f"{target} already holds an identity; nothing was changed.")
    with local_office.opened(data) as office:
        office.reissue(name, target, offline_root)
    says = "[green]operator/{} is made,[/] in {}; both issuing certificates are new. Lock the root"
    _out.print(styled(says + " away again.", name, target))


@operator.command("list")
def list_operators(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """List all operators, also those that were revoked.

    Example: kessai operator list
    """
    if data is not None and not data_folder.is_locked(data):
        with local_office.opened(data) as office:
            devices = office.operators()
    else:
        devices = fetch_devices(data, identity, f"{OPERATOR}/")
    if as_json:
        print_json(devices)
        return
    table = Table("operator", "certificate", box=None)
    for device in devices:
        table.add_row(device.device, certificate_of(device))
    _out.print(table)


@operator.command("revoke")
def revoke_operator(
    name: Name,
    even_the_last: Annotated[
        bool,
        typer.Option("--even-the-last", help="Also yourself, or the last one that can call."),
    ] = False,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Revoke an operator; it bites on his next call.

    Example: kessai operator revoke ann
    """
    path = f"{OPERATOR}/{name}"
    if data is not None and not data_folder.is_locked(data):
        with local_office.opened(data) as office:
            if any(
                one.device == path and one.HasField("revoke_time") for one in office.operators()
            ):
                say_already(path, "revoked")
                return
            office.revoke_operator(name, even_the_last)
    elif not request_id and is_revoked(path, data, identity):
        say_already(path, "revoked")
        return
    else:
        request = RevokeDeviceRequest(
            request_id=request_id_of(request_id), device=path, even_the_last=even_the_last
        )
        change(
            data,
            identity,
            request.request_id,
            lambda ch: DeviceServiceStub(ch).RevokeDevice(request, timeout=DEADLINE_S),
        )
        show_request(request.request_id)
    _out.print(styled("[green]{} is revoked[/]", path))


@operator.command("proposals")
def list_proposals(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """List what waits for a second operator.

    Example: kessai operator proposals
    """
    answer = call(
        data,
        identity,
        lambda ch: OperatorServiceStub(ch).ListProposals(
            pb.ListProposalsRequest(), timeout=DEADLINE_S
        ),
    )
    if as_json:
        print_json(answer.proposals)
        return
    if not answer.proposals:
        _out.print("nothing waits for a second operator")
    for proposal in answer.proposals:
        by = f", confirmed by {proposal.approver}" if proposal.approver else ""
        _out.print(
            styled(
                "[bold]{}[/]  {} by {}, until {}{}",
                proposal.proposal_id,
                proposal.method,
                proposal.operator,
                moment(proposal.expire_time),
                by,
            )
        )
        _out.print(styled("    {}", proposal.content))


@approve.command()
def approve_proposal(
    proposal: Annotated[str, typer.Argument(help="As kessai operator proposals lists it.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Confirm what another operator proposed. Look at it first: kessai operator proposals.

    Example: kessai approve 0197f3a2-7c1e-7000-8000-0123456789ab
    """
    request = pb.ApproveActRequest(request_id=request_id_of(request_id), proposal_id=proposal)
    answer = change(
        data,
        identity,
        request.request_id,
        lambda ch: OperatorServiceStub(ch).ApproveAct(request, timeout=DEADLINE_S),
    )
    confirmed = answer.proposal
    _out.print(
        styled(
            "[green]Confirmed:[/] {} by {}, for {}. He may do it once, until {}.",
            confirmed.method,
            confirmed.operator,
            confirmed.content,
            moment(confirmed.expire_time),
        )
    )
    show_request(request.request_id)


def _add_by_call(
    request: pb.AddOperatorRequest, target: Path, data: Path, identity: Path | None
) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = next_key(target)
    request.certificate_signing_request = signing_request(key)
    answer = change(
        data,
        identity,
        request.request_id,
        lambda ch: OperatorServiceStub(ch).AddOperator(request, timeout=DEADLINE_S),
    )
    write_identity(
        target,
        DeviceIdentity(
            identity=answer.identity,
            server_address=data_folder.address_of(load_config(data)),
            root_fingerprint=local_office.root_fingerprint(answer.trust_bundle),
            key_pem=key_pem(key),
            chain_pem=answer.certificate_chain,
            root_pem=local_office.root_pem(answer.trust_bundle),
            trust_bundle=answer.trust_bundle,
        ),
    )
