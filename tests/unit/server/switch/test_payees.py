"""Payees: what is remembered of their accounts, and for how long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED
from server.ledger.account import Account
from server.switch.payees import REMEMBERED_S, Payees
from tests.unit.server.domain.commands import EUR, JPY, close, open_account
from tests.unit.server.shards.parts import shards_in
from tests.unit.server.switch.counter import SHOP

SHARDS = 2


async def test_an_account_that_another_switch_closed_is_declined_within_seconds(
    tmp_path: Path,
) -> None:
    """Until then its own shard declines, and other shards' money waits in suspense."""
    elapsed_s = 0.0
    with shards_in(tmp_path, SHARDS) as shards:
        payees = Payees(shards, lambda: elapsed_s)
        assert await payees.refusal(SHOP, EUR) == d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        await shards.submit(open_account(SHOP, "merchant/shop"))
        assert await payees.refusal(SHOP, EUR) == ACCEPTED
        assert await payees.refusal(SHOP, JPY) == d.DECLINE_REASON_CURRENCY_MISMATCH
        await shards.submit(close(SHOP))
        elapsed_s = REMEMBERED_S
        for _ in range(2):
            assert await payees.refusal(SHOP, EUR) == d.DECLINE_REASON_ACCOUNT_CLOSED


async def test_many_that_come_at_once_look_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is up, whoever comes while one looks goes by what was."""
    elapsed_s, looks = 0.0, 0
    with shards_in(tmp_path, SHARDS) as shards:
        payees, account = Payees(shards, lambda: elapsed_s), shards.account
        await shards.submit(open_account(SHOP, "merchant/shop"))

        async def look(account_id: int) -> Account | None:
            nonlocal looks
            looks += 1
            return await account(account_id)

        monkeypatch.setattr(shards, "account", look)
        assert await payees.refusal(SHOP, EUR) == ACCEPTED
        elapsed_s = REMEMBERED_S
        answers = await asyncio.gather(*(payees.refusal(SHOP, EUR) for _ in range(100)))
        assert (set(answers), looks) == ({ACCEPTED}, 2)
