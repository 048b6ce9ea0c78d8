"""Books to measure on: a data folder with many funded accounts, filled before the switch starts.

Every account is opened and funded by the same commands that operators cause, decided by the shards
themselves, so the books verify. It is dated an hour back, so that a switch that starts on the
folder does not remember these requests as new ones. Each shard is filled by a process of its own.
Used by `wire.py`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path

from kessai.account_number import format_account, make_account
from kessai.currency import BY_CODE
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.account_pb2 import DepositCashRequest, OpenAccountRequest, OperatorEvidence
from server import data_folder, main
from server.config import ServerConfig
from server.domain.account_opening import OpenAccount
from server.domain.cash import DepositCash
from server.domain.command import Command
from server.domain.history import operator_input_hash
from server.shards.address import sqlite_urls
from server.shards.placement import ShardPlace
from server.shards.shard import Shard

CURRENCY = "EUR"
DEPOSIT_MINOR = 10_000_000

SHARDS = 4

_CUSTOMERS_BRANCH, _MERCHANTS_BRANCH = 1, 2
_AGO_US = 3_600_000_000
_AT_ONCE = 4096
_LEDGER = BY_CODE[CURRENCY].number


@dataclass(frozen=True, slots=True)
class Population:
    """How many there are. Accounts belong to wallets in turn, terminals to merchants.

    Every so many accounts one has money, by so many deposits; `history` gives some, by their index,
    further ones.
    """

    accounts: int
    wallets: int = 200
    merchants: int = 8
    funded_every: int = 1
    deposits: int = 1
    history: Mapping[int, int] = field(default_factory=dict)

    def account(self, index: int) -> tuple[int, str]:
        """Give a customer's account by its index from 0, and the wallet that owns it."""
        return make_account(_CUSTOMERS_BRANCH, index + 1), wallet_name(index % self.wallets)

    def payer(self, dice: random.Random) -> int:
        """Draw the index of an account that has money, all alike."""
        return dice.randrange(0, self.accounts, self.funded_every)

    def deposits_of(self, index: int) -> int:
        """Tell how many deposits an account gets."""
        funded = 0 if index % self.funded_every else self.deposits
        return funded + self.history.get(index, 0)

    def merchant_account(self, index: int) -> int:
        """Give a merchant's account by its index from 0."""
        return make_account(_MERCHANTS_BRANCH, index + 1)


class Payees(StrEnum):
    """How payments are spread over the payees: evenly, by rank, or all to the first."""

    UNIFORM = "uniform"
    ZIPF = "zipf"
    ONE = "one"

    def weight(self, rank: int) -> float:
        """Give the weight of the payee of a rank from 0; Zipf's is 1/(rank + 1)."""
        match self:
            case Payees.UNIFORM:
                return 1.0
            case Payees.ZIPF:
                return 1 / (rank + 1)
            case Payees.ONE:
                return float(rank == 0)


def wallet_name(index: int) -> str:
    """Name a wallet by its index from 0."""
    return f"w{index}"


def merchant_name(index: int) -> str:
    """Name a merchant by its index from 0."""
    return f"m{index}"


def create_folder(folder: Path, urls: Sequence[str] = (), *, limited: bool = False) -> None:
    """Make a data folder as `kessai init` does, on free ports of this machine.

    `urls` are the addresses of its shards; without them it has four in files of its own. Unless it
    is `limited`, a device may ask as much as it can: here eight of them stand for all.
    """
    free = "127.0.0.1:0"
    config = ServerConfig(listen=free, pairing_listen=free, metrics_listen=free)
    if not limited:
        boundless = dict.fromkeys(("calls_per_second", "batch_payments_per_second"), 1e6)
        config = config.model_copy(update=boundless)
    shards = urls or sqlite_urls(SHARDS)
    data_folder.create(folder, "bench.example", shards, config, main.now_us, os.urandom)


def fill(folder: Path, population: Population, pool: Executor) -> list[Future[None]]:
    """Begin to open all accounts, the customers' with money; a future for each shard."""
    shards = range(data_folder.read_books(folder).shards)
    return [pool.submit(_fill_shard, folder, shard, population) for shard in shards]


def _fill_shard(folder: Path, number: int, population: Population) -> None:
    books = data_folder.read_books(folder)
    address = books.addresses(folder)[number]
    place = ShardPlace(number, books.slots)
    shard = Shard(
        place, address.open_store(), address.open_reader(), _an_hour_ago, lambda shard: None
    )
    commands = _commands(place, population)
    try:
        while group := list(islice(commands, _AT_ONCE)):
            shard.write(group)
    finally:
        shard.close()


def _commands(place: ShardPlace, population: Population) -> Iterator[Command]:
    # The system's own randomness takes longer than a whole deposit.
    ids = _Ids(random.Random(place.shard))  # noqa: S311
    for index in range(population.merchants):
        account = population.merchant_account(index)
        if place.is_here(account):
            yield _opening(ids.next(), account, f"merchant/{merchant_name(index)}")
    for index in range(population.accounts):
        account, wallet = population.account(index)
        if place.is_here(account):
            yield _opening(ids.next(), account, f"wallet/{wallet}")
            for _ in range(population.deposits_of(index)):
                yield _deposit(ids.next(), account)


def _opening(request_id: bytes, account: int, owner: str) -> OpenAccount:
    branch, number = divmod(account, 10**8)
    request = OpenAccountRequest(
        request_id=format_request_id(request_id),
        owner=owner, currency_code=CURRENCY, branch=branch, number=number,
    ).SerializeToString(deterministic=True)  # fmt: skip
    content = operator_input_hash(request)
    return OpenAccount(request_id, content, 0, account, 0, _LEDGER, _evidence(request), owner)


def _deposit(request_id: bytes, account: int) -> DepositCash:
    request = DepositCashRequest(
        request_id=format_request_id(request_id),
        account_number=format_account(account),
        amount=Money(DEPOSIT_MINOR, CURRENCY).to_proto(),
    ).SerializeToString(deterministic=True)
    content, body = operator_input_hash(request), _evidence(request)
    return DepositCash(request_id, content, 0, account, DEPOSIT_MINOR, _LEDGER, body)


def _evidence(request: bytes) -> bytes:
    return OperatorEvidence(operator=data_folder.OPERATOR_NAME, request=request).SerializeToString()


def _an_hour_ago() -> int:
    return main.now_us() - _AGO_US


class _Ids:
    """Request ids an hour old."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._now_ms = _an_hour_ago() // 1000

    def next(self) -> bytes:
        return new_request_id(self._now_ms, self._dice.randbytes)
