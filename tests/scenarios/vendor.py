"""A vending machine in a scenario: its agent's process, the simulated machine, its customers."""

from __future__ import annotations

import os

from edge_agents.journal import Entry, read_journal
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.money import Money
from simulators.devices.vending_machine import VendingMachine
from tests.pairing import allow_without_pin, pair_agent
from tests.scenarios.following import Followed, Step
from tests.scenarios.shop import PIN, Customer, Shop

SNACKS, SNACKS_NAME = "snacks", "Kessai Snacks"
WATER, JUICE, CHOCOLATE, NUTS, SANDWICH = 7, 8, 12, 13, 21
PRICES = {WATER: 150, JUICE: 220, CHOCOLATE: 130, NUTS: 180, SANDWICH: 450}
AGREE = ("--answer", "agree")
ITEMS = "number,description\n7,Sparkling water\n8,Orange juice\n12,Chocolate bar\n13,Nuts\n"


class Vendor:
    """One vending machine with its agent."""

    def __init__(self, shop: Shop, terminal: str, reader: str) -> None:
        """Pair the agent and switch the machine on; item 21 is not in the agent's list."""
        self.folder, self.reader = shop.folder / terminal, reader
        pair_agent(self.folder, shop.switch.pair_terminal(SNACKS, terminal))
        self.machine = VendingMachine(self.folder / "machine", os.urandom, wait_s=30)
        items = self.folder / "items.csv"
        items.write_text(ITEMS)
        self.config = self.folder / "vending.toml"
        self.config.write_text(f'items = "{items.name}"\n')
        self._running: Followed | None = None
        self._phones: list[Followed] = []

    @property
    def steps(self) -> Followed:
        """The agent's process, with what it tells."""
        assert self._running is not None
        return self._running

    @property
    def identity(self) -> DeviceIdentity:
        """Who the agent is."""
        return load_identity(self.folder)

    def start(self, *words: str) -> None:
        """Run the agent, for the first time or again."""
        command = ["agent", "vending", "--events", "--config", str(self.config)]
        command += ["--folder", str(self.folder), "--reader", self.reader]
        command += ["--machine", str(self.folder / "machine"), *words]
        self._running = Followed(command, self.folder / "vending.log", "event")
        self.steps.next("started")
        self.machine.wait_for(lambda: self.machine.state == "ready")

    def close(self) -> None:
        """Stop the agent and switch the machine off."""
        self.send_phones_away()
        try:
            if self._running is not None and self._running.is_running:
                assert self._running.stop() == 0
        finally:
            self.machine.close()

    def kill(self) -> None:
        """End the agent with SIGKILL."""
        self.steps.kill()

    def select(self, item: int) -> Step:
        """Press a selection's key; what is asked for comes back."""
        self.machine.select(item)
        return self.steps.next("waiting_for_tap")

    def tap(self, customer: Customer, *words: str) -> Followed:
        """Hold a customer's phone to the machine."""
        command = ["phone", "tap", "--events", "--folder", str(customer.folder)]
        log = customer.folder.with_name(f"{customer.name}.log")
        phone = Followed([*command, "--field", self.reader, *words], log, "view")
        self._phones.append(phone)
        return phone

    def send_phones_away(self) -> None:
        """Take every phone away."""
        for phone in self._phones:
            phone.kill()
        self._phones.clear()

    def buy(self, customer: Customer, item: int) -> None:
        """Buy an item, from the key to the receipt on the phone."""
        self.select(item)
        phone = self.tap(customer, *AGREE)
        phone.next("paid")
        phone.kill()

    def shows(self, text: str) -> None:
        """Wait until the machine's display shows a text."""
        self.machine.wait_for(lambda: text in self.machine.text)

    def entry(self, payment_id: object) -> Entry:
        """Read one of its payments."""
        return next(e for e in read_journal(self.folder) if e.pending.payment_id == payment_id)


def open_snacks(shop: Shop) -> str:
    """Enter the merchant of the machines, who needs no PIN up to 5.00 EUR; its account."""
    account = shop.switch.open_account(f"merchant/{SNACKS}", shop.number_on(0))
    shop.switch.create_merchant(SNACKS, SNACKS_NAME, account, unverified_limit=Money(500, "EUR"))
    return account


def without_pin(customer: Customer, limit: str = "5.00 EUR") -> Customer:
    """Let a customer's phone pay small amounts without its PIN."""
    allow_without_pin(customer.folder, limit, PIN)
    return customer
