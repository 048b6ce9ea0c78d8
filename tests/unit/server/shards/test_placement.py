"""Where accounts are kept."""

from server.ledger.chart import AccountKind, house_account_id
from server.shards.placement import SlotMap


def test_the_houses_accounts_are_where_their_numbers_say() -> None:
    """So an operator can read the statement of what is in suspense, wherever it is."""
    slots = SlotMap.even(4)
    for shard in range(4):
        assert slots.shard_of(house_account_id(AccountKind.SUSPENSE, shard, 978)) == shard
