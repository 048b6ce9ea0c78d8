"""The composition root: puts a switch together from its data folder, and starts and stops it.

What it is made of can be read here and in `services`; nothing else wires anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import grpc.aio

from kessai.request_id import new_request_id
from server import data_folder
from server.config import ServerConfig
from server.counters import Counters
from server.identity.audit import Audit
from server.identity.authority import Authority
from server.identity.callers import Callers
from server.identity.deny_list import DenyList
from server.identity.ends import tell_what_ends
from server.identity.holders import Holders
from server.identity.keyring import Keyring
from server.identity.losses import Losses
from server.identity.operators import Operators
from server.identity.rollback_alarms import RollbackAlarms
from server.main_services import MAIN_SERVICES, add_health
from server.metrics_port import MetricsPort
from server.ports import Ports, bind_ports
from server.rpc.allowance import Rates
from server.rpc.audit_trail import AuditTrail
from server.rpc.credentials import ServerCertificate
from server.rpc.errors import ErrorTranslation
from server.rpc.guard import Guard
from server.rpc.health_servicer import HealthServicer
from server.rpc.interceptors import main_port, pairing_port
from server.rpc.limits import Limits
from server.rpc.lines import Lines
from server.rpc.relayed_calls import Around
from server.rpc.telemetry import Telemetry
from server.services import Parts, add_services
from server.shards.allowed_places import AllowedPlaces
from server.shards.clock_watch import ClockWatch
from server.shards.directory import Directory
from server.shards.holder_book import HolderBook
from server.shards.loss_book import LossBook
from server.shards.opening import ShardOpener, open_with
from server.shards.operator_book import OperatorBook
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.ticket_offers import TicketOffers
from server.shards.tie_book import TieBook
from server.switch.bills import Bills
from server.switch.clock import SwitchClock
from server.switch.depositor import Depositor
from server.switch.fares import Fares
from server.switch.followers import Followers
from server.switch.hold_expiry import HoldExpiry
from server.switch.merge import Merge
from server.switch.more_shards import MoreShards
from server.switch.offline_losses import OfflineLosses
from server.switch.outcomes import Outcomes
from server.switch.rebalance import Rebalance
from server.switch.receipts import Receipts
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from server.switch.shard_status import shard_states
from server.switch.slot_move import SlotMover
from server.switch.test_amounts import Rehearsal, rehearsal
from server.switch.ticket_sales import TicketSales
from server.switch.ties import Ties

# Health watchers get their last message before their streams are cut.
STREAM_FAREWELL_S = 0.05


class Switch:
    """A switch on a data folder. `start` serves, `stop` drains; in between it runs by itself."""

    def __init__(
        self,
        folder: Path,
        config: ServerConfig,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        elapsed_us: Callable[[], int],
        log_lines_dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        """Open everything; Complaint if a file is missing, damaged, or another switch runs.

        `elapsed_us` counts microseconds and is never set: `now_us` is held against it.
        """
        self._folder, self._config, self._random_bytes = folder, config, random_bytes
        self._watch = ClockWatch(now_us, elapsed_us, config.clock_step_s * 1_000_000)
        self._now_us = now_us = self._watch.steady_us
        with ExitStack() as undo:  # whatever is missing, what was opened before is closed again
            self._lock = data_folder.Lock(folder)
            undo.callback(self._lock.release)
            self._rehearsal = self._open_rehearsal()
            self._authority = Authority.load(folder / "identity", now_us)
            self._keyring = Keyring.load(folder / "identity")
            self._directory = Directory(folder / "directory.db")
            undo.callback(self._directory.close)
            self._shards = self._open_shards()
            undo.pop_all()
        self._deny_list = DenyList(self._directory.denied, now_us)
        self._holders = self._open_holders()
        self._audit = Audit(self._directory.file, now_us)
        self._open_booking()
        self._offers = TicketOffers(self._directory.file)
        self._metrics, self._lines, self._alarms = MetricsPort(), Lines(), RollbackAlarms(now_us)
        self._losses = Losses(LossBook(self._directory.file), now_us)
        self._purchases = self._open_purchases()
        self._guard = Guard(Callers(self._authority, now_us), self._directory)
        self._health = HealthServicer(MAIN_SERVICES)
        self._counters = Counters(
            self._metrics.registry, log_lines_dropped, lambda: self._watch.look()[1]
        )
        self._servers: list[grpc.aio.Server] = []

    async def start(self) -> data_folder.Running:
        """Serve on all ports; where they are comes back.

        Complaint if a port is in use, or the stores are not of one moment.
        """
        await self._ties.check()
        tell_what_ends(self._authority, OperatorBook(self._directory.file), self._now_us)
        await self._settle.restore()
        await self._clock.start()
        for background in (
            self._ties, self._depositor, self._holds, self._merge, self._rebalance,
        ):  # fmt: skip
            background.start()
        ports = self._open_ports()
        main, address, pairing_address = ports.main, ports.address, ports.pairing_address
        add_services(main, ports.pairing, self._parts(), address, pairing_address, self._around)
        add_health(main, self._health)
        metrics_address = await self._metrics.serve(self._config.metrics_listen)
        for server in self._servers:
            await server.start()
        await self._health.serve_all()
        running = data_folder.running_here(address, pairing_address, metrics_address)
        data_folder.announce(self._folder, running)
        return running

    async def stop(self) -> None:
        """Say so to health watchers, finish calls under way, deliver what is queued, close.

        Each step is taken, whatever fails in another; the failure is raised at the end.
        """
        async with AsyncExitStack() as steps:  # from the last to the first
            steps.callback(self._lock.release)
            steps.callback(self._lines.close)
            steps.push_async_callback(self._metrics.close)
            steps.callback(self._directory.close)
            steps.callback(self._shards.close)
            steps.callback(self._bills.close)
            steps.callback(self._purchases.close)
            for background in (
                self._ties, self._depositor, self._merge, self._holds, self._rebalance, self._clock,
                self._followers,
            ):  # fmt: skip
                steps.push_async_callback(background.close)
            for server in self._servers:
                steps.push_async_callback(server.stop, self._config.drain_s)
            steps.callback(self._guard.end_streams)
            steps.push_async_callback(asyncio.sleep, STREAM_FAREWELL_S)
            steps.push_async_callback(self._health.enter_graceful_shutdown)
            steps.callback(data_folder.withdraw, self._folder)

    def _open_ports(self) -> Ports:
        telemetry = Telemetry(self._metrics.registry, self._alarms.count)
        errors = ErrorTranslation(self._random_bytes)
        config, trail = self._config, AuditTrail(self._audit)
        rates = Rates(config.calls_per_second, config.batch_payments_per_second)
        limits = Limits(rates, time.monotonic, self._metrics.registry)
        lines, self._around = self._lines, Around(telemetry, errors, limits)
        certificate = ServerCertificate(self._authority, config.hosts, self._now_us, lines.came)
        ports = bind_ports(
            config,
            len(self._shards),
            certificate,
            lines,
            main_port(telemetry, errors, self._guard, limits, trail),
            pairing_port(telemetry, errors),
        )
        self._servers = [ports.main, ports.pairing]
        return ports

    def _open_rehearsal(self) -> Rehearsal | None:
        books = data_folder.read_books(self._folder)
        return rehearsal(self._config.test_amounts, books.for_tests, self._now_us)

    def _open_holders(self) -> Holders:
        return Holders(
            HolderBook(self._directory.file),
            self._deny_list,
            self._keyring,
            self._now_us,
            self._random_bytes,
            self._config.credentials_per_device_and_day,
        )

    def _open_booking(self) -> None:
        booking_us, shards = self._watch.booking_us, self._shards
        self._settle, self._depositor = Settle(shards, booking_us), Depositor(shards)
        self._holds = HoldExpiry(shards, booking_us)
        random_bytes, every_s = self._random_bytes, self._config.merge_every_s
        self._merge = Merge(
            shards, self._settle, self._depositor, self._now_us, random_bytes, every_s
        )
        mover = SlotMover(shards, lambda: new_request_id(self._now_us() // 1000, random_bytes))
        self._rebalance = Rebalance(self._folder, shards, mover)
        self._clock = SwitchClock(self._watch, shards)
        self._ties = Ties(shards, TieBook(self._directory.file), self._now_us)

    def _open_shards(self) -> Shards:
        books = data_folder.read_books(self._folder)
        clock = self._watch.booking_us
        wake = lambda shard: self._depositor.wake(shard)  # noqa: E731, PLW0108  (it comes later)
        self._opener = ShardOpener(books.slots, clock, wake, self._on_written)
        return open_with(
            self._opener,
            books.addresses(self._folder),
            self._config.shard_processes,
            held=(self._lock.fileno(),),
        )

    def _on_added(self, shard: int) -> None:
        self._depositor.add(shard)
        self._merge.add(shard)
        self._holds.add(shard)
        self._ties.wake()

    def _on_written(self, shard: int, rows: Sequence[LogRow]) -> None:
        self._followers.on_written(shard, rows)
        self._counters.on_written(shard, rows)

    def _open_purchases(self) -> RegisterPurchase:
        key, directory = self._keyring.signing_key, self._directory
        receipts = Receipts(key)
        self._outcomes = Outcomes(self._shards, receipts)
        self._followers = Followers(self._shards, self._outcomes, self._now_us)
        self._tickets = TicketSales(self._offers, self._shards, key, self._now_us)
        sealing_key = self._keyring.sealing_key
        self._bills = Bills(self._shards, self._settle, receipts, directory, sealing_key)
        self._judging = OfflineLosses(
            self._losses, self._holders, self._shards, key.public_key(), self._now_us,
            self._metrics.registry,
        )  # fmt: skip
        return RegisterPurchase(
            self._shards, self._settle, receipts, directory, sealing_key, self._tickets,
            self._judging, Fares(self._holders), self._rehearsal,
        )  # fmt: skip

    def _operators(self) -> Operators:
        return Operators(
            self._directory, self._authority, self._keyring, self._now_us, self._random_bytes
        )

    def _parts(self) -> Parts:
        return Parts(
            self._config,
            self._authority,
            self._keyring,
            self._directory,
            self._deny_list,
            self._alarms,
            self._holders,
            self._losses,
            self._judging,
            self._shards,
            self._settle,
            self._merge,
            MoreShards(self._folder, self._shards, self._opener, self._places(), self._on_added),
            self._rebalance,
            lambda: shard_states(self._folder, self._shards),
            self._purchases,
            self._bills,
            self._outcomes,
            self._followers,
            self._tickets,
            self._offers,
            self._clock,
            self._audit,
            self._operators(),
            data_folder.directory_copies(self._folder, self._directory),
            TieBook(self._directory.file).restores(),
            self._now_us,
        )

    def _places(self) -> AllowedPlaces:
        config = self._config
        return AllowedPlaces(self._folder, config.shard_roots, config.shard_servers)
