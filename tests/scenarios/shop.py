"""A shop with real processes: a switch, registers with simulated devices, customers with phones.

For the scenarios and the kill tests. `Shop` is the world, `Register` one till in it, `Customer`
somebody with an account and a phone.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from grpc_status import rpc_status

from edge_agents.journal import Entry, read_journal
from edge_agents.payment_request import PendingPayment, RequestMaker, Terminal
from edge_agents.terminal import open_terminal
from kessai.account_number import make_account
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.envelope import RECEIPT, open_signed
from kessai.money import Money
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import GetPaymentRequest, LineItem, Receipt, SettlePaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from kessai.v1.tap_pb2 import PresentPayment
from server.data_folder import read_books
from server.shards.placement import SlotMap
from server.shards.sqlite_reader import SqliteReader
from simulators.devices.display import SimulatedDisplay
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from simulators.phone.authorization import sign_and_seal, write_authorization
from simulators.phone.holder_key import HolderKey
from simulators.phone.purchase import open_purchase
from simulators.phone.ticket_pocket import TicketPocket
from simulators.phone.ticket_store import TicketStore
from simulators.phone.vault import Vault
from simulators.town import free_udp_port
from tests.pairing import pair_agent, pair_phone
from tests.placing import shard_of
from tests.running import CALL_LIMIT_S, SERVE, RunningSwitch, shard_path
from tests.scenarios.following import Followed, Step
from tests.scenarios.radios import Radio

SHARDS = 4
MERCHANT, SHOP_NAME = "corner-shop", "Corner Shop"
PIN = "4711"

BREAD, MILK, EGGS = "9506000134352", "9506000134369", "9506000134376"
COFFEE, CHOCOLATE = "9506000134413", "9506000134420"
PRICES = {BREAD: 349, MILK: 129, EGGS: 319, COFFEE: 799, CHOCOLATE: 149}

# The PIN is piped in, by `Followed`.
APPROVE = ("--answer", "approve")


@dataclass(frozen=True)
class Customer:
    """Somebody with an account and a phone."""

    name: str
    account: str
    folder: Path

    @property
    def identity(self) -> DeviceIdentity:
        """Who the phone is."""
        return load_identity(self.folder)

    def authorize(self, pending: PendingPayment, terminal: Terminal) -> Sealed:
        """Let the phone's own key agree to what a terminal asks, without a radio."""
        identity = self.identity
        present = PresentPayment(
            payment_request=pending.signed, merchant_certificate=terminal.merchant_certificate
        )
        purchase = open_purchase(present, identity.switch_key)
        holder = HolderKey(self.folder, identity.switch_key).public_key
        authorization = write_authorization(purchase, self.account, holder_public_key=holder)
        key = Vault(self.folder).unlock(PIN)
        sealed = sign_and_seal(authorization, key, identity.sealing_key, purchase.request_hash)
        return Sealed.FromString(sealed)

    def keep_tickets(self, tickets: list[Signed], request_id: bytes) -> None:
        """Put bought tickets onto the phone, without a radio."""
        identity, store = self.identity, TicketStore(self.folder)
        holder_key = HolderKey(self.folder, identity.switch_key)
        pocket = TicketPocket(identity.switch_key, store, holder_key, lambda page: None, lambda: 0)
        pocket.keep(tickets, request_id)
        store.close()


class Register:
    """One till: its process, the devices on its lines, and the field of its reader."""

    def __init__(self, folder: Path, reader: str, agent: str = "register") -> None:
        """Plug the devices in; `reader` is the moniker of the reader, and of the phone's field.

        `agent`: another agent with the same devices, such as "ticket-machine".
        """
        self.folder, self.reader, self.agent = folder, reader, agent
        lines = folder / "lines"
        self.scanner = SimulatedScanner(lines / "scanner")
        self.display = SimulatedDisplay(lines / "display")
        self.printer = SimulatedPrinter(lines / "printer")
        self._running: Followed | None = None
        self._phones: list[Followed] = []

    @property
    def steps(self) -> Followed:
        """The process, with what it tells."""
        assert self._running is not None
        return self._running

    @property
    def is_with_code(self) -> bool:
        """Tell whether it shows a code that the customer enters on the phone."""
        return self.reader.startswith("ble:") and "code=" not in self.reader

    @property
    def field(self) -> str:
        """Where phones are held to; over BLE the customer enters the code that is shown now."""
        if not self.is_with_code:
            return self.reader
        code = self.steps.latest("code_shown", since="waiting_for_tap")["code"]
        return f"{self.reader},code={code}"

    @property
    def field_of_small_frames(self) -> str:
        """Where a purchase takes more than five frames, whatever the radio."""
        return f"{self.field},mtu=100" if self.is_with_code else self.field

    @property
    def identity(self) -> DeviceIdentity:
        """Who it is."""
        return load_identity(self.folder)

    @property
    def terminal(self) -> Terminal:
        """Its keys and its merchant certificate."""
        return open_terminal(self.folder, self.identity)

    def start(self, *words: str, cold: bool = False) -> None:
        """Run it, for the first time or again; `cold` to see how large it is."""
        command = ["agent", self.agent, "--events", "--folder", str(self.folder)]
        command += ["--reader", self.reader]
        for device in ("scanner", "display", "printer"):
            command += [f"--{device}", str(self.folder / "lines" / device)]
        log = self.folder / "register.log"
        self._running = Followed([*command, *words], log, "event", cold=cold)
        self.steps.next("started")

    def close(self) -> None:
        """Stop it, and unplug the devices."""
        self.send_phones_away()
        if self._running is not None and self._running.is_running:
            assert self._running.stop() == 0
        for device in (self.scanner, self.display, self.printer):
            device.close()

    def kill(self) -> None:
        """End its process, and every phone's, with SIGKILL; nothing if they have ended."""
        self.send_phones_away()
        if self._running is not None:
            self._running.kill()

    def ring_up(self, *goods: str) -> Step:
        """Scan goods and press PAY; what is to be paid comes back."""
        for gtin in goods:
            self.scanner.scan(gtin)
            self.steps.next("item_scanned")
        return self.pay()

    def pay(self) -> Step:
        """Press PAY; what is to be paid comes back."""
        self.scanner.scan("%PAY")
        return self.steps.next("waiting_for_tap")

    def sell(self, customer: Customer, *goods: str) -> Step:
        """Sell goods from the first scan to the receipt on the phone; what was asked for."""
        asked = self.ring_up(*goods)
        phone = self.tap(customer, *APPROVE)
        phone.next("paid")
        self.steps.next("receipt_delivered")
        phone.kill()
        return asked

    def clear(self) -> None:
        """Press CANCEL, for the next customer."""
        self.scanner.scan("%CANCEL")
        self.steps.next("sale_cleared")

    def tap(self, customer: Customer, *words: str, field: str = "") -> Followed:
        """Bring a customer's phone into the field of the reader, as a process."""
        command = ["phone", "tap", "--events", "--folder", str(customer.folder)]
        log = customer.folder.with_name(f"{customer.name}.log")
        phone = Followed([*command, "--field", field or self.field, *words], log, "view")
        self._phones.append(phone)
        return phone

    def send_phones_away(self) -> None:
        """Take every phone that is still in the field away."""
        for phone in self._phones:
            phone.kill()
        self._phones.clear()

    def ask(self, minor: int, order: str = "order") -> PendingPayment:
        """Make a payment request with the register's own key, for a test that plays the terminal.

        Nothing of it is in the register's journal.
        """
        maker = RequestMaker(self.terminal, 60, lambda: time.time_ns() // 1_000, os.urandom)
        item = LineItem(description="Goods", quantity=1, unit_price_minor=minor)
        return maker.make(order, [item], Money(minor, "EUR"))

    def journal(self) -> list[Entry]:
        """Read its payments, newest first."""
        return read_journal(self.folder)

    def entry(self, payment_id: str) -> Entry:
        """Read one of its payments."""
        return next(e for e in self.journal() if e.pending.payment_id == payment_id)


class Shop:
    """The world of a scenario: a switch, a merchant, and who comes."""

    def __init__(
        self,
        folder: Path,
        shards: int = SHARDS,
        *,
        test_amounts: bool = False,
        program: tuple[str, ...] = SERVE,
    ) -> None:
        """Start a switch with one merchant; `program` serves it."""
        self.folder = folder
        self.switch = RunningSwitch.start(
            folder / "switch", shards, test_amounts=test_amounts, program=program
        )
        self._numbers = [_numbers_on(shard, shards) for shard in range(shards)]
        self._registers: list[Register] = []
        self._first: dict[str, Register] = {}
        self._people = 0
        self.account = self.switch.open_account(f"merchant/{MERCHANT}", self.number_on(0))
        self.switch.create_merchant(MERCHANT, SHOP_NAME, self.account)

    def receipt(self, signed: Signed) -> Receipt:
        """Verify that the switch signed a receipt, and read it."""
        key = self.switch.operator.switch_key
        return open_signed(signed, RECEIPT, key, Receipt.FromString)

    def earned(self) -> int:
        """Tell what the shop's account holds when all that is owed to it has arrived."""
        deadline = time.monotonic() + CALL_LIMIT_S
        with shards_of(self.switch.folder) as readers:
            while any(reader.outbox(1) for reader in readers):
                assert time.monotonic() < deadline, "the outboxes do not get empty"
                time.sleep(0.005)
        return self.switch.balance(self.account)

    def close(self) -> None:
        """Stop everything, and verify the books once more; whatever happens, nothing goes on."""
        try:
            for register in self._registers:
                register.close()
            self.switch.verify()
            self.switch.stop()
        finally:
            for register in self._registers:
                register.kill()
            self.switch.kill()

    def number_on(self, shard: int) -> int:
        """Give an account number of branch 1 that a shard keeps, a new one each time."""
        return next(self._numbers[shard])

    def customer(self, name: str, cash: int, shard: int = 1, wallet: str = "") -> Customer:
        """Let somebody open an account, pay cash in and pair a phone; the shop is on shard 0.

        The same name at another time is somebody else.
        """
        self._people += 1
        name = f"{name}-{self._people}"
        wallet = wallet or name
        account = self.switch.open_account(f"wallet/{wallet}", self.number_on(shard), cash)
        return self.phone(name, wallet, account)

    def phone(self, name: str, wallet: str, account: str) -> Customer:
        """Pair a phone of a wallet."""
        folder = self.folder / name
        uri = self.switch.pair_phone(wallet, name, account)
        pair_phone(folder, PIN, uri)
        return Customer(name, account, folder)

    def register(self, terminal: str, reader: str = "", agent: str = "register") -> Register:
        """Pair a terminal of the shop; it is not started yet."""
        folder = self.folder / terminal
        uri = self.switch.pair_terminal(MERCHANT, terminal)
        pair_agent(folder, uri)
        register = Register(folder, reader or f"udp:127.0.0.1:{free_udp_port()}", agent)
        self._registers.append(register)
        return register

    def running_register(self, radio: Radio) -> Register:
        """Give the first register with a radio; it is paired and started when first asked for."""
        if radio.kind not in self._first:
            first = self._first[radio.kind] = self.register(
                f"till-{radio.kind}", radio.reader(code=False)
            )
            first.start()
        return self._first[radio.kind]

    def direct_register(self, radio: Radio) -> Register:
        """Give a register whose customers' phones submit by their own line."""
        name = f"direct-{radio.kind}"
        if name not in self._first:
            first = self._first[name] = self.register(name, radio.reader(code=False))
            first.start("--submission", "direct")
        return self._first[name]

    def settle(self, identity: DeviceIdentity, pending: PendingPayment, sealed: Sealed) -> Signed:
        """Submit a payment by a direct call, as a terminal."""
        with self.switch.channel(identity) as channel:
            stub, request = PaymentServiceStub(channel), submission(pending, sealed)
            return stub.SettlePayment(request, timeout=CALL_LIMIT_S).receipt

    def find(self, identity: DeviceIdentity, payment_id: str) -> Signed | None:
        """Ask the switch for a terminal's payment; None if it has none such."""
        with self.switch.channel(identity) as channel:
            try:
                ask = GetPaymentRequest(request_id=payment_id)
                return PaymentServiceStub(channel).GetPayment(ask, timeout=CALL_LIMIT_S).receipt
            except grpc.RpcError as error:
                if reason_of(error) != "RESOURCE_UNKNOWN":
                    raise
                return None


def submission(pending: PendingPayment, sealed: Sealed) -> SettlePaymentRequest:
    """Write what a terminal sends to the switch."""
    return SettlePaymentRequest(
        request_id=pending.payment_id,
        payment_request=pending.signed,
        sealed_authorization=sealed,
    )


@contextmanager
def shards_of(data: Path) -> Iterator[list[SqliteReader]]:
    """Open the shards of a data folder to read what is committed, beside a running switch."""
    books = read_books(data)
    readers = [SqliteReader(shard_path(data, n), n, books.id) for n in range(books.shards)]
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


def total_of(*goods: str) -> int:
    """Add goods up, minor units."""
    return sum(PRICES[gtin] for gtin in goods)


def reason_of(error: grpc.RpcError) -> str:
    """Name the reason that a failed call carries."""
    info = ErrorInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _numbers_on(shard: int, shards: int) -> Iterator[int]:
    slots = SlotMap.even(shards)
    return (n for n in itertools.count(1) if shard_of(slots, make_account(1, n)) == shard)
