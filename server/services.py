"""The services of both ports: which servicer answers what, and what each is made of.

Used by `bootstrap`, which makes the parts that live as long as the switch. A new service is added
here, and its methods to `server/identity/permissions.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc.aio

from kessai.v1.account_pb2_grpc import add_AccountServiceServicer_to_server
from kessai.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from kessai.v1.backup_pb2_grpc import add_BackupServiceServicer_to_server
from kessai.v1.bill_pb2_grpc import add_BillServiceServicer_to_server
from kessai.v1.clock_pb2_grpc import add_ClockServiceServicer_to_server
from kessai.v1.device_pb2_grpc import (
    add_DeviceServiceServicer_to_server,
    add_EnrollmentServiceServicer_to_server,
)
from kessai.v1.fare_pb2_grpc import add_FareServiceServicer_to_server
from kessai.v1.fleet_pb2_grpc import add_FleetServiceServicer_to_server
from kessai.v1.holder_pb2_grpc import add_HolderServiceServicer_to_server
from kessai.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server
from kessai.v1.operator_pb2_grpc import add_OperatorServiceServicer_to_server
from kessai.v1.payment_pb2_grpc import add_PaymentServiceServicer_to_server
from kessai.v1.shard_pb2_grpc import add_ShardServiceServicer_to_server
from kessai.v1.suspense_pb2_grpc import add_SuspenseServiceServicer_to_server
from kessai.v1.ticket_pb2_grpc import add_TicketServiceServicer_to_server
from server.config import ServerConfig
from server.identity.audit import Audit
from server.identity.authority import Authority
from server.identity.cash_limit import CashLimit
from server.identity.deny_list import DenyList
from server.identity.enrollment import Enrollment
from server.identity.fleet import Fleet
from server.identity.four_eyes import FourEyes, Rules
from server.identity.holders import Holders
from server.identity.keyring import Keyring
from server.identity.losses import Losses
from server.identity.merchants import Merchants
from server.identity.operators import Operators
from server.identity.pairing import PairingDesk
from server.identity.relays import Relays
from server.identity.rollback_alarms import RollbackAlarms
from server.identity.trust import trust_bundle
from server.identity.wallets import Wallets
from server.relay_service import add_relay_service
from server.rpc.account_servicer import AccountServicer
from server.rpc.audit_servicer import AuditServicer
from server.rpc.backup_servicer import BackupServicer
from server.rpc.bill_servicer import BillServicer
from server.rpc.clock_servicer import ClockServicer
from server.rpc.device_servicer import DeviceServicer
from server.rpc.enrollment_servicer import EnrollmentServicer
from server.rpc.fare_servicer import FareServicer
from server.rpc.fleet_servicer import FleetServicer
from server.rpc.holder_servicer import HolderServicer
from server.rpc.ledger_servicer import LedgerServicer
from server.rpc.operator_servicer import OperatorServicer
from server.rpc.payment_servicer import PaymentServicer
from server.rpc.relayed_calls import Around
from server.rpc.shard_servicer import ShardServicer
from server.rpc.suspense_servicer import SuspenseServicer
from server.rpc.ticket_servicer import TicketServicer
from server.shards.account_names import AccountNames
from server.shards.directory import Directory
from server.shards.fleet_book import FleetBook
from server.shards.router import Shards
from server.shards.ticket_offers import TicketOffers
from server.shards.tie_book import Restore
from server.switch.account_standing import NamingTurn, Standings
from server.switch.accounts import Accounts
from server.switch.bills import Bills
from server.switch.busy_payees import BusyPayees
from server.switch.clock import SwitchClock
from server.switch.followers import Followers
from server.switch.held_payments import HeldPayments
from server.switch.log_places import LogPlaces
from server.switch.merge import Merge
from server.switch.more_shards import MoreShards
from server.switch.offer_desk import OfferDesk
from server.switch.offline_losses import OfflineLosses
from server.switch.outcomes import Outcomes
from server.switch.payment_search import PaymentSearch
from server.switch.rebalance import Rebalance
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from server.switch.shard_status import ShardState
from server.switch.submit_batch import SubmitBatch
from server.switch.suspense import Suspense
from server.switch.ticket_sales import TicketSales
from server.switch.ticket_uses import TicketUses
from server.switch.travel import Travel


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the switch, and services are made of."""

    config: ServerConfig
    authority: Authority
    keyring: Keyring
    directory: Directory
    deny_list: DenyList
    alarms: RollbackAlarms
    holders: Holders
    losses: Losses
    judging: OfflineLosses
    shards: Shards
    settle: Settle
    merge: Merge
    more_shards: MoreShards
    rebalance: Rebalance
    shard_states: Callable[[], Awaitable[list[ShardState]]]
    purchases: RegisterPurchase
    bills: Bills
    outcomes: Outcomes
    followers: Followers
    tickets: TicketSales
    offers: TicketOffers
    clock: SwitchClock
    audit: Audit
    operators: Operators
    copy_directory: Callable[[str], str]
    restores: Sequence[Restore]
    now_us: Callable[[], int]


def add_services(
    main: grpc.aio.Server,
    pairing: grpc.aio.Server,
    parts: Parts,
    address: str,
    pairing_address: str,
    around: Around,
) -> None:
    """Add what is served to callers with a certificate, and to devices that have none yet.

    The addresses are host:port of both ports, as devices reach them.
    """
    accounts, turn = Accounts(parts.shards, parts.settle), NamingTurn(parts.shards)
    rules = Rules(parts.config.four_eyes, parts.config.cash_for_four_eyes)
    four_eyes = FourEyes(parts.directory.file, rules, parts.now_us)
    relays, payments = Relays(parts.directory, parts.now_us), _add_payments(main, parts)
    _add_accounts(main, parts, accounts, four_eyes, turn)
    devices = _add_devices(
        main, pairing, parts, accounts, four_eyes, turn, address, pairing_address, relays
    )
    add_relay_service(main, around, relays, parts.keyring, payments, devices)
    limit_minor = parts.config.offline_limit_minor
    holders = HolderServicer(parts.holders, parts.losses, accounts.find, limit_minor)
    add_HolderServiceServicer_to_server(holders, main)
    _add_travel(main, parts)
    _add_tickets(main, parts)
    shards = ShardServicer(parts.more_shards, parts.rebalance, parts.shard_states)
    add_ShardServiceServicer_to_server(shards, main)
    add_ClockServiceServicer_to_server(ClockServicer(parts.clock), main)
    switch_key = parts.keyring.signing_key.public_key()
    places = LogPlaces(parts.shards, switch_key, parts.alarms, parts.restores)
    add_LedgerServiceServicer_to_server(
        LedgerServicer(places, PaymentSearch(parts.shards, parts.outcomes)), main
    )
    add_AuditServiceServicer_to_server(AuditServicer(parts.audit), main)
    backups = BackupServicer(parts.copy_directory, lambda: len(parts.shards))
    add_BackupServiceServicer_to_server(backups, main)
    operators = OperatorServicer(parts.operators, four_eyes)
    add_OperatorServiceServicer_to_server(operators, main)


def _add_payments(main: grpc.aio.Server, parts: Parts) -> PaymentServicer:
    submit_batch = SubmitBatch(parts.purchases, parts.settle, parts.directory, parts.judging)
    holds = HeldPayments(parts.settle, parts.outcomes)
    payments = PaymentServicer(
        parts.purchases, holds, parts.outcomes, parts.followers, parts.tickets, submit_batch
    )
    add_PaymentServiceServicer_to_server(payments, main)
    wallets = Wallets(parts.directory, parts.keyring, parts.now_us)
    add_BillServiceServicer_to_server(BillServicer(parts.bills, wallets), main)
    return payments


def _add_accounts(
    main: grpc.aio.Server,
    parts: Parts,
    accounts: Accounts,
    four_eyes: FourEyes,
    turn: NamingTurn,
) -> None:
    busy_payees = BusyPayees(parts.shards, parts.settle)
    config, file = parts.config, parts.directory.file
    cash_limit = CashLimit(file, config.withdrawal_limit, parts.now_us)
    standings = Standings(
        parts.shards,
        parts.settle,
        busy_payees,
        AccountNames(file, parts.now_us),
        turn,
        parts.deny_list.deny_credentials_of_account,
    )
    servicer = AccountServicer(accounts, busy_payees, parts.merge, four_eyes, cash_limit, standings)
    add_AccountServiceServicer_to_server(servicer, main)
    suspense = SuspenseServicer(Suspense(parts.shards, parts.settle), four_eyes)
    add_SuspenseServiceServicer_to_server(suspense, main)


def _add_devices(
    main: grpc.aio.Server,
    pairing: grpc.aio.Server,
    parts: Parts,
    accounts: Accounts,
    four_eyes: FourEyes,
    turn: NamingTurn,
    address: str,
    pairing_address: str,
    relays: Relays,
) -> DeviceServicer:
    directory, authority, now_us = parts.directory, parts.authority, parts.now_us
    merchants = Merchants(directory, parts.keyring, now_us)
    desk = PairingDesk(directory, parts.keyring, now_us)
    enrollment = Enrollment(
        directory, authority, merchants, desk, now_us, parts.config.renewals_per_device_and_day
    )
    fleet = Fleet(directory, FleetBook(directory.file), now_us, parts.alarms)
    add_FleetServiceServicer_to_server(FleetServicer(fleet, parts.deny_list), main)
    devices = DeviceServicer(
        merchants,
        Wallets(directory, parts.keyring, now_us),
        desk,
        enrollment,
        fleet,
        accounts.find,
        pairing_address,
        authority.root_fingerprint,
        four_eyes,
        turn.naming,
        lambda merchant_id: parts.offers.on_sale(merchant_id, now_us()),
        relays,
    )
    add_DeviceServiceServicer_to_server(devices, main)
    bundle = trust_bundle(authority, parts.keyring)
    enroll = EnrollmentServicer(enrollment, bundle, authority.domain, address)
    add_EnrollmentServiceServicer_to_server(enroll, pairing)
    return devices


def _add_travel(main: grpc.aio.Server, parts: Parts) -> None:
    switch_key = parts.keyring.signing_key.public_key()
    travel = Travel(parts.shards, parts.directory, parts.holders, switch_key, parts.now_us)
    add_FareServiceServicer_to_server(FareServicer(travel), main)


def _add_tickets(main: grpc.aio.Server, parts: Parts) -> None:
    switch_key = parts.keyring.signing_key.public_key()
    uses = TicketUses(
        parts.tickets, parts.shards, parts.settle, parts.directory, parts.deny_list, switch_key,
        parts.now_us,
    )  # fmt: skip
    desk = OfferDesk(parts.directory, parts.offers, parts.now_us)
    add_TicketServiceServicer_to_server(TicketServicer(desk, uses), main)
