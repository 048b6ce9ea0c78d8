"""The acts of operators: each method by which one changes something, and what it is done to.

A method that operators may call and that is not here must change nothing
(`tests/unit/server/test_audit.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = Callable[[Any], str]


def _paired(request: Any) -> str:  # noqa: ANN401
    if request.WhichOneof("device") == "phone":
        return f"phone/{request.phone.wallet_id}/{request.phone.device_id}"
    if request.WhichOneof("device") == "relay":
        return f"relay/{request.relay.fleet_id}"
    return f"agent/{request.terminal.merchant_id}/{request.terminal.terminal_id}"


ACTS: dict[str, Object] = {
    "/kessai.v1.AccountService/OpenAccount": lambda request: request.owner,
    "/kessai.v1.AccountService/DepositCash": lambda request: request.account_number,
    "/kessai.v1.AccountService/WithdrawCash": lambda request: request.account_number,
    "/kessai.v1.AccountService/DistributeAccount": lambda request: request.account_number,
    "/kessai.v1.AccountService/MergeAccount": lambda request: request.account_number,
    "/kessai.v1.AccountService/FreezeAccount": lambda request: request.account_number,
    "/kessai.v1.AccountService/UnfreezeAccount": lambda request: request.account_number,
    "/kessai.v1.AccountService/CloseAccount": lambda request: request.account_number,
    "/kessai.v1.SuspenseService/ReleaseSuspense": lambda request: request.account_number,
    "/kessai.v1.DeviceService/CreateMerchant": lambda request: request.merchant_id,
    "/kessai.v1.DeviceService/UpdateMerchant": lambda request: request.merchant_id,
    "/kessai.v1.DeviceService/CloseMerchant": lambda request: request.merchant_id,
    "/kessai.v1.DeviceService/CreatePairingCode": _paired,
    "/kessai.v1.DeviceService/RenewCertificate": lambda _: "",
    "/kessai.v1.DeviceService/RevokeDevice": lambda request: request.device,
    "/kessai.v1.HolderService/SetRiderCategory": lambda request: f"wallet/{request.wallet_id}",
    "/kessai.v1.HolderService/ForgiveOfflineLosses": lambda request: f"wallet/{request.wallet_id}",
    "/kessai.v1.TicketService/CreateTicketOffer": lambda request: (
        f"{request.offer.merchant_id}/{request.offer.offer_id}"
    ),
    "/kessai.v1.TicketService/WithdrawTicketOffer": lambda request: (
        f"{request.merchant_id}/{request.offer_id}"
    ),
    "/kessai.v1.TicketService/RefundTicket": lambda request: request.ticket_id.hex(),
    "/kessai.v1.TicketService/RevokeTicket": lambda request: request.ticket_id.hex(),
    "/kessai.v1.FleetService/ConfigureDevice": lambda request: request.device,
    "/kessai.v1.ShardService/AddShard": lambda _: "",
    "/kessai.v1.ShardService/RebalanceShards": lambda _: "",
    "/kessai.v1.FareService/SetMinimumBalance": lambda request: request.merchant_id,
    "/kessai.v1.ClockService/ConfirmClock": lambda _: "",
    "/kessai.v1.BackupService/CopyDirectory": lambda _: "",
    "/kessai.v1.OperatorService/AddOperator": lambda request: f"operator/{request.name}",
    "/kessai.v1.OperatorService/ApproveAct": lambda request: request.proposal_id,
}

# What these do is all in the directory: the act and its record are one commit. A copy of the
# directory is recorded once it is made, or else the copy would tell of an act without an outcome.
IN_DIRECTORY = frozenset(
    f"/kessai.v1.{name}"
    for name in (
        "BackupService/CopyDirectory",
        "DeviceService/CreateMerchant",
        "DeviceService/UpdateMerchant",
        "DeviceService/CloseMerchant",
        "DeviceService/CreatePairingCode",
        "DeviceService/RenewCertificate",
        "DeviceService/RevokeDevice",
        "HolderService/SetRiderCategory",
        "HolderService/ForgiveOfflineLosses",
        "TicketService/CreateTicketOffer",
        "TicketService/WithdrawTicketOffer",
        "FleetService/ConfigureDevice",
        "OperatorService/AddOperator",
        "OperatorService/ApproveAct",
    )
)

# An account number or a device's path has less; what a stranger wrote longer is no reference.
OBJECT_CHARACTERS = 120


def object_of(method: str, request: object) -> str:
    """What an act is done to, as a reference; cut where a request says more than one is long."""
    text = ACTS[method](request)
    return "".join(c if c.isprintable() else "?" for c in text[:OBJECT_CHARACTERS])
