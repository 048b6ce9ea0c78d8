"""Where accounts are kept."""

from pathlib import Path

from server.ledger.chart import AccountKind, auxiliary_id, house_account_id
from server.shards.placement import SlotMap
from tests.placing import shard_of
from tests.unit.server.shards.parts import shards_in


def test_the_houses_accounts_are_where_their_numbers_say() -> None:
    """So an operator can read the statement of what is in suspense, wherever it is."""
    slots = SlotMap.even(4)
    for shard in range(4):
        assert shard_of(slots, house_account_id(AccountKind.SUSPENSE, shard, 978)) == shard


async def test_an_account_of_a_shard_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    """Anybody may ask for any number; it is not found, and nothing breaks."""
    with shards_in(tmp_path, 2) as shards:
        for shard in (2, 999):
            assert await shards.account(house_account_id(AccountKind.WORLD, shard, 978)) is None
            assert await shards.account(auxiliary_id(shard, 100_000_001)) is None
