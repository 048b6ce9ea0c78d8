"""The services of the main port by name, and what says that they are there."""

from __future__ import annotations

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kessai.v1 import (
    account_pb2,
    audit_pb2,
    backup_pb2,
    bill_pb2,
    clock_pb2,
    device_pb2,
    fare_pb2,
    fleet_pb2,
    holder_pb2,
    ledger_pb2,
    operator_pb2,
    payment_pb2,
    relay_pb2,
    shard_pb2,
    suspense_pb2,
    ticket_pb2,
)

MAIN_SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (payment_pb2, "PaymentService"),
        (account_pb2, "AccountService"),
        (suspense_pb2, "SuspenseService"),
        (bill_pb2, "BillService"),
        (device_pb2, "DeviceService"),
        (fleet_pb2, "FleetService"),
        (holder_pb2, "HolderService"),
        (fare_pb2, "FareService"),
        (ticket_pb2, "TicketService"),
        (shard_pb2, "ShardService"),
        (clock_pb2, "ClockService"),
        (ledger_pb2, "LedgerService"),
        (audit_pb2, "AuditService"),
        (backup_pb2, "BackupService"),
        (operator_pb2, "OperatorService"),
        (relay_pb2, "RelayService"),
    )
)


def add_health(main: grpc.aio.Server, servicer: health.aio.HealthServicer) -> None:
    """Add health and reflection, for whoever has a certificate."""
    health_pb2_grpc.add_HealthServicer_to_server(servicer, main)
    names = (*MAIN_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, main)
