"""A switch's kernel whose slots move while it is paid at, over several lives. Shared by the tests.

Three shards keep all slots at first, a fourth is empty. `life` opens the shards with everything at
work that `server/bootstrap.py` starts for money: depositor, merge, rebalance.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kessai.account_number import make_account, slot_of
from kessai.request_id import new_request_id
from server.domain.command import Command
from server.shards.books_file import Books, write_books
from server.shards.opening import ShardOpener
from server.shards.placement import SlotMap
from server.shards.router import Shards
from server.shards.shard import Shard
from server.shards.store import Store
from server.shards.verify import Report, verify
from server.switch.busy_payees import BusyPayees
from server.switch.depositor import Depositor
from server.switch.merge import Merge
from server.switch.rebalance import Range, Rebalance, SlotsMoving
from server.switch.settle import Settle
from server.switch.slot_move import SlotMover
from tests.placing import shard_of
from tests.unit.server.domain.commands import deposit, open_account, open_auxiliary
from tests.unit.server.shards.parts import Stores

FIRST_SHARDS, SHARDS = 3, 4
CASH, LIMIT_S = 1_000_000, 60.0
SLOTS = SlotMap.even(FIRST_SHARDS)


def accounts_in(slot: int, count: int) -> list[int]:
    """Name accounts of branch 1 that fall into a slot."""
    found = (a for n in range(1, 200_000) if slot_of(a := make_account(1, n)) == slot)
    return [account for account, _ in zip(found, range(count), strict=False)]


# Slots that move, two customers and a shop in each; the first shop is a busy payee.
MOVING = (5, 6, 400, 900)
PAYERS = [account for slot in MOVING for account in accounts_in(slot, 2)]
SHOPS = [accounts_in(slot, 3)[2] for slot in MOVING]
BUSY = SHOPS[0]


@dataclass(frozen=True)
class Life:
    """One life of a switch, as far as money goes."""

    shards: Shards
    settle: Settle
    depositor: Depositor
    merge: Merge
    rebalance: Rebalance
    busy: BusyPayees

    async def start(self) -> None:
        """Begin with all that works by itself."""
        await self.settle.restore()
        self.depositor.start()
        self.merge.start()
        self.rebalance.start()

    async def total(self, account: int) -> int:
        """What an account has, its auxiliaries included."""
        return (await self.busy.holding(account, None)).total

    def move(self, slot: int, shard: int) -> bool:
        """Let a slot move to a shard; False while others are moving."""
        try:
            return self.rebalance.begin([Range(slot, slot, shard)]) > 0
        except SlotsMoving:
            return False

    async def moved(self) -> None:
        """Wait until nothing is to be moved."""
        async with asyncio.timeout(LIMIT_S):
            await self.rebalance.idle()


def make_books(stores: Stores) -> None:
    """Write down where the shards are, if that is not done yet."""
    if not (stores.folder / "books.json").exists():
        urls = tuple(f"sqlite:///{number}" for number in range(SHARDS))
        write_books(stores.folder, Books(stores.books_id, urls, SLOTS))


def plain(store: Store) -> Store:
    """Leave a store as it is."""
    return store


@asynccontextmanager
async def life(
    stores: Stores,
    now_us: Callable[[], int],
    wrap: Callable[[Store], Store] = plain,
    *,
    works: bool = True,
) -> AsyncIterator[Life]:
    """Open the shards until it is over; if it `works`, with all that is at work by itself."""
    make_books(stores)
    depositors: list[Depositor] = []

    def on_owed(shard: int) -> None:
        if depositors:
            depositors[0].wake(shard)

    opener = ShardOpener(SLOTS, now_us, on_owed)
    shards = Shards(SLOTS)
    for place in stores.make(SHARDS):
        shard, moved = opener.open(place)
        assert isinstance(shard, Shard)
        shard._store = wrap(shard._store)
        shards.add(shard, moved)
    depositor = Depositor(shards)
    depositors.append(depositor)
    settle = Settle(shards, now_us)
    merge = Merge(shards, settle, depositor, now_us, os.urandom, every_s=0.02)
    mover = SlotMover(shards, lambda: new_request_id(now_us() // 1000, os.urandom))
    rebalance = Rebalance(stores.folder, shards, mover)
    now = Life(shards, settle, depositor, merge, rebalance, BusyPayees(shards, settle))
    if works:
        await now.start()
    try:
        yield now
    finally:
        await rebalance.close()
        await merge.close()
        await depositor.close()
        shards.close()


def opening() -> list[Command]:
    """Who is there at the start: payers with cash, shops, one of them a busy payee."""
    commands: list[Command] = [open_account(shop, "merchant/shop") for shop in SHOPS]
    for payer in PAYERS:
        commands += [open_account(payer), deposit(payer, CASH)]
    home = shard_of(SLOTS, BUSY)
    others = [shard for shard in range(SHARDS) if shard != home]
    return commands + [open_auxiliary(shard, BUSY) for shard in (home, *others)]


def verify_all(stores: Stores) -> Report:
    """Verify the books of all shards."""
    places = stores.addresses(SHARDS)
    return verify(lambda: [place.open_reader() for place in places], SLOTS)
