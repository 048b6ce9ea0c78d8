"""Which kind of caller may make which call. What is not listed here is refused.

Whose account or payment it is, the switch decides; here stands only who may ask at all. Read by the
guard of the main port.
"""

from __future__ import annotations

from server.identity.callers import CallerKind

AGENT, PHONE, OPERATOR = CallerKind.AGENT, CallerKind.PHONE, CallerKind.OPERATOR
RELAY = CallerKind.RELAY
_ANYONE = frozenset({AGENT, PHONE, OPERATOR})
_RELAY_TOO = _ANYONE | {RELAY}

PERMISSIONS: dict[str, frozenset[CallerKind]] = {
    "/kessai.v1.PaymentService/SettlePayment": frozenset({AGENT, PHONE}),
    "/kessai.v1.PaymentService/GetPayment": frozenset({AGENT, PHONE}),
    "/kessai.v1.PaymentService/FollowPayments": frozenset({AGENT, PHONE}),
    "/kessai.v1.PaymentService/CapturePayment": frozenset({AGENT}),
    "/kessai.v1.PaymentService/VoidPayment": frozenset({AGENT}),
    "/kessai.v1.LedgerService/GetLogHash": frozenset({AGENT, PHONE}),
    "/kessai.v1.LedgerService/ListPayments": frozenset({OPERATOR}),
    "/kessai.v1.FareService/ConfirmTravel": frozenset({AGENT}),
    "/kessai.v1.FareService/SetMinimumBalance": frozenset({OPERATOR}),
    "/kessai.v1.PaymentService/SubmitBatch": frozenset({AGENT}),
    "/kessai.v1.BillService/SettleBill": frozenset({PHONE}),
    "/kessai.v1.BillService/GetWalletCertificate": frozenset({PHONE}),
    "/kessai.v1.AccountService/OpenAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/GetAccount": frozenset({PHONE, OPERATOR}),
    "/kessai.v1.AccountService/ListEntries": frozenset({PHONE, OPERATOR}),
    "/kessai.v1.AccountService/DepositCash": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/WithdrawCash": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/DistributeAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/MergeAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/ListAccounts": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/FreezeAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/UnfreezeAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/CloseAccount": frozenset({OPERATOR}),
    "/kessai.v1.AccountService/GetTrialBalance": frozenset({OPERATOR}),
    "/kessai.v1.SuspenseService/ListSuspense": frozenset({OPERATOR}),
    "/kessai.v1.SuspenseService/ReleaseSuspense": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/CreateMerchant": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/ListMerchants": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/UpdateMerchant": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/CloseMerchant": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/CreatePairingCode": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/RenewCertificate": _RELAY_TOO,
    "/kessai.v1.DeviceService/RevokeDevice": frozenset({OPERATOR}),
    "/kessai.v1.DeviceService/ListDevices": frozenset({OPERATOR}),
    "/kessai.v1.HolderService/IssueCredential": frozenset({PHONE}),
    "/kessai.v1.HolderService/SetRiderCategory": frozenset({OPERATOR}),
    "/kessai.v1.HolderService/ListOfflineLosses": frozenset({OPERATOR}),
    "/kessai.v1.HolderService/ForgiveOfflineLosses": frozenset({OPERATOR}),
    "/kessai.v1.TicketService/CreateTicketOffer": frozenset({OPERATOR}),
    "/kessai.v1.TicketService/WithdrawTicketOffer": frozenset({OPERATOR}),
    "/kessai.v1.TicketService/ListTicketOffers": frozenset({AGENT, OPERATOR}),
    "/kessai.v1.TicketService/RedeemTickets": frozenset({AGENT}),
    "/kessai.v1.TicketService/RefundTicket": frozenset({AGENT, OPERATOR}),
    "/kessai.v1.TicketService/RevokeTicket": frozenset({OPERATOR}),
    "/kessai.v1.TicketService/GetTicket": frozenset({AGENT, OPERATOR}),
    "/kessai.v1.RelayService/PassCall": frozenset({RELAY}),
    "/kessai.v1.RelayService/GetRelay": frozenset({RELAY}),
    "/kessai.v1.FleetService/Attach": frozenset({AGENT}),
    "/kessai.v1.FleetService/GetDeviceState": frozenset({OPERATOR}),
    "/kessai.v1.FleetService/ConfigureDevice": frozenset({OPERATOR}),
    "/kessai.v1.ShardService/AddShard": frozenset({OPERATOR}),
    "/kessai.v1.ShardService/RebalanceShards": frozenset({OPERATOR}),
    "/kessai.v1.ShardService/GetShardStatus": frozenset({OPERATOR}),
    "/kessai.v1.ClockService/GetClockState": frozenset({OPERATOR}),
    "/kessai.v1.ClockService/ConfirmClock": frozenset({OPERATOR}),
    "/kessai.v1.AuditService/ListAuditRecords": frozenset({OPERATOR}),
    "/kessai.v1.BackupService/CopyDirectory": frozenset({OPERATOR}),
    "/kessai.v1.OperatorService/AddOperator": frozenset({OPERATOR}),
    "/kessai.v1.OperatorService/ListProposals": frozenset({OPERATOR}),
    "/kessai.v1.OperatorService/ApproveAct": frozenset({OPERATOR}),
    "/grpc.health.v1.Health/Check": _RELAY_TOO,
    "/grpc.health.v1.Health/List": _RELAY_TOO,
    "/grpc.health.v1.Health/Watch": _RELAY_TOO,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _ANYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANYONE,
}


def is_permitted(method: str, kind: CallerKind) -> bool:
    """Tell whether a kind of caller may call a method, "/package.Service/Method"."""
    return kind in PERMISSIONS.get(method, ())
