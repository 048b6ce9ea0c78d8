"""B10, a gift certificate: sold as a ticket with value, and spent in parts at a counter.

Refused: more than is left, a copy, more than the customer opened it for, a revoked one. Survived:
the line to the switch down when it is to pay.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kessai.device_identity import load_identity, write_identity
from kessai.ticket import format_ticket_id
from simulators.town import free_udp_port
from tests.running import kessai
from tests.scenarios.following import Followed
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import Customer, Register, Shop
from tests.scenarios.venue import Venue

NOT_PAID = 3
STORE = "tickets.sqlite3"


class Counter:
    """A terminal of the shop where certificates are spent."""

    def __init__(self, terminal: Register, reader: str) -> None:
        self.folder, self.reader = terminal.folder, reader
        self._phones: list[Followed] = []

    def command(self, amount: str) -> list[str]:
        """Give the words that let a certificate pay."""
        words = ["agent", "certificate", "--folder", str(self.folder), "--reader", self.reader]
        return [*words, "--wait", "30", amount]

    def tap(self, customer: Customer, *words: str) -> Followed:
        """Hold a phone to the counter; it waits for it."""
        command = ["phone", "tap", "--events", "--folder", str(customer.folder)]
        log = customer.folder.with_name(f"{customer.name}.log")
        phone = Followed([*command, "--field", self.reader, *words], log, "view")
        self._phones.append(phone)
        return phone

    def send_phones_away(self) -> None:
        """Take every phone away."""
        for phone in self._phones:
            phone.kill()

    def spend(
        self, customer: Customer, amount: str, *words: str
    ) -> tuple[Followed, subprocess.CompletedProcess[str]]:
        """Let a customer's certificate pay: the phone when it is over, and what the cashier saw."""
        phone = self.tap(customer, *words)
        phone.next("idle")
        seen = kessai(*self.command(amount), check=False)
        phone.end()
        assert "Traceback" not in seen.stderr
        return phone, seen


@pytest.fixture(scope="module")
def venue(shop: Shop) -> Iterator[Venue]:
    opened = Venue(shop)
    opened.offer("gift", value=3000)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def counter(shop: Shop, radio: Radio) -> Iterator[Counter]:
    made = Counter(shop.register(f"counter-{radio.kind}"), radio.reader())
    yield made
    made.send_phones_away()


def test_a_certificate_pays_in_parts(shop: Shop, venue: Venue, counter: Counter) -> None:
    """12.50 of 30.00; no money moves, for it was paid at the sale. Then not 20.00 more."""
    gus = shop.customer("gus", 100_00)
    gift, before = venue.sell(gus, "gift"), shop.switch.balance(gus.account)
    phone, seen = counter.spend(gus, "12.50 EUR", "--spend", "15.00 EUR")
    assert "PAID 12.50 EUR by certificate. 17.50 EUR are left." in seen.stdout
    paid = phone.next("paid")
    assert (paid["total"], "17.50 EUR left" in paid["message"]) == ("12.50 EUR", True)
    phone, seen = counter.spend(gus, "20.00 EUR", "--spend", "20.00 EUR")
    assert (seen.returncode, "TICKET_USED" in seen.stdout) == (NOT_PAID, True)
    assert "17.50 EUR are left" in seen.stdout
    assert phone.next("not-paid")["reason"] == "TICKET_USED"
    assert venue.standing(gift).spent_minor == 1250
    assert shop.switch.balance(gus.account) == before


@OVER_NFC
def test_more_than_the_customer_opened_it_for(shop: Shop, venue: Venue, counter: Counter) -> None:
    """The phone does not even show it."""
    cara = shop.customer("cara", 100_00)
    gift = venue.sell(cara, "gift")
    phone, seen = counter.spend(cara, "12.50 EUR", "--spend", "12.49 EUR")
    assert (seen.returncode, "no gift certificate open" in seen.stderr) == (1, True)
    assert "No certificate was opened" in phone.next("not-paid")["message"]
    assert venue.standing(gift).spent_minor == 0


@OVER_BLE
def test_a_copied_certificate(shop: Shop, venue: Venue, counter: Counter) -> None:
    """Every byte of it is on another phone, and it pays nothing."""
    owner, thief = shop.customer("owner", 100_00), shop.customer("thief", 100_00)
    gift = venue.sell(owner, "gift")
    shutil.copy(owner.folder / STORE, thief.folder / STORE)
    phone, seen = counter.spend(thief, "1.00 EUR", "--spend", "1.00 EUR")
    assert (seen.returncode, "TICKET_NOT_HOLDER" in seen.stderr) == (1, True)
    assert phone.next("not-paid")["reason"] == "TICKET_NOT_HOLDER"
    assert venue.standing(gift).spent_minor == 0


@OVER_NFC
def test_a_revoked_certificate(shop: Shop, venue: Venue, counter: Counter) -> None:
    """The switch says so."""
    dora = shop.customer("dora", 100_00)
    gift = venue.sell(dora, "gift")
    kessai("ticket", "revoke", "--data", str(shop.switch.folder), format_ticket_id(gift))
    phone, seen = counter.spend(dora, "1.00 EUR", "--spend", "1.00 EUR")
    assert (seen.returncode, "TICKET_REVOKED" in seen.stdout) == (NOT_PAID, True)
    assert phone.next("not-paid")["reason"] == "TICKET_REVOKED"


@OVER_BLE
def test_the_line_to_the_switch_is_down(shop: Shop, venue: Venue, counter: Counter) -> None:
    """Nobody knows: nothing is handed over. The next run asks for the same, and it is paid once."""
    emil = shop.customer("emil", 100_00)
    gift = venue.sell(emil, "gift")
    identity = load_identity(counter.folder)
    nowhere = f"127.0.0.1:{free_udp_port()}"
    write_identity(counter.folder, replace(identity, server_address=nowhere))
    _, seen = counter.spend(emil, "10.00 EUR", "--spend", "10.00 EUR", "--stay", "3")
    assert (seen.returncode, "do not hand over anything" in seen.stderr) == (1, True)
    write_identity(counter.folder, identity)
    seen = kessai(*counter.command("7.00 EUR"))
    assert "PAID 10.00 EUR by certificate. 20.00 EUR are left." in seen.stdout
    assert venue.standing(gift).spent_minor == 1000
