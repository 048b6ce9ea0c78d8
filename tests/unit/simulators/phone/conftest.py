"""A phone's wallet in a folder, for the tests of this room."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kessai.device_identity import load_identity
from kessai.money import Money
from simulators.phone.admissions import Admissions
from simulators.phone.consent import Amend, Consent
from simulators.phone.customer import Approving, Customer
from simulators.phone.holder_key import HolderKey
from simulators.phone.screen import Screen
from simulators.phone.store import Decision, Store
from simulators.phone.ticket_pocket import TicketPocket, Wants
from simulators.phone.ticket_store import TicketStore
from simulators.phone.travel import TravelCard
from simulators.phone.vault import Vault
from simulators.phone.wallet import Wallet
from tests.unit.simulators.phone.counter import ACCOUNT, PIN, Counter

SPEND = Money(2000, "EUR")


@dataclass
class Pocket:
    """A wallet, what is behind it, and the pages that it showed."""

    wallet: Wallet
    store: Store
    vault: Vault
    pages: list[Screen]
    holder_key: HolderKey
    tickets: TicketStore
    pocket: TicketPocket
    submitted: list[Decision]


PocketMaker = Callable[..., Pocket]


@pytest.fixture
def counter() -> Counter:
    """Give the counter of a shop."""
    return Counter()


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pair a phone once for all tests of this room."""
    return Counter().pair(tmp_path_factory.mktemp("paired") / "phone")


@pytest.fixture
def folder(paired: Path, tmp_path: Path) -> Path:
    """Give the folder of a phone that is paired with the counter's switch."""
    return Path(shutil.copytree(paired, tmp_path / "phone"))


@pytest.fixture
def make_pocket(counter: Counter, folder: Path) -> Iterator[PocketMaker]:
    """Give a maker of wallets over the one folder: the second is the phone after a restart."""
    stores: list[Store | TicketStore | Admissions] = []

    def make(
        customer: Customer | None = None, patience_s: float = 10.0, amend: Amend | None = None
    ) -> Pocket:
        pages: list[Screen] = []
        submitted: list[Decision] = []
        identity, store, vault = load_identity(folder), Store(folder), Vault(folder)
        stores.append(store)
        holder_key = HolderKey(folder, identity.switch_key)
        consent = Consent(
            ACCOUNT,
            identity.sealing_key,
            vault,
            store,
            customer or Approving(PIN),
            pages.append,
            counter.clock,
            amend or (lambda authorization: None),
            holder_key.public_key,
        )
        ticket_store, admissions = TicketStore(folder), Admissions(folder)
        stores.extend((ticket_store, admissions))
        key, show, clock = identity.switch_key, pages.append, counter.clock
        pocket = TicketPocket(key, ticket_store, holder_key, show, clock, Wants(spend=SPEND))
        travel = TravelCard(key, admissions, store, holder_key, show, clock)
        submit = submitted.append
        wallet = Wallet(
            key, store, consent, holder_key, pocket, travel, submit, show, clock, patience_s
        )
        return Pocket(wallet, store, vault, pages, holder_key, ticket_store, pocket, submitted)

    yield make
    for store in stores:
        store.close()
