"""What each shard keeps: its place, its slots, its accounts. Called by `server/rpc`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.ledger.chart import AccountKind
from server.shards.books_file import read_books
from server.shards.router import Shards
from server.switch.refused import refusing_store_trouble

_PEOPLE = (AccountKind.CUSTOMER, AccountKind.MERCHANT)


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard. `place` shows no password."""

    shard: int
    place: str
    slots: int
    accounts: int


async def shard_states(folder: Path, shards: Shards) -> list[ShardState]:
    """Tell what each shard keeps, by number; Unavailable if one cannot be read."""
    places = [address.shown() for address in read_books(folder).addresses(folder)]
    with refusing_store_trouble():
        totals = await shards.totals()
    return [
        ShardState(
            number,
            places[number],
            len(shards.routes.slots_of(number)),
            sum(total.accounts for total in totals[number] if total.code in _PEOPLE),
        )
        for number in range(len(shards))
    ]
